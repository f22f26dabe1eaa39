//! One attempt: one poll of it, its start and its end, and what follows.

mod after_end;
pub mod decide;
pub(in crate::supervise) mod epoch;
pub(in crate::supervise) mod ingest;
pub(in crate::supervise) mod login;
pub(in crate::supervise) mod next_attempt;
pub(in crate::supervise) mod recover;
pub(in crate::supervise) mod relaunch;
pub(in crate::supervise) mod step;
mod watcher;

use std::time::Duration;

use crate::model::attempt::AttemptNo;

/// How often the journal and the clocks are read.
pub(in crate::supervise) const TICK: Duration = Duration::from_millis(500);

/// How far to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The agent's start is confirmed, or it will never start.
    Started,
    /// Nothing more happens until the user acts.
    Rest,
}

/// What the loop does next.
pub(in crate::supervise) enum LoopAction {
    Again,
    /// Follow the attempt with this number.
    Attempt(AttemptNo),
    /// The session is over. After `delay` seconds the next attempt begins a new one, under a new grant.
    NewSession {
        delay: u64,
    },
    /// The host alone ended or parked what may continue. A new grant continues it after `delay` seconds.
    Overrule {
        delay: u64,
    },
    /// The attempt after this one needs a new grant.
    NewGrant(AttemptNo),
    Left,
}
