//! The worktree of a takeover, and what a takeover refuses.

mod foreign;
mod removal;
mod unborn;

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

fn takeover<T>(round: usize, call: impl FnOnce(Takeover) -> T) -> T {
    call(Takeover { id: &id(), name: &name(), round, branch: None })
}

fn land(repo: &Repo, work: &Captured) -> Result<Landed> {
    land_round(repo, work, 1)
}

fn land_round(repo: &Repo, work: &Captured, round: usize) -> Result<Landed> {
    let git = repo.open();
    takeover(round, |it| worktree_for_takeover(&git, it, work, &it.default_destination(git.top())))
}

/// A takeover with the user's name `mine` for the branch, and the staging worktree that it leaves when it is killed after
/// it set HEAD.
fn killed<T>(repo: &Repo, call: impl FnOnce(Takeover, &Path, &Path) -> T) -> T {
    let (id, name) = (id(), name());
    let named = Takeover { id: &id, name: &name, round: 1, branch: Some("mine") };
    let destination = named.default_destination(repo.top());
    let staging = destination.with_file_name(named.made_as());
    repo.git(["worktree", "add", "-q", "--detach", staging.to_str().unwrap()]);
    git_in(&staging, ["symbolic-ref", "HEAD", "refs/heads/mine"]);
    call(named, &staging, &destination)
}

/// Makes the branch as a takeover does.
fn make_branch(repo: &Repo) {
    repo.git(["update-ref", "--create-reflog", "-m", "handoff: takeover", "refs/heads/mine", "HEAD"]);
}

#[test]
fn an_interrupted_takeover_does_not_keep_the_users_name_for_the_branch() {
    let repo = Repo::with_commit();
    let git = repo.open();
    killed(&repo, |named, _, destination| {
        make_branch(&repo);
        check_place(&git, named, destination, &git.head_commit()).unwrap();
        let landed = worktree_for_takeover(&git, named, &taken(&repo), destination).unwrap();
        assert_eq!(landed.branch.as_deref(), Some("mine"));
        repo.git(["branch", "other"]);
        let other = Takeover { round: 2, branch: Some("other"), ..named };
        assert!(matches!(
            check_place(&git, other, &other.default_destination(git.top()), &git.head_commit()),
            Err(Error::Unfit { .. })
        ));
    });
}

#[test]
fn a_branch_of_the_users_survives_an_interrupted_takeover() {
    type Change = fn(&Repo, &Path);
    let cases: [(&str, Change); 4] = [
        ("mine", |repo, _| {
            repo.git(["checkout", "-q", "-b", "mine"]);
            repo.commit("by the user");
        }),
        ("feature", |repo, staging| {
            repo.git(["branch", "feature"]);
            git_in(staging, ["checkout", "-q", "feature"]);
        }),
        ("mine", |repo, staging| {
            make_branch(repo);
            git_in(staging, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"]);
        }),
        ("mine", |repo, _| {
            make_branch(repo);
            repo.git(["checkout", "-q", "--ignore-other-worktrees", "mine"]);
        }),
    ];
    for (case, (branch, change)) in cases.into_iter().enumerate() {
        let repo = Repo::with_commit();
        killed(&repo, |named, staging, destination| {
            change(&repo, staging);
            let at = repo.git(["rev-parse", branch]);
            // The user's name for the branch is refused if it is taken.
            let _ = check_place(&repo.open(), named, destination, &repo.open().head_commit());
            assert!(!staging.exists(), "case {case}");
            let tips = repo.git(["for-each-ref", "--format=%(objectname)", &format!("refs/heads/{branch}")]);
            assert_eq!(tips, at, "case {case}");
        });
    }
}

#[test]
fn a_takeovers_branch_is_known_without_reflogs_of_the_users() {
    let repo = Repo::with_commit();
    repo.git(["config", "core.logAllRefUpdates", "false"]);
    let landed = land(&repo, &taken(&repo)).unwrap();
    repo.git(["branch", "mine"]);
    let git = repo.open();
    let name = format!("refs/heads/{}", landed.branch.unwrap());
    assert!(git.is_branch_of_takeover(&name).unwrap());
    assert!(!git.is_branch_of_takeover("refs/heads/mine").unwrap());
}

#[test]
fn a_later_takeover_has_a_worktree_and_a_branch_of_its_own() {
    let repo = Repo::with_commit();
    let first = land(&repo, &taken(&repo)).unwrap();
    repo.write("README", "later\n");
    let second = land_round(&repo, &taken(&repo), 2).unwrap();
    assert_eq!((first.before, second.before), (false, false));
    assert_eq!(second.branch.as_deref(), Some("handoff/20260407-fix.2"));
    assert!(second.path.ends_with("the repo-handoff-20260407-fix.2"), "{:?}", second.path);
    assert_eq!(std::fs::read_to_string(second.path.join("README")).unwrap(), "later\n");
    assert_eq!(std::fs::read_to_string(first.path.join("README")).unwrap(), "hello\n", "the first one stays");
    assert!(land_round(&repo, &taken(&repo), 2).unwrap().before && land(&repo, &taken(&repo)).unwrap().before);
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
    let destination = takeover(1, |it| it.default_destination(repo.open().top()));
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
        Captured { head: missing.clone().into(), ..work.clone() },
        Captured { files_tree: missing.clone(), ..work.clone() },
        Captured { index_tree: missing.clone(), ..work.clone() },
    ] {
        land(&repo, &broken).unwrap_err();
        let none: [&str; 0] = [];
        assert_eq!(before.changes(&contents(repo.top())), none);
        assert!(!takeover(1, |it| it.default_destination(repo.open().top())).exists());
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

#[test]
fn the_branch_has_the_users_name_and_a_taken_name_is_refused_before_anything_is_made() {
    let repo = Repo::with_commit();
    repo.git(["branch", "taken"]);
    let work = taken(&repo);
    let git = repo.open();
    let named = |name: &str, destination: &str| -> Result<Landed> {
        let (id, remote) = (id(), self::name());
        let takeover = Takeover { id: &id, name: &remote, round: 1, branch: Some(name) };
        check_place(&git, takeover, &repo.sibling(destination), &git.head_commit())?;
        worktree_for_takeover(&git, takeover, &work, &repo.sibling(destination))
    };
    let before = contents(repo.top());
    for (name, why) in [
        ("taken", "the branch taken exists already, at "),
        ("taken/below", "cannot create 'refs/heads/taken/below'"),
        ("a..b", "not a name that git accepts for a branch"),
        ("-d", "not a name that git accepts for a branch"),
        ("@{-1}", "not a name that git accepts for a branch"),
        ("", "not a name that git accepts for a branch"),
    ] {
        let error = named(name, "x").unwrap_err();
        assert!(matches!(error, Error::Unfit { .. }) && error.to_string().contains(why), "{name}: {error}");
    }
    assert_eq!(before.changes(&contents(repo.top())), [""; 0]);
    assert!(!repo.sibling("x").exists());
    let landed = named("fix/total", "x").unwrap();
    assert_eq!(landed.branch.as_deref(), Some("fix/total"));
    assert_eq!(git_in(&landed.path, ["branch", "--show-current"]), "fix/total\n");
    assert_eq!(git_in(&landed.path, ["rev-parse", "fix/total"]), repo.git(["rev-parse", "HEAD"]));
}

#[test]
fn a_name_that_is_taken_in_the_meantime_is_refused_and_kept() {
    let repo = Repo::with_commit();
    let work = taken(&repo);
    repo.git(["branch", "mine"]);
    repo.commit("later");
    let (git, id, remote, at) = (repo.open(), id(), name(), repo.git(["rev-parse", "mine"]));
    let takeover = Takeover { id: &id, name: &remote, round: 1, branch: Some("mine") };
    let error = worktree_for_takeover(&git, takeover, &work, &repo.sibling("x")).unwrap_err();
    assert!(error.to_string().contains("mine"), "{error}");
    assert_eq!((repo.git(["rev-parse", "mine"]), repo.sibling("x").exists()), (at, false));
}
