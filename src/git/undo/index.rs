//! The index of a checkout: its lock, and the comparison with copies.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::checkout::copy_file;
use super::removed;
use crate::git::tree_edits::Edits;
use crate::git::{Error, Repository, Result};

/// git's own lock of the index, held by us. It is a hard link to a file of ours, so that after a kill it can be told
/// from a lock of git's. It is not released when dropped: after an error the recovery does it.
pub(super) struct Lock {
    index: PathBuf,
    lock: PathBuf,
    ours: PathBuf,
    /// The new index is that there is none.
    is_absent: bool,
}

impl Lock {
    /// Takes the lock with the index that is installed later. If `new` does not exist, there will be no index.
    pub fn take(repo: &Repository, home: &Path, new: &Path) -> Result<Self> {
        let (index, lock, ours) = Self::paths(repo, home);
        removed(&ours)?;
        let target = File::create_new(&ours).map_err(Error::io("write", &ours))?;
        let is_absent = match File::open(new) {
            Ok(source) => copy_file(source, target).map(|()| false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
            Err(error) => Err(error),
        };
        let is_absent = is_absent.map_err(Error::io("write", &ours))?;
        std::fs::hard_link(&ours, &lock).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => {
                let what = format!("another git command is at work here ({} exists)", lock.display());
                Error::unfit(what, "wait until the other git command is done")
            }
            _ => Error::io("make", &lock)(error),
        })?;
        Ok(Self { index, lock, ours, is_absent })
    }

    /// Removes a lock of ours that a process left when it was killed.
    pub fn clear(repo: &Repository, home: &Path) -> Result<()> {
        let (_, lock, ours) = Self::paths(repo, home);
        let inode = |path: &Path| path.symlink_metadata().map(|meta| (meta.dev(), meta.ino())).ok();
        if inode(&ours).is_some_and(|is| inode(&lock) == Some(is)) {
            removed(&lock)?;
        }
        removed(&ours)
    }

    /// Replaces the index.
    pub fn install(self) -> Result<()> {
        if self.is_absent {
            removed(&self.index)?;
            return self.release();
        }
        std::fs::rename(&self.lock, &self.index).map_err(Error::io("write", &self.index))?;
        removed(&self.ours)
    }

    pub fn release(self) -> Result<()> {
        removed(&self.lock)?;
        removed(&self.ours)
    }

    fn paths(repo: &Repository, home: &Path) -> (PathBuf, PathBuf, PathBuf) {
        let index = repo.git_path("index");
        (index.clone(), index.with_file_name("index.lock"), home.join("lock"))
    }
}

/// Whether the index has the bytes of a copy.
pub(super) fn is_copy(repo: &Repository, copy: &Path) -> Result<bool> {
    let read = |path: &Path| match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path)(error)),
    };
    Ok(read(&repo.git_path("index"))? == read(copy)?)
}

/// Whether the index has the entries and flags of a copy. What git learned about unchanged files does not count.
pub(super) fn has_entries_of(repo: &Repository, copy: &Path) -> Result<bool> {
    Ok(entries(repo, &repo.git_path("index"))? == entries(repo, copy)?)
}

/// The paths whose entries and flags are neither those of one copy nor those of the other.
pub(super) fn changed_entries(repo: &Repository, before: &Path, after: &Path) -> Result<Vec<Vec<u8>>> {
    let (now, before, after) = (entries(repo, &repo.git_path("index"))?, entries(repo, before)?, entries(repo, after)?);
    let paths: BTreeSet<_> = now.keys().chain(before.keys()).chain(after.keys()).collect();
    let is_changed = |path: &&&Vec<u8>| [&before, &after].iter().all(|copy| now.get(**path) != copy.get(**path));
    Ok(paths.iter().filter(is_changed).map(|path| path.to_vec()).collect())
}

/// The entries of each path, as `<flag> <mode> <object> <stage>`: several if it has a conflict.
fn entries(repo: &Repository, index: &Path) -> Result<BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>> {
    // `-v` shows the two flags that hide edits, `-s` the entry.
    let printed = repo.git("ls-files").index(index).args(["-v", "-s", "-z"]).run()?;
    let mut found = BTreeMap::<_, BTreeSet<_>>::new();
    for line in printed.split(|byte| *byte == 0) {
        if let Some(tab) = line.iter().position(|byte| *byte == b'\t') {
            found.entry(line[tab + 1..].to_vec()).or_default().insert(line[..tab].to_vec());
        }
    }
    Ok(found)
}

/// Changes entries of an index file, which is created if it does not exist. The flags of changed entries stay.
pub(super) fn edit(repo: &Repository, index: &Path, edits: &Edits) -> Result<()> {
    if edits.is_empty() {
        return Ok(());
    }
    // A split index would write its shared half into the user's git directory.
    let git = |verb| repo.git(verb).index(index).config("core.splitIndex=false").config("core.ignoreStat=false");
    let printed = git("ls-files").args(["-v", "-z"]).run()?;
    let (mut assumed, mut skipped) = (Vec::new(), Vec::new());
    for entry in printed.split(|byte| *byte == 0) {
        let [tag, b' ', path @ ..] = entry else { continue };
        if !matches!(edits.get(path), Some(Some(_))) {
            continue;
        }
        for (applies, list) in
            [(tag.is_ascii_lowercase(), &mut assumed), (tag.eq_ignore_ascii_case(&b'S'), &mut skipped)]
        {
            if applies {
                list.extend_from_slice(path);
                list.push(0);
            }
        }
    }
    let zero = repo.format().zero();
    // Removals come first, because a file may have the name of a directory.
    let gone = edits.iter().filter(|(_, entry)| entry.is_none()).map(|(path, _)| (format!("0 {zero}\t"), path));
    let new = edits.iter().filter_map(|(path, entry)| {
        let entry = entry.as_ref()?;
        Some((format!("{} {}\t", entry.mode, entry.object), path))
    });
    let mut input = Vec::new();
    for (line, path) in gone.chain(new) {
        input.extend(line.into_bytes());
        input.extend(path);
        input.push(0);
    }
    git("update-index").args(["-z", "--index-info"]).stdin(input).run()?;
    for (option, paths) in [("--assume-unchanged", assumed), ("--skip-worktree", skipped)] {
        if !paths.is_empty() {
            git("update-index").args([option, "-z", "--stdin"]).stdin(paths).run()?;
        }
    }
    Ok(())
}

/// The name of the shared half of a split index begins with this.
const SHARED: &str = "sharedindex.";

/// Keeps the shared half of a split index, which git may expire.
pub(super) fn copy_shared(repo: &Repository, home: &Path) -> Result<()> {
    for (name, path) in shared(repo.git_dir()) {
        std::fs::hard_link(&path, home.join(name)).map_err(Error::io("copy", &path))?;
    }
    Ok(())
}

/// Puts the shared half back if it is gone.
pub(super) fn restore_shared(repo: &Repository, home: &Path) -> Result<()> {
    for (name, path) in shared(home) {
        let back = repo.git_dir().join(name);
        if !back.exists() {
            std::fs::hard_link(&path, &back).map_err(Error::io("write", &back))?;
        }
    }
    Ok(())
}

fn shared(directory: &Path) -> Vec<(OsString, PathBuf)> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let named = entries.map(|entry| (entry.file_name(), entry.path()));
    named.filter(|(name, _)| name.to_string_lossy().starts_with(SHARED)).collect()
}
