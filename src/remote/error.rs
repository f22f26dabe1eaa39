//! The errors of a verb's call.

use super::refusal::RefusalClass;
use crate::model::snapshot::Oid;
use crate::transport::TransportError;

/// A call of a verb without a usable answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The connection failed. The verb may or may not have run; it may be sent again.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The command ended before its frame was complete.
    #[error("the reply of {host} to `{verb}` is incomplete{}", said(.noise))]
    Cut { host: String, verb: &'static str, noise: String },
    /// The answer does not follow the protocol.
    #[error("the reply of {host} to `{verb}` is invalid: {what}")]
    Garbled { host: String, verb: &'static str, what: String },
    /// The runner refused the request.
    #[error("{host}: {text}")]
    Refused { host: String, class: RefusalClass, text: String },
    /// The host can use nothing of a push: the pack is damaged, or builds on objects that the host lacks. A pack that
    /// builds on `tips` may be accepted.
    #[error("{host}: {text}")]
    PackRefused { host: String, text: String, tips: Vec<Oid> },
    /// The host answers, but the root directory, which contains every handoff, does not exist. It may come back.
    /// `left` are the checkouts of which something is left, if it was deleted and not all of it could be.
    #[error("{host} has no {root}: it was deleted, or its file system is not mounted{}", left_of(.left))]
    Rootless { host: String, root: String, left: Vec<String> },
    /// The runner could not be installed on the host.
    #[error("could not install the runner script on {host}: {reason}")]
    NotInstalled { host: String, reason: String },
    /// The file of a transfer could not be read or written on this machine.
    #[error("could not read or write the local transfer file: {0}")]
    Pack(#[source] std::io::Error),
}

impl RemoteError {
    /// Whether the runner refused for a reason of this class.
    pub fn is_refused(&self, class: &RefusalClass) -> bool {
        matches!(self, RemoteError::Refused { class: told, .. } if told == class)
    }

    /// Whether the host is reachable and accepts no further session.
    pub fn is_busy(&self) -> bool {
        matches!(self, RemoteError::Transport(TransportError::Busy { .. }))
    }
}

/// What is left of a deleted root, after a description of what is missing.
pub fn left_of(left: &[String]) -> String {
    if left.is_empty() { String::new() } else { format!(" (left of it: {})", left.join(", ")) }
}

fn said(noise: &str) -> String {
    if noise.is_empty() { String::new() } else { format!("; it said: {noise}") }
}
