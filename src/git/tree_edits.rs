//! Changes of a tree by path, and the paths that cannot be changed.

use std::collections::BTreeMap;

/// An entry of a tree that is no directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct Entry {
    pub mode: String,
    pub object: String,
}

impl Entry {
    /// Whether it is a file, executable or not.
    pub(in crate::git) fn is_file(&self) -> bool {
        self.mode.starts_with("100")
    }
}

/// What the merge changes in a tree, by path; `None` removes the path.
pub(in crate::git) type Edits = BTreeMap<Vec<u8>, Option<Entry>>;

/// A path that cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Relative to the top. Invalid UTF-8 is replaced.
    pub path: String,
    pub why: &'static str,
}

impl Conflict {
    pub(in crate::git) fn new(path: &[u8], why: &'static str) -> Self {
        Self { path: String::from_utf8_lossy(path).into_owned(), why }
    }
}

/// The directories above a path, from the nearest.
pub(in crate::git) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().rev().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(at, _)| &path[..at])
}
