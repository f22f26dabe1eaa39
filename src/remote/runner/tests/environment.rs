//! Which settings of the account our git and the agent see.

use super::host::{TestHost, shells};
use super::*;

/// Each of these variables changes what git does, or makes it fail.
const VARIABLES: [(&str, &str); 12] = [
    ("GIT_LITERAL_PATHSPECS", "1"),
    ("GIT_ICASE_PATHSPECS", "1"),
    ("GIT_ATTR_SOURCE", "nowhere"),
    ("GIT_QUARANTINE_PATH", "x"),
    ("GIT_DEFAULT_HASH", "sha256"),
    ("GIT_DEFAULT_REF_FORMAT", "reftable"),
    ("GIT_DIR", "/nonexistent"),
    ("GIT_INDEX_FILE", "/nonexistent/index"),
    ("GIT_OBJECT_DIRECTORY", "/nonexistent/objects"),
    ("GIT_CONFIG_PARAMETERS", "garbage"),
    ("GIT_SHALLOW_FILE", "/nonexistent/shallow"),
    ("GIT_A_VARIABLE_OF_LATER", "two\nlines"),
];

#[test]
fn git_variables_of_the_account_are_set_for_the_agent_and_not_for_our_git() {
    for shell in shells() {
        let mut host = TestHost::shipped(shell, "env >env; echo new >new");
        host.variables = VARIABLES.to_vec();
        host.ensure(1, &[]);
        let result = host.result(1);
        let capture = result.get("capture").unwrap_or_else(|| panic!("{}", result.0));
        assert_eq!(host.git(&host.cache(), &["show", &format!("{capture}:sub/new")]), "new");
        let seen = host.git(&host.cache(), &["show", &format!("{capture}:sub/env")]);
        for (name, value) in VARIABLES {
            assert!(format!("{seen}\n").contains(&format!("{name}={value}\n")), "{name}: {seen}");
        }
    }
}

#[test]
fn every_git_directory_has_the_format_of_the_repository_whatever_the_default_is() {
    for shell in shells() {
        let mut host = TestHost::shipped(shell, "cd ..; git commit -qam mine; git branch topic; echo new >new");
        host.variables = vec![("GIT_DEFAULT_HASH", "sha256"), ("GIT_DEFAULT_REF_FORMAT", "reftable")];
        std::fs::remove_dir_all(host.cache()).unwrap();
        let request = format!("name {}\nkey {}\nformat sha1\n\n", host.name, "a".repeat(40));
        host.call(Verb::ReceivePack, request.as_bytes());
        host.push();
        host.ensure(1, &[]);
        let result = host.result(1);
        let below = format!("refs/capture/{}/1/", host.name);
        let refs = host.git(&host.cache(), &["for-each-ref", "--format=%(refname)", &below]);
        assert!(refs.contains("/heads/main\n") && refs.contains("/heads/topic\n"), "{refs}\n{}", result.0);
        for directory in [host.cache(), host.work().join("capture.git"), host.root().join("trees/my repo-1/my repo")] {
            let form = host.git(&directory, &["rev-parse", "--show-object-format"]);
            assert_eq!(form, "sha1", "{directory:?}");
            assert!(!directory.join("reftable").exists() && !directory.join(".git/reftable").exists());
        }
    }
}

#[test]
fn a_cache_of_another_object_format_is_moved_aside_with_its_captures() {
    for (shell, captured) in shells().into_iter().zip([false, true, true]) {
        let host = TestHost::shipped(shell, "echo new >new");
        std::fs::remove_dir_all(host.cache()).unwrap();
        let cache = host.cache();
        host.git(&host.home(), &["init", "-q", "--bare", "--object-format=sha256", cache.to_str().unwrap()]);
        if captured {
            let tree = host.git(&cache, &["mktree"]);
            let commit = host.git(&cache, &["commit-tree", &tree, "-m", "x"]);
            host.git(&cache, &["update-ref", "refs/capture/other/1/work", &commit]);
        }
        let request = format!("name {}\nkey {}\nformat sha1\n\n", host.name, "a".repeat(40));
        let both = [0, 1].map(|_| host.start(&loader(Verb::ReceivePack), request.as_bytes()));
        for child in both {
            let reply = String::from_utf8(host.finish(child).stdout).unwrap();
            assert!(reply.ends_with(" end 0\n"), "{reply}");
        }
        host.push();
        host.ensure(1, &[]);
        assert!(host.result(1).get("capture").is_some());
        let entries = std::fs::read_dir(host.root().join("cache")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        assert_eq!(names.len(), 1 + usize::from(captured), "{names:?}");
        if captured {
            let aside = host.root().join("cache").join(&names[0]);
            assert!(names[0].contains(".aside."), "{names:?}");
            host.git(&aside, &["cat-file", "-e", "refs/capture/other/1/work^{tree}"]);
        }
    }
}

#[test]
fn a_cache_with_reftables_works() {
    let host = TestHost::shipped(shells().remove(0), "cd ..; git commit -qam mine; echo new >new");
    let cache = host.cache();
    std::fs::remove_dir_all(&cache).unwrap();
    host.git(&host.home(), &["-c", "init.defaultRefFormat=reftable", "init", "-q", "--bare", cache.to_str().unwrap()]);
    host.push();
    host.ensure(1, &[]);
    let result = host.result(1);
    assert_eq!(
        host.git(&cache, &["rev-parse", &format!("refs/capture/{}/1/work", host.name)]),
        result.get("capture").unwrap()
    );
}

#[test]
fn the_checkout_has_the_modes_of_a_clone_and_the_agent_its_own_umask() {
    use std::os::unix::fs::PermissionsExt;
    let chmod = |path: &std::path::Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    for (shell, umask) in shells().into_iter().zip(["0022", "0027", "0077"]) {
        let mut host = TestHost::shipped(shell, "umask >umask; echo x >made");
        host.umask = umask;
        host.ensure(1, &[("caches", "*.o\n")]);
        let result = host.result(1);
        let tree = host.root().join("trees/my repo-1/my repo");
        let mode = |name: &str| tree.join(name).metadata().unwrap().permissions().mode() & 0o777;
        let modes = ["", "sub", "sub/deep", "script.sh", ".git", ".git/config", ".git/HEAD"].map(mode);
        assert_eq!(modes, [0o755, 0o755, 0o644, 0o755, 0o755, 0o644, 0o644], "{}", result.0);
        for private in ["trees", "trees/my repo-1", "work"] {
            assert_eq!(host.root().join(private).metadata().unwrap().permissions().mode() & 0o777, 0o700);
        }
        let said = std::fs::read_to_string(tree.join("sub/umask")).unwrap();
        assert_eq!(u32::from_str_radix(said.trim(), 8).unwrap(), u32::from_str_radix(umask, 8).unwrap());
        assert_eq!(mode("sub/made"), 0o666 & !u32::from_str_radix(umask, 8).unwrap());
        if umask != "0022" {
            continue;
        }
        // The tree has modes of an older runner and an ignored private file when the next ship fills it.
        std::fs::write(tree.join("sub/key.o"), "secret").unwrap();
        for name in ["umask", "made"] {
            std::fs::remove_file(tree.join("sub").join(name)).unwrap();
        }
        for (name, mode) in
            [("sub/deep", 0o600), ("script.sh", 0o700), ("sub/key.o", 0o600), ("sub", 0o700), ("", 0o700)]
        {
            chmod(&tree.join(name), mode);
        }
        std::fs::remove_file(host.work().join("landed.1")).unwrap();
        host.ensure(2, &[]);
        host.result(2);
        let modes = ["", "sub", "sub/deep", "script.sh", "sub/key.o"].map(mode);
        assert_eq!(modes, [0o755, 0o755, 0o644, 0o755, 0o600]);
    }
}

#[test]
fn a_cursor_path_that_is_not_the_record_is_captured() {
    let agents = [
        ("cd ..; rm -rf .cursor; mkdir x; ln -s x .cursor; echo r >x/r", ".cursor"),
        ("cd ..; rm -rf .cursor; echo f >.cursor", ".cursor"),
        (
            "cd ..; mkdir -p .cursor x; rm -rf .cursor/agent-handoffs; ln -s ../x .cursor/agent-handoffs",
            ".cursor/agent-handoffs",
        ),
        ("cd ..; rm -rf .cursor; git init -q .cursor; git -C .cursor commit -q --allow-empty -m r; git add -A", "new"),
        (
            "cd ..; mkdir -p .cursor/agent-handoffs/x; echo r >.cursor/agent-handoffs/x/r; echo c >.cursor/rules",
            ".cursor/rules",
        ),
    ];
    let identity = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a\n";
    for (shell, (agent, expected)) in shells().into_iter().cycle().zip(agents) {
        let host = TestHost::shipped(shell, &format!("{agent}; echo new >new"));
        host.ensure(1, &[("env", identity)]);
        let result = host.result(1);
        let capture = result.get("capture").unwrap_or_else(|| panic!("{agent}: {}", result.0));
        let changed = host.git(&host.cache(), &["diff", "--name-only", &host.oids[0], capture]);
        assert!(changed.lines().any(|name| name == expected), "{agent}: {changed}");
        assert!(changed.lines().any(|name| name == "new") && !changed.contains("handoffs/"), "{agent}: {changed}");
    }
}
