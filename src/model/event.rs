//! The journal's vocabulary: every change of a handoff's state is one of these, and nothing else is.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{AttemptNo, Epoch, Grant, Next, Outcome, Writer};
use super::host::FilledLimits;
use super::id::{HandoffId, Uid};
use super::refusal::RefusedRef;
use super::root::Instance;
use super::snapshot::{Oid, Snapshot};
use super::uncaptured::Uncaptured;
use super::verdict::Verdict;

/// Version of the journal's format.
pub const FORMAT: u32 = 1;

/// One line of `journal.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// [`FORMAT`] of the program that wrote it.
    pub v: u32,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    pub fn new(at: Timestamp, kind: Kind) -> Self {
        Event { v: FORMAT, at, kind }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Kind {
    /// The first line of every journal.
    Created(Box<Created>),
    /// A host may now do what the grant says; written before the host hears of it.
    Granted {
        grant: Grant,
    },
    /// An attempt has a number, a host and a command; written before the host hears of it.
    Dispatched {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// The host took an attempt of the grant up by itself.
    TakenUp {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// What a person added to the prompt of a grant; written before its first attempt has a number.
    Message {
        grant: u32,
        text: String,
    },
    /// An attempt that a host made alone has come to light after the handoff had changed hands.
    Surfaced {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// A host that could not be told of a change of owner has been, and nothing of an older epoch is left there.
    Told {
        host: String,
        epoch: Epoch,
    },
    /// The host has shown that the agent of this attempt was started.
    Started {
        attempt: AttemptNo,
        /// What the host really ran; `None` where it could not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// The session that the agent was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
    },
    /// The session id is known: of this attempt, or of the one that follows.
    Session {
        session: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptNo>,
    },
    /// The host recorded an end, its log is mirrored whole, and this is the laptop's verdict.
    Ended {
        attempt: AttemptNo,
        outcome: Box<Outcome>,
        verdict: Verdict,
    },
    /// The host's log is not the file that was mirrored so far: it was truncated, replaced or deleted there. What was
    /// mirrored stays, and what the host has now goes on in this part, from 2.
    LogReplaced {
        attempt: AttemptNo,
        part: u32,
    },
    /// What follows the attempt, as it stands on the host; `by` is `laptop` or `watcher`.
    Decided {
        attempt: AttemptNo,
        next: Next,
        by: Writer,
    },
    /// The capture of an attempt lies in `refs/handoff/<id>/<n>/work`, fetched and verified.
    Fetched {
        attempt: AttemptNo,
        commit: Oid,
        /// What a capture lacks that was made after the attempt's end was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uncaptured: Option<Uncaptured>,
    },
    /// The refs of an attempt's capture that git refused here; the host keeps them. An empty list: none is left.
    RefsRefused {
        attempt: AttemptNo,
        refused: Vec<RefusedRef>,
    },
    /// The host cannot be reached since the event's time.
    Unreachable {
        host: String,
        reason: String,
    },
    Reachable {
        host: String,
    },
    /// A person wants it stopped.
    StopRequested,
    /// The owner changed. `confirmed`: the host has been told and nothing of the old epoch runs.
    Owner {
        epoch: Epoch,
        owner: Owner,
        confirmed: bool,
    },
    /// A takeover has its worktree.
    Worktree {
        path: String,
    },
    /// The shipping of the base to a host is proved there.
    Shipped {
        host: String,
        commit: Oid,
    },
    /// A host is told to let go of everything of the handoff's up to and with an attempt: all of it is held here.
    /// `confirmed`: it has; before, nobody may count on what it has.
    Released {
        host: String,
        last: AttemptNo,
        confirmed: bool,
    },
    /// The root directory that a host showed. `None`: it is missing, and the user said that it will not come back.
    Root {
        host: String,
        instance: Option<Instance>,
    },
    /// An event of a newer program: the record can be read, not written.
    #[serde(other)]
    Unknown,
}

/// Who may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    Host(String),
    Laptop,
}

/// What a handoff is from its first line on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    pub id: HandoffId,
    pub uid: Uid,
    /// The task as the user gave it.
    pub task: String,
    pub host: String,
    pub agent: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<String>,
    /// Top of the worktree it was given from, where that was then.
    pub workspace: String,
    /// git's name of that worktree, by which it is found: empty for the main one, `None` in records of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// Where the user stood, from the top; empty at the top.
    #[serde(default)]
    pub subdir: String,
    pub base: Snapshot,
    pub limits: FilledLimits,
}
