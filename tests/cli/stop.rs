//! `handoff stop`: no process of the attempt is left, and its work is kept.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

#[test]
fn stop_ends_every_process_and_keeps_the_work() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("both processes", || {
        let running = laptop.hosts[0].running().join("\n");
        running.contains("sleep 99731") && running.contains("sleep 1000000")
    });
    laptop.handoff(["stop", ID]).run().exits(0).says("stopped").done();
    laptop.hosts[0].wait_until_empty(|_| false);
    assert_eq!(laptop.verdicts(), ["stopped"]);
    laptop.status_is("stopped");
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    laptop.handoff(["stop", ID]).run().exits(0).says("not running").done();
}

#[test]
fn stop_is_carried_out_by_the_process_that_follows() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    laptop.handoff(["stop"]).run().exits(0).says("stopped").done();
    running.wait().exits(1).says("stopped").done();
}

#[test]
fn stop_of_an_ended_handoff_succeeds() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["stop", ID]).run().exits(0).says("not running (done)").done();
}

#[test]
fn stop_ends_an_attempt_whose_watcher_is_suspended() {
    for command in [&["stop", ID][..], &["takeover", ID, "--editor", "none"]] {
        let laptop = Laptop::with_plan(HANGS);
        laptop.run(["--detach", TASK]).run().exits(0).done();
        wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
        let watcher = laptop.hosts[0].pid(1, "watch.1").and_then(rustix::process::Pid::from_raw).unwrap();
        rustix::process::kill_process(watcher, rustix::process::Signal::STOP).unwrap();
        laptop.handoff(command.iter().copied()).run().exits(0).done();
        laptop.hosts[0].wait_until_empty(|_| false);
        assert_eq!(laptop.verdicts(), ["stopped"]);
        laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    }
}

#[test]
fn stop_of_an_unreachable_host_is_carried_out_when_the_host_is_back() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.hosts[0].out_of_reach(true);
    let stopped = laptop.handoff(["stop", ID]).run().exits(5).complains("has not stopped: its host cannot be reached");
    stopped.complains("handoff watch").complains("handoff takeover").done();
    // The next process reports the lost contact again, although it is already recorded.
    let watching = laptop.handoff(["watch", ID]).spawn();
    wait_for("the report of the lost contact", || watching.stdout().contains("lost contact"));
    laptop.hosts[0].out_of_reach(false);
    watching.wait().exits(1).says("stopped").done();
    laptop.status_is("stopped");
}
