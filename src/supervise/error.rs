//! Why the engine could not do what it was asked.

use std::path::PathBuf;

use crate::config::settings::human_bytes;
use crate::git::merge_here::Conflict;
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::refusal::RefusedRef;
use crate::remote::error::{RemoteError, left_of};
use crate::remote::refusal::RefusalClass;
use crate::transport::TransportError;

/// The class comes first: who must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Git(#[from] crate::git::Error),
    #[error(transparent)]
    State(#[from] crate::state::Error),
    #[error(transparent)]
    HostName(#[from] crate::config::hosts::NotAHostName),
    #[error(transparent)]
    Template(#[from] crate::config::templates::TemplateError),
    #[error(transparent)]
    Secret(#[from] crate::config::secrets::SecretError),
    #[error(transparent)]
    Agent(#[from] crate::agent::profiles::UnknownAgent),
    /// A profile with arguments that cannot be written to a script.
    #[error("the profile of {agent}: {source}")]
    Profile { agent: String, source: crate::agent::command::CommandError },
    #[error(transparent)]
    Mirror(#[from] crate::mirror::Error),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The same task is already running in this repository.
    #[error("this task already has a handoff: {id} ({status})")]
    Equivalent { id: HandoffId, status: &'static str },
    /// The handoff is recorded and its dispatch failed for good. It can be sent again from the record.
    #[error("{source}")]
    Begun { id: HandoffId, host: String, source: Box<Error> },
    /// The host has the handoff and cannot be asked about it until the user acts. The agent keeps running there.
    #[error("{source}")]
    Unattended { id: HandoffId, source: Box<Error> },
    /// The state of the handoff does not allow the request.
    #[error("{id} {why}")]
    NotNow { id: HandoffId, why: String },
    /// The user has the work, so a host continues it only when the user gives it back.
    #[error("{id} was taken over")]
    TakenOver { id: HandoffId },
    /// The handoff is running, so it cannot be finished.
    #[error("{id} is still running ({status})")]
    StillRunning { id: HandoffId, status: &'static str },
    /// The user ended the handoff for good.
    #[error("{id} is finished")]
    Finished { id: HandoffId },
    /// A branch was asked for, and the worktree has changes that are in no commit.
    #[error("the worktree of {id} has changes that are not committed")]
    Uncommitted { id: HandoffId, worktree: PathBuf, branch: String },
    /// A branch was asked for, and files in it did not pass the filter of their attributes.
    #[error("a branch of {id} would have files that did not pass their filter: {}", few(files))]
    Unfiltered { id: HandoffId, files: Vec<String>, worktree: Option<PathBuf> },
    /// A pull request was asked for without a branch.
    #[error("a pull request of {id} needs a branch")]
    NoBranch { id: HandoffId },
    /// A branch was asked for, and the work is equal to what was sent.
    #[error("{id} changed nothing, so there is nothing for a branch")]
    NothingToKeep { id: HandoffId },
    /// The takeover cannot be given up, because its worktree has what is nowhere else.
    #[error("{id} cannot be returned as it was: {}", why.join("; "))]
    NotReturned { id: HandoffId, why: Vec<String>, is_changed: bool },
    /// The takeover cannot be given up, because its branch has commits that no worktree of it has.
    #[error(
        "{id} cannot be returned as it was: the branch {branch} has commits of yours, and its worktree {}",
        if *is_gone { "is gone" } else { "is not on it" }
    )]
    BranchMoved { id: HandoffId, branch: String, worktree: PathBuf, is_gone: bool },
    /// The handoff is not over, so its record is needed.
    #[error("{id} is not finished ({status})")]
    NotFinished { id: HandoffId, status: &'static str },
    /// A host may have something of the handoff, which its record is needed for.
    #[error("a host may still have work or files of {id}")]
    NotReleased { id: HandoffId },
    /// A takeover's worktree exists.
    #[error("{id} still has the worktree {}", worktree.display())]
    HasWorktree { id: HandoffId, worktree: PathBuf },
    /// The record has what is nowhere else.
    #[error("without the record of {id}, these would be lost:\n    {}", lost.join("\n    "))]
    WouldLose { id: HandoffId, lost: Vec<String> },
    /// The handoff was run by hand, so there is no host that it could return to.
    #[error("{id} was run by hand, so no host has it yet")]
    NoHost {
        id: HandoffId,
        /// The command that was refused.
        command: &'static str,
    },
    /// A directory has nothing that could be adopted, or not enough.
    #[error("{} cannot be adopted: {why}", directory.display())]
    NotAdoptable { directory: PathBuf, why: String, needs_task: bool },
    /// A task that was started by hand runs on this machine, or may run.
    #[error("{} cannot be adopted yet: {why}", directory.display())]
    MayRun {
        directory: PathBuf,
        why: String,
        /// A process of this machine writes the log.
        is_proved: bool,
    },
    /// The id of a directory is that of something else.
    #[error("{} cannot be adopted as {id}: {why}", directory.display())]
    IdTaken {
        directory: PathBuf,
        id: HandoffId,
        why: String,
        /// A similar id that is free.
        free: HandoffId,
    },
    /// The worktree of a takeover was removed.
    #[error("the worktree of {id} is gone")]
    NoWorktree { id: HandoffId },
    /// The work would return to a host that has not confirmed that it moved elsewhere.
    #[error("{id} cannot return to {host}: that host has not confirmed yet that the handoff moved away")]
    Untold {
        id: HandoffId,
        host: String,
        /// The command that was refused.
        command: &'static str,
    },
    /// Another machine that shares the host's directory started the attempt, and it shows no sign of life.
    #[error("attempt {attempt} was started by another machine that shares the directory of {host}; only that machine can tell whether it is still running{}. The request to stop is recorded there", last_tick(.beat))]
    Elsewhere { id: HandoffId, host: String, attempt: AttemptNo, beat: Option<u64> },
    /// git refused the work of an attempt. Its host keeps the work.
    #[error("git refused the work of attempt {attempt}: {}; {host} keeps it", list(.refused))]
    Refused { id: HandoffId, host: String, attempt: AttemptNo, refused: Vec<RefusedRef> },
    /// git refused the build results of an attempt. They are still in the checkout of their host.
    #[error("git refused the artifacts of attempt {attempt}: {}", list(.refused))]
    ArtifactsRefused { id: HandoffId, attempt: AttemptNo, refused: Vec<RefusedRef> },
    /// The build results that match have more bytes than the user allowed. Nothing was sent.
    #[error(
        "the files on {host} that match are too large: {files} with {} in all, and the limit is {}; nothing was sent",
        human_bytes(*bytes),
        human_bytes(*limit)
    )]
    TooLarge { id: HandoffId, host: String, files: u64, bytes: u64, limit: u64, globs: Vec<String> },
    /// A pattern for build results cannot match anything.
    #[error("--artifacts {glob:?}: {why}")]
    NotAGlob { glob: String, why: &'static str },
    /// The work cannot be merged into a checkout of the user's. Nothing was touched.
    #[error("{id} cannot be brought here, and nothing was touched:{}", lines(.conflicts))]
    Conflicts { id: HandoffId, conflicts: Vec<Conflict> },
    /// Another process drives the handoff.
    #[error("{holder} is already following {id}")]
    Driven { id: HandoffId, holder: String },
    #[error("could not read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    /// One of our tasks panicked.
    #[error("internal error: {0}")]
    Inner(String),
}

impl Error {
    /// Whether the same request may succeed later without anyone acting.
    pub fn may_retry(&self) -> bool {
        remedy(self) != Remedy::Stop
    }

    /// Why a host is out of reach, in words that follow its name.
    pub fn reason(&self) -> String {
        match self {
            Error::Transport(TransportError::Unreachable { reason, .. })
            | Error::Remote(RemoteError::Transport(TransportError::Unreachable { reason, .. })) => reason.clone(),
            Error::Remote(RemoteError::Rootless { root, left, .. }) => {
                format!("it has no {root}: deleted, or its file system is not mounted{}", left_of(left))
            }
            other => other.to_string(),
        }
    }

    /// Whether the host, or the way to it, is the cause.
    pub fn is_of_host(&self) -> bool {
        matches!(self, Error::Transport(_) | Error::Remote(_))
    }

    /// Whether the host refused for a reason of this class.
    pub fn is_refused(&self, class: &RefusalClass) -> bool {
        matches!(self, Error::Remote(error) if error.is_refused(class))
    }

    /// Whether the host answers and has no root directory.
    pub fn is_rootless(&self) -> bool {
        matches!(self, Error::Remote(RemoteError::Rootless { .. }))
    }

    /// Whether the host is reachable and has no free session.
    pub fn is_busy(&self) -> bool {
        match self {
            Error::Transport(error) => matches!(error, TransportError::Busy { .. }),
            Error::Remote(error) => error.is_busy(),
            _ => false,
        }
    }
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The user must act.
    Stop,
    /// Send again over the same connection.
    AskAgain,
    /// Send again over a new connection.
    Reconnect,
}

/// What follows a failure on the way to a host: the one table.
pub fn remedy(error: &Error) -> Remedy {
    match error {
        Error::Transport(error) | Error::Remote(RemoteError::Transport(error)) => match error {
            TransportError::Unreachable { .. } => Remedy::Reconnect,
            TransportError::Busy { .. } | TransportError::Closed { .. } => Remedy::AskAgain,
            TransportError::Auth { .. }
            | TransportError::UnknownHostKey { .. }
            | TransportError::ChangedHostKey { .. }
            | TransportError::Config { .. } => Remedy::Stop,
        },
        // A broken reply alone says nothing about the connection.
        Error::Remote(RemoteError::Cut { .. } | RemoteError::Rootless { .. }) => Remedy::AskAgain,
        _ => Remedy::Stop,
    }
}

fn list(refused: &[RefusedRef]) -> String {
    refused.iter().map(RefusedRef::to_string).collect::<Vec<_>>().join(", ")
}

fn lines(conflicts: &[Conflict]) -> String {
    conflicts.iter().map(|conflict| format!("\n  {} {}", conflict.path, conflict.why)).collect()
}

/// The first names, and how many more there are.
fn few(names: &[String]) -> String {
    match names {
        [first, second, third, rest @ ..] if !rest.is_empty() => {
            format!("{first}, {second}, {third} and {} more", rest.len())
        }
        names => names.join(", "),
    }
}

fn last_tick(beat: &Option<u64>) -> String {
    beat.map_or(String::new(), |beat| format!(" (last sign of life {beat} s ago)"))
}
