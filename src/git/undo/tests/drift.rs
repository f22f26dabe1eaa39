//! What the user did in the meantime: refused with the paths, or kept.

use super::*;

fn simple() -> Case {
    Case::new(|_| {}, |host| host.write("README", "by the agent\n"))
}

#[test]
fn conflicts_are_listed_and_nothing_is_touched() {
    let start = |repo: &Repo| {
        for name in ["both", "deleted here", "deleted there", "binary", "union", "d"] {
            repo.write(name, "one\n");
        }
        repo.write(".gitattributes", "union merge=union\n");
        repo.write(".gitignore", "*.ignored\n");
        repo.write("binary", b"\0one");
        repo.commit("files");
    };
    let case = Case::new(start, |host| {
        for name in ["both", "deleted here", "added", "union", "x.ignored/tracked"] {
            host.write(name, "agent\n");
        }
        host.write("binary", b"\0agent");
        std::fs::remove_file(host.path("deleted there")).unwrap();
        std::fs::remove_file(host.path("d")).unwrap();
        host.write("d/below", "agent\n");
        host.git(["add", "-A", "-f"]);
        host.write("y", "agent\n");
        host.write("nested/file", "agent\n");
        host.write("z.ignored", "agent\n");
        host.git(["add", "-f", "z.ignored"]);
    });
    for name in ["both", "deleted there", "added", "union", "x.ignored", "z.ignored", "d"] {
        case.user.write(name, "user\n");
    }
    case.user.write("binary", b"\0user");
    std::fs::remove_file(case.user.path("deleted here")).unwrap();
    case.user.write("y/below", "user\n");
    std::fs::create_dir(case.user.path("nested")).unwrap();
    raw(&case.user.path("nested"), ["init", "-q"]);
    let expected = [
        "added is added on both sides",
        "binary is a binary file that is changed on both sides",
        "both is changed on both sides, in the same lines",
        "d is changed here and deleted in the work",
        "d/below is a directory on one side and a file on the other",
        "deleted here is deleted here and changed in the work",
        "deleted there is changed here and deleted in the work",
        "nested/file is in the place of something that git does not track here",
        "union is changed on both sides, and .gitattributes excludes it from a plain merge",
        "x.ignored/tracked is in the place of something that git does not track here",
        "y is a directory on one side and a file on the other",
        "z.ignored exists here as an ignored file",
    ];
    assert_eq!(case.refused(), expected);
}

#[test]
fn a_staged_conflict_is_one_although_the_files_agree() {
    let case = Case::new(
        |_| {},
        |host| {
            host.write("README", "agent\n");
            host.git(["add", "README"]);
            host.write("README", "hello\n");
        },
    );
    case.user.write("README", "user\n");
    case.user.git(["add", "README"]);
    case.user.write("README", "hello\n");
    assert_eq!(case.refused(), ["README is changed on both sides, in the same lines"]);
}

#[test]
fn a_link_in_the_way_is_never_written_through() {
    let case = Case::new(
        |repo| repo.write(".gitignore", "docs\n"),
        |host| {
            host.write("docs/page", "agent\n");
            host.git(["add", "-f", "docs/page"]);
        },
    );
    let outside = case.user.sibling("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, case.user.path("docs")).unwrap();
    assert_eq!(case.refused(), ["docs/page is in the place of something that git does not track here"]);
    std::fs::remove_file(case.user.path("docs")).unwrap();
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    std::os::unix::fs::symlink(&outside, case.user.path("docs")).unwrap();
    case.undo().write(&case.user.open(), &mut || Ok(())).unwrap_err();
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_branch_that_moved_on_keeps_its_commits_and_flags_stay() {
    let start = |repo: &Repo| {
        repo.write("flagged", "f\n");
        repo.commit("flagged");
    };
    let case = Case::new(start, |host| {
        host.write("README", "by the agent\n");
        host.write("flagged", "by the agent\n");
        host.commit("agent");
    });
    case.user.git(["update-index", "--assume-unchanged", "flagged"]);
    case.user.write("later", "later\n");
    case.user.git(["add", "later"]);
    case.user.git(["commit", "-qm", "later"]);
    let log = case.user.git(["log", "--format=%s"]);
    let before = everything(&case.user);
    case.bring();
    assert_eq!(case.user.git(["ls-files", "-v", "flagged"]), "h flagged\n");
    assert_eq!(case.user.git(["diff", "--cached", "--name-only"]), "README\nflagged\n");
    assert_eq!((case.read("README").as_str(), case.read("flagged").as_str()), ("by the agent\n", "by the agent\n"));
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
    assert_eq!(case.user.git(["log", "--format=%s"]), log);
}

#[test]
fn the_record_is_never_part_of_it() {
    let record = ".cursor/agent-handoffs/x/handoff.md";
    let start = |repo: &Repo| {
        repo.write(record, "committed by a team\n");
        repo.commit("record");
    };
    let mut case = Case::new(start, |host| host.write("README", "by the agent\n"));
    case.work = case.host.open().without_record(case.work.clone()).unwrap();
    case.user.write(record, "written by handoff\n");
    assert_eq!(case.bring().changed, ["README"]);
    assert_eq!(case.read(record), "written by handoff\n");
    assert!(case.user.git(["ls-files", record]).contains(record));
}

#[test]
fn an_unfinished_operation_and_a_submodule_are_refused_by_name() {
    let case = simple();
    case.user.git(["checkout", "-qb", "side"]);
    case.user.write("README", "side\n");
    case.user.commit("side");
    case.user.git(["checkout", "-q", "main"]);
    case.user.write("README", "main\n");
    case.user.commit("main");
    raw(case.user.top(), ["merge", "side"]);
    let error = case.prepare().unwrap_err();
    assert!(error.to_string().contains("a merge is not finished"), "{error}");
    std::fs::remove_file(case.user.path(".git/MERGE_HEAD")).unwrap();
    let error = case.prepare().unwrap_err();
    assert!(error.to_string().contains("merge conflicts, such as README"), "{error}");

    let mut case = simple();
    let head = case.host.git(["rev-parse", "HEAD"]);
    case.host.git(["update-index", "--add", "--cacheinfo", &format!("160000,{},sub", head.trim())]);
    case.work.index_tree = case.host.git(["write-tree"]).trim().parse().unwrap();
    assert_eq!(case.refused(), ["sub is a submodule"]);
}

#[test]
fn a_file_that_changed_since_is_not_lost_by_undo() {
    let case = rich();
    case.bring();
    case.user.write("new/untracked", "by the user\n");
    case.user.write("file to directory/mine", "by the user\n");
    let brought = everything(&case.user);
    let error = case.take_back().unwrap_err();
    let text = error.to_string();
    assert!(text.ends_with("nothing was undone:\n  file to directory\n  new/untracked"), "{text}");
    assert!(error.hint().unwrap().contains("git show refs/handoff/x/undo:PATH"));
    assert_same(&brought, &everything(&case.user), "refused");

    let case = simple();
    case.bring();
    case.user.git(["add", "README"]);
    assert!(case.take_back().unwrap_err().to_string().contains("\n  README"), "it was staged since");
    case.user.git(["commit", "-qm", "kept"]);
    let error = case.take_back().unwrap_err();
    assert!(error.to_string().contains("HEAD has moved"), "{error}");
    case.user.git(["reset", "-q", "HEAD~"]);
    case.take_back().unwrap();
    assert_eq!(case.read("README"), "hello\n");
}

#[test]
fn a_file_that_changes_while_it_is_written_is_kept() {
    let case = rich();
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    let mut calls = 0;
    let path = case.user.path("private");
    let mut step = || {
        calls += 1;
        if calls == 2 {
            std::fs::write(&path, "by the user\n").unwrap();
        }
        Ok(())
    };
    let error = case.undo().write(&case.user.open(), &mut step).unwrap_err();
    assert!(error.to_string().starts_with("private changed while"), "{error}");
    let rolled_back = case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    assert_eq!(rolled_back, RolledBack::Restored { kept: vec!["private".to_owned()] });
    assert_eq!(case.read("private"), "by the user\n");
    assert_eq!(case.user.git(["status", "--porcelain"]), " M changed\nAM mine\n M private\n");
}

#[test]
fn line_endings_and_a_split_index_survive() {
    let case = Case::new(
        |repo| {
            repo.git(["config", "core.autocrlf", "true"]);
            repo.git(["update-index", "--split-index"]);
        },
        |host| {
            host.write("README", "by the agent\r\n");
            host.git(["add", "README"]);
        },
    );
    let before = everything(&case.user);
    case.bring();
    assert_eq!(case.read("README"), "by the agent\r\n");
    assert_eq!(case.user.git(["status", "--porcelain"]), "M  README\n");
    for file in std::fs::read_dir(case.user.path(".git")).unwrap().map(|entry| entry.unwrap().path()) {
        if file.file_name().unwrap().to_string_lossy().starts_with("sharedindex.") {
            std::fs::remove_file(file).unwrap();
        }
    }
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
    assert_eq!(case.user.git(["status", "--porcelain"]), "");
}
