//! The laptop's git, run as a process: snapshots, transfers and takeovers. Only this layer starts `git`.
//!
//! git never runs here in a repository whose `.git` an agent could write. Work from a host arrives as objects over
//! git's own wire protocol.

pub mod artifacts;
pub mod attached;
pub mod attributes;
mod background;
mod boundary;
mod by_hand;
pub mod cache_key;
pub mod capture;
mod clean_state;
pub mod command;
pub mod companions;
pub mod config;
pub mod diff;
mod directories;
pub mod final_work;
pub mod forge;
mod index_stamp;
pub mod lfs;
pub mod merge_here;
pub mod pack_file;
pub mod pager;
pub mod partial_clone;
pub mod push;
pub mod quarantine;
pub mod record;
pub mod refs;
pub mod repository;
pub mod ship_facts;
pub mod snapshot;
pub mod takeover_worktree;
pub mod transfer;
mod tree_edits;
pub mod undo;
mod unfiltered;
pub mod unfinished_operation;
pub mod unique_refs;
pub mod without_record;
pub mod worktrees;

#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod testing;

use std::path::Path;

pub use repository::Repository;

/// An error of git. The variant says who must act.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The user's repository cannot be used for this; `hint` is a command or an action that helps.
    #[error("{what}")]
    Unfit { what: String, hint: String },
    /// Objects that a host needs are only on the remote of a partial clone, and did not come from there. `hint` is a
    /// command that fetches them.
    #[error("this partial clone lacks {} that it needs now, and {remote} did not send {}: {why}", counted(*objects), if *objects == 1 { "it" } else { "them" })]
    OnlyOnRemote { objects: u64, remote: String, why: String, hint: String },
    /// git is missing or older than [`command::MINIMUM`].
    #[error("{what}")]
    NoGit { what: String },
    /// A git command failed; `stderr` is everything that it printed.
    #[error("git {command} failed ({status}): {}", stderr.trim_end())]
    Failed { command: String, status: String, stderr: String },
    /// A tool of a forge failed; `said` is the start of what it printed.
    #[error("{tool} failed ({status}): {said}")]
    Tool { tool: &'static str, status: String, said: String },
    /// Data from a host is invalid. None of it was used.
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

    /// What the user can do, if known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Unfit { hint, .. } | Self::OnlyOnRemote { hint, .. } => Some(hint),
            Self::NoGit { .. } => Some("install a newer git and put it on PATH"),
            _ => None,
        }
    }
}

/// A number of objects, for people.
fn counted(objects: u64) -> String {
    if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") }
}

/// The result type of this layer.
pub type Result<T> = std::result::Result<T, Error>;
