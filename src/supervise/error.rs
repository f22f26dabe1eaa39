//! What can keep the engine from doing what it was asked.

use crate::model::id::HandoffId;
use crate::remote::error::RemoteError;
use crate::transport::TransportError;

/// Class first: who must act.
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
    /// A profile whose arguments cannot be written down.
    #[error("the profile of {agent}: {source}")]
    Profile { agent: String, source: crate::agent::command::CommandError },
    #[error(transparent)]
    Mirror(#[from] crate::mirror::Error),
    #[error(transparent)]
    Transport(#[from] TransportError),
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The same task runs already in this repository.
    #[error("{id} is already at this task ({status})")]
    Equivalent { id: HandoffId, status: &'static str },
    /// The handoff is recorded, and its launch failed for good: what the record says can be sent again.
    #[error("{source}")]
    Begun { id: HandoffId, host: String, source: Box<Error> },
    /// The handoff's state does not allow what was asked.
    #[error("{id} {why}")]
    NotNow { id: HandoffId, why: String },
    /// Another process drives it.
    #[error("{id} is driven by another process{holder}")]
    Driven { id: HandoffId, holder: String },
    #[error("could not read {path}: {source}")]
    Read { path: String, source: std::io::Error },
    /// A task of ours ended in a panic.
    #[error("an inner task failed: {0}")]
    Inner(String),
}

impl Error {
    /// Whether the link loop may go on.
    pub fn may_retry(&self) -> bool {
        match self {
            Error::Transport(error) => error.may_retry(),
            Error::Remote(error) => error.may_retry(),
            _ => false,
        }
    }

    /// Whether the connection is of no further use.
    pub fn is_severed(&self) -> bool {
        match self {
            Error::Transport(error) => error.is_severed(),
            Error::Remote(error) => error.is_severed(),
            _ => false,
        }
    }

    /// Whether the host is there and has no session to spare.
    pub fn is_busy(&self) -> bool {
        match self {
            Error::Transport(error) => matches!(error, TransportError::Busy { .. }),
            Error::Remote(error) => error.is_busy(),
            _ => false,
        }
    }
}
