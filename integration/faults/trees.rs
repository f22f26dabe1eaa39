//! Trees on a host: handoff deletes or overwrites nothing that the laptop does not have, and an unusable tree stops no
//! handoff.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::row::Row;
use crate::support::agent;
use crate::support::laptop::Ran;
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::{Setup, Sshd};

/// The checkout in tree `k` of the demo repository.
fn tree(host: &Sshd, k: u32) -> PathBuf {
    host.user.home.join(format!(".handoff/trees/greeter-{k}/greeter"))
}

/// A site whose agent has run these shell commands once.
fn ran(commands: &str) -> Site {
    let site = Site::new();
    std::fs::write(site.laptop.repo.join(".gitignore"), "*.o\n").unwrap();
    site.plan(&format!("turn 1\nrun {commands}\nedit new.txt <<END\nnew\nEND\nfinish Done.\n"));
    site.run_checked("true", &[]).run().success();
    site
}

/// Runs another handoff of the repository, which must succeed.
fn next(site: &Site, id: &str) {
    site.plan("turn 1\nrun pwd >>\"$HOME/places\"\nedit next.txt <<END\nnext\nEND\nfinish Done.\n");
    site.laptop.handoff(&["run", "--host", HOST, "--id", id, "--check", "true", "the next"]).run().success();
}

#[track_caller]
fn says(ran: &Ran, texts: &[&str]) {
    for text in texts {
        assert!(ran.stdout.contains(text), "{text:?} is not in:\n{}\n{}", ran.stdout, ran.stderr);
    }
}

#[track_caller]
fn reads(path: &Path, text: &str) {
    assert_eq!(std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path:?}: {error}")), text);
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn r60_changed_after_the_capture() {
    let _row = Row::begin(60);
    let site = ran("echo aaaa >same.txt; touch -d 2001-01-01 same.txt");
    let tree = tree(&site.host, 1);
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(978_307_200);
    for (name, text) in [("same.txt", "bbbb\n"), ("late.o", "late")] {
        std::fs::write(tree.join(name), text).unwrap();
        let file = std::fs::File::options().write(true).open(tree.join(name)).unwrap();
        file.set_times(std::fs::FileTimes::new().set_modified(old)).unwrap();
    }
    let kept = site.handoff(&["clean"]).run().fails_with(1);
    says(&kept, &["2 files (9 bytes) exist only there", "same.txt", "late.o", "--discard-ignored"]);
    next(&site, "next");
    reads(&tree.join("same.txt"), "bbbb\n");
    let gone = site.handoff(&["clean", "--discard-ignored"]).run().success();
    says(&gone, &["released", "late.o", "same.txt"]);
    assert!(!is_there(&tree.join("late.o")) && !is_there(&tree.join("same.txt")));
}

#[test]
fn r61_moved_away_and_back() {
    let _row = Row::begin(61);
    let site = ran("echo ignored >only.o; mkdir -p .cursor/agent-handoffs; echo own >.cursor/agent-handoffs/own; \
                    git init -q nest; echo n >nest/n; mkdir -p broken/.git; echo b >broken/.git/b");
    let other = Setup::default().start();
    agent::install(&other.user);
    agent::plan(&other.user, "turn 1\nedit other.txt <<END\nother\nEND\nfinish Done.\n");
    site.laptop.knows(&other.route("other"));
    site.handoff(&["resume", "--host", "other"]).run().success();
    site.plan("turn 1\nedit back.txt <<END\nback\nEND\nfinish Done.\n");
    site.handoff(&["resume", "--host", HOST]).run().success();
    let first = tree(&site.host, 1);
    let left =
        [("only.o", "ignored\n"), (".cursor/agent-handoffs/own", "own\n"), ("nest/n", "n\n"), ("broken/.git/b", "b\n")];
    for (name, text) in left {
        reads(&first.join(name), text);
    }
    reads(&tree(&site.host, 2).join("other.txt"), "other\n");
    let listed = site.laptop.handoff(&["show", "--host", HOST]).run().success();
    says(&listed, &["greeter-1/greeter", &format!("kept for {ID}"), "nowhere else", "greeter-2/greeter"]);
    let kept = site.handoff(&["clean", "--host", HOST]).run().fails_with(1);
    says(&kept, &["greeter-1/greeter/only.o", "greeter-1/greeter/nest/", "greeter-1/greeter/broken/"]);
    says(&site.handoff(&["clean", "--discard-ignored"]).run().success(), &["only.o", "released"]);
    for (name, _) in left {
        assert!(!is_there(&first.join(name)), "{name}");
    }
}

#[test]
fn r62_closed_directories() {
    let _row = Row::begin(62);
    let site = ran("mkdir -p closed/in cache/deep; echo x >closed/in/x; echo y >cache/deep/y.o; echo z >cache/z; \
                    chmod 000 closed; chmod 555 cache/deep cache");
    says(&site.handoff(&["clean"]).run().fails_with(1), &["closed/", "cache/deep/y.o", "only there"]);
    next(&site, "next");
    assert!(is_there(&tree(&site.host, 1).join("closed/in/x")) && is_there(&tree(&site.host, 2)));
    says(&site.handoff(&["clean", "--discard-ignored"]).run().success(), &["y.o", "released"]);
    assert!(!is_there(&tree(&site.host, 1).join("closed/in/x")));
    says(&site.laptop.handoff(&["clean", "next"]).run().success(), &["released"]);
    next(&site, "third");
    let places = std::fs::read_to_string(site.host.user.home.join("places")).unwrap();
    assert!(places.lines().last().unwrap().contains("greeter-1/"), "the first tree is used again: {places}");
}

#[test]
fn r63_directory_of_another_user() {
    let _row = Row::begin(63);
    let site = ran("mkdir -p made; echo m >made/m");
    let first = tree(&site.host, 1);
    let root_owned = |name: &str| {
        std::fs::create_dir_all(first.join(name)).unwrap();
        std::fs::write(first.join(name).join("file"), "of root\n").unwrap();
        std::fs::set_permissions(first.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    root_owned("output");
    says(&site.handoff(&["clean"]).run().fails_with(1), &["output/file", "only there"]);
    let ran = site.handoff(&["clean", "--discard-ignored"]).run().fails_with(1);
    says(&ran, &["kept", "output/file could not be deleted"]);
    assert!(!ran.stdout.contains("released"), "{}", ran.stdout);
    next(&site, "next");
    std::fs::remove_dir_all(first.join("output")).unwrap();
    // Files that the laptop has can be in a directory that the host's user cannot change.
    chown(first.join("made"), Some(0), Some(0)).unwrap();
    says(&site.handoff(&["clean"]).run().success(), &["released", "cannot be used again"]);
    let listed = site.laptop.handoff(&["show", "--host", HOST]).run().success();
    says(&listed, &["no longer used", "cannot be written: made"]);
    says(&site.laptop.handoff(&["clean", "next"]).run().success(), &["released"]);
    next(&site, "third");
    reads(&first.join("made/m"), "m\n");
}

#[test]
fn r64_path_too_long() {
    let _row = Row::begin(64);
    let site = ran(
        "d=$(printf %0200d 1); i=0; while [ $i -lt 25 ]; do mkdir $d && cd -P $d || exit; i=$((i+1)); done; echo deep >deep",
    );
    let deep = std::iter::repeat_n(format!("{:0200}", 1), 15).collect::<PathBuf>();
    says(&site.handoff(&["clean"]).run().fails_with(1), &["0001/", "only there"]);
    next(&site, "next");
    assert!(is_there(&tree(&site.host, 1).join(&deep)));
    says(&site.handoff(&["clean", "--discard-ignored"]).run().success(), &["released"]);
    assert!(!is_there(&tree(&site.host, 1).join(&deep)));
}
