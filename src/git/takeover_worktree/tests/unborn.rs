//! Work without a commit: the worktree is on a branch that has none either.

use super::*;
use crate::git::snapshot;
use crate::git::takeover_worktree::removal::{Saved, remove, unsaved};

/// A repository without a commit, with a staged file, a changed one and an untracked one.
fn unborn(repo: Repo) -> (Repo, Captured) {
    repo.write("staged", "staged\n");
    repo.git(["add", "staged"]);
    repo.write("staged", "changed\n");
    repo.write("untracked", "untracked\n");
    let work = Captured::from(&snapshot::take(&repo.open(), &[]).unwrap());
    repo.open().keep_ref("refs/handoff/20260407-fix/base", &work.commit).unwrap();
    (repo, work)
}

#[test]
fn the_worktree_is_on_a_branch_without_a_commit_and_has_the_index_and_the_files() {
    for repo in [Repo::empty(), Repo::with_format("sha256"), Repo::with_commit()] {
        if repo.open().head().unwrap().commit().is_some() {
            repo.git(["checkout", "-q", "--orphan", "fresh"]);
        }
        let (repo, work) = unborn(repo);
        assert_eq!(repo.open().read_capture(&work.commit).unwrap(), work);
        let before = repo.git(["for-each-ref"]);
        let landed = land(&repo, &work).unwrap();
        assert_eq!(landed.branch.as_deref(), Some("handoff/20260407-fix"));
        assert_eq!(status(&landed.path), status(repo.top()));
        let tree = Repository::discover(&landed.path).unwrap();
        assert!(tree.head().unwrap().is_unborn());
        assert_eq!(repo.git(["for-each-ref"]), before, "no branch was made");
        assert!(land(&repo, &work).unwrap().before);
        git_in(&landed.path, ["commit", "-q", "-m", "by hand"]);
        assert_eq!(repo.git(["log", "--format=%s", "handoff/20260407-fix"]), "by hand\n");
        assert!(repo.open().head().unwrap().is_unborn(), "the user's branch has no commit");
    }
}

#[test]
fn a_branch_that_a_worktree_is_on_is_taken_even_without_a_commit() {
    let (repo, work) = unborn(Repo::empty());
    let (git, id, name) = (repo.open(), id(), name());
    let destination = repo.sibling("there");
    let place =
        |branch| check_place(&git, Takeover { id: &id, name: &name, round: 1, branch }, &destination, &work.commit);
    assert!(place(Some("main")).unwrap_err().to_string().contains("main is checked out"));
    place(Some("other")).unwrap();
    let named = Takeover { id: &id, name: &name, round: 1, branch: Some("main") };
    worktree_for_takeover(&git, named, &work, &destination).unwrap_err();
    assert!(!destination.exists());
    assert!(git.check_branch("main", &work.commit).is_err());
    // HEAD cannot be detached without a commit, so handoff's own name has to be free.
    git.make_branch("handoff", &work.commit).unwrap();
    let error = land(&repo, &work).unwrap_err();
    assert!(matches!(&error, Error::Unfit { hint, .. } if hint.contains("--branch")), "{error:?}");
    assert_eq!(repo.git(["worktree", "list"]).lines().count(), 1);
}

#[test]
fn a_worktree_without_a_commit_is_removed_only_if_it_never_had_one() {
    let (repo, work) = unborn(Repo::empty());
    let saved = Saved { states: vec![work.clone()], extras: vec![] };
    let landed = land(&repo, &work).unwrap();
    assert!(unsaved(&repo.open(), &landed.path, &saved, &[]).unwrap().is_empty());
    git_in(&landed.path, ["commit", "-q", "-m", "by hand"]);
    git_in(&landed.path, ["update-ref", "-d", "HEAD"]);
    let why = unsaved(&repo.open(), &landed.path, &saved, &[]).unwrap().why;
    assert!(why.len() == 1 && why[0].contains("in its reflog"), "{why:?}");
    takeover(1, |it| remove(&repo.open(), it, &landed.path)).unwrap();
    assert!(!landed.path.exists());
}
