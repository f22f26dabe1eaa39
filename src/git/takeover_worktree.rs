//! A takeover: the agent's working state in a new worktree next to the repository, exactly as the agent left it.

mod branch;
mod disk;
mod filters;
pub mod removal;
mod staging;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

pub use filters::Stored;
use staging::Staging;

use super::capture::Captured;
use super::lfs;
use super::{Error, Repository, Result};
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::{Oid, Snapshot};

/// The worktree of a takeover.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Top of the new worktree.
    pub path: PathBuf,
    /// The user's name, else `handoff/<id>`, or `None` if that name was taken and HEAD is detached.
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

/// One takeover of a handoff. Its worktree and branch have names of their own.
#[derive(Clone, Copy, Debug)]
pub struct Takeover<'a> {
    pub id: &'a HandoffId,
    pub name: &'a RemoteName,
    /// 1, or a higher number after the work was given back.
    pub round: usize,
    /// The name that the user chose for the branch.
    pub branch: Option<&'a str>,
}

impl Takeover<'_> {
    /// The id, with the number of a later takeover after a dot, which no id has.
    fn label(&self) -> String {
        match self.round {
            1 => self.id.as_str().to_owned(),
            round => format!("{}.{round}", self.id.as_str()),
        }
    }

    /// The branch: the user's name, else `handoff/<id>`.
    fn branch(&self) -> String {
        match self.branch {
            Some(name) => format!("refs/heads/{name}"),
            None => format!("refs/heads/handoff/{}", self.label()),
        }
    }

    /// The default destination: `<top>-handoff-<id>`, next to the work tree that the handoff was created in.
    pub fn default_destination(&self, top: &Path) -> PathBuf {
        let mut name = top.file_name().map_or_else(|| OsString::from_vec(b"repository".to_vec()), OsString::from);
        name.push(format!("-handoff-{}", self.label()));
        top.with_file_name(name)
    }

    /// The name of the directory in which the worktree is made, which is git's name for the worktree afterwards. Its uid
    /// is random and belongs to this handoff only.
    pub fn made_as(&self) -> String {
        match self.round {
            1 => format!("handoff-{}", self.name),
            round => format!("handoff-{round}-{}", self.name),
        }
    }

    /// Whether git's name of a worktree is of this takeover. git appends digits to a name that exists.
    pub fn is_named(&self, name: &str) -> bool {
        name.strip_prefix(&self.made_as()).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    }
}

/// Makes a worktree with HEAD, index and files as in `work`, so that `git status` prints what it printed for the agent.
/// The worktree appears whole or not at all, even if the process is killed: it is made under another name next to
/// `destination` and then moved. No hook runs. LFS content is written if it is here, and not downloaded.
///
/// The branch is `handoff/<id>` (later `handoff/<id>.2`) at the agent's HEAD. The agent's own branch name is not used,
/// because the user most likely has it checked out, and git allows a branch in one worktree only. If the name is taken,
/// HEAD is detached, so no branch of the user's is moved. If the agent has no commit, the branch has none either.
///
/// [`Error::Unfit`] if the destination exists, or the branch that the user named.
pub fn worktree_for_takeover(
    repo: &Repository,
    takeover: Takeover,
    work: &Captured,
    destination: &Path,
) -> Result<Landed> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    if let Some(tree) = staging::look(repo, takeover, &destination)? {
        let branch = tree.branch()?;
        return Ok(Landed { path: tree.top().to_owned(), branch, differing: vec![], stored: vec![], before: true });
    }
    staging::on_the_disk(repo, takeover, &destination, |place| disk::check(repo, &work.files_tree, place))?;
    let staging = Staging::begin(repo, takeover, work, &destination)?;
    let tree = Repository::discover(staging.path())?;
    let (differing, stored) = fill(&tree, work).map_err(|error| staging::of_the_place(error, &destination))?;
    let branch = branch::attach(&tree, takeover, work)?;
    let tree = staging.finish(&destination)?;
    Ok(Landed { path: tree.top().to_owned(), branch, differing, stored, before: false })
}

/// Writes the files, then sets the index. Returns the paths that the file system could not store, and the files whose
/// filter failed.
fn fill(tree: &Repository, work: &Captured) -> Result<(Vec<String>, Vec<Stored>)> {
    let mut stored = filters::check_out(tree, &work.files_tree)?;
    stored.extend(show_contents(tree, &work.files_tree)?);
    let printed = tree.git("diff-files").args(["--name-only", "-z"]).run()?;
    let paths = printed.split(|b| *b == 0).filter(|path| !path.is_empty());
    let differing = paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    // Reads into the index only (`-i`) and keeps the stat data of unchanged files (`-m`), so `status` need not read
    // them.
    let staged = tree.git("read-tree").config("core.sparseCheckout=false");
    staged.args(["-i", "-m", work.index_tree.as_str()]).run()?;
    Ok((differing, stored))
}

/// Writes the contents of Git LFS that are on this laptop over their pointers. Returns the files that stay pointers.
fn show_contents(tree: &Repository, files: &Oid) -> Result<Vec<Stored>> {
    let files = lfs::files_of(&|verb| tree.git(verb), files)?.pointers;
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let shown = lfs::show_in(tree, tree.top(), &files)?;
    if !shown.written.is_empty() {
        // A refresh would not read a file whose length differs from that of the pointer in the index.
        tree.git("update-index").args(["-z", "--stdin"]).stdin(shown.written.join(&0)).run()?;
    }
    let stored = |(path, why): (Vec<u8>, &str)| Stored {
        path: String::from_utf8_lossy(&path).into_owned(),
        why: why.to_owned(),
    };
    Ok(shown.left.into_iter().map(stored).collect())
}

/// Fails if no worktree can be made at `destination`, or no branch with the user's name. This is checked before anything
/// is stopped or fetched. `at` is any commit.
pub fn check_place(repo: &Repository, takeover: Takeover, destination: &Path, at: &Oid) -> Result<()> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    match staging::look(repo, takeover, &destination)? {
        Some(_) => Ok(()),
        None => {
            // This removes what an interrupted takeover left, which may have the user's name for the branch.
            staging::on_the_disk(repo, takeover, &destination, |_| Ok(()))?;
            branch::check(repo, takeover, at)
        }
    }
}

/// The branch that handoff chooses for a takeover's worktree, without `refs/heads/`.
pub fn own_branch(takeover: Takeover) -> String {
    format!("handoff/{}", takeover.label())
}

/// Adds the ignored files that were shipped to a worktree. Existing files are not overwritten.
///
/// # Errors
/// git fails; some of the files may have been written.
pub fn add_ignored(worktree: &Path, tree: &Oid) -> Result<()> {
    filters::add(&Repository::discover(worktree)?, tree)
}

#[cfg(test)]
mod tests;
