//! The laptop's git, run as a process: snapshots, transfers, landing. The only place that starts `git`.
//!
//! git is never run here in a repository whose `.git` an agent could write; what comes from a host comes as objects,
//! over git's own wire protocol.

pub mod attributes;
pub mod cache_key;
pub mod capture;
pub mod command;
pub mod config;
pub mod diff;
pub mod pack_file;
pub mod quarantine;
pub mod record;
pub mod refs;
pub mod repository;
pub mod ship_facts;
pub mod snapshot;
pub mod takeover_worktree;
pub mod transfer;
pub mod without_record;
pub mod worktrees;

#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod testing;

use std::path::Path;

pub use repository::Repository;

/// What went wrong with git. The variant says who must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's repository is not fit for this; `hint` is the command or deed that helps.
    #[error("{what}")]
    Unfit { what: String, hint: String },
    /// git is missing or older than [`command::MINIMUM`].
    #[error("{what}")]
    NoGit { what: String },
    /// A git command failed; `stderr` is all it said.
    #[error("git {command} failed ({status}): {}", stderr.trim_end())]
    Failed { command: String, status: String, stderr: String },
    /// What came from a host is not what it must be. Nothing of it was used.
    #[error("{what}")]
    Untrusted { what: String },
    /// A file of this machine could not be read or written.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
}

impl Error {
    pub(crate) fn unfit(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Unfit { what: what.into(), hint: hint.into() }
    }

    pub(crate) fn untrusted(what: impl Into<String>) -> Self {
        Self::Untrusted { what: what.into() }
    }

    /// For `map_err`: what was done to which path.
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let what = format!("could not {verb} {}", path.display());
        move |source| Self::Io { what, source }
    }

    /// What the user can do, where it is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unfit { hint, .. } => Some(hint),
            Self::NoGit { .. } => Some("install a newer git and put it on PATH"),
            _ => None,
        }
    }
}

/// What every function of this layer returns.
pub type Result<T> = std::result::Result<T, Error>;
