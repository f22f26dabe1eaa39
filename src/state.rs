//! The record on the laptop: journals, logs and locks. Everything is below `<git common dir>/handoff/<id>/`.

pub mod chat;
pub mod cksum;
pub mod index;
pub mod journal;
pub mod lock;
pub mod log_mirror;
pub mod log_reader;
pub mod store;

use std::path::{Path, PathBuf};

use crate::model::id::HandoffId;
use crate::model::not_applied::Refused;

/// An error of a record on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be read or written. Its old contents are unchanged.
    #[error("could not {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// The event no longer applies; nothing was written.
    #[error("{id}: {refused}")]
    Refused { id: String, refused: Refused },
    #[error("{}:{line}: {reason}", path.display())]
    Broken { path: PathBuf, line: usize, reason: String },
    #[error("{0} already exists")]
    Exists(HandoffId),
    #[error("no handoff is called {name:?}{}", .nearest.as_ref().map_or_else(String::new, |near| format!(" (did you mean {near}?)")))]
    Unknown { name: String, nearest: Option<String> },
    #[error("{name:?} is ambiguous; it matches {}", .candidates.join(", "))]
    Ambiguous { name: String, candidates: Vec<String> },
    /// The bytes do not continue those that are here.
    #[error("{}: the host sent bytes from offset {offset}, but the file has only {length}", path.display())]
    Gap { path: PathBuf, offset: u64, length: u64 },
}

impl Error {
    /// Whether an event was refused because its content is already so, or is no longer possible.
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Refused { refused: Refused::Stale(_), .. })
    }

    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    }
}
