//! Laptops and hosts with an unusual git setup, and repositories with content that git alone cannot store.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::row::Row;
use crate::support::agent::folders;
use crate::support::disk::Disk;
use crate::support::laptop::Call;
use crate::support::site::{HOST, ID, Site, TASK};
use crate::support::skip;
use crate::support::sshd::{Setup, can_choose_shell};
use crate::support::user::User;

const IDLE: &str = "turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n";

fn shown(site: &Site, file: &str) -> String {
    site.laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:{file}")])
}

fn takeover(site: &Site, place: &Path) -> Call {
    site.handoff(&["takeover", "--editor", "none", "--worktree", place.to_str().unwrap()])
}

#[test]
fn r72_settings_of_a_disk() {
    let _row = Row::begin(72);
    let site = Site::new();
    for (key, value) in [("ignorecase", "true"), ("filemode", "false"), ("precomposeunicode", "true")] {
        site.laptop.git(&["config", &format!("core.{key}"), value]);
    }
    for name in ["Other.md", "Guide.md"] {
        std::fs::write(site.laptop.repo.join(name), name).unwrap();
    }
    site.laptop.git(&["add", "-A"]);
    site.laptop.git(&["commit", "-qm", "more"]);
    // The user makes this file next to one whose name differs only in case. Git does not see it if it trusts its
    // configuration.
    std::fs::write(site.laptop.repo.join("GUIDE.md"), "shouted").unwrap();
    site.plan(
        "turn 1\nrun mv Other.md OTHER.md && echo whispered >guide.md && chmod +x Guide.md\n\
         run git config --get-regexp 'core.(ignorecase|filemode|precompose.*)' >settings.txt\nfinish Done.\n",
    );
    site.run_checked("true", &[]).run().success();
    assert_eq!(shown(&site, "settings.txt"), "core.filemode true", "the host's own");
    let place = site.laptop.path("taken");
    takeover(&site, &place).run().success();
    let read = |name: &str| std::fs::read_to_string(place.join(name)).ok();
    let guides = ["Guide.md", "GUIDE.md", "guide.md"].map(read);
    assert_eq!(guides, ["Guide.md", "shouted", "whispered\n"].map(|text| Some(text.to_owned())));
    assert_eq!((read("Other.md"), read("OTHER.md").as_deref()), (None, Some("Other.md")));
    let mode = site.laptop.git(&["ls-tree", &format!("refs/handoff/{ID}/1/work"), "Guide.md"]);
    assert!(mode.starts_with("100755 "), "{mode}");
}

#[test]
fn r73_defaults_of_another_git() {
    let row = Row::begin(73);
    if !can_choose_shell() {
        return row.skip("only root can give a user a login shell");
    }
    let site = Site::with(Setup::default().login_shell("/bin/bash"));
    let variables = [
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_DEFAULT_REF_FORMAT", "reftable"),
        ("GIT_LITERAL_PATHSPECS", "1"),
        ("GIT_ATTR_SOURCE", "HEAD"),
        ("GIT_AUTHOR_NAME", "Host"),
    ];
    let profile: String = variables.iter().map(|(name, value)| format!("export {name}={value}\n")).collect();
    site.host.user.install(".bashrc", &profile, 0o644);
    site.plan("turn 1\nrun env | grep ^GIT_ >variables.txt; git add -A; git commit -qm 'by the agent'; git branch topic\nfinish Done.\n");
    let mut run = site.run_checked("true", &[]);
    for (name, value) in variables.into_iter().chain([("GIT_DIR", "/nonexistent"), ("GIT_INDEX_FILE", "/nonexistent")])
    {
        run = run.env(name, value);
    }
    run.run().success();
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname) %(subject)", &format!("refs/handoff/{ID}/1")]);
    assert!(refs.contains("/heads/topic by the agent"), "{refs}");
    let seen = shown(&site, "variables.txt");
    for (name, value) in variables {
        assert!(seen.lines().any(|line| line == format!("{name}={value}")), "{name}: {seen}");
    }
    site.logs_are_mirrored();
}

#[test]
fn r74_cache_of_another_format() {
    let _row = Row::begin(74);
    let site = Site::new();
    site.plan(IDLE);
    site.run_checked("true", &[]).run().success();
    let caches = site.host.user.home.join(".handoff/cache");
    let [cache] = &folders(&caches)[..] else { panic!("not one cache") };
    std::fs::remove_dir_all(cache).unwrap();
    let host_git = |args: &[&str]| {
        let mut git = Command::new("git");
        git.args(["-c", "user.name=x", "-c", "user.email=x", "-c", "safe.directory=*"]).args(args).current_dir(&caches);
        let out = git.output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    };
    let at = format!("--git-dir={}", cache.display());
    host_git(&["init", "-q", "--bare", "--object-format=sha256", cache.to_str().unwrap()]);
    let tree = host_git(&[&at, "write-tree"]);
    let commit = host_git(&[&at, "commit-tree", &tree, "-m", "captured"]);
    host_git(&[&at, "update-ref", "refs/capture/another/1/work", &commit]);
    give(&site.host.user, cache);
    let again = ["run", "--host", HOST, "--id", "again", "--again", "--check", "true", TASK];
    site.laptop.handoff(&again).run().success();
    let found = site.laptop.git(&["show", "refs/handoff/again/1/work:new.txt"]);
    assert_eq!(found, "new");
    let aside: Vec<PathBuf> = folders(&caches).into_iter().filter(|path| path != cache).collect();
    let [aside] = &aside[..] else { panic!("{aside:?}") };
    host_git(&[&format!("--git-dir={}", aside.display()), "cat-file", "-e", &commit]);
}

/// Gives files to the host's user, if that is not the current user.
fn give(user: &User, path: &Path) {
    let given = Command::new("chown").arg("-R").arg(user.uid.to_string()).arg(path).status().unwrap();
    assert!(given.success());
}

#[test]
fn r75_modes_of_the_checkout() {
    let row = Row::begin(75);
    if !can_choose_shell() {
        return row.skip("only root can give a user a login shell");
    }
    let site = Site::with(Setup::default().login_shell("/bin/bash"));
    site.host.user.install(".bashrc", "umask 027\n", 0o644);
    std::fs::create_dir(site.laptop.repo.join("sub")).unwrap();
    std::fs::write(site.laptop.repo.join("sub/tool"), "x").unwrap();
    std::fs::set_permissions(site.laptop.repo.join("sub/tool"), PermissionsExt::from_mode(0o700)).unwrap();
    site.plan("turn 1\nrun stat -c '%a' . README.md sub sub/tool .git >modes.txt; umask >>modes.txt\nfinish Done.\n");
    site.run_checked("true", &[]).run().success();
    assert_eq!(shown(&site, "modes.txt").replace('\n', " "), "755 644 755 755 755 0027");
    for private in [".handoff", ".handoff/trees", ".handoff/cache", ".handoff/work"] {
        let mode = site.host.user.home.join(private).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{private}");
    }
}

#[test]
fn r76_odd_cursor() {
    let _row = Row::begin(76);
    for kind in ["link", "file", "submodule", "link below it", "link by the agent"] {
        let site = Site::new();
        let (repo, cursor) = (&site.laptop.repo, site.laptop.repo.join(".cursor"));
        let agent = if kind == "link by the agent" { "run mkdir rules && ln -s rules .cursor\n" } else { "" };
        site.plan(&format!("turn 1\n{agent}edit new.txt <<END\nnew\nEND\nfinish Done.\n"));
        std::fs::create_dir(repo.join(".agents")).unwrap();
        std::fs::write(repo.join(".agents/rules"), "r\n").unwrap();
        match kind {
            "link" => symlink(".agents", &cursor).unwrap(),
            "file" => std::fs::write(&cursor, "f\n").unwrap(),
            "submodule" => {
                site.laptop.git(&["init", "-q", ".cursor"]);
                site.laptop.git(&["-C", ".cursor", "commit", "-q", "--allow-empty", "-m", "rules"]);
            }
            "link below it" => {
                std::fs::create_dir(&cursor).unwrap();
                symlink("../.agents", cursor.join("agent-handoffs")).unwrap();
            }
            _ => {}
        }
        site.laptop.git(&["add", "-A"]);
        site.laptop.git(&["commit", "-qm", kind]);
        let place = site.laptop.path("taken");
        let document = site.laptop.record(ID).join("handoff.md").display().to_string();
        let ran = site.run_checked("true", &[]).run().success();
        let told = [&site.handoff(&["show", "--offline"]).run().success().stdout, &ran.stdout].map(String::clone);
        let taken = takeover(&site, &place).run().success();
        if kind != "link by the agent" {
            assert!(told.iter().all(|said| said.contains(&document)), "{kind}: {told:?}");
        }
        // No capture contains the record's path, so the worktree of a takeover has room for the record there.
        let document = match kind {
            "link below it" => place.join(format!(".cursor/agent-handoffs/{ID}/handoff.md")).display().to_string(),
            _ => document,
        };
        assert!(taken.stdout.contains(&document), "{kind}: {}", taken.stdout);
        let page = std::fs::read_to_string(&document).unwrap();
        assert!(page.contains("- Status: interactive\n"), "{kind}: {page}");
        assert_eq!(std::fs::read_to_string(place.join("new.txt")).unwrap(), "new\n", "{kind}");
        for outside in
            [repo.join(".agents/agent-handoffs"), place.join(".agents/x"), place.join("rules/agent-handoffs")]
        {
            assert!(!outside.exists(), "{kind}: {}", outside.display());
        }
    }
}

#[test]
fn r77_content_that_git_does_not_hold() {
    let _row = Row::begin(77);
    let site = Site::new();
    let repo = &site.laptop.repo;
    site.plan(IDLE);
    let write = |name: &str, text: &str| {
        std::fs::create_dir_all(repo.join(name).parent().unwrap()).unwrap();
        std::fs::write(repo.join(name), text).unwrap();
    };
    let filter = site.laptop.path("filter");
    let script =
        "#!/bin/sh\n[ -f \"$(git rev-parse --git-dir)/key\" ] || { echo 'no key' >&2; exit 1; }\nexec tr a-z n-za-m\n";
    std::fs::write(&filter, script).unwrap();
    std::fs::set_permissions(&filter, PermissionsExt::from_mode(0o755)).unwrap();
    write(".git/key", "");
    for (key, value) in
        [("clean", filter.to_str().unwrap()), ("smudge", filter.to_str().unwrap()), ("required", "true")]
    {
        site.laptop.git(&["config", &format!("filter.toy.{key}"), value]);
    }
    write(".gitattributes", "*.toy filter=toy\n*.crypt filter=git-crypt diff=git-crypt\n");
    write("a.toy", "password\n");
    let mut listed = vec!["a.toy (sent as git stores it"];
    let has = |program: &str| Command::new(program).arg("version").output().is_ok();
    let run = |program: &str, args: &[&str]| {
        let out = site.laptop.program(program).args(args).output().unwrap();
        assert!(out.status.success(), "{program} {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    match has("git-crypt") {
        true => {
            run("git-crypt", &["init"]);
            write("b.crypt", "password\n");
            listed.push("b.crypt (sent as git stores it");
        }
        false => skip::record("row 77, git-crypt", "git-crypt is not installed"),
    }
    site.laptop.git(&["add", "-A"]);
    site.laptop.git(&["commit", "-qm", "secrets"]);
    match has("git-annex") {
        true => {
            run("git", &["annex", "init", "-q"]);
            // git-annex claims every file for its filter, also the files of the other filters.
            write(".git/info/attributes", "*.bin filter=annex\n");
            write("c.bin", "large\n");
            run("git", &["annex", "add", "-q", "c.bin"]);
            site.laptop.git(&["commit", "-qm", "annexed"]);
        }
        false => {
            write(".git/annex/objects/k", "large\n");
            symlink(".git/annex/objects/k", repo.join("c.bin")).unwrap();
            skip::record("row 77, git-annex", "git-annex is not installed");
        }
    }
    listed.push("c.bin (content is in the git directory)");
    let said = site.run_checked("true", &[]).run().success().stdout;
    assert!(listed.iter().all(|part| said.contains(part)), "{listed:?}: {said}");
    let place = site.laptop.path("taken");
    let said = takeover(&site, &place).run().success().stdout;
    assert!(said.contains("a.toy is in the worktree as git stores it (toy: no key)"), "{said}");
    assert_eq!(std::fs::read_to_string(place.join("a.toy")).unwrap(), "cnffjbeq\n");
    assert_eq!(std::fs::read_to_string(place.join("new.txt")).unwrap(), "new\n");
}

#[test]
fn r78_places_for_a_takeover() {
    let row = Row::begin(78);
    let site = Site::new();
    site.plan(
        "turn 1\nrun head -c 6000000 /dev/urandom >large\nrun echo a >Guide.md; echo b >guide.md\nfinish Done.\n",
    );
    site.run_checked("true", &[]).run().success();
    let refused = |place: &Path| {
        let ran = takeover(&site, place).run().fails_with(2);
        assert!(ran.stderr.contains("--worktree DIR"), "{}", ran.stderr);
        ran.stderr
    };
    let file = site.laptop.path("file");
    std::fs::write(&file, "").unwrap();
    for place in [file.join("below"), file, site.laptop.path("no such/directory"), PathBuf::from("/proc/taken")] {
        refused(&place);
    }
    let other = User::new(site.laptop.path("other"), None);
    let Some(disk) = Disk::mount(&other, 4, None) else { return row.skip("no loop device can be mounted") };
    disk.fill();
    refused(&disk.path.join("taken"));
    disk.free();
    refused(&disk.path.join("taken"));
    let left: Vec<_> = disk.path.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [""; 0], "nothing is half-made");
    assert_eq!(site.laptop.git(&["worktree", "list"]).lines().count(), 1);
    takeover(&site, &site.laptop.path("taken")).run().success();
}
