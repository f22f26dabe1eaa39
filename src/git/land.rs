//! A takeover: the agent's working state in a new worktree beside the repository, exactly as it was left.

mod draft;

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use draft::Draft;

use super::capture::Captured;
use super::{Error, Repository, Result};
use crate::model::id::{HandoffId, HostName};
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
    (id, name): (&HandoffId, &HostName),
    work: &Captured,
    destination: &Path,
) -> Result<Landed> {
    let destination = std::path::absolute(destination).map_err(Error::io("find", destination))?;
    if let Some(tree) = draft::look(repo, name, &destination)? {
        let branch = tree.branch()?;
        return Ok(Landed { path: tree.top().to_owned(), branch, differing: vec![], before: true });
    }
    let draft = Draft::begin(repo, (id, name), work, &destination)?;
    let tree = Repository::discover(draft.path())?;
    let differing = fill(&tree, work)?;
    let branch = attach(&tree, id, work)?;
    let tree = draft.finish(&destination)?;
    Ok(Landed { path: tree.top().to_owned(), branch, differing, before: false })
}

/// Writes the files, then makes the index what was staged. Returns what the file system could not hold.
fn fill(tree: &Repository, work: &Captured) -> Result<Vec<String>> {
    // A sparse checkout of the user's is about their work tree; here everything is needed.
    let git = |verb| tree.git(verb).config("core.sparseCheckout=false");
    git("read-tree").args(["--reset", "-u", work.files_tree.as_str()]).run()?;
    let printed = git("diff-files").args(["--name-only", "-z"]).run()?;
    let paths = printed.split(|b| *b == 0).filter(|path| !path.is_empty());
    let differing = paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect();
    // Of the index only (`-i`), keeping what is known of files that are the same (`-m`): status need not read them.
    git("read-tree").args(["-i", "-m", work.index_tree.as_str()]).run()?;
    Ok(differing)
}

/// Lays the ignored files that went to the host into a worktree, but over none that is there.
///
/// # Errors
/// git fails; some of them may be there.
pub fn add_ignored(worktree: &Path, tree: &Oid) -> Result<()> {
    let repo = Repository::discover(worktree)?;
    let scratch = tempfile::tempdir().map_err(Error::io("write in", &std::env::temp_dir()))?;
    let index = scratch.path().join("index");
    repo.git("read-tree").index(&index).arg(tree.as_str()).run()?;
    repo.git("checkout-index").index(&index).args(["-a", "-q"]).run()?;
    Ok(())
}

/// The branch of a takeover.
fn branch_of(id: &HandoffId) -> String {
    format!("refs/heads/handoff/{}", id.as_str())
}

/// Puts HEAD on `handoff/<id>`, if that branch can be made. HEAD goes first: a branch that is there and on which no draft
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
mod tests {
    use super::*;
    use crate::git::snapshot;
    use crate::git::testing::{Repo, contents, git_in, status};
    use crate::model::id::Uid;
    use crate::model::snapshot::Oid;

    fn id() -> HandoffId {
        "20260407-fix".parse().unwrap()
    }

    fn name() -> HostName {
        HostName::new(&id(), &Uid::from_random([7; 10]))
    }

    fn land(repo: &Repo, work: &Captured) -> Result<Landed> {
        let git = repo.open();
        worktree_for_takeover(&git, (&id(), &name()), work, &default_destination(&git, &id()))
    }

    fn taken(repo: &Repo) -> Captured {
        Captured::from(&snapshot::take(&repo.open(), &[]).unwrap())
    }

    #[test]
    fn a_takeover_is_as_the_agent_left_it() {
        let repo = Repo::with_commit();
        repo.write("gone", "x");
        repo.commit("more");
        repo.write("README", "staged\n");
        repo.write("staged only", "x");
        repo.git(["add", "-A"]);
        repo.write("README", "unstaged\n");
        repo.write("untracked", "x");
        std::fs::remove_file(repo.path("gone")).unwrap();
        repo.write(".git/hooks/post-checkout", format!("#!/bin/sh\ntouch '{}'\n", repo.beside("ran").display()));
        repo.executable(".git/hooks/post-checkout");
        let landed = land(&repo, &taken(&repo)).unwrap();
        assert_eq!(landed.path, repo.beside("the repo-handoff-20260407-fix"));
        assert_eq!(landed.branch.as_deref(), Some("handoff/20260407-fix"));
        assert_eq!(landed.differing, [""; 0]);
        assert_eq!(status(&landed.path), status(repo.top()));
        assert_eq!(git_in(&landed.path, ["branch", "--show-current"]), "handoff/20260407-fix\n");
        assert_eq!(std::fs::read_to_string(landed.path.join("README")).unwrap(), "unstaged\n");
        assert!(!repo.beside("ran").exists());
    }

    #[test]
    fn files_of_the_takeover_are_not_read_again_by_status() {
        let repo = Repo::with_commit();
        let landed = land(&repo, &taken(&repo)).unwrap();
        let debug = git_in(&landed.path, ["ls-files", "--debug", "README"]);
        assert!(debug.contains("size: 6"), "the index knows the file: {debug}");
    }

    #[test]
    fn a_taken_branch_name_is_left_alone() {
        for name in ["handoff/20260407-fix", "handoff"] {
            let repo = Repo::with_commit();
            repo.git(["branch", name]);
            repo.commit("later");
            let before = repo.git(["rev-parse", name]);
            let landed = land(&repo, &taken(&repo)).unwrap();
            assert_eq!((landed.branch, repo.git(["rev-parse", name])), (None, before));
            assert_eq!(git_in(&landed.path, ["rev-parse", "HEAD"]), repo.git(["rev-parse", "HEAD"]));
        }
    }

    #[test]
    fn an_existing_destination_is_refused_and_kept() {
        let repo = Repo::with_commit();
        let destination = default_destination(&repo.open(), &id());
        std::fs::create_dir(&destination).unwrap();
        std::fs::write(destination.join("mine"), "x").unwrap();
        let error = land(&repo, &taken(&repo)).unwrap_err();
        assert!(matches!(&error, Error::Unfit { .. }), "{error}");
        assert!(destination.join("mine").exists());
        std::fs::remove_dir_all(&destination).unwrap();
        std::os::unix::fs::symlink("nowhere", &destination).unwrap();
        assert!(matches!(land(&repo, &taken(&repo)), Err(Error::Unfit { .. })));
    }

    #[test]
    fn what_another_repository_has_begun_is_refused_and_kept() {
        let repo = Repo::with_commit();
        let other = repo.beside(&format!("handoff-{}", name()));
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join(".git"), "gitdir: /elsewhere/.git/worktrees/x\n").unwrap();
        let error = land(&repo, &taken(&repo)).unwrap_err();
        assert!(matches!(&error, Error::Unfit { .. }), "{error}");
        assert!(other.join(".git").exists());
    }

    #[test]
    fn a_failure_leaves_nothing() {
        let repo = Repo::with_commit();
        let work = taken(&repo);
        let missing: Oid = "1".repeat(40).parse().unwrap();
        let before = contents(repo.top());
        for broken in [
            Captured { head: missing.clone(), ..work.clone() },
            Captured { files_tree: missing.clone(), ..work.clone() },
            Captured { index_tree: missing.clone(), ..work.clone() },
        ] {
            land(&repo, &broken).unwrap_err();
            let none: [&str; 0] = [];
            assert_eq!(before.changes(&contents(repo.top())), none);
            assert!(!default_destination(&repo.open(), &id()).exists());
        }
        land(&repo, &work).unwrap();
    }

    #[test]
    fn a_sparse_repository_gets_a_whole_takeover() {
        let repo = Repo::with_commit();
        repo.write("in/a", "a");
        repo.write("out/b", "b");
        repo.commit("more");
        repo.git(["sparse-checkout", "set", "--cone", "in"]);
        let landed = land(&repo, &taken(&repo)).unwrap();
        assert_eq!(std::fs::read_to_string(landed.path.join("out/b")).unwrap(), "b");
        assert_eq!(status(&landed.path), "");
    }

    #[test]
    fn line_ends_survive() {
        let repo = Repo::with_commit();
        repo.git(["config", "core.autocrlf", "true"]);
        repo.write("README", "changed\r\n");
        repo.write("new", "a\r\n");
        let landed = land(&repo, &taken(&repo)).unwrap();
        assert_eq!(status(&landed.path), status(repo.top()));
        assert_eq!(std::fs::read(landed.path.join("new")).unwrap(), b"a\r\n");
    }
}
