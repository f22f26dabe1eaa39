//! The record → files in the repository: what people and agents read.

mod directory;
pub mod document;
pub mod files;
pub mod page;
pub mod place;

use std::path::{Path, PathBuf};

pub use crate::git::record::RECORD;

/// Why the readable files could not be brought up to date; the truth is elsewhere and unharmed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("could not {verb} {}: {source}", path.display())]
    Io { verb: &'static str, path: PathBuf, source: std::io::Error },
    /// Writing would leave the worktree.
    #[error("{} is a symbolic link: the record is not written through it", .0.display())]
    Symlink(PathBuf),
    /// The same where a file stands in the way.
    #[error("{} is no directory: the record cannot be written there", .0.display())]
    NoDirectory(PathBuf),
}

impl Error {
    fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    }
}
