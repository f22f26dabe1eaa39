//! A takeover: the agent's working state in a new worktree beside the repository, exactly as it was left.

mod disk;
mod filters;
mod staging;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

pub use filters::Stored;
use staging::Staging;

use super::capture::Captured;
use super::{Error, Repository, Result};
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::{Oid, Snapshot};

/// Where the work was put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Top of the new worktree.
    pub path: PathBuf,
    /// `handoff/<id>`, or `None` when that name was taken and HEAD is detached.
    pub branch: Option<String>,
    /// Paths that this file system could not hold as they were (two names that differ only in case), lossy.
    pub differing: Vec<String>,
    /// Files that are there as git stores them, because a filter failed.
    pub stored: Vec<Stored>,
    /// An earlier takeover made it and could not say so: it was left as it is.
    pub before: bool,
}

impl From<&Snapshot> for Captured {
    fn from(snapshot: &Snapshot) -> Self {
        Self {
            commit: snapshot.commit.clone(),
            head: snapshot.head.clone(),
            index_tree: snapshot.index_tree.clone(),
            files_tree: snapshot.files_tree.clone(),
        }
    }
}

/// Where a takeover goes unless the user says otherwise: `<top>-handoff-<id>`, beside the work tree.
pub fn default_destination(repo: &Repository, id: &HandoffId) -> PathBuf {
    let mut name = repo.top().file_name().map_or_else(|| OsString::from_vec(b"repository".to_vec()), OsString::from);
    name.push(format!("-handoff-{}", id.as_str()));
    repo.top().with_file_name(name)
}

/// Makes a worktree in which HEAD, index and files are as in `work`, so that `git status` says what it said to the
/// agent. All or nothing, whenever it is killed: it is made under a name of its own beside `destination`, and gets its
/// own when it is whole. No hook runs, and LFS content is not downloaded.
///
/// The branch is `handoff/<id>` at the agent's HEAD: a name of ours, because the agent's own branch name is most likely
/// checked out by the user, and git keeps a branch in one worktree only. Where that name is taken, HEAD is detached
/// rather than a branch of the user's moved.
///
/// [`Error::Unfit`] when the destination exists.
pub fn worktree_for_takeover(
    repo: &Repository,
    (id, name): (&HandoffId, &RemoteName),
    work: &Captured,
    destination: &Path,
) -> Result<Landed> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    if let Some(tree) = staging::look(repo, name, &destination)? {
        let branch = tree.branch()?;
        return Ok(Landed { path: tree.top().to_owned(), branch, differing: vec![], stored: vec![], before: true });
    }
    staging::on_the_disk(repo, (id, name), &destination, |place| disk::check(repo, &work.files_tree, place))?;
    let staging = Staging::begin(repo, (id, name), work, &destination)?;
    let tree = Repository::discover(staging.path())?;
    let (differing, stored) = fill(&tree, work).map_err(|error| staging::of_the_place(error, &destination))?;
    let branch = attach(&tree, id, work)?;
    let tree = staging.finish(&destination)?;
    Ok(Landed { path: tree.top().to_owned(), branch, differing, stored, before: false })
}

/// Writes the files, then makes the index what was staged. Returns what the file system could not hold, and what a filter
/// could not bring into its form for people.
fn fill(tree: &Repository, work: &Captured) -> Result<(Vec<String>, Vec<Stored>)> {
    let stored = filters::check_out(tree, &work.files_tree)?;
    let printed = tree.git("diff-files").args(["--name-only", "-z"]).run()?;
    let paths = printed.split(|b| *b == 0).filter(|path| !path.is_empty());
    let differing = paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    // Of the index only (`-i`), keeping what is known of files that are the same (`-m`): status need not read them.
    let staged = tree.git("read-tree").config("core.sparseCheckout=false");
    staged.args(["-i", "-m", work.index_tree.as_str()]).run()?;
    Ok((differing, stored))
}

/// Fails where no worktree can be made at `destination`, before anything is stopped or sent for it.
pub fn check_place(repo: &Repository, (id, name): (&HandoffId, &RemoteName), destination: &Path) -> Result<()> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    match staging::look(repo, name, &destination)? {
        Some(_) => Ok(()),
        None => staging::on_the_disk(repo, (id, name), &destination, |_| Ok(())),
    }
}

/// Lays the ignored files that went to the host into a worktree, but over none that is there.
///
/// # Errors
/// git fails; some of them may be there.
pub fn add_ignored(worktree: &Path, tree: &Oid) -> Result<()> {
    filters::add(&Repository::discover(worktree)?, tree)
}

/// The branch of a takeover.
fn branch_of(id: &HandoffId) -> String {
    format!("refs/heads/handoff/{}", id.as_str())
}

/// Puts HEAD on `handoff/<id>`, if that branch can be made. HEAD goes first: a branch that is there and on which no staging
/// stands is not ours.
fn attach(tree: &Repository, id: &HandoffId, work: &Captured) -> Result<Option<String>> {
    let name = branch_of(id);
    if tree.git("rev-parse").args(["--quiet", "--verify", &name]).answer()?.is_some() {
        return Ok(None);
    }
    tree.git("symbolic-ref").args(["-m", "handoff: takeover", "HEAD", &name]).run()?;
    // A branch `handoff` would be in the way as well: git decides, and changes nothing when it refuses.
    let create = tree.git("update-ref").args(["-m", "handoff: takeover", &name, work.head.as_str()]);
    if create.arg(tree.format().zero()).output()?.status.success() {
        return Ok(name.strip_prefix("refs/heads/").map(str::to_owned));
    }
    tree.git("update-ref").args(["--no-deref", "HEAD", work.head.as_str()]).run()?;
    Ok(None)
}

#[cfg(test)]
mod tests;
