//! Writes the record as files in the repository, for people and agents.

pub mod directory;
pub mod document;
pub mod files;
pub mod page;
pub mod place;
pub mod pointers;
pub mod removal;

use std::path::{Path, PathBuf};

pub use crate::git::record::RECORD;

/// Why the readable files could not be updated. The record itself is stored elsewhere and intact.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// Writing would follow a link out of the worktree.
    #[error("{} is a symbolic link; the record is never written through one", .0.display())]
    Symlink(PathBuf),
    /// Something that is not a directory is in the way.
    #[error("{} is not a directory, so the record cannot be written there", .0.display())]
    NoDirectory(PathBuf),
}

impl Error {
    fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    }
}
