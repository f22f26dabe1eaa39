//! Files that must be captured although git hides them, or listed.

use std::path::Path;

use super::{file, reasons, snapshot};
use crate::git::testing::Repo;

#[test]
fn edits_hidden_from_git_are_captured_and_stay_hidden() {
    let repo = Repo::with_commit();
    repo.write("assumed", "old");
    repo.write("skipped", "old");
    repo.write("absent", "kept");
    repo.commit("more");
    repo.git(["update-index", "--assume-unchanged", "assumed"]);
    repo.git(["update-index", "--skip-worktree", "skipped", "absent"]);
    repo.write("assumed", "edited");
    repo.write("skipped", "edited");
    std::fs::remove_file(repo.path("absent")).unwrap();
    let flags = repo.git(["ls-files", "-v"]);
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, "assumed").unwrap(), "edited");
    assert_eq!(file(&repo, &taken.files_tree, "skipped").unwrap(), "edited");
    assert_eq!(file(&repo, &taken.files_tree, "absent").unwrap(), "kept");
    assert_eq!(repo.git(["ls-files", "-v"]), flags);
}

#[test]
fn the_record_is_never_in_a_snapshot() {
    let repo = Repo::with_commit();
    repo.write(".cursor/rules", "kept");
    repo.write(".cursor/agent-handoffs/x/handoff.md", "record");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, ".cursor/rules").unwrap(), "kept");
    assert_eq!(file(&repo, &taken.files_tree, ".cursor/agent-handoffs/x/handoff.md"), None);
    repo.git(["add", "-f", ".cursor/agent-handoffs"]);
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.index_tree, ".cursor/agent-handoffs/x/handoff.md"), None);
    repo.open().exclude_record().unwrap();
    repo.git(["rm", "-q", "--cached", "-r", ".cursor/agent-handoffs"]);
    assert_eq!(snapshot(&repo).left_behind, []);
}

#[test]
fn a_committed_record_is_shipped_as_in_head() {
    let repo = Repo::with_commit();
    repo.write(".cursor/agent-handoffs/x/handoff.md", "committed");
    repo.commit("record");
    repo.write(".cursor/agent-handoffs/x/handoff.md", "staged");
    repo.write(".cursor/agent-handoffs/x/attempt-1.log", "log");
    repo.git(["add", "-A"]);
    std::fs::remove_file(repo.path(".cursor/agent-handoffs/x/handoff.md")).unwrap();
    let taken = snapshot(&repo);
    let tree = repo.git(["rev-parse", "HEAD^{tree}"]);
    assert_eq!((taken.index_tree.as_str(), taken.files_tree.as_str()), (tree.trim(), tree.trim()));
}

#[test]
fn files_that_git_cannot_store_are_listed() {
    let repo = Repo::with_commit();
    repo.write(".gitignore", "*.log\ntarget/\n.env\n");
    repo.write("debug.log", "x");
    repo.write("target/a", "x");
    repo.write("target/deep/b", "x");
    repo.write(".env", "SECRET");
    repo.write("later", "");
    repo.git(["add", "-N", "later"]);
    std::fs::create_dir_all(repo.path("hollow/inner")).unwrap();
    make_pipe(&repo.path("pipe"));
    let _socket = std::os::unix::net::UnixListener::bind(repo.path("socket")).unwrap();
    let taken = snapshot(&repo);
    let expected = [
        ("hollow/inner/", "empty directory"),
        (".env", "ignored"),
        ("debug.log", "ignored"),
        ("target/", "ignored"),
        ("later", "intent to add (sent as untracked)"),
        ("pipe", "named pipe"),
        ("socket", "socket"),
    ];
    assert_eq!(reasons(&taken), expected);
    assert_eq!(file(&repo, &taken.files_tree, "later").unwrap(), "");
}

fn make_pipe(path: &Path) {
    assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn of_a_thousand_ignored_files_two_hundred_are_listed_and_the_rest_counted() {
    let repo = Repo::with_commit();
    repo.write(".gitignore", "*.o\n");
    (0..300).for_each(|n| repo.write(format!("{n:03}.o"), ""));
    let taken = snapshot(&repo);
    assert_eq!(taken.left_behind.len(), 201);
    assert_eq!(reasons(&taken)[200], ("(100 more)", "ignored"));
}

#[test]
fn nested_repositories_are_listed_and_do_not_fail_the_snapshot() {
    let repo = Repo::with_commit();
    repo.write("wanted", "x");
    repo.git(["init", "-q", "unborn"]);
    repo.write("unborn/file", "x");
    repo.git(["clone", "-q", ".", "outer/full"]);
    repo.write("outer/beside", "x");
    repo.git(["worktree", "add", "-q", "--detach", ".trees/linked"]);
    repo.write("fake/.git/junk", "not a repository");
    repo.write("fake/kept", "x");
    let taken = snapshot(&repo);
    let expected: Vec<_> =
        [".trees/linked/", "outer/full/", "unborn/"].iter().map(|path| (*path, "nested repository")).collect();
    assert_eq!(reasons(&taken), expected);
    let names = repo.git(["ls-tree", "-r", "--name-only", taken.files_tree.as_str()]);
    assert_eq!(names, "README\nfake/kept\nouter/beside\nwanted\n");
}

#[test]
fn submodules_are_listed_with_their_changes() {
    let repo = Repo::with_commit();
    let library = Repo::with_commit();
    let url = library.top().to_str().unwrap();
    for name in ["clean", "dirty", "moved", "empty"] {
        repo.git(["submodule", "--quiet", "add", url, name]);
    }
    repo.commit("submodules");
    repo.write("dirty/README", "edited");
    repo.write("dirty/new", "x");
    repo.git(["-C", "moved", "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "x"]);
    repo.git(["submodule", "--quiet", "deinit", "-f", "empty"]);
    let taken = snapshot(&repo);
    let expected = [
        ("clean", "submodule"),
        ("moved", "submodule with another commit checked out"),
        ("dirty", "submodule with edits, untracked files"),
    ];
    assert_eq!(reasons(&taken), expected);
    assert_eq!(taken.files_tree, taken.index_tree, "a commit that does not travel is not named");
}

#[test]
fn unreadable_files_are_listed_and_do_not_fail_the_snapshot() {
    use std::os::unix::fs::PermissionsExt;
    let repo = Repo::with_commit();
    repo.write("tracked", "old");
    repo.commit("more");
    repo.write("tracked", "edited");
    repo.write("untracked", "x");
    repo.write("closed/inside", "x");
    repo.write("z last", "x");
    let forbid = |name: &str, mode| {
        std::fs::set_permissions(repo.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    ["tracked", "untracked", "closed"].iter().for_each(|name| forbid(name, 0o000));
    if std::fs::File::open(repo.path("tracked")).is_ok() {
        return; // root can read everything
    }
    let taken = snapshot(&repo);
    forbid("closed", 0o755);
    let expected = [("tracked", "unreadable"), ("untracked", "unreadable"), ("closed/", "unreadable directory")];
    assert_eq!(reasons(&taken), expected);
    assert_eq!(file(&repo, &taken.files_tree, "tracked").unwrap(), "old");
    assert_eq!(file(&repo, &taken.files_tree, "z last").unwrap(), "x");
}

#[test]
fn lfs_content_that_is_not_here_is_listed() {
    let repo = Repo::with_commit();
    let id = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize 12\n");
    repo.write(".gitattributes", "*.bin filter=lfs -text\n");
    repo.write("big.bin", &pointer);
    repo.write("raw.bin", "stored without git-lfs");
    repo.write("small.txt", &pointer);
    let absent = [("big.bin", "LFS content is not here; run: git lfs pull")];
    assert_eq!(reasons(&snapshot(&repo)), absent);
    for (storage, listed) in [("lfs", 0), ("elsewhere", 1), ("elsewhere", 0)] {
        repo.git(["config", "lfs.storage", storage]);
        if listed == 0 {
            repo.write(format!(".git/{storage}/objects/4d/7a/{id}"), "twelve bytes");
        }
        assert_eq!(reasons(&snapshot(&repo)).len(), listed, "{storage}");
    }
}

#[test]
fn content_that_a_filter_rewrites_is_listed() {
    let repo = Repo::with_commit();
    let rot13 = repo.script("rot13", "exec tr a-zA-Z n-za-mN-ZA-M");
    let marked = repo.script("marked", "cat; echo mark");
    for (name, command, of) in [("toy", &rot13, "clean"), ("toy", &rot13, "smudge"), ("long", &marked, "clean")] {
        repo.git(["config", &format!("filter.{name}.{of}"), command]);
    }
    repo.git(["config", "filter.toy.required", "true"]);
    repo.git(["config", "filter.off.clean", ""]);
    repo.write(
        ".gitattributes",
        "*.secret filter=toy\n*.note filter=long\n*.off filter=off\n*.unknown filter=unknown\n",
    );
    for name in ["a.secret", "in/b.secret", "c.note", "d.off", "e.unknown", "plain"] {
        repo.write(name, "password\n");
    }
    // The filter does not change this file.
    repo.write("digits.secret", "12345\n");
    repo.commit("filtered");
    repo.write("new.secret", "untracked\n");
    let of = |name: &str| format!("sent as git stores it, because the filter {name} exists only on this machine");
    let (toy, long) = (of("toy"), of("long"));
    let expected = [("c.note", &long), ("a.secret", &toy), ("in/b.secret", &toy), ("new.secret", &toy)];
    let taken = snapshot(&repo);
    assert_eq!(reasons(&taken), expected.map(|(path, reason)| (path, reason.as_str())));
    assert_eq!(file(&repo, &taken.files_tree, "a.secret").unwrap(), "cnffjbeq\n");
}

#[test]
fn an_encoding_that_only_this_repository_knows_is_listed() {
    let repo = Repo::with_commit();
    let utf16: Vec<u8> = "text\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    repo.write("wide", utf16);
    repo.write(".git/info/attributes", "wide working-tree-encoding=UTF-16LE\n");
    let expected = [("wide", "sent in UTF-8, because its encoding UTF-16LE is not set in .gitattributes of the tree")];
    assert_eq!(reasons(&snapshot(&repo)), expected);
}

#[test]
fn links_into_the_git_directory_are_listed() {
    let repo = Repo::with_commit();
    repo.write(".git/annex/objects/k1", "data");
    repo.write("data/plain", "x");
    repo.commit("x");
    let linked = repo.sibling("linked");
    repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    for top in [repo.top(), &linked] {
        let absolute = repo.path(".git/annex/objects/k1");
        let links = [
            ("data/absolute", absolute.to_str().unwrap()),
            ("data/directory", "../.git/annex"),
            ("data/missing", "../.git/annex/objects/gone"),
            ("data/relative", "../.git/annex/objects/k1"),
            ("data/roundabout", "./../data/../.git/./annex/objects/k1"),
            ("inside", "data/plain"),
            ("through", "data/relative"),
        ];
        for (name, target) in links {
            std::os::unix::fs::symlink(target, top.join(name)).unwrap();
        }
        let taken = super::take(&crate::git::Repository::discover(top).unwrap(), &[]).unwrap();
        let listed: Vec<_> = taken.left_behind.iter().map(|it| (it.path.as_str(), it.reason.as_str())).collect();
        let names = ["data/absolute", "data/directory", "data/missing", "data/relative", "data/roundabout", "through"];
        // A link to a dangling link is only found where it has a target.
        let names = &names[..if top == repo.top() { 6 } else { 5 }];
        assert_eq!(listed, names.iter().map(|name| (*name, "content is in the git directory")).collect::<Vec<_>>());
    }
}

#[test]
fn a_cursor_of_any_kind_is_shipped() {
    use std::os::unix::fs::symlink;
    for kind in ["link", "file", "submodule", "deeper link", "deeper file", "untracked link", "link over a record"] {
        let repo = Repo::with_commit();
        if kind == "link over a record" {
            repo.write(".cursor/agent-handoffs/x/handoff.md", "committed");
            repo.commit("record");
            std::fs::remove_dir_all(repo.path(".cursor")).unwrap();
        }
        let path = if kind.starts_with("deeper") { ".cursor/agent-handoffs" } else { ".cursor" };
        repo.write(".agents/rules", "r");
        std::fs::create_dir_all(repo.path(path).parent().unwrap()).unwrap();
        match kind {
            "submodule" => {
                let rules = Repo::with_commit();
                repo.git(["submodule", "add", "-q", rules.top().to_str().unwrap(), ".cursor"]);
            }
            "file" | "deeper file" => repo.write(path, "f"),
            _ => symlink(repo.path(".agents"), repo.path(path)).unwrap(),
        }
        if !kind.starts_with("untracked") {
            repo.commit("kind");
        }
        repo.write("new", "x");
        let taken = snapshot(&repo);
        assert_eq!(file(&repo, &taken.files_tree, "new").unwrap(), "x", "{kind}");
        let expected = match kind {
            "submodule" => "160000",
            "file" | "deeper file" => "100644",
            _ => "120000",
        };
        assert_eq!(super::mode(&repo, &taken.files_tree, path), expected, "{kind}");
    }
}

#[test]
fn names_that_differ_in_case_are_shipped_whatever_core_ignorecase_says() {
    let repo = Repo::with_commit();
    repo.write("Guide.md", "G");
    repo.write("Readme.md", "R");
    repo.commit("more");
    // As in a repository that was copied from a Mac.
    repo.git(["config", "core.ignorecase", "true"]);
    if repo.path(".GIT").exists() {
        return skip!("this disk takes names for one that differ only in case");
    }
    repo.write("guide.md", "g");
    std::fs::rename(repo.path("Readme.md"), repo.path("README.md")).unwrap();
    let taken = snapshot(&repo);
    let read = |name: &str| file(&repo, &taken.files_tree, name);
    assert_eq!([read("Guide.md"), read("guide.md")], [Some("G".into()), Some("g".into())]);
    assert_eq!([read("README.md"), read("Readme.md")], [Some("R".into()), None]);
}
