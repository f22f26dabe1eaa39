//! Why the engine could not do what it was asked.

use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::refusal::RefusedRef;
use crate::remote::error::RemoteError;
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
    /// The work would return to a host that has not confirmed that it moved elsewhere.
    #[error("{id} cannot return to {host}: that host has not confirmed yet that the handoff moved away")]
    Untold { id: HandoffId, host: String },
    /// Another machine that shares the host's directory started the attempt, and it shows no sign of life.
    #[error("attempt {attempt} was started by another machine that shares the directory of {host}; only that machine can tell whether it is still running{}. The request to stop is recorded there", last_tick(.beat))]
    Elsewhere { id: HandoffId, host: String, attempt: AttemptNo, beat: Option<u64> },
    /// git refused the work of an attempt. Its host keeps the work.
    #[error("git refused the work of attempt {attempt}: {}; {host} keeps it", list(.refused))]
    Refused { id: HandoffId, host: String, attempt: AttemptNo, refused: Vec<RefusedRef> },
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
            Error::Remote(RemoteError::Rootless { root, .. }) => {
                format!("it has no {root}: deleted, or its file system is not mounted")
            }
            other => other.to_string(),
        }
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

fn last_tick(beat: &Option<u64>) -> String {
    beat.map_or(String::new(), |beat| format!(" (last sign of life {beat} s ago)"))
}
