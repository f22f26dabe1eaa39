//! Exit codes: part of the interface, documented in the README.

use crate::model::handoff::{Handoff, Status};
use crate::model::verdict::Class;

/// `done` or `unchecked`, or a command that did what it was asked.
pub const OK: u8 = 0;
/// The task failed, or the command could not do what it was asked.
pub const FAILED: u8 = 1;
/// The command line or a configuration file is wrong.
pub const USAGE: u8 = 2;
/// A person must act, or a usage window must pass.
pub const BLOCKED: u8 = 3;
/// The host shows that nobody can know how the attempt ended.
pub const LOST: u8 = 4;
/// The host cannot be reached, or lets us in no more; the task may well be running.
pub const UNREACHABLE: u8 = 5;
/// Ctrl-C: we left, the task goes on.
pub const DETACHED: u8 = 130;

/// The code for a handoff at rest.
pub fn of(handoff: &Handoff, require_check: bool) -> u8 {
    let class = handoff.history().last().copied();
    match (handoff.status(), class) {
        (Status::Done, Some(Class::Unchecked)) if require_check => FAILED,
        (Status::Done | Status::Finished | Status::Interactive, _) => OK,
        (Status::Parked | Status::Waiting, _) => BLOCKED,
        (_, Some(Class::Lost)) => LOST,
        _ => FAILED,
    }
}
