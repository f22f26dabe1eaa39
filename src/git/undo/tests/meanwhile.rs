//! What the user does while a change is written or undone, and after a process was killed in one.

use super::*;

/// A checkout where the work changes two files.
fn two() -> Case {
    let start = |repo: &Repo| {
        repo.write("second", "two\n");
        repo.commit("second");
    };
    Case::new(start, |host| {
        host.write("README", "by the agent\n");
        host.write("second", "by the agent\n");
    })
}

#[test]
fn a_file_that_changes_while_undo_runs_is_not_overwritten() {
    let case = two();
    case.bring();
    let path = case.user.path("second");
    let mut edit = || {
        std::fs::write(&path, "by the user\n").unwrap();
        Ok(())
    };
    let error = case.undo().undo(&case.user.open(), "refs/handoff/x/undo", &mut edit).unwrap_err();
    assert!(error.to_string().contains("second"), "{error}");
    assert_eq!(case.read("second"), "by the user\n");
}

#[test]
fn an_interrupted_undo_is_completed_around_what_the_user_changed_since() {
    let case = two();
    case.bring();
    let git = case.user.open();
    case.undo().undo(&git, "refs/handoff/x/undo", &mut killed_after(1)).unwrap_err();
    assert_eq!((case.read("README").as_str(), case.read("second").as_str()), ("hello\n", "by the agent\n"));
    case.user.write("README", "by the user\n");
    let kept = case.undo().undo(&git, "refs/handoff/x/undo", &mut || Ok(())).unwrap();
    assert_eq!(kept, ["README"]);
    assert_eq!((case.read("README").as_str(), case.read("second").as_str()), ("by the user\n", "two\n"));
}

#[test]
fn an_interrupted_undo_whose_files_were_committed_says_so_and_its_hint_works() {
    let start = |repo: &Repo| {
        repo.write("second", "two\n");
        repo.commit("second");
    };
    let case = Case::new(start, |host| {
        host.write("README", "by the agent\n");
        host.write("second", "by the agent\n");
        host.git(["add", "-A"]);
    });
    let before = everything(&case.user);
    case.bring();
    let git = case.user.open();
    case.undo().undo(&git, "refs/handoff/x/undo", &mut killed_after(1)).unwrap_err();
    // As after a kill, which leaves the lock.
    case.user.git(["commit", "-qam", "half of it"]);
    let error = case.take_back().unwrap_err();
    assert!(error.to_string().contains("restored only in part"), "{error}");
    let hint = error.hint().unwrap().to_owned();
    let command = hint.strip_suffix(", then the same command").unwrap();
    case.user.git(command.split(' ').skip(1));
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
}

#[test]
fn what_the_user_committed_after_a_kill_is_not_rolled_back() {
    let case = two();
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    case.undo().write(&case.user.open(), &mut || Ok(())).unwrap();
    assert_eq!(case.undo().unfinished(), Some(Unfinished::Writing));
    case.user.git(["commit", "-qam", "the work, before handoff noticed the kill"]);
    let before = everything(&case.user);
    let rolled_back = case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    assert_eq!(rolled_back, RolledBack::HeadMoved);
    assert_same(&before, &everything(&case.user), "the commit is the user's");
}

#[test]
fn what_the_user_committed_after_a_kill_is_not_rolled_back_if_only_the_index_changed() {
    let case = Case::new(|repo| repo.write("README", "changed\n"), |host| drop(host.git(["add", "README"])));
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    case.undo().write(&case.user.open(), &mut || Ok(())).unwrap();
    case.user.git(["commit", "-qm", "what the work staged"]);
    let before = everything(&case.user);
    let rolled_back = case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    assert_eq!(rolled_back, RolledBack::HeadMoved);
    assert_same(&before, &everything(&case.user), "the commit is the user's");
}

#[test]
fn an_undo_that_fails_leaves_git_unlocked() {
    let case = two();
    case.bring();
    let mut calls = 0;
    let mut fail = || {
        calls += 1;
        if calls == 2 { Err(Error::untrusted("the disk failed")) } else { Ok(()) }
    };
    case.undo().undo(&case.user.open(), "refs/handoff/x/undo", &mut fail).unwrap_err();
    assert!(!case.user.path(".git/index.lock").exists(), "this process lives, so it has to release the lock");
}

#[test]
fn an_earlier_change_can_be_undone_after_a_later_one_was_rolled_back() {
    let case = two();
    let before = everything(&case.user);
    case.bring();
    let brought = everything(&case.user);
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    case.user.write(".git/index.lock", "");
    case.undo().write(&case.user.open(), &mut || Ok(())).unwrap_err();
    case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    std::fs::remove_file(case.user.path(".git/index.lock")).unwrap();
    case.undo().abandon().unwrap();
    assert_same(&brought, &everything(&case.user), "rolled back");
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
}

#[test]
fn work_comes_into_a_branch_without_a_commit_and_undo_is_exact() {
    let case = two();
    case.user.git(["checkout", "-q", "--orphan", "fresh"]);
    let before = everything(&case.user);
    case.bring();
    assert_eq!(case.read("second"), "by the agent\n");
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
    case.bring();
    case.user.git(["commit", "-q", "-m", "the first commit"]);
    let error = case.take_back().unwrap_err();
    assert!(matches!(&error, Error::Unfit { hint, .. } if hint.starts_with("git update-ref -d HEAD,")), "{error:?}");
    case.user.git(["update-ref", "-d", "HEAD"]);
    case.take_back().unwrap();
    assert_eq!(case.read("second"), "two\n");
}

#[test]
fn a_path_outside_a_sparse_checkout_and_an_intent_to_add_are_restored() {
    let start = |repo: &Repo| {
        repo.write("in/file", "in\n");
        repo.write("out/file", "out\n");
        repo.commit("files");
    };
    let case = Case::new(start, |host| {
        host.write("in/file", "by the agent\n");
        host.write("out/new", "by the agent\n");
        host.write("-dash\nline", "by the agent\n");
        host.git(["add", "-A"]);
    });
    case.user.git(["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    case.user.write("in/mine", "mine\n");
    case.user.git(["add", "-N", "in/mine"]);
    let (before, flags) = (everything(&case.user), case.user.git(["ls-files", "-v", "-s"]));
    case.bring();
    assert_eq!(case.read("-dash\nline"), "by the agent\n");
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
    assert_eq!(case.user.git(["ls-files", "-v", "-s"]), flags);
}

#[test]
fn a_filter_and_a_file_mode_that_git_ignores_are_restored() {
    let start = |repo: &Repo| {
        repo.write(".gitattributes", "*.secret filter=crypt\n");
        for (name, value) in [("clean", "tr a-z A-Z"), ("smudge", "tr A-Z a-z"), ("required", "true")] {
            repo.git(["config", &format!("filter.crypt.{name}"), value]);
        }
        repo.git(["config", "core.fileMode", "false"]);
        repo.write("a.secret", "hidden\n");
        repo.write("tool", "tool\n");
        repo.commit("files");
    };
    let case = Case::new(start, |host| {
        for (name, value) in [("clean", "tr a-z A-Z"), ("smudge", "tr A-Z a-z"), ("required", "true")] {
            host.git(["config", &format!("filter.crypt.{name}"), value]);
        }
        host.write("a.secret", "found\n");
        host.git(["update-index", "--chmod=+x", "tool"]);
        host.git(["add", "a.secret"]);
    });
    std::fs::set_permissions(case.user.path("tool"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let before = everything(&case.user);
    case.bring();
    assert_eq!(case.read("a.secret"), "found\n");
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
}
