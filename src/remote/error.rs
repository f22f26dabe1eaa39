//! What can go wrong between a verb and its answer.

use crate::transport::TransportError;

/// The class of a refusal because another machine that shares the directory owns the attempt.
pub const OTHER_NODE: &str = "other-node";

/// The class of a refusal because the root directory is not there.
pub const ROOTLESS: &str = "unmounted";
/// The class of a refusal because the root directory is another one than the laptop knows.
pub const OTHER_ROOT: &str = "instance";
/// The class of a refusal to start an attempt that was begun before.
pub const BEGUN: &str = "begun";

/// A verb had no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// The way there failed; whether the verb was carried out is unknown, and it may be sent again.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The exec ended without the end of a frame.
    #[error("{host} broke off its answer to `{verb}`{}", said(.noise))]
    Cut { host: String, verb: &'static str, noise: String },
    /// The answer is not in our language.
    #[error("{host} answered `{verb}` with {what}")]
    Garbled { host: String, verb: &'static str, what: String },
    /// The runner understood and refused.
    #[error("{host}: {text}")]
    Refused { host: String, class: String, text: String },
    /// The host answers, and the directory that has everything of ours is not there. It may come back.
    #[error("{host} has no {root}: it was deleted, or its file system is not mounted")]
    Rootless { host: String, root: String },
    /// The runner could not be put on the host.
    #[error("{host} did not keep the runner script: {reason}")]
    NotInstalled { host: String, reason: String },
    /// The socket of the bridge could not be made.
    #[error("could not make the socket that joins git to the connection: {0}")]
    Bridge(#[source] std::io::Error),
    /// The file of a large transfer could not be read or written on this machine.
    #[error("could not read or write the file of a large transfer here: {0}")]
    Pack(#[source] std::io::Error),
}

impl RemoteError {
    /// Whether the runner refused for a reason of this class.
    pub fn is_refused(&self, class: &str) -> bool {
        matches!(self, RemoteError::Refused { class: told, .. } if told == class)
    }

    /// Whether the host is there and has no session to spare.
    pub fn is_busy(&self) -> bool {
        matches!(self, RemoteError::Transport(TransportError::Busy { .. }))
    }
}

fn said(noise: &str) -> String {
    if noise.is_empty() { String::new() } else { format!("; it said: {noise}") }
}
