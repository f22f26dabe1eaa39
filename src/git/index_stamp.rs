//! Whether an index file changed between two moments.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Inode, length and modification time of an index file. git replaces the file for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct IndexStamp {
    inode: u64,
    length: u64,
    modified: (i64, i64),
}

impl IndexStamp {
    /// `None`: the file does not exist.
    pub fn read(index: &Path) -> Option<Self> {
        let meta = index.metadata().ok()?;
        Some(Self { inode: meta.ino(), length: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) })
    }
}
