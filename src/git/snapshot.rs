//! Takes a snapshot of the working state as git objects, without a change to the user's repository.
//!
//! Each step has a reason that was measured:
//! 1. The index is copied with its modification time, so git's stat cache stays valid and racily clean entries are read.
//! 2. New objects go to a directory of our own that borrows from the user's; a failure leaves nothing behind.
//! 3. In a second copy the flags that hide edits are cleared. After `add -A` it becomes the files tree.
//! 4. The two trees become a stash-shaped commit. Only then are the objects moved into the user's object store.
//! 5. What git learned about unchanged files is kept for the next snapshot, because an index that is older than the
//!    files, as in a copied repository, costs a hash of every file. The user's own index may not be refreshed.

mod hidden_edits;
mod included_ignored;
mod kept_index;
mod left_behind;
mod preconditions;
mod rewritten;
mod scratch;

#[cfg(test)]
mod tests;

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::{Error, Repository, Result};
use crate::model::snapshot::{Oid, Snapshot};
use hidden_edits::Flags;
use kept_index::KeptIndex;
use scratch::{Entries, Scratch};
pub(super) use scratch::{PACK_FROM, folds_case, quoted, remove_stale};

/// How long a snapshot is retried while the user commits or stages.
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause between two tries, so that a git command that runs at the same interval does not always collide with ours.
const PAUSE: Duration = Duration::from_millis(30);

/// Stores HEAD, the index and the files as objects of the user's repository.
///
/// Changes neither the index nor a ref: the caller keeps the commit with [`Repository::keep_ref`] before using it.
/// [`Error::Unfit`] if the state cannot be shipped whole (an unfinished merge, a shallow or partial clone).
///
/// `include` has patterns as in .gitignore, of ignored files to ship in a tree of their own. The caller keeps its
/// commit, too.
pub fn take(repo: &Repository, include: &[String]) -> Result<Snapshot> {
    match take_once(repo, include) {
        // The kept index may be the cause, whatever the error says; without it, the result does not depend on it.
        Err(error) if !matches!(error, Error::Unfit { .. }) && kept_index::forget(repo) => take_once(repo, include),
        taken => taken,
    }
}

fn take_once(repo: &Repository, include: &[String]) -> Result<Snapshot> {
    // Both only read. A failed precondition is reported first, because it may be the cause of the other error.
    let (preconditions, taken) = std::thread::scope(|scope| {
        let preconditions = scope.spawn(|| preconditions::check(repo));
        let taken = take_fit(repo, include);
        (preconditions.join(), taken)
    });
    preconditions.unwrap_or_else(|_| preconditions::check(repo))?;
    let Taken { scratch, snapshot, kept, staged, files, flags } = taken?;
    let commits: Vec<_> = snapshot.extra.iter().map(|extra| &extra.commit).chain([&snapshot.commit]).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| kept.keep(&scratch, &staged, &files, &flags));
        scratch.migrate(&commits, &snapshot.head)
    })?;
    Ok(snapshot)
}

/// A snapshot whose objects are still in our own directory.
struct Taken {
    scratch: Scratch,
    snapshot: Snapshot,
    kept: KeptIndex,
    staged: Entries,
    files: Entries,
    flags: Flags,
}

fn take_fit(repo: &Repository, include: &[String]) -> Result<Taken> {
    let end = Instant::now() + PATIENCE;
    for tries in 1.. {
        let before = Stamp::read(repo)?;
        let taken = attempt(repo, &before, include)?;
        if Stamp::read(repo)? == before {
            return Ok(taken);
        }
        if Instant::now() >= end {
            break;
        }
        std::thread::sleep(PAUSE * (tries % 5));
    }
    Err(Error::unfit("the index or HEAD kept changing while it was read", "wait until the other git command is done"))
}

fn attempt(repo: &Repository, stamp: &Stamp, include: &[String]) -> Result<Taken> {
    let scratch = Scratch::new(repo)?;
    let mut kept = KeptIndex::new(repo, scratch.staged());
    scratch.pin_record(scratch.staged(), &stamp.head)?;
    let index_tree = scratch.write_tree(scratch.staged())?;
    let staged = scratch.entries(scratch.staged())?;

    kept.start(&scratch, &staged)?;
    let flags = hidden_edits::clear_flags(repo, &scratch)?;
    let all_added = scratch.add_all(&stamp.head)?;
    let files = scratch.entries(scratch.files())?;
    let (extra, sent) = included_ignored::take(repo, &scratch, include)?;
    let (left_behind, files_tree) = std::thread::scope(|scope| {
        // left_behind reads this index while the tree is written from a copy without foreign commits.
        let tree = scope.spawn(|| scratch.files_tree(&staged, &files));
        let found = left_behind::find(repo, &scratch, (&staged, &index_tree), &files, all_added, &sent);
        (found, tree.join())
    });
    let left_behind = left_behind?;
    let files_tree = files_tree.unwrap_or_else(|_| scratch.files_tree(&staged, &files))?;

    let index_commit = scratch.commit("handoff: what is staged", &index_tree, &[&stamp.head])?;
    let commit = scratch.commit("handoff: what lies in the directory", &files_tree, &[&stamp.head, &index_commit])?;
    let (head, branch) = (stamp.head.clone(), stamp.branch.clone());
    let snapshot = Snapshot { commit, head, index_tree, files_tree, branch, extra, left_behind };
    Ok(Taken { scratch, snapshot, kept, staged, files, flags })
}

/// State that must not change while the snapshot is taken, or HEAD and index would not belong together: git moves the
/// branch before it renames the new index.
#[derive(PartialEq, Eq)]
struct Stamp {
    head: Oid,
    branch: Option<String>,
    /// Inode, length and modification time of the index.
    index: Option<(u64, u64, i64, i64)>,
}

impl Stamp {
    fn read(repo: &Repository) -> Result<Self> {
        let index = index_stamp(&repo.git_path("index"));
        let (head, branch) = repo.head_and_branch()?;
        Ok(Self { head, branch, index })
    }
}

fn index_stamp(path: &Path) -> Option<(u64, u64, i64, i64)> {
    let meta = path.metadata().ok()?;
    Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
}
