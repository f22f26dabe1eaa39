//! Each kind of end has its exit code and its verdict.

use crate::support::laptop::Laptop;
use crate::support::{QUICK, TASK};

#[test]
fn work_without_a_check_is_unchecked_and_fails_only_where_one_is_required() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).says("unchecked").done();
    assert_eq!(laptop.verdicts(), ["unchecked"]);

    let laptop = Laptop::with_plan(QUICK);
    laptop.run(["--require-check", TASK]).run().exits(1).done();
}

#[test]
fn a_crash_that_comes_back_is_a_failure() {
    let laptop = Laptop::with_plan("turn 1\nedit notes.txt <<END\nhalf\nEND\nfail 7 something broke\n");
    laptop.run(["--attempts", "2", TASK]).run().exits(1).done();
    assert_eq!(laptop.verdicts(), ["crashed", "crashed"]);
    laptop.status_is("failed");
}

#[test]
fn a_check_that_fails_is_told_to_the_agent() {
    let plan = "turn 1\nedit answer <<END\n41\nEND\nfinish Done.\nturn 2\nedit answer <<END\n42\nEND\nfinish Now.\n";
    let laptop = Laptop::with_plan(plan);
    let check = "echo the answer is $(cat answer); grep -q 42 answer";
    laptop.run(["--check", check, TASK]).run().exits(0).done();
    assert_eq!(laptop.verdicts(), ["check-failed", "done"]);
    let prompts = laptop.hosts[0].prompts();
    assert!(prompts[1].contains("the answer is 41"), "{}", prompts[1]);
}

#[test]
fn a_login_that_is_missing_waits_for_a_person() {
    let laptop = Laptop::with_plan("turn 1\nfail 1 Error: Authentication required. Please run agent login first.\n");
    laptop.run([TASK]).run().exits(3).says("handoff resume").done();
    assert_eq!(laptop.verdicts(), ["auth"]);
    laptop.status_is("parked");
}

#[test]
fn an_end_without_the_terminal_event_is_no_success() {
    let laptop = Laptop::with_plan("turn 1\nedit a <<END\na\nEND\ntruncate\n");
    laptop.run(["--attempts", "1", TASK]).run().exits(1).done();
    assert_eq!(laptop.verdicts(), ["truncated"]);
}

#[test]
fn a_signal_is_a_crash() {
    let laptop = Laptop::with_plan("turn 1\nedit a <<END\na\nEND\ncrash KILL\n");
    laptop.run(["--attempts", "1", TASK]).run().exits(1).done();
    assert_eq!(laptop.verdicts(), ["crashed"]);
}
