//! A change of a checkout as it is written down before it begins: what was there, and what will be there.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use rustix::fs::FileType;
use serde::{Deserialize, Serialize};

use super::checkout::Checkout;
use super::path_state::{Path, State};
use crate::git::tree_edits::ancestors;
use crate::model::snapshot::Head;

/// The contents of `plan.json`.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Plan {
    /// Version of this format. Another one is not touched.
    pub v: u32,
    /// Number of the change in its handoff, from 1.
    pub number: u32,
    /// git's name of the worktree; empty for the main one.
    pub worktree: String,
    /// What was checked out.
    pub head: Head,
    /// Whether the index changes, too.
    pub index: bool,
    pub files: Vec<Change>,
    /// The directories that existed above or at these files, with their modes.
    pub directories: Directories,
}

/// Directories with their modes.
pub(super) type Directories = BTreeMap<Path, u32>;

/// The [`Plan::v`] of this program.
pub(super) const FORMAT: u32 = 1;

/// One file that changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Change {
    pub path: Path,
    pub before: State,
    pub after: State,
}

/// The paths where something that does not belong to the change is in the way. `changes` has each path with whether a
/// file will be there. Also returns the directories that are in the place of a file and have to go.
pub(super) fn in_the_way<'a>(
    checkout: &Checkout,
    changes: impl Iterator<Item = (&'a [u8], bool)> + Clone,
) -> io::Result<(Vec<Vec<u8>>, Directories)> {
    let removed: BTreeSet<&[u8]> = changes.clone().filter(|(_, stays)| !stays).map(|(path, _)| path).collect();
    let (mut blocked, mut directories) = (Vec::new(), Directories::new());
    for (path, _) in changes.filter(|(_, stays)| *stays) {
        let is_free = below(checkout, path, &removed, &mut directories)? && above(checkout, path, &removed)?;
        if !is_free {
            blocked.push(path.to_vec());
        }
    }
    Ok((blocked, directories))
}

/// Whether a directory in the place of a file has only files that the change removes.
fn below(
    checkout: &Checkout,
    path: &[u8],
    removed: &BTreeSet<&[u8]>,
    directories: &mut Directories,
) -> io::Result<bool> {
    let Some(mode) = checkout.directory_mode(path)? else { return Ok(true) };
    directories.insert(Path(path.to_vec()), mode);
    for entry in checkout.entries(path)? {
        let is_directory = checkout.kind(&entry)? == Some(FileType::Directory);
        let goes = if is_directory {
            below(checkout, &entry, removed, directories)?
        } else {
            removed.contains(entry.as_slice())
        };
        if !goes {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether everything above a path is a directory of this repository, or goes.
fn above(checkout: &Checkout, path: &[u8], removed: &BTreeSet<&[u8]>) -> io::Result<bool> {
    for above in ancestors(path) {
        match checkout.kind(above)? {
            Some(FileType::Directory) if checkout.kind(&[above, b"/.git"].concat())?.is_none() => {}
            None => {}
            Some(FileType::Directory) => return Ok(false),
            Some(_) if removed.contains(above) => {}
            Some(_) => return Ok(false),
        }
    }
    Ok(true)
}
