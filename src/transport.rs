//! Bytes in, bytes out: a command on a host, whatever the way there.

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

/// Largest number of channels open at once on one connection (MaxSessions is 10 by default).
pub const MAX_CHANNELS: usize = 6;

/// An open way to one host. Dropping it closes the connection; no command on the host ends by that.
#[async_trait::async_trait]
pub trait Transport: Send + Sync {
    /// Starts a command under the login shell of the host. No pty, no agent forwarding.
    ///
    /// `command` is a constant of this program: nothing of a user's may be in it.
    /// Where the server runs only so many at once, this waits until another has ended.
    async fn exec(&self, command: &str) -> Result<Exec, TransportError>;

    /// How many commands run at once: fewer than [`MAX_CHANNELS`] once the server has refused one.
    fn at_once(&self) -> usize {
        MAX_CHANNELS
    }
}

/// What [`connect()`] gives.
pub struct Connected {
    pub transport: Arc<dyn Transport>,
    /// What the user should be told: another way than the one configured was taken, and why.
    pub notes: Vec<String>,
    /// What this connection has cost so far.
    pub counters: Arc<Counters>,
}

/// How to connect, apart from the host itself.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The system's client; `ssh` on PATH unless set.
    pub ssh_binary: Option<PathBuf>,
    /// Given to every `ssh` as `-F`; the variable `HANDOFF_SSH_CONFIG` unless set.
    pub ssh_config: Option<PathBuf>,
    /// The only known_hosts file to read and to append to, instead of what the configuration names.
    pub known_hosts: Option<PathBuf>,
    /// Whether the system's `ssh` may ask on the terminal. Our own SSH asks through the [`Prompter`].
    pub interactive: bool,
    /// Passphrases and passwords that were right once. Keep one for the life of the program, and a reconnection does
    /// not ask again.
    pub answers: ssh::auth::Answers,
    /// Host keys that were accepted in this process.
    pub accepted: ssh::known_hosts::accepted::Accepted,
    /// The system's `ssh` is to ask no agent: the configured one does not answer.
    pub no_agent: bool,
}

/// A command that runs on a host.
pub struct Exec {
    /// Bytes for its stdin; dropping the sender ends the input. Sending fails once the command is gone.
    pub stdin: mpsc::Sender<Bytes>,
    /// What comes back, ending in exactly one [`Output::Exit`] or [`Output::Severed`].
    pub output: mpsc::UnboundedReceiver<Output>,
}

/// A piece of what comes back. Where neither an exit nor a severed connection ends it, the server never began the
/// command, and the connection goes on.
#[derive(Debug)]
pub enum Output {
    Stdout(Bytes),
    Stderr(Bytes),
    /// The host said how the command ended.
    Exit(Exit),
    /// The connection went away first: nothing is known of the command. Never an exit code.
    Severed(TransportError),
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    Code(u32),
    Signal(String),
}

/// What went wrong between here and a host. The variant says who must act and whether a retry may help.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TransportError {
    /// Nothing answered, or the connection went away: may be tried again.
    #[error("cannot reach {host}: {reason}")]
    Unreachable { host: String, reason: String, kind: UnreachableKind },
    /// The server knows us not. Never retried.
    #[error("{host} refused the login as {user}: {reason}")]
    Auth { host: String, user: String, reason: String },
    /// No known_hosts file has this host's key. `fingerprint` is OpenSSH's `SHA256:…`.
    #[error("the host key of {host} is not known ({algorithm} {fingerprint})")]
    UnknownHostKey { host: String, algorithm: String, fingerprint: String, why: WhyUnknown },
    /// The key differs from the recorded one, or is revoked. Never retried, nothing was sent.
    #[error("the host key of {host} has CHANGED: {reason}")]
    ChangedHostKey { host: String, reason: String, listed: Option<Listed> },
    /// The user's configuration cannot be honoured.
    #[error("{host}: {reason}")]
    Config { host: String, reason: String },
    /// The server would not open another channel now; may be tried again.
    #[error("{host} refuses another session: {reason}")]
    Busy { host: String, reason: String },
    /// The server closed one command's channel, and the connection stands: may be tried again on it.
    #[error("{host} closed the channel before the command ended")]
    Closed { host: String },
}

/// Where a known_hosts file has another key of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub file: String,
    /// The host's name there: `[host]:port` for another port than 22.
    pub name: String,
}

/// Why a key that no file has was not accepted: what helps depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhyUnknown {
    /// Nobody was there to answer, or the answer was no.
    Unanswered,
    /// The configuration forbids the question (`StrictHostKeyChecking yes`).
    Strict,
    /// The same, and the configuration keeps no keys (`UserKnownHostsFile` is `/dev/null` or `none`).
    NotKept,
}

/// How a host is out of reach: what is known of it decides how long a person waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnreachableKind {
    /// Its name has no address: most often a typing mistake.
    Nameless,
    /// The machine answers, and nobody listens there.
    Refused,
    /// The server hung up before its greeting: too many logins at once, or our address has a penalty.
    TurnedAway,
    /// Silence, or a connection that was cut: anything may be behind it.
    Lost,
}

/// Why a server may hang up before its banner.
pub(crate) const TURNED_AWAY: &str =
    "too many logins at once (MaxStartups), a ban of this address, or a cut connection";

impl TransportError {
    /// A connection that is gone, or was never there.
    pub fn lost(host: &str, reason: impl Into<String>) -> Self {
        TransportError::Unreachable { host: host.to_owned(), reason: reason.into(), kind: UnreachableKind::Lost }
    }
}

/// Questions only a person can answer; the screen answers them, or nobody when there is no terminal.
pub trait Prompter: Send + Sync {
    /// A passphrase, password or one-time code, without echo unless `echo`. `None`: nobody is there.
    fn secret(&self, prompt: &str, echo: bool) -> Option<secrecy::SecretString>;
    /// Yes or no. `None`: nobody is there.
    fn confirm(&self, prompt: &str) -> Option<bool>;
}

/// A prompter for when there is no terminal.
pub struct NonInteractive;

impl Prompter for NonInteractive {
    fn secret(&self, _: &str, _: bool) -> Option<secrecy::SecretString> {
        None
    }

    fn confirm(&self, _: &str) -> Option<bool> {
        None
    }
}
