//! What the engine reports while it works. The engine prints nothing; screens read these events.

use std::time::Duration;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use tokio::time::Instant;

use crate::agent::output::Output;
use crate::model::agent_event::AgentEvent;
use crate::model::attached::AttachedFile;
use crate::model::attempt::AttemptNo;
use crate::model::snapshot::{LeftBehind, Snapshot};
use crate::model::status::Status;
use crate::model::uncaptured::Uncaptured;
use crate::model::verdict::Verdict;

/// One report, in the order of events.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
#[serde(tag = "progress", rename_all = "kebab-case")]
pub enum Progress {
    /// The working state was stored as git objects.
    Snapshot {
        id: String,
        snapshot: Box<Snapshot>,
        /// Files that the user attached to the task.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        attached: Vec<AttachedFile>,
    },
    /// What the host does not get.
    LeftBehind {
        items: Vec<LeftBehind>,
    },
    Connecting {
        host: String,
    },
    /// The host is connected, and git still reads the files of this repository.
    Hashing,
    /// Something that the user should know and that is no error.
    Note {
        text: String,
    },
    /// Objects are being sent.
    Shipping {
        host: String,
    },
    /// How much of a large push was sent, in bytes.
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
    /// The host has confirmed the agent's start.
    Started {
        attempt: AttemptNo,
        host: String,
    },
    /// This process now follows an attempt that has been running for `since`.
    Joined {
        attempt: AttemptNo,
        host: String,
        #[serde(serialize_with = "seconds")]
        #[schemars(with = "f64")]
        since: Duration,
    },
    /// A parsed line of the log.
    Agent {
        attempt: AttemptNo,
        line: u64,
        event: AgentEvent,
    },
    /// Raw bytes of the log.
    #[serde(skip)]
    Log {
        attempt: AttemptNo,
        bytes: Bytes,
    },
    /// An attempt has ended and has a verdict.
    Ended {
        attempt: AttemptNo,
        verdict: Verdict,
        active: u64,
    },
    /// What the capture of an attempt lacks. It exists only on the host.
    Uncaptured {
        attempt: AttemptNo,
        host: String,
        uncaptured: Uncaptured,
    },
    /// The end of the output of a setup or a check that failed.
    Output {
        attempt: AttemptNo,
        output: Output,
    },
    /// How much of a large capture was fetched, in bytes.
    Receiving {
        attempt: AttemptNo,
        received: u64,
        length: u64,
    },
    /// The build results that the run asked for were looked for; the files that match are here.
    Artifacts {
        attempt: AttemptNo,
        host: String,
        files: u64,
        bytes: u64,
        /// The directory that they are in.
        directory: String,
    },
    /// The work of an attempt is in this repository.
    Fetched {
        attempt: AttemptNo,
        commit: String,
        /// Number of paths that are not in it.
        uncaptured: u64,
        /// Its files differ from those that the handoff began with.
        is_changed: bool,
    },
    /// The next attempt starts after a delay.
    BackingOff {
        attempt: AttemptNo,
        #[serde(serialize_with = "seconds")]
        #[schemars(with = "f64")]
        delay: Duration,
    },
    /// The next attempt starts at a time, in Unix seconds.
    WaitingUntil {
        attempt: AttemptNo,
        at: i64,
    },
    /// The user must act.
    Parked {
        attempt: AttemptNo,
        why: String,
    },
    /// The host cannot be reached. The task may keep running.
    Unreachable {
        host: String,
        reason: String,
        #[serde(serialize_with = "seconds")]
        #[schemars(with = "f64")]
        retry: Duration,
        /// Whether the host has confirmed the start of the last attempt.
        begun: bool,
    },
    Reachable {
        host: String,
    },
    /// The handoff has come to rest, or this process stopped following it.
    Rest {
        id: String,
        status: Status,
    },
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Receives the reports. It must not block, because the loop that reads from the host calls it.
pub trait Reporter: Send + Sync {
    fn tell(&self, progress: &Progress);
}

/// How often the progress of a transfer is reported.
const BETWEEN_WORDS: Duration = Duration::from_millis(500);

/// Limits how often the progress of a transfer is reported.
#[derive(Default)]
pub struct Throttle(Option<Instant>);

impl Throttle {
    /// Whether a report is due. At the end it always is.
    pub fn is_due(&mut self, at_end: bool) -> bool {
        let due = at_end || self.0.is_none_or(|at| at.elapsed() >= BETWEEN_WORDS);
        if due {
            self.0 = Some(Instant::now());
        }
        due
    }
}

/// Discards every report.
pub struct NullReporter;

impl Reporter for NullReporter {
    fn tell(&self, _: &Progress) {}
}
