//! Writes the record as files in the repository, for people and agents.

pub mod artifacts;
pub mod directory;
pub mod document;
pub mod files;
pub mod hand_made;
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
    /// A link, a pipe or the like, or a file with a second name, which another program may change.
    #[error("{} is not a regular file of its own, so it is not read; put a copy in its place", .0.display())]
    NotAFile(PathBuf),
    /// More than is read at once.
    #[error("{} has {bytes} bytes, more than the {most} that are taken over; shorten it, or move it away", path.display())]
    TooLarge { path: PathBuf, bytes: u64, most: u64 },
    /// A file was written while it was copied.
    #[error("{} changed while it was copied: something still writes it", .0.display())]
    Changed(PathBuf),
}

impl Error {
    fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Error::Io { verb, path, source }
    }
}
