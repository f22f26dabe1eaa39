//! Changes that users make to their repository during the ship and until the work comes back, and unusual content in
//! it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use crate::row::Row;
use crate::support::site::{HOST, ID, Site};
use crate::support::wait;

const PLAN: &str = "turn 1\nsay Working.\nrun until [ -e ~/go ]; do sleep 0.1; done\n\
                    edit new.txt <<END\nmade on the host\nEND\nfinish Done.\n";

/// A program that runs as the owner of the repository. That need not be the user who runs the tests, because root can
/// read everything.
fn owner_runs(site: &Site, program: &str, args: &[&str]) -> Output {
    let mut command = site.laptop.program("timeout");
    command.args(["-k", "1", "100", program]).args(args);
    let uid = std::fs::metadata(&site.laptop.repo).unwrap().uid();
    if rustix::process::geteuid().is_root() {
        command.uid(uid);
    }
    command.output().unwrap()
}

#[track_caller]
fn owner_git(site: &Site, args: &[&str]) -> String {
    let out = owner_runs(site, "git", args);
    assert!(out.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).trim_end().to_owned()
}

/// Gives the laptop and the key to the host's user, if that is not the current user.
fn give_away(site: &Site) {
    if rustix::process::geteuid().is_root() {
        let paths = [site.laptop.path(""), site.host.file("login_key"), site.host.file("known_hosts-buildbox")];
        let given = Command::new("chown").arg("-R").arg(site.host.user.uid.to_string()).args(paths).status();
        assert!(given.unwrap().success());
    }
}

#[test]
fn r43_commits_during_the_snapshot() {
    let _row = Row::begin(43);
    let site = Site::new();
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    site.laptop.git(&["commit", "-qam", "what was staged"]);
    let (stop, commits) = (AtomicBool::new(false), AtomicU32::new(0));
    let repo = &site.laptop.repo;
    std::thread::scope(|scope| {
        let user = scope.spawn(|| {
            for n in 1.. {
                std::fs::write(repo.join("one.txt"), format!("{n}\n")).unwrap();
                std::fs::write(repo.join("two.txt"), format!("{n}\n")).unwrap();
                site.laptop.git(&["add", "one.txt", "two.txt"]);
                site.laptop.git(&["commit", "-qm", &n.to_string()]);
                commits.store(n, Ordering::Relaxed);
                // The pauses grow, because a snapshot on a busy machine needs time between two commits.
                std::thread::sleep(Duration::from_millis(100 << n.min(6)));
                if stop.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        wait::until("a commit", Duration::from_secs(20), || (commits.load(Ordering::Relaxed) > 0).then_some(()));
        let ran = site.run_checked("true", &[]).run();
        stop.store(true, Ordering::Relaxed);
        // `git` checks that none of the user's own commands failed.
        user.join().unwrap();
        ran.success();
    });
    assert!(commits.load(Ordering::Relaxed) > 2, "the user made too few commits during the run");
    let base = format!("refs/handoff/{ID}/base");
    let show = |what: &str, file: &str| -> u32 {
        let text = site.laptop.git(&["show", &format!("{what}:{file}")]);
        text.parse().unwrap_or_else(|_| panic!("{what}:{file} is {text:?}, a file that never was"))
    };
    let head: u32 = site.laptop.git(&["log", "-1", "--format=%s", &format!("{base}^1")]).parse().unwrap();
    for file in ["one.txt", "two.txt"] {
        let (committed, staged) = (show(&format!("{base}^1"), file), show(&format!("{base}^2"), file));
        assert_eq!(committed, head, "a commit is whole");
        assert!(staged == head || staged == head + 1, "{staged} was staged on {head}");
        let lies = show(&base, file);
        assert!(lies == staged || lies == staged + 1, "{lies} lay in the directory when {staged} was staged");
    }
    assert_eq!(show(&format!("{base}^2"), "one.txt"), show(&format!("{base}^2"), "two.txt"), "staged together");

    // handoff neither waits for another process's lock nor touches it.
    let lock = repo.join(".git/index.lock");
    std::fs::write(&lock, "theirs").unwrap();
    std::fs::write(repo.join("one.txt"), "beside the lock\n").unwrap();
    let _ =
        site.laptop.handoff(&["run", "--host", HOST, "--id", "locked", "--check", "true", "another"]).run().success();
    assert_eq!(std::fs::read(&lock).unwrap(), b"theirs");
    assert_eq!(site.laptop.git(&["show", "refs/handoff/locked/base:one.txt"]), "beside the lock");
}

/// Makes content that git hides, cannot store, or stores elsewhere.
fn make_odd(site: &Site) {
    let repo = &site.laptop.repo;
    let write = |name: &str, text: &str| {
        let path = repo.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    let git = |args: &[&str]| site.laptop.git(args);
    for name in ["assumed.txt", "skipped.txt"] {
        write(name, "as it was\n");
    }
    write(".gitignore", "ignored/\n");
    write(".gitattributes", "*.weights filter=lfs\n");
    write("model.weights", &format!("version https://git-lfs.github.com/spec/v1\noid sha256:{:064}\nsize 12345\n", 7));
    git(&["init", "-q", "library"]);
    git(&["-C", "library", "commit", "-q", "--allow-empty", "-m", "a library"]);
    let library = repo.join("library");
    std::fs::rename(&library, site.laptop.path("library")).unwrap();
    let url = site.laptop.path("library").display().to_string();
    git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &url, "sub"]);
    git(&["add", "-A"]);
    git(&["commit", "-qm", "odd things"]);

    git(&["update-index", "--assume-unchanged", "assumed.txt"]);
    git(&["update-index", "--skip-worktree", "skipped.txt"]);
    for name in ["assumed.txt", "skipped.txt", "sub/dirt.txt", "secret.txt", "nested/inside.txt"] {
        write(name, "edited out of sight\n");
    }
    (0..30).for_each(|n| write(&format!("ignored/{n}"), "x"));
    write("sub/dirt.txt", "dirt\n");
    git(&["init", "-q", "nested"]);
    std::fs::create_dir(repo.join("empty")).unwrap();
    assert!(Command::new("mkfifo").arg(repo.join("pipe")).status().unwrap().success());
    std::fs::set_permissions(repo.join("secret.txt"), PermissionsExt::from_mode(0o000)).unwrap();
}

#[test]
fn r44_odd_repositories() {
    let _row = Row::begin(44);
    let site = Site::new();
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    make_odd(&site);
    give_away(&site);
    let bin = env!("CARGO_BIN_EXE_handoff");
    let run = |id: &str, more: &[&str]| {
        let out = owner_runs(&site, bin, &[&["run", "--host", HOST, "--id", id, "--check", "true", id], more].concat());
        (out.status.code(), format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)))
    };
    let (code, told) = run("odd", &[]);
    assert_eq!(code, Some(0), "{told}");
    for listed in [
        "nested/ (nested repository)",
        "repository: sub at ",
        " with 1 untracked file",
        "secret.txt (unreadable)",
        "model.weights (LFS content is not here; run: git lfs pull)",
        "ignored/ (ignored)",
        "empty/ (empty directory)",
        "pipe (named pipe)",
    ] {
        assert!(told.contains(listed), "{listed:?} is not in\n{told}");
    }
    let kept = owner_git(&site, &["-C", "sub", "for-each-ref", "--format=%(refname)", "refs/handoff/odd-*/base"]);
    let dirt = owner_git(&site, &["-C", "sub", "show", &format!("{kept}:dirt.txt")]);
    assert_eq!(dirt, "dirt", "the submodule's own repository has what was sent");
    let base = |file: &str| owner_git(&site, &["show", &format!("refs/handoff/odd/base:{file}")]);
    assert_eq!(
        (base("assumed.txt").as_str(), base("skipped.txt").as_str()),
        ("edited out of sight", "edited out of sight")
    );
    assert!(base("model.weights").starts_with("version https://git-lfs"), "the pointer travels");

    // A repository that would arrive incomplete is refused with a hint, and leaves no record.
    let refused = |id: &str, at: &Path, says: &[&str]| {
        let mut args = vec!["-C", at.to_str().unwrap(), bin];
        args.extend(["run", "--host", HOST, "--id", id, "--check", "true", id]);
        let out = owner_runs(&site, "env", &args);
        let told = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!matches!(out.status.code(), None | Some(0 | 101 | 124)), "{id}: {told}");
        says.iter().for_each(|text| assert!(told.contains(text), "{id}: {text:?} is not in\n{told}"));
        assert!(!at.join(".git/handoff").join(id).exists());
    };
    let repo = site.laptop.repo.display().to_string();
    let url = format!("file://{repo}");
    owner_git(&site, &["config", "uploadpack.allowFilter", "true"]);
    let clone = site.laptop.path("partial");
    owner_git(&site, &["clone", "-q", "--no-checkout", "--filter=blob:none", &url, clone.to_str().unwrap()]);
    let clone_git = |args: &[&str]| owner_git(&site, &[&["-C", clone.to_str().unwrap()], args].concat());
    clone_git(&["config", "remote.origin.url", "file:///nonexistent/till.git"]);
    refused("partial", &clone, &["partial", "--refetch"]);
    let unborn = site.laptop.path("unborn");
    owner_git(&site, &["init", "-q", unborn.to_str().unwrap()]);
    std::fs::write(unborn.join("first.txt"), "first\n").unwrap();
    let mut args = vec!["-C", unborn.to_str().unwrap(), bin];
    args.extend(["run", "--host", HOST, "--id", "unborn", "--check", "true", "unborn"]);
    let out = owner_runs(&site, "env", &args);
    let told = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert_eq!(out.status.code(), Some(0), "{told}");
    assert!(told.contains("without a commit") && told.contains("index and HEAD match"), "{told}");
}

#[test]
fn r45_branch_moved_back() {
    let _row = Row::begin(45);
    let site = Site::new();
    site.plan(PLAN);
    let repo = &site.laptop.repo;
    let git = |args: &[&str]| site.laptop.git(args);
    std::fs::write(repo.join("later.txt"), "a later commit\n").unwrap();
    git(&["add", "later.txt"]);
    git(&["commit", "-qm", "A later commit"]);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Working."));

    // The user discards the commit, and git prunes its objects.
    git(&["reset", "-q", "--hard", "HEAD~1"]);
    std::fs::write(repo.join("afterwards.txt"), "not yet added\n").unwrap();
    git(&["reflog", "expire", "--expire=all", "--all"]);
    git(&["gc", "-q", "--prune=now"]);
    let state = || {
        let refs = git(&["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/tags"]);
        [git(&["symbolic-ref", "HEAD"]), refs, git(&["status", "--porcelain", "-uall"]), git(&["ls-files", "-s"])]
    };
    let before = state();
    site.host.user.install("go", "", 0o644);
    running.end().success();
    let _ = site.handoff(&["pull"]).run().success();
    let diff = site.handoff(&["diff"]).run().success().stdout;
    assert!(diff.contains("+made on the host"), "{diff}");
    assert!(!diff.contains("later.txt") && !diff.contains("afterwards.txt"), "only the agent's change:\n{diff}");
    let taken = site.handoff(&["takeover", "--editor", "none"]).run().success().stdout;
    assert_eq!(state(), before, "something checked out changed");
    let worktree = taken.lines().find_map(|line| line.trim().strip_prefix("worktree: ")).expect("a worktree");
    let file = |name: &str| std::fs::read_to_string(Path::new(worktree).join(name)).unwrap_or_default();
    assert_eq!((file("new.txt").as_str(), file("later.txt").as_str()), ("made on the host\n", "a later commit\n"));
}
