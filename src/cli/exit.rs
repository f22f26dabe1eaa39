//! Exit codes. They are part of the interface, and the README documents them.

use crate::model::handoff::Handoff;
use crate::model::status::Status;
use crate::model::verdict::Class;

/// `done` or `unchecked`, or a command that did what it was asked.
pub const OK: u8 = 0;
/// The task failed, or the command could not do what it was asked.
pub const FAILED: u8 = 1;
/// The command line or a configuration file is wrong.
pub const USAGE: u8 = 2;
/// The handoff needs you.
pub const BLOCKED: u8 = 3;
/// The attempt is lost: the host no longer shows how it ended.
pub const LOST: u8 = 4;
/// The host cannot be reached, or no longer accepts the login; the task may still be running.
pub const UNREACHABLE: u8 = 5;
/// The name of the host has no address: it is mistyped, or DNS does not know it.
pub const UNKNOWN_HOST: u8 = 6;
/// The host refused the login.
pub const LOGIN_REFUSED: u8 = 7;
/// The host key is not known, or it has changed.
pub const HOST_KEY: u8 = 8;
/// Ctrl-C: the command ended, and the task keeps running.
pub const DETACHED: u8 = 130;

/// The exit code of a handoff at rest.
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
