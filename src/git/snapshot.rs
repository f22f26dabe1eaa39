//! Takes a snapshot of the working state as git objects, without a change to the user's repository.
//!
//! Each step has a reason that was measured:
//! 1. The index is copied with its modification time, so git's stat cache stays valid and racily clean entries are read.
//! 2. New objects go to a directory of our own that borrows from the user's; a failure leaves nothing behind.
//! 3. In a second copy the flags that hide edits are cleared. After `add -A` it becomes the files tree.
//! 4. The two trees become a stash-shaped commit. Only then are the objects moved into the user's object store.
//! 5. What git learned about unchanged files is kept for the next snapshot, because an index that is older than the
//!    files, as in a copied repository, costs a hash of every file. The user's own index may not be refreshed.

mod changes;
mod hidden_edits;
mod ignored_matching;
mod included_ignored;
mod kept_index;
mod left_behind;
mod operation;
mod rewritten;
mod scratch;
mod unmatched;
mod worktree_include;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use super::index_stamp::IndexStamp;
use super::partial_clone::{PartialClone, Tell};
use super::{Error, Repository, Result};
use crate::model::snapshot::{Companion, Head, Snapshot};
use hidden_edits::Flags;
use included_ignored::Ignored;
use kept_index::KeptIndex;
use operation::Conflicts;
use scratch::{Entries, GITLINK, Scratch};
pub(super) use scratch::{PACK_FROM, folds_case, parse_entry, path_of, quoted, remove_stale};
pub(super) use worktree_include::is_secret;

/// How long a snapshot is retried while the user commits or stages.
const PATIENCE: Duration = Duration::from_secs(10);
/// Maximum paths that a snapshot lists for one reason if nothing is deleted.
const LISTED: usize = 200;
/// Pause between two tries, so that a git command that runs at the same interval does not always collide with ours.
const PAUSE: Duration = Duration::from_millis(30);

/// Stores HEAD, the index and the files as objects of the user's repository.
///
/// Changes neither the index nor a ref: the caller keeps the commit with [`Repository::keep_ref`] before using it.
///
/// `include` has patterns as in .gitignore, of ignored files to ship in a tree of their own. The caller keeps its
/// commit, and the one of an unfinished operation, too.
pub fn take(repo: &Repository, include: &[String]) -> Result<Snapshot> {
    take_with(repo, Include { patterns: include, ..Include::default() })
}

/// The same for a repository with companions, whose commits count as they are checked out. `companions` has those
/// directly in it, with paths relative to it.
pub fn take_with_companions(repo: &Repository, include: &[String], companions: &[Companion]) -> Result<Snapshot> {
    take_with(repo, Include { patterns: include, companions, ..Include::default() })
}

/// The same with every path that the snapshot does not contain, for a caller that deletes them.
pub fn take_listing_all(repo: &Repository, include: &[String], companions: &[Companion]) -> Result<Snapshot> {
    take_with(repo, Include { patterns: include, companions, listed: usize::MAX, ..Include::default() })
}

/// The same for a new handoff, whose checkout on the host also needs what `.worktreeinclude` selects. The changed files
/// are counted. What a partial clone lacks of it is fetched, after `tell` was told.
///
/// # Errors
/// [`Error::OnlyOnRemote`] if the remote does not send it.
pub fn take_for_run(
    repo: &Repository,
    include: &[String],
    companions: &[Companion],
    tell: Tell<'_>,
) -> Result<Snapshot> {
    take_with(
        repo,
        Include { patterns: include, companions, run: Some(Run { tell: Some(tell) }), ..Include::default() },
    )
}

/// What [`take_for_run`] would store. Nothing is fetched, or left in the repository: no object, no directory, no kept
/// index.
pub fn preview(repo: &Repository, include: &[String], companions: &[Companion]) -> Result<Snapshot> {
    let home = repo.state_dir();
    let is_new = !home.exists();
    let include = Include { patterns: include, companions, run: Some(Run { tell: None }), ..Include::default() };
    let snapshot = without_doubt(repo, || {
        let Taken { scratch, snapshot, .. } = take_complete(repo, include)?;
        let lfs = repo.preview_lfs(&|verb| scratch.git(verb), &snapshot.files_tree)?;
        Ok(Snapshot { lfs, ..snapshot })
    });
    if is_new {
        // Fails if another process has put something into it.
        let _ = std::fs::remove_dir(&home);
    }
    snapshot
}

fn take_with(repo: &Repository, include: Include) -> Result<Snapshot> {
    without_doubt(repo, || take_once(repo, include))
}

/// Takes a snapshot again without the kept index if that may be the cause of an error, whatever the error says.
fn without_doubt(repo: &Repository, take: impl Fn() -> Result<Snapshot>) -> Result<Snapshot> {
    let taken = take();
    match taken {
        Err(Error::Unfit { .. } | Error::OnlyOnRemote { .. }) | Ok(_) => taken,
        Err(_) if kept_index::forget(repo) => take(),
        Err(_) => taken,
    }
}

/// The ignored files that go with a snapshot, and how much of the rest it lists.
#[derive(Clone, Copy)]
struct Include<'a> {
    patterns: &'a [String],
    /// Repositories directly in it that are sent, too.
    companions: &'a [Companion],
    /// The snapshot is for a new handoff.
    run: Option<Run<'a>>,
    /// Maximum paths that are listed for one reason; the rest are counted.
    listed: usize,
}

impl Default for Include<'_> {
    fn default() -> Self {
        Include { patterns: &[], companions: &[], run: None, listed: LISTED }
    }
}

/// A ship to a new checkout.
#[derive(Clone, Copy)]
struct Run<'a> {
    /// Is told what is fetched. `None`: nothing is.
    tell: Option<Tell<'a>>,
}

fn take_once(repo: &Repository, include: Include) -> Result<Snapshot> {
    let Taken { scratch, snapshot, kept, staged, files, flags } = take_complete(repo, include)?;
    std::thread::scope(|scope| {
        scope.spawn(|| kept.keep(&scratch, &staged, &files, &flags));
        scratch.migrate(&snapshot)
    })?;
    let lfs = if include.run.is_some() { repo.lfs_contents(&snapshot.files_tree)? } else { None };
    Ok(Snapshot { lfs, ..snapshot })
}

/// Takes the snapshot, and for a ship what a partial clone lacks of it.
fn take_complete(repo: &Repository, include: Include) -> Result<Taken> {
    let Some(Run { tell }) = include.run else { return take_fit(repo, include) };
    let (clone, taken) = std::thread::scope(|scope| {
        let clone = scope.spawn(|| PartialClone::of(repo));
        let taken = take_fit(repo, include);
        (clone.join(), taken)
    });
    let Some(clone) = clone.unwrap_or_else(|_| PartialClone::of(repo))? else { return taken };
    let mut taken = match taken {
        Err(_) if clone.bring_trees(tell)? => take_fit(repo, include),
        taken => taken,
    }?;
    let git = |verb| taken.scratch.git(verb);
    let history = clone.history(&git, &taken.snapshot, tell)?;
    taken.snapshot.history = history;
    Ok(taken)
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

fn take_fit(repo: &Repository, include: Include) -> Result<Taken> {
    let end = Instant::now() + PATIENCE;
    for tries in 1.. {
        let before = Stamp::read(repo)?;
        let taken = attempt(repo, &before, include)?;
        let moved = include.companions.iter().any(|companion| is_elsewhere(companion, &taken.files));
        if Stamp::read(repo)? == before && !moved {
            return Ok(taken);
        }
        if Instant::now() >= end {
            break;
        }
        std::thread::sleep(PAUSE * (tries % 5));
    }
    Err(Error::unfit("the index or HEAD kept changing while it was read", "wait until the other git command is done"))
}

/// Whether the commit of a companion is not the one that was sent. `add` read it by itself.
fn is_elsewhere(companion: &Companion, files: &Entries) -> bool {
    let entry = files.get(companion.path.as_bytes()).filter(|(mode, _)| mode == GITLINK);
    entry.is_some_and(|(_, commit)| companion.work.head.commit().is_none_or(|head| head.as_str() != commit))
}

fn attempt(repo: &Repository, stamp: &Stamp, include: Include) -> Result<Taken> {
    let scratch = Scratch::new(repo)?;
    let mut kept = KeptIndex::new(repo, scratch.staged());
    let conflicts = Conflicts::take_out(&scratch, repo.format().zero())?;
    scratch.pin_record(scratch.staged(), &stamp.head)?;
    let index_tree = scratch.write_tree(scratch.staged())?;
    let staged = scratch.entries(scratch.staged())?;

    kept.start(&scratch, &staged)?;
    let flags = hidden_edits::clear_flags(repo, &scratch)?;
    let all_added = scratch.add_all(&stamp.head)?;
    conflicts.iter().try_for_each(|conflicts| conflicts.add_files(repo, &scratch))?;
    let files = scratch.entries(scratch.files())?;
    let Ignored { extra, sent, withheld } = included_ignored::take(repo, &scratch, include)?;
    let (left_behind, files_tree) = std::thread::scope(|scope| {
        // left_behind reads this index while the tree is written from a copy without foreign commits.
        let tree = scope.spawn(|| scratch.files_tree(&staged, &files, include.companions));
        let found =
            left_behind::find(repo, &scratch, (&staged, &index_tree), &files, all_added, (&sent, include.companions));
        (found, tree.join())
    });
    let unmatched = unmatched::find(&scratch, include, &sent)?;
    let left_behind = left_behind?.list(include.listed);
    let left_behind = left_behind::with_reasons(left_behind, &withheld, include.listed);
    let files_tree = files_tree.unwrap_or_else(|_| scratch.files_tree(&staged, &files, include.companions))?;

    let count = || changes::count(&scratch, &repo.tree_of_head(&stamp.head)?, &index_tree, &files_tree);
    let changes = include.run.map(|_| count()).transpose()?;
    let parent = stamp.head.commit();
    let index_commit = scratch.commit("handoff: what is staged", &index_tree, parent)?;
    let parents = parent.into_iter().chain([&index_commit]);
    let commit = scratch.commit("handoff: what lies in the directory", &files_tree, parents)?;
    let (head, branch) = (stamp.head.clone(), stamp.branch.clone());
    let at = (&head, branch.as_deref());
    let operation = operation::take(&scratch, repo, at, stamp.operation.clone(), conflicts.as_ref(), &index_tree)?;
    let snapshot = Snapshot {
        commit,
        head,
        index_tree,
        files_tree,
        branch,
        changes,
        history: None,
        extra,
        lfs: None,
        operation,
        cache_key: None,
        companions: vec![],
        left_behind,
        unmatched,
    };
    Ok(Taken { scratch, snapshot, kept, staged, files, flags })
}

/// State that must not change while the snapshot is taken, or HEAD and index would not belong together: git moves the
/// branch before it renames the new index.
#[derive(PartialEq, Eq)]
struct Stamp {
    head: Head,
    branch: Option<String>,
    index: Option<IndexStamp>,
    operation: operation::Files,
}

impl Stamp {
    fn read(repo: &Repository) -> Result<Self> {
        let index = IndexStamp::read(&repo.git_path("index"));
        let (head, branch) = repo.head_and_branch()?;
        Ok(Self { head, branch, index, operation: operation::Files::read(repo)? })
    }
}
