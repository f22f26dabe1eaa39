//! The worktree of a takeover, and what a takeover refuses.

mod foreign;

use super::*;
use crate::git::snapshot;
use crate::git::testing::{Repo, contents, git_in, status};
use crate::model::id::Uid;
use crate::model::snapshot::Oid;

fn id() -> HandoffId {
    "20260407-fix".parse().unwrap()
}

fn name() -> RemoteName {
    RemoteName::new(&id(), &Uid::from_random([7; 10]))
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
    repo.write(".git/hooks/post-checkout", format!("#!/bin/sh\ntouch '{}'\n", repo.sibling("ran").display()));
    repo.executable(".git/hooks/post-checkout");
    let landed = land(&repo, &taken(&repo)).unwrap();
    assert_eq!(landed.path, repo.sibling("the repo-handoff-20260407-fix"));
    assert_eq!(landed.branch.as_deref(), Some("handoff/20260407-fix"));
    assert_eq!(landed.differing, [""; 0]);
    assert_eq!(status(&landed.path), status(repo.top()));
    assert_eq!(git_in(&landed.path, ["branch", "--show-current"]), "handoff/20260407-fix\n");
    assert_eq!(std::fs::read_to_string(landed.path.join("README")).unwrap(), "unstaged\n");
    assert!(!repo.sibling("ran").exists());
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
fn a_staging_directory_of_another_repository_is_refused_and_kept() {
    let repo = Repo::with_commit();
    let other = repo.sibling(&format!("handoff-{}", name()));
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join(".git"), "gitdir: /elsewhere/.git/worktrees/x\n").unwrap();
    let error = land(&repo, &taken(&repo)).unwrap_err();
    assert!(matches!(&error, Error::Unfit { .. }), "{error}");
    assert!(other.join(".git").exists());
}

#[test]
fn a_failed_takeover_leaves_nothing() {
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
fn a_takeover_of_a_sparse_repository_has_all_files() {
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
fn line_endings_survive() {
    let repo = Repo::with_commit();
    repo.git(["config", "core.autocrlf", "true"]);
    repo.write("README", "changed\r\n");
    repo.write("new", "a\r\n");
    let landed = land(&repo, &taken(&repo)).unwrap();
    assert_eq!(status(&landed.path), status(repo.top()));
    assert_eq!(std::fs::read(landed.path.join("new")).unwrap(), b"a\r\n");
}
