//! A takeover: the agent's working state in a new worktree next to the repository, exactly as the agent left it.

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

/// The worktree of a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Top of the new worktree.
    pub path: PathBuf,
    /// `handoff/<id>`, or `None` if that name was taken and HEAD is detached.
    pub branch: Option<String>,
    /// Paths that this file system could not store as they were (two names that differ only in case). Invalid UTF-8 is
    /// replaced.
    pub differing: Vec<String>,
    /// Files that are there as git stores them, because a filter failed.
    pub stored: Vec<Stored>,
    /// An earlier takeover made it and could not report that; it was left as it is.
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

/// The default destination of a takeover: `<top>-handoff-<id>`, next to the work tree.
pub fn default_destination(repo: &Repository, id: &HandoffId) -> PathBuf {
    let mut name = repo.top().file_name().map_or_else(|| OsString::from_vec(b"repository".to_vec()), OsString::from);
    name.push(format!("-handoff-{}", id.as_str()));
    repo.top().with_file_name(name)
}

/// Makes a worktree with HEAD, index and files as in `work`, so that `git status` prints what it printed for the agent.
/// The worktree appears whole or not at all, even if the process is killed: it is made under another name next to
/// `destination` and then moved. No hook runs, and LFS content is not downloaded.
///
/// The branch is `handoff/<id>` at the agent's HEAD. The agent's own branch name is not used, because the user most
/// likely has it checked out, and git allows a branch in one worktree only. If the name is taken, HEAD is detached, so
/// no branch of the user's is moved.
///
/// [`Error::Unfit`] if the destination exists.
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

/// Writes the files, then sets the index. Returns the paths that the file system could not store, and the files whose
/// filter failed.
fn fill(tree: &Repository, work: &Captured) -> Result<(Vec<String>, Vec<Stored>)> {
    let stored = filters::check_out(tree, &work.files_tree)?;
    let printed = tree.git("diff-files").args(["--name-only", "-z"]).run()?;
    let paths = printed.split(|b| *b == 0).filter(|path| !path.is_empty());
    let differing = paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    // Reads into the index only (`-i`) and keeps the stat data of unchanged files (`-m`), so `status` need not read
    // them.
    let staged = tree.git("read-tree").config("core.sparseCheckout=false");
    staged.args(["-i", "-m", work.index_tree.as_str()]).run()?;
    Ok((differing, stored))
}

/// Fails if no worktree can be made at `destination`. This is checked before anything is stopped or fetched.
pub fn check_place(repo: &Repository, (id, name): (&HandoffId, &RemoteName), destination: &Path) -> Result<()> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    match staging::look(repo, name, &destination)? {
        Some(_) => Ok(()),
        None => staging::on_the_disk(repo, (id, name), &destination, |_| Ok(())),
    }
}

/// Adds the ignored files that were shipped to a worktree. Existing files are not overwritten.
///
/// # Errors
/// git fails; some of the files may have been written.
pub fn add_ignored(worktree: &Path, tree: &Oid) -> Result<()> {
    filters::add(&Repository::discover(worktree)?, tree)
}

/// The branch of a takeover.
fn branch_of(id: &HandoffId) -> String {
    format!("refs/heads/handoff/{}", id.as_str())
}

/// Puts HEAD on `handoff/<id>` if that branch can be made. HEAD is set first, so an existing branch that no staging
/// worktree has checked out is not ours.
fn attach(tree: &Repository, id: &HandoffId, work: &Captured) -> Result<Option<String>> {
    let name = branch_of(id);
    if tree.git("rev-parse").args(["--quiet", "--verify", &name]).answer()?.is_some() {
        return Ok(None);
    }
    tree.git("symbolic-ref").args(["-m", "handoff: takeover", "HEAD", &name]).run()?;
    // A branch called `handoff` prevents it, too. git decides, and changes nothing if it refuses.
    let create = tree.git("update-ref").args(["-m", "handoff: takeover", &name, work.head.as_str()]);
    if create.arg(tree.format().zero()).output()?.status.success() {
        return Ok(name.strip_prefix("refs/heads/").map(str::to_owned));
    }
    tree.git("update-ref").args(["--no-deref", "HEAD", work.head.as_str()]).run()?;
    Ok(None)
}

#[cfg(test)]
mod tests;
