//! An isolated laptop and its hosts. The tests read nothing of the developer's environment, and no process outlives its
//! test.

#[path = "../../integration/support/evidence.rs"]
pub mod evidence;
pub mod host;
pub mod laptop;
pub mod mcp;
pub mod processes;
pub mod program;
pub mod redact;
pub mod schema;
pub mod screens;
#[path = "../../integration/support/skip.rs"]
pub mod skip;
#[path = "../../integration/support/wait.rs"]
pub mod wait;

use std::time::Duration;

/// Time limit of every wait. Only something that hangs reaches it, on a busy machine too.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// The id that tests give their handoff.
pub const ID: &str = "20260407-fix-the-till";

/// The task that tests give their handoff.
pub const TASK: &str = "Two tests of the till fail. Fix total.sh.";

/// A plan that changes a file and ends well, in one turn.
pub const QUICK: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";

/// A plan that changes a file, leaves a process in a session of its own, and never ends.
pub const HANGS: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run (setsid sleep 99731 || sleep 99731) >/dev/null 2>&1 &\nsay Now I wait.\nhang\n\
    turn 2\nfinish Went on after all.\n";

/// Waits until `condition` is true. Panics with `what` after [`DEADLINE`].
#[track_caller]
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    wait::until(what, DEADLINE, || condition().then_some(()));
}

/// Bytes that no pack makes smaller.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(&mut next).take(length).collect()
}
