//! The host's file system is full, has no free inode, or is read-only.

use crate::row::Row;
use crate::support::agent;
use crate::support::disk::Disk;
use crate::support::site::Site;

const NO_LOOP: &str = "no ext4 can be mounted on a loop device";

#[test]
fn r30_disk_full_before_the_start() {
    let row = Row::begin(30);
    let site = Site::new();
    let Some(disk) = Disk::mount(&site.host.user, 24, None) else { return row.skip(NO_LOOP) };
    disk.fill();
    let ran = site.run(&[]).run().fails();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("No space left on device"), "{said}");
    assert_eq!(agent::prompts(&site.host.user), [], "nothing was started");
    assert_eq!(site.attempts(), [] as [u32; 0], "nothing is half-made");
    disk.free();
    site.handoff(&["watch"]).run().success();
    site.logs_are_mirrored();
}

#[test]
fn r31_disk_full_during_the_run() {
    let row = Row::begin(31);
    let site = Site::new();
    let Some(disk) = Disk::mount(&site.host.user, 24, None) else { return row.skip(NO_LOOP) };
    site.plan(
        "turn 1\nsay Working.\nrun dd if=/dev/zero of=big bs=64k 2>/dev/null; dd if=/dev/zero of=big2 bs=512 2>/dev/null; true\n\
         fail 3 write failed: No space left on device\n",
    );
    let ran = site.run_checked("true", &[]).run().fails();
    let result = site.wait_for_result(1);
    assert!(result.contains("exit 3"), "the true exit code is recorded: {result}");
    let verdicts = site.verdicts();
    assert_eq!(verdicts[0].0, "disk-full", "{verdicts:?}\n{ran:#?}");
    assert!(ran.stderr.contains("free some space"), "the hint is printed: {}", ran.stderr);
    site.logs_are_mirrored();
    drop(disk);
}

#[test]
fn r32_no_inodes() {
    let row = Row::begin(32);
    let site = Site::new();
    let Some(disk) = Disk::mount(&site.host.user, 24, Some(512)) else { return row.skip(NO_LOOP) };
    site.plan(
        "turn 1\nsay Working.\nrun mkdir -p many; i=0; while : >many/$i; do i=$((i + 1)); done 2>/dev/null; true\nfinish Done.\n",
    );
    let ran = site.run_checked("true", &[]).run();
    let result = site.on_host(1, "result").unwrap_or_else(|| panic!("no result: {ran:#?}"));
    assert!(result.contains("exit 0"), "{result}");
    let (class, evidence) = site.verdicts()[0].clone();
    // The work could not be stored as objects. That is reported, and the attempt does not count as a success.
    assert!(!matches!(class.as_str(), "done" | "unchecked" | "no-work"), "{class}: {evidence}");
    assert!(evidence.contains("captured") || class == "disk-full", "{class}: {evidence}");
    site.logs_are_mirrored();
    drop(disk);
}

#[test]
fn r33_read_only() {
    let row = Row::begin(33);
    let site = Site::new();
    let Some(disk) = Disk::mount(&site.host.user, 24, None) else { return row.skip(NO_LOOP) };
    site.plan("turn 1\nsay Working.\nrun while ! [ -e ~/go ]; do sleep 0.1; done\nfinish Done.\n");
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    disk.fail();
    site.host.user.install("go", "", 0o644);
    let ran = running.end().fails();
    let said = format!("{}{}", ran.stdout, ran.stderr).to_lowercase();
    assert!(said.contains("read-only file system"), "{said}");
    drop(disk);
}
