//! `handoff takeover`: the work, as the agent left it, in a worktree with the record in it.

use std::time::Duration;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, TASK, wait_for};

#[test]
fn the_worktree_is_as_the_agent_left_it_and_there_is_one() {
    let plan = "turn 1\nedit staged.txt <<END\nstaged\nEND\nrun git add staged.txt\nedit staged.txt <<END\nlater\nEND\n\
                edit new.txt <<END\nnew\nEND\nrun git status --porcelain=v2 >\"$HOME/status\"\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write("mine.txt", "mine\n");
    laptop.run([TASK]).run().exits(0).done();
    let (index, status) = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]));

    let worktree = laptop.worktree();
    let ran = laptop.takeover().exits(0).says("is yours").says(&worktree.display().to_string());
    ran.says("Headed Takeover Prompt").says("cursor ").done();
    let left = std::fs::read_to_string(laptop.hosts[0].home.join("status")).unwrap();
    assert_eq!(laptop.git_in(&worktree, &["status", "--porcelain=v2"]), left);
    assert!(left.contains("1 AM ") && left.contains("? new.txt") && left.contains("? mine.txt"), "{left}");
    assert_eq!(std::fs::read_to_string(worktree.join("staged.txt")).unwrap(), "later\n");

    laptop.status_is("interactive");
    let record = worktree.join(".cursor/agent-handoffs").join(ID);
    let page = std::fs::read_to_string(record.join("handoff.md")).unwrap();
    assert!(page.contains("- Status: interactive\n"), "{page}");
    assert_eq!(std::fs::read(record.join("attempt-1.log")).unwrap(), laptop.hosts[0].log(1));
    assert_eq!((laptop.index(), laptop.git(&["status", "--porcelain=v2"])), (index, status), "the user's own tree");

    std::fs::write(worktree.join("new.txt"), "by the user\n").unwrap();
    laptop.takeover().exits(0).says(&worktree.display().to_string()).done();
    assert_eq!(std::fs::read_to_string(worktree.join("new.txt")).unwrap(), "by the user\n", "nothing was redone");
}

#[test]
fn what_runs_is_stopped_first_and_starts_no_more() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.takeover().exits(0).says("is yours").done();
    wait_for("an empty host", || laptop.hosts[0].running().is_empty());
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
    laptop.status_is("interactive");
    assert_eq!(laptop.shown()["handoff"]["confirmed"], true);
    laptop.handoff(["resume", ID]).run().exits(2).done();
}

#[test]
fn while_another_process_drives() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    laptop.takeover().exits(0).says("is yours").done();
    running.wait().exits(0).done();
    wait_for("an empty host", || laptop.hosts[0].running().is_empty());
}

#[test]
fn a_place_that_is_taken_is_refused_and_kept() {
    let laptop = Laptop::with_plan(crate::support::QUICK);
    laptop.run([TASK]).run().exits(0).done();
    std::fs::create_dir(laptop.worktree()).unwrap();
    laptop.takeover().exits(2).complains("exists already").done();
    let other = laptop.top().join("other place");
    let ran = laptop.handoff(["takeover", ID, "--editor", "none", "--worktree"]).args([&other]).run();
    ran.exits(0).says("'").done();
    assert!(other.join("notes.txt").exists());
}

#[test]
fn a_host_that_is_gone_holds_nobody_up() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.write("mine.txt", "mine\n");
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.hosts[0].vanish();
    let ran = laptop.takeover().exits(0).says("taken without confirmation");
    assert!(ran.took < Duration::from_secs(15), "{:?}", ran.took);
    assert_eq!(
        std::fs::read_to_string(laptop.worktree().join("mine.txt")).unwrap(),
        "mine\n",
        "what was sent is there"
    );
    assert_eq!(laptop.shown()["handoff"]["confirmed"], false);
}
