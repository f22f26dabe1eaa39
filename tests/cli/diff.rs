//! `handoff diff`: only the agent's changes, without the user's earlier changes.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, TASK};

#[test]
fn shows_each_attempt_and_only_the_agents_changes() {
    let mut laptop = Laptop::new();
    laptop.write("mine.txt", "mine\n");
    laptop.run(["--check", "sh test.sh", TASK]).run().exits(0).done();
    laptop.hosts[0].vanish();
    let diff = laptop.handoff(["diff"]).run().exits(0).says("[ -n \"$quantity\" ]").says("+ 50) / 100");
    assert!(!diff.text().contains("mine.txt"), "{}", diff.text());
    let first = laptop.handoff(["diff", ID, "--attempt", "1"]).run().exits(0).says("[ -n \"$quantity\" ]");
    assert!(!first.text().contains("+ 50) / 100"), "{}", first.text());
    let second = laptop.handoff(["diff", ID, "--attempt", "2"]).run().exits(0).says("+ 50) / 100");
    let added = |patch: &str, what: &str| patch.lines().any(|line| line.starts_with('+') && line.contains(what));
    assert!(!added(&second.text(), "[ -n \"$quantity\" ]"), "that is what attempt 1 changed: {}", second.text());
    laptop.handoff(["diff", ID, "--stat"]).run().exits(0).says("total.sh").says("1 file changed").done();
}

#[test]
fn diff_of_a_running_attempt_suggests_watch_and_not_pull() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let ran = laptop.handoff(["diff", ID]).run().exits(1).complains("attempt 1 has not ended");
    assert!(!ran.stderr.contains("handoff pull"), "{}", ran.stderr);
    laptop.handoff(["diff", ID, "--attempt", "7"]).run().exits(2).complains("has no attempt 7").done();
}
