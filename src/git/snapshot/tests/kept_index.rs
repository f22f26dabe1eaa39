//! The index that is kept between snapshots: it saves hashing, and hides nothing.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{file, snapshot, take};
use crate::git::Repository;
use crate::git::testing::Repo;

/// A repository that notes each file that git reads to hash it, with more files than are hashed without asking.
fn counted() -> Repo {
    let repo = Repo::with_commit();
    let clean = repo.script("clean", "echo >>\"$0.log\"; cat");
    repo.git(["config", "filter.count.clean", &clean]);
    repo.write(".gitattributes", "*.txt filter=count\n");
    (0..150).for_each(|n| repo.write(format!("many/{n}.txt"), format!("{n}\n")));
    repo.commit("many");
    repo
}

/// How many files were hashed since the last call.
fn hashed(repo: &Repo) -> usize {
    let log = repo.sibling("clean.log");
    let count = std::fs::read(&log).map_or(0, |bytes| bytes.len());
    let _ = std::fs::remove_file(log);
    count
}

fn set_time(path: &Path, time: SystemTime) {
    let file = std::fs::File::open(path).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(time)).unwrap();
}

/// Makes the user's index outdated, as in a repository that was copied.
fn touch_all(repo: &Repo) {
    let time = SystemTime::now() - Duration::from_secs(1000);
    (0..150).for_each(|n| set_time(&repo.path(format!("many/{n}.txt")), time));
    hashed(repo);
}

fn kept(git_dir: &Path) -> Vec<PathBuf> {
    let entries = git_dir.join("handoff").read_dir().into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".index-")).collect()
}

#[test]
fn files_with_a_new_time_are_hashed_once() {
    let repo = counted();
    touch_all(&repo);
    let before = std::fs::read(repo.path(".git/index")).unwrap();
    snapshot(&repo);
    assert!(hashed(&repo) >= 150);
    repo.write("many/7.txt", "edited\n");
    let taken = snapshot(&repo);
    assert!(hashed(&repo) < 5, "only the edited file");
    assert_eq!(file(&repo, &taken.files_tree, "many/7.txt").unwrap(), "edited\n");
    assert_eq!(file(&repo, &taken.index_tree, "many/7.txt").unwrap(), "7\n");
    assert_eq!(std::fs::read(repo.path(".git/index")).unwrap(), before, "the user's index is theirs");
    assert_eq!(kept(&repo.path(".git")).len(), 1);
}

#[test]
fn an_index_that_was_changed_and_is_still_outdated_is_not_hashed_whole() {
    let repo = counted();
    repo.write(".gitignore", "secret\n");
    repo.write("secret", "x");
    repo.git(["add", "-f", "secret"]);
    touch_all(&repo);
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "secret").unwrap(), "x");
    repo.git(["rm", "-q", "--cached", "secret"]);
    repo.write("many/7.txt", "staged\n");
    repo.git(["add", "many/7.txt"]);
    hashed(&repo);
    let taken = snapshot(&repo);
    assert!(hashed(&repo) < 10);
    assert_eq!(file(&repo, &taken.files_tree, "secret"), None, "it is ignored now");
    assert_eq!(file(&repo, &taken.index_tree, "many/7.txt").unwrap(), "staged\n");
    // With few changed files, the user's index is as good.
    repo.git(["status"]);
    hashed(&repo);
    snapshot(&repo);
    assert!(hashed(&repo) < 10);
}

#[test]
fn an_untracked_file_that_is_ignored_later_is_not_sent() {
    let repo = counted();
    repo.write("notes", "x");
    assert!(file(&repo, &snapshot(&repo).files_tree, "notes").is_some());
    repo.write(".git/info/exclude", "notes\n");
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "notes"), None);
}

#[test]
fn an_edit_in_the_second_of_the_kept_index_is_seen() {
    let repo = Repo::with_commit();
    // Without the change time, an edit of the same length and time can only be seen in the content.
    repo.git(["config", "core.trustctime", "false"]);
    let later = SystemTime::now() + Duration::from_secs(1000);
    repo.write("README", "AAAA\n");
    set_time(&repo.path("README"), later);
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "README").unwrap(), "AAAA\n");
    repo.git(["add", "README"]);
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "README").unwrap(), "AAAA\n");
    assert_eq!(kept(&repo.path(".git")).len(), 1);
    repo.write("README", "BBBB\n");
    set_time(&repo.path("README"), later);
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "README").unwrap(), "BBBB\n");
}

#[test]
fn hidden_edits_are_found_at_each_snapshot() {
    let repo = counted();
    repo.write("absent", "as committed");
    repo.commit("absent");
    repo.git(["update-index", "--assume-unchanged", "many/1.txt"]);
    repo.git(["update-index", "--skip-worktree", "many/2.txt", "absent"]);
    repo.write("many/1.txt", "first\n");
    touch_all(&repo);
    for content in ["second\n", "third\n"] {
        repo.write("many/2.txt", content);
        let taken = snapshot(&repo);
        assert_eq!(file(&repo, &taken.files_tree, "many/1.txt").unwrap(), "first\n");
        assert_eq!(file(&repo, &taken.files_tree, "many/2.txt").unwrap(), content);
    }
    assert!(hashed(&repo) < 160, "not everything twice");
    // The flag still says that this file may be absent.
    std::fs::remove_file(repo.path("absent")).unwrap();
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "absent").unwrap(), "as committed");
    // The same with another index of the user's.
    touch_all(&repo);
    repo.write("many/3.txt", "staged\n");
    repo.git(["add", "many/3.txt"]);
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "absent").unwrap(), "as committed");
}

#[test]
fn a_damaged_index_is_ignored() {
    let repo = counted();
    touch_all(&repo);
    let right = snapshot(&repo).files_tree;
    let ways: [fn(&Path); 4] = [
        |path| {
            let mut bytes = std::fs::read(path).unwrap();
            bytes[60] ^= 1; // in the object id of the first entry
            std::fs::write(path, bytes).unwrap();
        },
        |path| std::fs::write(path, "").unwrap(),
        |path| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        },
        |path| {
            // Whole by its name, but nothing that git can read.
            let name = path.file_name().unwrap().to_str().unwrap().rsplit_once('-').unwrap().0;
            std::fs::write(path.with_file_name(format!("{name}-{}", super::super::kept_index::hash(b"DIRC"))), "DIRC")
                .unwrap();
            std::fs::remove_file(path).unwrap();
        },
    ];
    for damage in ways {
        let damaged = &kept(&repo.path(".git"))[0];
        damage(damaged);
        assert_eq!(snapshot(&repo).files_tree, right);
        let _ = std::fs::remove_dir(damaged);
        snapshot(&repo);
    }
}

#[test]
fn snapshots_at_the_same_time_do_not_disturb_each_other() {
    let repo = counted();
    touch_all(&repo);
    let right = snapshot(&repo).files_tree;
    std::thread::scope(|scope| {
        let several: Vec<_> =
            (0..4).map(|_| scope.spawn(|| (0..3).map(|_| snapshot(&repo).files_tree).collect::<Vec<_>>())).collect();
        for taken in several {
            assert_eq!(taken.join().unwrap(), vec![right.clone(); 3]);
        }
    });
    assert!(kept(&repo.path(".git")).len() <= 1);
}

#[test]
fn each_work_tree_has_its_own() {
    let repo = counted();
    let linked = repo.sibling("linked");
    repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    std::fs::write(linked.join("README"), "other\n").unwrap();
    let other = Repository::discover(&linked).unwrap();
    for _ in 0..2 {
        let (here, there) = (snapshot(&repo), take(&other, &[]).unwrap());
        assert_eq!(file(&repo, &here.files_tree, "README").unwrap(), "hello\n");
        assert_eq!(file(&repo, &there.files_tree, "README").unwrap(), "other\n");
    }
    assert_eq!(kept(other.git_dir()).len(), 1);
    repo.git(["worktree", "remove", "--force", linked.to_str().unwrap()]);
    assert_eq!(kept(other.git_dir()), Vec::<PathBuf>::new());
}
