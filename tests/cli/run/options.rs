//! The output options of a run, and the ways to leave it.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

#[test]
fn json_is_one_event_a_line() {
    let laptop = Laptop::with_plan(QUICK);
    let ran = laptop.run(["--json", TASK]).run().exits(0);
    let lines = ran.json();
    assert!(lines.len() > 5 && lines.iter().all(|line| line.is_object()), "{lines:?}");
    assert!(ran.text().contains("unchecked") && ran.text().contains("All done."));
}

#[test]
fn raw_is_the_log_byte_for_byte() {
    let plan =
        "turn 1\nedit a <<END\na\nEND\nraw \\0377\\0376 no utf-8 \\033[31m\\n\nstderr from stderr\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    let ran = laptop.run(["--raw", TASK]).run().exits(0);
    let log = laptop.hosts[0].log(1);
    assert!(log.windows(2).any(|pair| pair == [0xff, 0xfe]));
    assert_eq!(ran.stdout, log);
    assert_eq!(std::fs::read(laptop.record("attempt-1.log")).unwrap(), log);
}

#[test]
fn what_an_agent_prints_cannot_steer_the_terminal() {
    let laptop = Laptop::with_plan("turn 1\nedit a <<END\na\nEND\nraw plain \\033[2Jwords\\n\nfinish Done.\n");
    let ran = laptop.run([TASK]).run().exits(0);
    assert!(!ran.stdout.contains(&0x1b), "{}", ran.text());
}

#[test]
fn a_detached_run_returns_at_once_and_watch_sees_it_end() {
    let plan = "turn 1\nedit a <<END\na\nEND\nrun while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run(["--detach", TASK]).run().exits(0).says(&format!("handoff watch {ID}")).done();
    laptop.status_is("running");
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    laptop.handoff(["watch", ID]).run().exits(0).says("unchecked").done();
    laptop.status_is("done");
}

#[test]
fn ctrl_c_leaves_the_task_running() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    running.interrupt().exits(130).says("keeps running on box").done();
    // The agent prints its text a moment before it waits.
    wait_for("the running agent", || laptop.hosts[0].running().iter().any(|command| command.contains("sleep 1000000")));
}
