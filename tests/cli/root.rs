//! A host that loses its directory, or part of it: an attempt starts once, and its outcome is reported.

use std::path::PathBuf;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// An agent that counts its starts. In the first one it runs `first`.
fn once(first: &str) -> Laptop {
    let plan = format!(
        "turn 1\nrun echo start >>\"$HOME/starts\"\nrun [ -e \"$HOME/once\" ] || {{ touch \"$HOME/once\"; {first}; }}\n\
         edit notes.txt <<END\nby the agent\nEND\nfinish Done.\n"
    );
    Laptop::with_plan(&plan)
}

fn root(laptop: &Laptop) -> PathBuf {
    laptop.hosts[0].home.join(".handoff")
}

fn starts(laptop: &Laptop) -> usize {
    std::fs::read_to_string(laptop.hosts[0].home.join("starts")).unwrap_or_default().lines().count()
}

/// Checks that no process of handoff runs on the host.
fn is_quiet(laptop: &Laptop) {
    laptop.hosts[0].wait_until_empty(|_| false);
}

#[test]
fn an_attempt_that_deletes_the_root_waits_and_is_not_sent_again() {
    let laptop = once("rm -rf \"$HOME/.handoff\"");
    let running = laptop.run(["--attempts", "3", TASK]).spawn();
    wait_for("the report of the missing root", || {
        running.stdout().contains("was deleted, or its file system is not mounted")
    });
    is_quiet(&laptop);
    let shown = laptop.shown();
    assert!(shown["handoff"]["unreachable"].is_array(), "it waits: {shown}");
    // The agent itself has made the parent directory of its file again.
    let made = ["lib", "work", "cache", "instance"].map(|name| root(&laptop).join(name).exists());
    assert_eq!(made, [false; 4], "nothing is made there");
    assert_eq!(running.kill().code, None);
    laptop.handoff(["resume", ID]).run().exits(2).done();
    // The user knows that the directory was deleted.
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    assert_eq!((starts(&laptop), laptop.verdicts()), (2, vec!["lost".to_owned(), "unchecked".into()]));
}

#[test]
fn an_attempt_whose_directory_is_gone_is_lost_and_only_an_allowed_number_follows() {
    let laptop = once("rm -rf \"$HOME/.handoff/work\"; sleep 1");
    laptop.run(["--attempts", "1", TASK]).run().exits(4).says("lost").done();
    assert_eq!((starts(&laptop), laptop.verdicts()), (1, vec!["lost".to_owned()]));
    is_quiet(&laptop);

    let laptop = once("rm -rf \"$HOME/.handoff/work\"; sleep 1");
    laptop.run(["--attempts", "2", TASK]).run().exits(0).done();
    assert_eq!((starts(&laptop), laptop.verdicts()), (2, vec!["lost".to_owned(), "unchecked".into()]));
    is_quiet(&laptop);
}

#[test]
fn another_machine_under_the_same_name_ends_the_attempt_as_lost() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.run(["--attempts", "2", "--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.plan("turn 1\nedit more.txt <<END\nmore\nEND\nfinish Done.\n");
    std::fs::rename(root(&laptop), laptop.hosts[0].home.join("before")).unwrap();
    std::fs::create_dir(root(&laptop)).unwrap();
    std::fs::write(root(&laptop).join("instance"), "fedcba9876543210fedcba9876543210\n").unwrap();
    laptop.handoff(["watch", ID]).run().exits(0).says("another machine answers under its name").done();
    assert_eq!(laptop.verdicts(), ["lost", "unchecked"]);
    is_quiet(&laptop);
}

#[test]
fn an_older_snapshot_is_no_reason_to_start_an_attempt_again() {
    let laptop = once("until [ -e \"$HOME/go\" ]; do sleep 0.05; done");
    laptop.run(["--attempts", "1", "--detach", TASK]).run().exits(0).done();
    wait_for("the start", || starts(&laptop) == 1);
    // An older state of the instance file, from before the attempt was sent.
    let instance = root(&laptop).join("instance");
    let text = std::fs::read_to_string(&instance).unwrap();
    std::fs::write(&instance, text.lines().next().unwrap().to_owned() + "\n").unwrap();
    std::fs::remove_dir_all(root(&laptop).join("work")).unwrap();
    laptop.handoff(["watch", ID]).run().exits(4).says("older snapshot").done();
    assert_eq!((starts(&laptop), laptop.verdicts()), (1, vec!["lost".to_owned()]));
    is_quiet(&laptop);
}

#[test]
fn a_file_system_that_is_away_for_a_while_changes_nothing() {
    let laptop = once("until [ -e \"$HOME/go\" ]; do sleep 0.05; done");
    let running = laptop.run(["--attempts", "1", TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    wait_for("the running agent", || laptop.hosts[0].home.join("once").exists());
    let away = laptop.hosts[0].home.join("away");
    std::fs::rename(root(&laptop), &away).unwrap();
    laptop.hosts[0].cut();
    wait_for("the report of the missing root", || running.stdout().contains("its file system is not mounted"));
    let made = std::process::Command::new("find").arg(root(&laptop)).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&made.stdout), "", "nothing is made there");
    std::fs::rename(&away, root(&laptop)).unwrap();
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    running.wait().exits(0).done();
    assert_eq!((starts(&laptop), laptop.verdicts()), (1, vec!["unchecked".to_owned()]));
}

#[test]
fn a_program_that_was_killed_before_it_heard_of_the_start_starts_nothing_again() {
    let laptop = once("rm -rf \"$HOME/.handoff/work\"; sleep 1");
    let running = laptop.run(["--attempts", "1", TASK]).spawn();
    wait_for("the start", || laptop.hosts[0].pid(1, "intent").is_some());
    assert_eq!(running.kill().code, None);
    wait_for("the end of it", || laptop.hosts[0].running().is_empty());
    laptop.handoff(["watch", ID]).run().exits(4).says("lost").done();
    assert_eq!(starts(&laptop), 1);
    is_quiet(&laptop);
}

#[test]
fn a_resume_allows_as_many_attempts_as_the_run_and_they_are_made() {
    let laptop = Laptop::with_plan("turn 1\nrun echo start >>\"$HOME/starts\"\nratelimit\n");
    laptop.run(["--attempts", "2", TASK]).run().exits(1).complains("allows 2 more").done();
    assert_eq!((starts(&laptop), laptop.verdicts().len()), (2, 2));
    laptop.handoff(["resume", ID]).run().exits(1).complains("allows 2 more").done();
    assert_eq!((starts(&laptop), laptop.verdicts().len()), (4, 4));
}

/// Another machine answers under the host's name. The test moves the old machine's directory aside.
fn replace_root(laptop: &Laptop) {
    std::fs::rename(root(laptop), laptop.hosts[0].home.join("before")).unwrap();
    std::fs::create_dir(root(laptop)).unwrap();
    std::fs::write(root(laptop).join("instance"), "fedcba9876543210fedcba9876543210\n").unwrap();
}

#[test]
fn another_root_releases_nothing() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    replace_root(&laptop);
    for args in [&["clean", ID][..], &["clean", ID, "--discard-ignored"], &["clean", "--all"]] {
        let ran =
            laptop.handoff(args).run().exits(1).says("kept").says("is not the directory that the attempt was sent to");
        assert!(!ran.text().contains("released"), "{args:?}: {}", ran.text());
    }
    assert_eq!(laptop.shown()["handoff"]["released"], serde_json::json!({}));
}

#[test]
fn what_was_sent_to_an_earlier_root_is_not_reported_as_released() {
    // The attempt is stopped without its host. The other machine's answer ends it as lost.
    for attempts in ["1", "2"] {
        let mut laptop = Laptop::with_plan(HANGS);
        laptop.run(["--attempts", attempts, "--detach", TASK]).run().exits(0).done();
        wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
        laptop.plan(QUICK);
        replace_root(&laptop);
        laptop.handoff(["watch", ID]).run().says("another machine answers under its name").done();
        let ran = laptop.handoff(["clean", ID]).run().exits(0);
        let ran = ran.says("attempt 1: was sent to a directory that no longer exists on box; not released");
        assert_eq!(ran.text().contains("on box: released"), attempts == "2", "{}", ran.text());
        ran.done();
        let released = laptop.shown()["handoff"]["released"].as_object().unwrap().len();
        assert_eq!(released, usize::from(attempts == "2"));
        is_quiet(&laptop);
    }
}
