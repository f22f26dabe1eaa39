//! The removal of a takeover's worktree.

use std::os::unix::fs::symlink;

use super::*;
use crate::git::takeover_worktree::removal::{self, Saved, Unsaved, complete_removal, remove, unsaved, worktrees_of};

/// A repository with a takeover of uncommitted work, and what refs have of it.
fn landed() -> (Repo, PathBuf, Saved) {
    let repo = Repo::with_commit();
    repo.write(".gitignore", "*.env\nbuild/\n");
    repo.write("untracked", "by the agent\n");
    let work = taken(&repo);
    let path = land(&repo, &work).unwrap().path;
    (repo, path, Saved { states: vec![work], extras: vec![] })
}

/// git's data about the only linked worktree.
fn admin(repo: &Repo) -> PathBuf {
    repo.path(".git/worktrees").read_dir().unwrap().next().unwrap().unwrap().path()
}

fn found(repo: &Repo, path: &Path, saved: &Saved) -> Unsaved {
    unsaved(&repo.open(), path, saved, &[]).unwrap()
}

fn write(path: &Path, name: &str, text: &str) {
    std::fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
    std::fs::write(path.join(name), text).unwrap();
}

#[test]
fn an_unchanged_takeover_and_one_with_commits_have_nothing_of_their_own() {
    let (repo, path, saved) = landed();
    assert_eq!(found(&repo, &path, &saved), Unsaved::default());
    let why = found(&repo, &path, &Saved::default()).why;
    assert_eq!(why, ["it has changes that are not committed"]);
    git_in(&path, ["add", "-A"]);
    assert!(!found(&repo, &path, &saved).is_empty(), "the index differs");
    git_in(&path, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "by hand"]);
    assert_eq!(found(&repo, &path, &Saved::default()), Unsaved::default());
    git_in(&path, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--amend", "-m", "better"]);
    assert_eq!(found(&repo, &path, &Saved::default()), Unsaved::default(), "the branch's reflog has the first one");
    write(&path, ".cursor/agent-handoffs/20260407-fix/handoff.md", "the record\n");
    repo.open().exclude_record().unwrap();
    assert_eq!(found(&repo, &path, &saved), Unsaved::default());
}

#[test]
fn whatever_only_a_worktree_has_keeps_it() {
    type Change = fn(&Repo, &Path);
    let cases: [(&str, Change); 11] = [
        ("it has changes that are not committed", |_, path| write(path, "README", "by hand\n")),
        ("it has changes that are not committed", |_, path| write(path, "new", "")),
        ("it has changes that are not committed", |_, path| {
            git_in(path, ["update-index", "--assume-unchanged", "README"]);
            write(path, "README", "hidden\n");
        }),
        ("is in no branch or tag", |_, path| {
            git_in(path, ["checkout", "-q", "--detach"]);
            git_in(path, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"]);
        }),
        ("was made there and is in no branch or tag", |_, path| {
            git_in(path, ["checkout", "-q", "--detach"]);
            git_in(path, ["-c", "user.name=x", "-c", "user.email=x@x", "commit", "-q", "--allow-empty", "-m", "x"]);
            git_in(path, ["checkout", "-q", "-"]);
        }),
        ("it has refs of its own", |_, path| drop(git_in(path, ["update-ref", "refs/worktree/mine", "HEAD"]))),
        ("a bisect is not finished (git -C ", |_, path| drop(git_in(path, ["bisect", "start"]))),
        ("it is locked", |repo, path| drop(repo.git(["worktree", "lock", path.to_str().unwrap()]))),
        ("nested/ (nested repository)", |_, path| drop(git_in(path, ["init", "-q", "nested"]))),
        ("pipe (named pipe)", |_, path| {
            assert!(std::process::Command::new("mkfifo").arg(path.join("pipe")).status().unwrap().success());
        }),
        ("it has submodules with repositories of their own", |_, path| {
            let admin = Repository::discover(path).unwrap().git_dir().join("modules/x");
            std::fs::create_dir_all(admin).unwrap();
        }),
    ];
    for (why, change) in cases {
        let (repo, path, saved) = landed();
        change(&repo, &path);
        let unsaved = found(&repo, &path, &saved);
        assert!(unsaved.why.iter().any(|said| said.contains(why)), "{why}: {unsaved:?}");
    }
}

#[test]
fn ignored_files_are_listed_unless_they_were_sent_and_are_unchanged() {
    let (repo, path, mut saved) = landed();
    write(&path, "build/out", "x");
    write(&path, "my.env", "sent\n");
    assert_eq!(found(&repo, &path, &saved).ignored, ["build/", "my.env"]);
    repo.write("my.env", "sent\n");
    let sent = snapshot::take(&repo.open(), &["*.env".to_owned()]).unwrap().extra.unwrap();
    saved.extras.push(sent.tree);
    assert_eq!(found(&repo, &path, &saved), Unsaved { ignored: vec!["build/".into()], ..Unsaved::default() });
    write(&path, "my.env", "mine\n");
    let why = found(&repo, &path, &saved).why;
    assert_eq!(why, ["ignored files that were sent with the work have changed"]);
}

#[test]
fn every_ignored_file_is_listed_because_the_listed_ones_are_deleted() {
    let (repo, path, saved) = landed();
    let all: Vec<_> = (0..201).map(|number| format!("{number:03}.env")).collect();
    all.iter().for_each(|name| write(&path, name, "x"));
    assert_eq!(found(&repo, &path, &saved), Unsaved { ignored: all, ..Unsaved::default() });
}

#[test]
fn a_removal_is_completed_wherever_it_was_interrupted() {
    let steps: [fn(&Repo, &Path, &Path); 4] = [
        |_, _, _| (),
        |_, path, away| std::fs::rename(path, away).unwrap(),
        |repo, path, away| {
            std::fs::rename(path, away).unwrap();
            std::fs::remove_dir_all(admin(repo)).unwrap();
        },
        |repo, path, away| {
            std::fs::rename(path, away).unwrap();
            std::fs::remove_dir_all(admin(repo)).unwrap();
            std::fs::remove_file(away.join(".git")).unwrap();
        },
    ];
    for (step, interrupt) in steps.into_iter().enumerate() {
        let (repo, path, _) = landed();
        let git = repo.open();
        let away = takeover(1, |it| removal::away(it, &path));
        interrupt(&repo, &path, &away);
        takeover(1, |it| {
            complete_removal(&git, it, &path).unwrap();
            for place in worktrees_of(&git, it) {
                remove(&git, it, &place).unwrap();
            }
        });
        assert!(!path.exists() && !away.exists(), "step {step}");
        assert_eq!(repo.git(["worktree", "list"]).lines().count(), 1, "step {step}");
        assert_eq!(repo.git(["branch", "--list", "handoff/*"]), "  handoff/20260407-fix\n", "step {step}");
    }
}

#[test]
fn a_directory_of_another_repository_is_never_removed() {
    let (repo, path, _) = landed();
    let git = repo.open();
    let away = takeover(1, |it| removal::away(it, &path));
    let other = Repo::with_commit();
    for link in [other.path(".git/worktrees/x").display().to_string(), "nowhere".to_owned()] {
        write(&away, ".git", &format!("gitdir: {link}\n"));
        takeover(1, |it| remove(&git, it, &path)).unwrap_err();
        assert!(path.exists() && away.join(".git").exists(), "{link}");
    }
    std::fs::remove_dir_all(&away).unwrap();
    let foreign = repo.sibling("foreign");
    symlink(other.top(), &foreign).unwrap();
    takeover(1, |it| remove(&git, it, &foreign)).unwrap_err();
    assert!(other.path("README").exists());
}
