//! The events of the journal. Every change of a handoff's state is one of these.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::adopted::Adopted;
use super::attached::Attached;
use super::attempt::{AttemptNo, Epoch, Grant, Next, Outcome, Writer};
use super::companion::CapturedCompanion;
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
    /// The [`FORMAT`] of the program that wrote it.
    pub v: u32,
    pub at: Timestamp,
    #[serde(flatten)]
    pub kind: Kind,
}

impl Event {
    /// An event of this program's format.
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
    /// The handoff was made by hand, and this is what its directory had. It follows the first line.
    Adopted(Box<Adopted>),
    /// A host may now do what the grant says; written before the host receives it.
    Granted {
        grant: Grant,
    },
    /// An attempt has a number, a host and a command; written before the host receives it.
    Dispatched {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// The host started an attempt of the grant by itself.
    TakenUp {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// The user's addition to the prompt of a grant; written before its first attempt has a number.
    Message {
        grant: u32,
        text: String,
    },
    /// An attempt was discovered that a host made by itself, after the handoff had changed its owner.
    Surfaced {
        attempt: AttemptNo,
        grant: u32,
        host: String,
        command: String,
    },
    /// A host has confirmed a change of owner, which it could not be told before. Nothing of an older epoch is left
    /// there.
    Told {
        host: String,
        epoch: Epoch,
    },
    /// The host has shown that it started this attempt's agent.
    Started {
        attempt: AttemptNo,
        /// The command that the host really ran; `None` if it did not report it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        command: Option<String>,
        /// The session that the agent was given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        session: Option<String>,
    },
    /// The session id is known, of this attempt or of the next one.
    Session {
        session: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        attempt: Option<AttemptNo>,
    },
    /// The host recorded an end, the log is mirrored completely, and this is the laptop's verdict.
    Ended {
        attempt: AttemptNo,
        outcome: Box<Outcome>,
        verdict: Verdict,
    },
    /// The host's log is not the file that was mirrored before: it was truncated, replaced or deleted there. The
    /// mirrored bytes stay, and new bytes go into this part, from 2.
    LogReplaced {
        attempt: AttemptNo,
        part: u32,
    },
    /// What follows the attempt, as stored on the host; `by` is `laptop` or `watcher`.
    Decided {
        attempt: AttemptNo,
        next: Next,
        by: Writer,
    },
    /// The capture of an attempt is in `refs/handoff/<id>/<n>/work`, fetched and verified.
    Fetched {
        attempt: AttemptNo,
        commit: Oid,
        /// What a capture lacks, if the capture was made after the attempt's end was recorded.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        uncaptured: Option<Uncaptured>,
    },
    /// What an attempt left in the companions is in `refs/handoff/<id>/<n>/work` of their repositories, fetched and
    /// verified. This comes before the capture itself.
    CompanionsFetched {
        attempt: AttemptNo,
        companions: Vec<CapturedCompanion>,
    },
    /// The refs of an attempt's capture that git refused here; the host keeps them. An empty list means that none is
    /// left.
    RefsRefused {
        attempt: AttemptNo,
        refused: Vec<RefusedRef>,
    },
    /// The build results that the run asked for were fetched after the attempt, as far as they exist.
    ArtifactsFetched {
        attempt: AttemptNo,
        files: u64,
        bytes: u64,
    },
    /// The host has been unreachable since the event's time.
    Unreachable {
        host: String,
        reason: String,
    },
    Reachable {
        host: String,
    },
    /// The user wants it stopped.
    StopRequested,
    /// The owner changed. `confirmed`: the host knows, and nothing of the old epoch runs.
    Owner {
        epoch: Epoch,
        owner: Owner,
        confirmed: bool,
    },
    /// A takeover has its worktree.
    Worktree {
        path: String,
        /// Its branch, without `refs/heads/`. `None`: HEAD is detached, or an earlier version wrote it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        branch: Option<String>,
    },
    /// A takeover merged the work into a checkout of the user's. `number` counts these changes of a handoff, from 1.
    Here {
        number: u32,
        path: String,
        /// git's name of that worktree; empty for the main one.
        worktree: String,
        /// The snapshot that the checkout had when the work began.
        base: Oid,
    },
    /// The user undid the change of that checkout.
    Undone {
        number: u32,
    },
    /// The user gave the work back.
    Given(Box<Given>),
    /// The user ended the handoff for good, so nothing continues it. A later one replaces an earlier one.
    Finished(Box<Finish>),
    /// The user chose another agent for the attempts from `first` on.
    AgentChosen {
        first: AttemptNo,
        agent: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        model: Option<String>,
    },
    /// The host verified the shipped base.
    Shipped {
        host: String,
        commit: Oid,
    },
    /// A host is asked to delete everything of the handoff up to and including an attempt; the laptop has all of it.
    /// `confirmed`: the host has deleted it. Before that, what it has cannot be relied on.
    Released {
        host: String,
        last: AttemptNo,
        confirmed: bool,
    },
    /// The handoff no longer has a tree on a host: another handoff took it when this one was at rest. `last` is the last
    /// attempt that was sent there before.
    TreeTaken {
        host: String,
        last: AttemptNo,
    },
    /// The root directory that a host showed. `None`: it is missing, and the user said that it will not come back.
    Root {
        host: String,
        instance: Option<Instance>,
    },
    /// An event of a newer program. The record can be read, but not written.
    #[serde(other)]
    Unknown,
}

/// Who may start attempts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Owner {
    Host(String),
    Laptop,
}

/// Work that the user gave back, which the next attempts continue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Given {
    /// What the takeover's worktree had.
    pub work: Snapshot,
    /// The explanation for the agent. It may quote what the agent wrote, so it is masked.
    #[serde(default)]
    pub told: String,
    /// The user's own words about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What the user did since the takeover. Older records do not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<ByHand>,
}

/// How the user ended a handoff. It is recorded before anything is done about it, so that an interrupted command can
/// continue.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Finish {
    /// The final work as one commit, which `refs/handoff/<id>/final` keeps. `None`: the work is not all in a commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Oid>,
    /// The branch that gets the commit, without `refs/heads/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The user's message for the commit and the pull request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The remote to which the branch is pushed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Address of the pull request, once it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_request: Option<String>,
    /// What the user did since the takeover.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<ByHand>,
}

/// What a person did to the work of the last attempt. It may quote what the agent wrote, so it is masked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ByHand {
    /// A line that counts the changed files; empty if none changed.
    pub count: String,
    /// Short ids and subjects of the commits, newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commits: Vec<String>,
    /// The files that differ from the last commit, each with the numbers of its lines.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uncommitted: Vec<String>,
}

/// The contents of a handoff's first event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
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
    /// Top of the worktree in which the handoff was created, at that time.
    pub workspace: String,
    /// git's name of that worktree, by which it is found: empty for the main one, `None` in records of release 0.1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// The user's directory relative to the top; empty at the top.
    #[serde(default)]
    pub subdir: String,
    pub base: Snapshot,
    /// Files that the user attached to the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attached: Option<Attached>,
    /// Patterns of build results that are fetched when the handoff comes to rest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    pub limits: FilledLimits,
}
