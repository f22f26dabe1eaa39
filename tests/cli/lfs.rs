//! Files of Git LFS: their contents travel both ways, with git-lfs on the host and without it.

use std::path::{Path, PathBuf};

use crate::skip;
use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, noise};

/// The agent checks what it got, then changes, adds and deletes files. A commit in the middle has a content that no file
/// has at the end.
const PLAN: &str = "turn 1\n\
    run cksum <big.bin >\"$HOME/big\"; git status --porcelain >\"$HOME/status\"; cat absent.bin >\"$HOME/absent\"\n\
    run git -c core.checkStat=minimal status --porcelain >>\"$HOME/status\"; touch big.bin; git status --porcelain >>\"$HOME/status\"\n\
    run printf middle >mid.bin && git add mid.bin && git commit -qm middle && printf end >mid.bin\n\
    run printf 'by the agent' >changed.bin; head -c 300000 /dev/urandom >new.bin; rm gone.bin; cksum <new.bin >\"$HOME/new\"\n\
    run git show HEAD:mid.bin >\"$HOME/stored\"; rm big.bin && git checkout -q big.bin && cksum <big.bin >\"$HOME/again\"\n\
    run rm absent.bin && git checkout -q absent.bin 2>/dev/null; echo $? >\"$HOME/code\"; cat absent.bin >>\"$HOME/absent\"\n\
    finish Done.\n\
    turn 2\nrun cat changed.bin mine.bin >\"$HOME/given\"; git status --porcelain >\"$HOME/second\"; cksum <new.bin >\"$HOME/new2\"; echo 2 >second.txt\n\
    finish Second.\n";

/// Whether this machine has git-lfs. Without it there is nothing to compare with.
fn has_git_lfs() -> bool {
    std::process::Command::new("git-lfs").arg("version").output().is_ok_and(|ran| ran.status.success())
}

/// A laptop with git-lfs, and a repository with files of it. The content of one is not here.
fn laptop() -> Laptop {
    let mut laptop = Laptop::new();
    laptop.shell("git lfs install --skip-repo");
    laptop.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
    laptop.write("big.bin", noise(2_000_000));
    for name in ["changed.bin", "gone.bin", "absent.bin"] {
        laptop.write(name, format!("the first {name}\n"));
    }
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-qm", "with LFS"]);
    let pointer = laptop.git(&["show", "HEAD:absent.bin"]);
    std::fs::remove_file(object(&laptop, &pointer)).unwrap();
    laptop.write("absent.bin", &pointer);
    laptop.git(&["add", "absent.bin"]);
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");
    laptop.plan(PLAN);
    laptop
}

/// The file in which git-lfs has the content of a pointer.
fn object(laptop: &Laptop, pointer: &str) -> PathBuf {
    let id = pointer.lines().find_map(|line| line.strip_prefix("oid sha256:")).unwrap_or_else(|| panic!("{pointer:?}"));
    laptop.repository().join(".git/lfs/objects").join(&id[..2]).join(&id[2..4]).join(id)
}

fn cksum(laptop: &Laptop, file: &Path) -> String {
    laptop.shell(&format!("cksum <'{}'", file.display()))
}

fn on_host(laptop: &Laptop, name: &str) -> String {
    std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap()
}

/// Bytes of the objects in the host's caches.
fn cached(laptop: &Laptop) -> u64 {
    let objects = format!("'{}'/*/objects", laptop.hosts[0].home.join(".handoff/cache").display());
    let printed = laptop.shell(&format!(
        "find {objects} -type f -exec wc -c {{}} + | awk '$2 != \"total\" {{ n += $1 }} END {{ print n }}'"
    ));
    printed.trim().parse().unwrap()
}

/// A round trip: out, back, by hand, and out again.
fn round_trip(laptop: &Laptop) {
    let ran = laptop.run([TASK]).run().exits(0);
    ran.says("LFS content: big.bin").says("absent.bin (LFS content is not here; run: git lfs pull)").done();
    let big = cksum(laptop, &laptop.repository().join("big.bin"));
    assert_eq!((on_host(laptop, "big"), on_host(laptop, "status")), (big.clone(), String::new()));
    assert_eq!(on_host(laptop, "again"), big, "git writes the content again");
    let pointer = laptop.git(&["show", "HEAD:absent.bin"]);
    assert_eq!((on_host(laptop, "absent"), on_host(laptop, "code")), (pointer.repeat(2), "0\n".to_owned()));
    assert!(on_host(laptop, "stored").starts_with("version https://git-lfs"), "{}", on_host(laptop, "stored"));

    let work = format!("refs/handoff/{ID}/1/work");
    let changed = laptop.git(&["diff", "--name-status", "HEAD", &work]);
    assert_eq!(changed, "M\tchanged.bin\nD\tgone.bin\nA\tmid.bin\nA\tnew.bin\n");
    for (name, content) in [("changed.bin", "by the agent"), ("mid.bin", "end")] {
        let pointer = laptop.git(&["show", &format!("{work}:{name}")]);
        assert_eq!(std::fs::read_to_string(object(laptop, &pointer)).unwrap(), content);
    }
    let middle = laptop.git(&["show", &format!("{work}^1:mid.bin")]);
    assert_eq!(std::fs::read_to_string(object(laptop, &middle)).unwrap(), "middle");

    laptop.takeover().exits(0).says("absent.bin is in the worktree as git stores it").done();
    let worktree = laptop.worktree();
    assert_eq!(std::fs::read_to_string(worktree.join("changed.bin")).unwrap(), "by the agent");
    assert_eq!(cksum(laptop, &worktree.join("new.bin")), on_host(laptop, "new"));
    assert_eq!(cksum(laptop, &worktree.join("big.bin")), big);
    let status = laptop.git_in(&worktree, &["status", "--porcelain"]);
    assert_eq!(status, " M changed.bin\n D gone.bin\n M mid.bin\n?? new.bin\n");

    std::fs::write(worktree.join("mine.bin"), " and by me").unwrap();
    let before = cached(laptop);
    laptop.handoff(["give", ID]).run().exits(0).done();
    let grown = cached(laptop) - before;
    assert!(grown < 150_000, "the host got {grown} bytes, though it has the large files");
    assert_eq!(on_host(laptop, "given"), "by the agent and by me");
    assert_eq!(on_host(laptop, "second"), " M changed.bin\n D gone.bin\n M mid.bin\n?? mine.bin\n?? new.bin\n");
    assert_eq!(on_host(laptop, "new2"), on_host(laptop, "new"));

    laptop.handoff(["takeover", ID, "--editor", "none"]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(0).done();
    assert_eq!(laptop.hosts[0].home.join(".handoff/work").read_dir().unwrap().count(), 0);
}

#[test]
fn contents_travel_with_git_lfs_on_the_host() {
    if !has_git_lfs() {
        return skip!("git-lfs is not installed");
    }
    let laptop = laptop();
    std::fs::copy(laptop.home().join(".gitconfig"), laptop.hosts[0].home.join(".gitconfig")).unwrap();
    round_trip(&laptop);
}

#[test]
fn contents_travel_without_git_lfs_on_the_host() {
    if !has_git_lfs() {
        return skip!("git-lfs is not installed");
    }
    let mut laptop = laptop();
    laptop.add_host_without("bare", "git-lfs");
    laptop.hosts.remove(0);
    laptop.plan(PLAN);
    let found =
        laptop.shell(&format!("PATH='{}' command -v git-lfs || echo none", laptop.top().join("bare-bin").display()));
    assert_eq!(found, "none\n");
    round_trip(&laptop);
}

/// What a plain run prints of the files.
const LOOK: &str = "turn 1\nrun cksum <big.bin >\"$HOME/big\"; cat absent.bin >\"$HOME/absent\"; ls -i big.bin >\"$HOME/inode\"\n\
    edit notes.txt <<END\nby the agent\nEND\nfinish Done.\n";

#[test]
fn the_next_handoff_sends_only_new_contents_and_uses_the_checkout_again() {
    if !has_git_lfs() {
        return skip!("git-lfs is not installed");
    }
    let mut laptop = laptop();
    laptop.plan(LOOK);
    laptop.handoff(["run", "--host", "box", "--id", "first", TASK]).run().exits(0).done();
    laptop.handoff(["clean", "first"]).run().exits(0).done();
    assert!(on_host(&laptop, "absent").starts_with("version "));
    let (before, inode) = (cached(&laptop), on_host(&laptop, "inode"));
    // What was a pointer in the checkout has its content now.
    let pointer = laptop.git(&["show", "HEAD:absent.bin"]);
    std::fs::write(object(&laptop, &pointer), "the first absent.bin\n").unwrap();
    laptop.write("small.bin", "small");
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(on_host(&laptop, "absent"), "the first absent.bin\n");
    assert_eq!(on_host(&laptop, "big"), cksum(&laptop, &laptop.repository().join("big.bin")));
    assert_eq!(on_host(&laptop, "inode"), inode, "the file is not written again");
    let grown = cached(&laptop) - before;
    assert!(grown < 100_000, "the host got {grown} bytes");
    assert_eq!(laptop.hosts[0].home.join(".handoff/trees").read_dir().unwrap().count(), 1);
}

#[test]
fn a_content_that_the_laptop_lacks_stays_on_the_host() {
    if !has_git_lfs() {
        return skip!("git-lfs is not installed");
    }
    let mut laptop = laptop();
    laptop.plan(LOOK);
    laptop.run([TASK]).run().exits(0).done();
    let file = laptop.hosts[0].home.join(".handoff/trees/till-1/till/absent.bin");
    std::fs::write(&file, "the first absent.bin\n").unwrap();
    laptop.handoff(["clean", ID]).run().exits(1).says("absent.bin").done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "the first absent.bin\n");
}

#[test]
fn a_merge_into_the_checkout_has_the_contents_and_its_undo_is_exact() {
    if !has_git_lfs() {
        return skip!("git-lfs is not installed");
    }
    let laptop = laptop();
    laptop.run([TASK]).run().exits(0).done();
    let files = "git lfs ls-files -l; cksum *.bin; git status --porcelain";
    let before = laptop.shell(files);
    laptop.handoff(["takeover", ID, "--editor", "none", "--here"]).run().exits(0).done();
    let read = |name: &str| std::fs::read_to_string(laptop.repository().join(name)).unwrap();
    assert_eq!((read("changed.bin"), read("mid.bin")), ("by the agent".to_owned(), "end".to_owned()));
    assert_eq!(cksum(&laptop, &laptop.repository().join("new.bin")), on_host(&laptop, "new"));
    assert!(read("absent.bin").starts_with("version "));
    let status = laptop.git(&["status", "--porcelain"]);
    assert_eq!(status, " M changed.bin\n D gone.bin\nAM mid.bin\n?? new.bin\n");
    laptop.handoff(["undo"]).run().exits(0).done();
    assert_eq!(laptop.shell(files), before);
}

#[test]
fn a_file_that_was_stored_before_its_attribute_stays_as_it_is() {
    let laptop = Laptop::with_plan(
        "turn 1\nrun touch raw.bin; git status --porcelain >\"$HOME/status\"; echo changed >>changed.bin\nfinish Done.\n",
    );
    for name in ["raw.bin", "changed.bin"] {
        laptop.write(name, "without git-lfs\n");
    }
    laptop.write(".gitattributes", "*.bin filter=lfs -text\n");
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-qm", "without LFS"]);
    laptop.run([TASK]).run().exits(0).says("verified").done();
    assert_eq!(on_host(&laptop, "status"), "");
    let work = format!("refs/handoff/{ID}/1/work");
    assert_eq!(laptop.git(&["diff", "--name-only", "HEAD", &work]), "changed.bin\n");
    assert_eq!(laptop.git(&["show", &format!("{work}:changed.bin")]), "without git-lfs\nchanged\n");
    laptop.handoff(["clean", ID]).run().exits(0).done();
}
