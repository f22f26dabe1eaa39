//! `handoff show`: the record, and the host's answer if it comes within two seconds.

use std::time::Duration;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait, wait_for};

#[test]
fn show_prints_the_host_state_and_works_without_the_host() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.handoff(["show"]).run().exits(0).says(TASK).says("host now  attempt 1: agent running").done();
    let shown = laptop.handoff(["show", ID, "--json"]).run().exits(0).json().remove(0);
    assert_eq!((&shown["host"]["task"], &shown["status"]), (&"alive".into(), &"running".into()));
    let connections = laptop.hosts[0].connections();
    let offline = laptop.handoff(["show", ID, "--offline"]).run().exits(0).says("running").says("ago");
    assert!(!offline.text().contains("the host"), "{}", offline.text());
    assert_eq!(laptop.hosts[0].connections(), connections, "--offline opens no connection");

    laptop.hosts[0].vanish();
    let ran = laptop.handoff(["show", ID]).run().exits(0).says("running").says("ago").says("host now  no answer");
    assert!(ran.took < wait::stretched(Duration::from_millis(2500)), "{:?}", ran.took);
}

#[test]
fn an_id_is_resolved_by_its_beginning() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["show", "20260407-fix"]).run().exits(0).says(ID).done();
    laptop.handoff(["show", "20990101-nothing"]).run().exits(2).complains("handoff list").done();
}

#[test]
fn show_tells_a_host_that_is_back_and_does_not_wait_for_its_end() {
    let plan = "turn 1\nrun (trap '' TERM; setsid sh -c 'sleep 99731; sleep 99731') >/dev/null 2>&1 &\nsay Now I wait.\nhang\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.hosts[0].out_of_reach(true);
    laptop.takeover().exits(0).says("could not reach box to stop it").done();
    laptop.hosts[0].out_of_reach(false);
    // The process on the host ignores the first signal. Its end takes longer than `show` waits.
    let ran = laptop.handoff(["show", ID]).run().exits(0).says("has not been told to stop");
    assert!(ran.took < wait::stretched(Duration::from_secs(4)), "{:?}", ran.took);
    wait_for("a confirmation", || !laptop.handoff(["show", ID]).run().exits(0).text().contains("has not been told"));
    assert!(!laptop.hosts[0].running().join(" ").contains("sleep 99731"), "a confirmed stop has ended the process");
    laptop.hosts[0].wait_until_empty(|_| false);
}

#[test]
fn show_host_lists_its_checkouts() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.handoff(["show", "--host", "box"]).run().exits(0).says("box has no checkouts").done();
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["show", "--host", "box"]).run().exits(0).says("till-1/till").says(&format!("used by {ID}")).done();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    let listed = laptop.handoff(["show", "--host", "box", "--json"]).run().exits(0).json();
    assert_eq!((listed.len(), &listed[0]["owner"]), (1, &serde_json::Value::Null));
}
