//! Runs a command on a host and moves its bytes, whatever the kind of connection.

pub mod connect;
pub mod counters;
#[cfg(test)]
mod fixture;
pub mod openssh;
pub mod process;
mod session_limit;
pub mod ssh;

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;

pub use connect::connect;
pub use counters::{Count, Counters};

/// Maximum number of open channels on one connection (the default of sshd's MaxSessions is 10).
pub const MAX_CHANNELS: usize = 6;

/// An open connection to one host. Dropping it closes the connection, but ends no command on the host.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Starts a command in the host's login shell, without a pty and without agent forwarding.
    ///
    /// `command` is a constant of this program and never contains the user's text. If the server limits the number of
    /// commands, this waits until another one has ended.
    async fn exec(&self, command: &str) -> Result<Exec, TransportError>;

    /// How many commands may run at once: fewer than [`MAX_CHANNELS`] after the server has refused one.
    fn at_once(&self) -> usize {
        MAX_CHANNELS
    }
}

/// The result of [`connect()`].
pub struct Connected {
    pub transport: Arc<dyn Transport>,
    /// Notes for the user: another kind of connection than the configured one was used, and why.
    pub notes: Vec<String>,
    /// Counts of this connection's network operations so far.
    pub counters: Arc<Counters>,
}

/// How to connect, apart from the host itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The system's client; the default is `ssh` on PATH.
    pub ssh_binary: Option<PathBuf>,
    /// Passed to every `ssh` as `-F`; the default is the variable `HANDOFF_SSH_CONFIG`.
    pub ssh_config: Option<PathBuf>,
    /// The only known_hosts file to read and to append to, instead of those in the configuration.
    pub known_hosts: Option<PathBuf>,
    /// Whether the system's `ssh` may prompt on the terminal. Our own SSH asks through the [`Prompter`].
    pub interactive: bool,
    /// Passphrases and passwords that were accepted. Use one value for the life of the program, so that a reconnection
    /// does not ask again.
    pub answers: ssh::auth::Answers,
    /// The file with the key that each server accepted last. `None`: the keys keep the order of the configuration.
    pub last_keys: Option<PathBuf>,
    /// Host keys that were accepted in this process.
    pub accepted: ssh::known_hosts::accepted::Accepted,
    /// Whether the system's `ssh` must not use an SSH agent, because the configured one does not answer.
    pub no_agent: bool,
}

/// A command that runs on a host.
pub struct Exec {
    /// Input for the command's stdin. Dropping the sender ends the input; sending fails after the command has ended.
    pub stdin: mpsc::Sender<Bytes>,
    /// Output of the command, ending with exactly one [`Output::Exit`] or [`Output::Severed`].
    pub output: mpsc::UnboundedReceiver<Output>,
}

/// A piece of output. If it ends with neither an exit nor a severed connection, the server never started the command,
/// and the connection is still usable.
#[derive(Debug)]
pub enum Output {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The host reported how the command ended.
    Exit(Exit),
    /// The connection was lost first, so the command's state is unknown. This is never an exit code.
    Severed(TransportError),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(u32),
    Signal(String),
}

/// An error of a connection to a host. The variant says who must act and whether a retry may help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// No answer, or the connection was lost. May be retried.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String, kind: UnreachableKind },
    /// The server does not accept the login. Never retried.
    #[error("{host} refused the login as {user}: {reason}")]
    Auth { host: String, user: String, reason: String },
    /// No known_hosts file has this host's key. `fingerprint` is OpenSSH's `SHA256:…`.
    #[error("the host key of {host} is not known ({algorithm} {fingerprint})")]
    UnknownHostKey { host: String, algorithm: String, fingerprint: String, why: WhyUnknown },
    /// The key differs from the recorded one, or is revoked. Never retried; nothing was sent.
    #[error("the host key of {host} has CHANGED: {reason}")]
    ChangedHostKey { host: String, reason: String, listed: Option<Listed> },
    /// The user's configuration cannot be honoured.
    #[error("{host}: {reason}")]
    Config { host: String, reason: String },
    /// The server does not open another channel now. May be retried.
    #[error("{host} refuses another session: {reason}")]
    Busy { host: String, reason: String },
    /// The server closed one command's channel, and the connection still works. May be retried on it.
    #[error("{host} closed the channel before the command ended")]
    Closed { host: String },
}

/// Where a known_hosts file has another key for a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub file: String,
    /// The host's name there: `[host]:port` for a port other than 22.
    pub name: String,
}

/// Why an unknown key was not accepted. The hint depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyUnknown {
    /// No user was present, or the answer was no.
    Unanswered,
    /// The configuration forbids the question (`StrictHostKeyChecking yes`).
    Strict,
    /// The configuration forbids the question and stores no keys (`UserKnownHostsFile` is `/dev/null` or `none`).
    NotKept,
}

/// Why a host is unreachable, which decides how long handoff waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableKind {
    /// Its name has no address; usually a typing mistake.
    Nameless,
    /// The machine answers, and the port is closed.
    Refused,
    /// The server closed the connection before its banner: too many logins at once, or a penalty for our address.
    TurnedAway,
    /// No answer, or a lost connection, for any reason.
    Lost,
}

/// Why a server may close a connection before its banner.
pub(crate) const TURNED_AWAY: &str =
    "too many logins at once (MaxStartups), a ban of this address, or a cut connection";

impl TransportError {
    /// The error of a connection that was lost or never made.
    pub fn lost(host: &str, reason: impl Into<String>) -> Self {
        TransportError::Unreachable { host: host.to_owned(), reason: reason.into(), kind: UnreachableKind::Lost }
    }
}

/// Asks the user. The screen implements it; without a terminal there is no answer.
pub trait Prompter: Send + Sync {
    /// A passphrase, password or one-time code, without echo unless `echo`. `None` if no user is present.
    fn secret(&self, prompt: &str, echo: bool) -> Option<secrecy::SecretString>;
    /// Yes or no. `None` if no user is present.
    fn confirm(&self, prompt: &str) -> Option<bool>;
}

/// A prompter that never answers, for use without a terminal.
pub struct NonInteractive;

impl Prompter for NonInteractive {
    fn secret(&self, _: &str, _: bool) -> Option<secrecy::SecretString> {
        None
    }

    fn confirm(&self, _: &str) -> Option<bool> {
        None
    }
}
