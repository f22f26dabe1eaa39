//! What the engine tells while it works. Screens only read this; nothing here is printed by the engine itself.

use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::time::Instant;

use crate::agent::output::Output;
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Status;
use crate::model::snapshot::{LeftBehind, Snapshot};
use crate::model::uncaptured::Uncaptured;
use crate::model::verdict::Verdict;

/// One thing worth telling, in the order in which it happened.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "progress", rename_all = "kebab-case")]
pub enum Progress {
    /// A working state was put into git objects.
    Snapshot {
        id: String,
        snapshot: Box<Snapshot>,
    },
    /// What the host does not get.
    LeftBehind {
        items: Vec<LeftBehind>,
    },
    Connecting {
        host: String,
    },
    /// Something the user should know that is no error.
    Note {
        text: String,
    },
    /// Objects are on their way.
    Shipping {
        host: String,
    },
    /// So much of a large push is there or on its way, in bytes.
    Sending {
        host: String,
        sent: u64,
        length: u64,
    },
    /// The host has proved files, index and HEAD.
    Shipped {
        host: String,
    },
    /// An attempt has a number and a host.
    Dispatched {
        attempt: AttemptNo,
        host: String,
        command: String,
    },
    /// The agent's start is confirmed by the host.
    Started {
        attempt: AttemptNo,
        host: String,
    },
    /// This process follows an attempt that has run for `since` already.
    Joined {
        attempt: AttemptNo,
        host: String,
        since: Duration,
    },
    /// A line of the log, read.
    Agent {
        attempt: AttemptNo,
        line: u64,
        event: AgentEvent,
    },
    /// Bytes of the log, as they are.
    #[serde(skip)]
    Log {
        attempt: AttemptNo,
        bytes: Bytes,
    },
    /// An attempt has ended and is judged.
    Ended {
        attempt: AttemptNo,
        verdict: Verdict,
        active: u64,
    },
    /// What the capture of an attempt lacks: it is only on the host.
    Uncaptured {
        attempt: AttemptNo,
        host: String,
        uncaptured: Uncaptured,
    },
    /// The end of what a setup or a check printed that failed.
    Output {
        attempt: AttemptNo,
        output: Output,
    },
    /// So much of a large capture is here, in bytes.
    Receiving {
        attempt: AttemptNo,
        received: u64,
        length: u64,
    },
    /// The work of an attempt lies in this repository.
    Fetched {
        attempt: AttemptNo,
        commit: String,
        /// How many paths are not in it.
        uncaptured: u64,
    },
    /// The next attempt follows after a while.
    BackingOff {
        attempt: AttemptNo,
        delay: Duration,
    },
    /// The next attempt follows at a time (Unix seconds).
    WaitingUntil {
        attempt: AttemptNo,
        at: i64,
    },
    /// A person must act.
    Parked {
        attempt: AttemptNo,
        why: String,
    },
    /// The host cannot be reached; the task may well go on.
    Unreachable {
        host: String,
        reason: String,
        retry: Duration,
        /// The host has confirmed the start of the last attempt.
        begun: bool,
    },
    Reachable {
        host: String,
    },
    /// The handoff has come to rest, or we have left it alone.
    Rest {
        id: String,
        status: Status,
    },
}

/// Who is told. Must not block: it is called from the loop that reads from the host.
pub trait Reporter: Send + Sync {
    fn tell(&self, progress: &Progress);
}

/// How often it is told how far a transfer is.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);

/// When it was last told how far a transfer is.
#[derive(Default)]
pub struct Throttle(Option<Instant>);

impl Throttle {
    /// Whether it is time to tell it again; at the end it always is.
    pub fn is_due(&mut self, at_end: bool) -> bool {
        let due = at_end || self.0.is_none_or(|at| at.elapsed() >= BETWEEN_WORDS);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Tells nobody.
pub struct NullReporter;

impl Reporter for NullReporter {
    fn tell(&self, _: &Progress) {}
}
