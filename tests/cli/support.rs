//! An isolated laptop and its hosts: nothing of whoever runs the tests is read, and nothing a test starts outlives it.

#[path = "../../integration/support/evidence.rs"]
pub mod evidence;
pub mod host;
pub mod laptop;
pub mod processes;
pub mod program;

use std::time::{Duration, Instant};

/// Far more than anything here takes, and less than a person's patience.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// The id that tests give their handoff.
pub const ID: &str = "20260407-fix-the-till";

/// What they ask for.
pub const TASK: &str = "Two tests of the till fail. Fix total.sh.";

/// A plan that changes a file and ends well, in one turn.
pub const QUICK: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";

/// A plan that changes a file, leaves a process in a session of its own, and never ends.
pub const HANGS: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run (setsid sleep 99731 || sleep 99731) >/dev/null 2>&1 &\nsay Now I wait.\nhang\n\
    turn 2\nfinish Went on after all.\n";

/// Waits until `condition` holds; panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let until = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < until, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
