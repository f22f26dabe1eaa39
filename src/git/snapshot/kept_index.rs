//! The index that is kept between snapshots, so that files whose times changed are hashed once and not at each run.
//!
//! It has the entries and flags of the user's index, with newer data about the files. Only git writes and reads it, so
//! git's own rules decide which file is read again, also after an edit in the second of the last snapshot. Its name has
//! a hash of the user's index and one of its own bytes, so that a damaged one is ignored.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::hidden_edits::Flags;
use super::scratch::{Entries, Scratch, copy_with_time, parse_entry};
use crate::git::index_stamp::IndexStamp;
use crate::git::{Error, Repository, Result};

/// Starts with a dot, which no handoff's id does.
const PREFIX: &str = ".index-";
/// With at most this number of changed files, an index of the user's that is new is used as it is.
const FEW: usize = 100;

/// What one snapshot knows about the kept index of its work tree.
pub(super) struct KeptIndex {
    /// `<git dir>/handoff`: each work tree has its own, and git removes it with the work tree.
    home: PathBuf,
    /// Hash of the user's index; `None` without one.
    user: Option<String>,
    /// State of the index of files at the start, if its entries are exactly the user's.
    start: Option<IndexStamp>,
    /// Whether the snapshot started from the kept index.
    used: bool,
}

impl KeptIndex {
    /// `copy` is an exact copy of the user's index.
    pub(super) fn new(repo: &Repository, copy: &Path) -> Self {
        let user = std::fs::read(copy).ok().map(|bytes| hash(&bytes));
        Self { home: home(repo), user, start: None, used: false }
    }

    /// Makes the index of files: a copy of the kept index if that knows more files, else of the user's. `staged` has
    /// the entries of the user's index.
    pub(super) fn start(&mut self, scratch: &Scratch, staged: &Entries) -> Result<()> {
        self.used = self.start_from_kept(scratch, staged)?;
        if !self.used {
            scratch.copy_staged_to_files()?;
            self.start = IndexStamp::read(scratch.files());
        }
        Ok(())
    }

    fn start_from_kept(&mut self, scratch: &Scratch, staged: &Entries) -> Result<bool> {
        let Some(user) = &self.user else { return Ok(false) };
        let mut kept = list(&self.home);
        // The one that was made for the user's index comes first.
        kept.sort_by_key(|(_, of, _)| of != user);
        let Some((path, of, own)) = kept.first() else { return Ok(false) };
        if of == user {
            let usable = copy_if_whole(path, own, scratch.files())?;
            self.start = IndexStamp::read(scratch.files());
            return Ok(usable);
        }
        let changed = scratch.changed_files(scratch.staged())?;
        if changed <= FEW || !copy_if_whole(path, own, scratch.files())? {
            return Ok(false);
        }
        // A flag of an entry cannot be told by its object, so an index with flags is only used as it is.
        let without_flags = plain_entries(scratch, scratch.staged())?.and(plain_entries(scratch, scratch.files())?);
        let edits = without_flags.map(|entries| scratch.edits(&entries, staged));
        match edits {
            Some((count, input)) if count < changed => scratch.update(scratch.files(), input).map(|()| true),
            _ => std::fs::remove_file(scratch.files()).map_err(Error::io("remove", scratch.files())).map(|()| false),
        }
    }

    /// Keeps the index of files with the entries and flags of the user's index for the next snapshot. A failure is
    /// ignored, because it only costs time.
    pub(super) fn keep(&self, scratch: &Scratch, staged: &Entries, files: &Entries, flags: &Flags) {
        let Some(user) = &self.user else { return };
        if self.start.is_none() || self.start != IndexStamp::read(scratch.files()) {
            let _ = self.write(user, scratch, staged, files, flags);
        } else if !self.used {
            // The user's index has no outdated data.
            remove_all_but(&self.home, None);
        }
    }

    fn write(&self, user: &str, scratch: &Scratch, staged: &Entries, files: &Entries, flags: &Flags) -> Result<()> {
        let new = scratch.place("kept");
        copy_with_time(scratch.files(), &new)?;
        scratch.update(&new, scratch.edits(files, staged).1)?;
        flags.set(scratch, &new)?;
        let bytes = std::fs::read(&new).map_err(Error::io("read", &new))?;
        std::fs::create_dir_all(&self.home).map_err(Error::io("make", &self.home))?;
        let path = self.home.join(format!("{PREFIX}{user}-{}", hash(&bytes)));
        std::fs::rename(&new, &path).map_err(Error::io("write", &path))?;
        remove_all_but(&self.home, Some(&path));
        Ok(())
    }
}

/// Removes the kept index of a work tree. Returns whether there was one.
pub(super) fn forget(repo: &Repository) -> bool {
    let home = home(repo);
    let any = !list(&home).is_empty();
    remove_all_but(&home, None);
    any
}

fn home(repo: &Repository) -> PathBuf {
    repo.git_dir().join("handoff")
}

/// Path of each kept index, with the hash of the user's index that it was made for and the hash of its own bytes.
fn list(home: &Path) -> Vec<(PathBuf, String, String)> {
    let entries = home.read_dir().into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let named = files.filter_map(|entry| {
        let name = entry.file_name();
        let (user, own) = name.to_str()?.strip_prefix(PREFIX)?.split_once('-')?;
        Some((entry.path(), user.to_owned(), own.to_owned()))
    });
    named.collect()
}

fn remove_all_but(home: &Path, newest: Option<&Path>) {
    for (path, ..) in list(home).into_iter().filter(|(path, ..)| Some(path.as_path()) != newest) {
        let _ = std::fs::remove_file(path);
    }
}

/// Copies a kept index unless it is damaged or was removed by another snapshot.
fn copy_if_whole(from: &Path, own: &str, to: &Path) -> Result<bool> {
    copy_with_time(from, to)?;
    match std::fs::read(to) {
        Ok(bytes) if hash(&bytes) == own => Ok(true),
        Ok(_) => std::fs::remove_file(to).map_err(Error::io("remove", to)).map(|()| false),
        Err(_) => Ok(false),
    }
}

/// The entries of an index; `None` if one has a flag, or a conflict.
fn plain_entries(scratch: &Scratch, index: &Path) -> Result<Option<Entries>> {
    let printed = scratch.git("ls-files").index(index).args(["-s", "-v", "-z"]).run()?;
    let entries = printed.split(|b| *b == 0).filter(|entry| !entry.is_empty());
    Ok(entries.map(|entry| parse_entry(entry.strip_prefix(b"H ")?)).collect())
}

pub(super) fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(20).map(|byte| format!("{byte:02x}")).collect()
}
