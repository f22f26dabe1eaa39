mod included_ignored;
mod kept_index;
mod left_behind;
mod operation;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::take;
use crate::git::testing::{Repo, contents, raw};
use crate::git::{Error, Repository};
use crate::model::snapshot::{Oid, Snapshot};

fn snapshot(repo: &Repo) -> Snapshot {
    take(&repo.open(), &[]).unwrap()
}

/// The content of a file in a tree, if it exists.
fn file(repo: &Repo, tree: &Oid, path: &str) -> Option<String> {
    let output = raw(repo.top(), ["cat-file", "blob", &format!("{tree}:{path}")]);
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn mode(repo: &Repo, tree: &Oid, path: &str) -> String {
    repo.git(["ls-tree", tree.as_str(), "--", path]).split(' ').next().unwrap_or_default().to_owned()
}

fn reasons(snapshot: &Snapshot) -> Vec<(&str, &str)> {
    snapshot.left_behind.iter().map(|l| (l.path.as_str(), l.reason.as_str())).collect()
}

fn refusal(repo: &Repo) -> (String, String) {
    match take(&repo.open(), &[]) {
        Err(Error::Unfit { what, hint }) => (what, hint),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_clean_repository_has_the_same_tree_three_times() {
    let repo = Repo::with_commit();
    let taken = snapshot(&repo);
    let tree = repo.git(["rev-parse", "HEAD^{tree}"]);
    assert_eq!((taken.index_tree.as_str(), taken.files_tree.as_str()), (tree.trim(), tree.trim()));
    assert_eq!((taken.branch.as_deref(), taken.left_behind.len()), (Some("main"), 0));
    let shape = repo.git(["log", "-1", "--format=%an <%ae>|%cn <%ce>|%P|%T", taken.commit.as_str()]);
    let parts: Vec<_> = shape.trim().split('|').collect();
    assert_eq!(parts[..2], ["handoff <handoff@localhost>"; 2]);
    let (first, second) = parts[2].split_once(' ').unwrap();
    assert_eq!((first, parts[3]), (taken.head.to_string().as_str(), taken.files_tree.as_str()));
    assert_eq!(repo.git(["log", "-1", "--format=%P", second]).trim(), taken.head.to_string());
}

#[test]
fn staged_and_unstaged_edits_of_one_file_stay_apart() {
    let repo = Repo::with_commit();
    repo.write("gone", "x");
    repo.write("old name", "a file that is moved\n");
    repo.commit("more");
    repo.write("README", "staged\n");
    repo.git(["add", "README"]);
    repo.write("README", "unstaged\n");
    std::fs::remove_file(repo.path("gone")).unwrap();
    repo.git(["mv", "old name", "new name"]);
    repo.write("dir with space/untracked", "new\n");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.index_tree, "README").unwrap(), "staged\n");
    assert_eq!(file(&repo, &taken.files_tree, "README").unwrap(), "unstaged\n");
    assert_eq!(file(&repo, &taken.index_tree, "gone").unwrap(), "x");
    assert_eq!(file(&repo, &taken.files_tree, "gone"), None);
    assert_eq!(file(&repo, &taken.index_tree, "old name"), None);
    assert_eq!(file(&repo, &taken.files_tree, "new name").unwrap(), "a file that is moved\n");
    assert_eq!(file(&repo, &taken.index_tree, "dir with space/untracked"), None);
    assert_eq!(file(&repo, &taken.files_tree, "dir with space/untracked").unwrap(), "new\n");
}

#[test]
fn names_links_and_modes_of_every_kind_are_kept() {
    let repo = Repo::with_commit();
    let strange = Path::new(OsStr::from_bytes(b"not utf-8 \xff\n\"quoted\""));
    repo.write(strange, "strange");
    repo.write("-option", "x");
    repo.write(":(top)magic", "x");
    repo.write("run.sh", "#!/bin/sh\n");
    repo.executable("run.sh");
    std::os::unix::fs::symlink("nowhere at all", repo.path("link")).unwrap();
    let taken = snapshot(&repo);
    let names = raw(repo.top(), ["ls-tree", "-r", "-z", "--name-only", taken.files_tree.as_str()]).stdout;
    let names: Vec<_> = names.split(|b| *b == 0).collect();
    for name in [strange.as_os_str().as_bytes(), b"-option", b":(top)magic"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert_eq!(mode(&repo, &taken.files_tree, "run.sh"), "100755");
    assert_eq!(mode(&repo, &taken.files_tree, "link"), "120000");
    assert_eq!(taken.left_behind, []);
}

#[test]
fn a_snapshot_changes_nothing_but_adds_objects() {
    let repo = Repo::with_commit();
    repo.write("stashed", "x");
    repo.git(["add", "-A"]);
    repo.git(["stash"]);
    repo.git(["config", "core.splitIndex", "true"]);
    repo.git(["config", "core.untrackedCache", "true"]);
    repo.git(["config", "core.logAllRefUpdates", "always"]);
    repo.write("a", "staged");
    repo.git(["add", "a"]);
    repo.write("a", "edited");
    (0..150).for_each(|n| repo.write(format!("many/{n}"), format!("{n}")));
    repo.write(".git/hooks/post-index-change", format!("#!/bin/sh\ntouch '{}'\n", repo.sibling("ran").display()));
    repo.executable(".git/hooks/post-index-change");
    repo.git(["config", "core.fsmonitor", &repo.script("monitor", "touch \"$0.ran\"")]);
    let before = contents(repo.top());
    let taken = snapshot(&repo);
    let changed = before.changes_but_new_objects(&contents(repo.top()));
    assert!(matches!(&changed[..], [kept] if kept.contains("/.git/handoff/.index-")), "{changed:?}");
    assert!(!repo.sibling("ran").exists() && !repo.sibling("monitor.ran").exists());
    assert_eq!(repo.path(".git/handoff").read_dir().unwrap().count(), 1, "the scratch directory is gone");
    repo.git(["fsck", "--strict", "--connectivity-only", taken.commit.as_str()]);
}

#[test]
fn an_edit_in_the_second_of_the_index_is_seen() {
    let repo = Repo::with_commit();
    // With whole seconds and no change time, as on some file systems, only the content shows the edit.
    repo.git(["config", "core.trustctime", "false"]);
    let second = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let dated = |name: &str| {
        let handle = std::fs::File::options().write(true).open(repo.path(name)).unwrap();
        handle.set_times(std::fs::FileTimes::new().set_modified(second)).unwrap();
    };
    repo.write("README", "AAAA\n");
    dated("README");
    repo.git(["add", "README"]);
    dated(".git/index");
    repo.write("README", "BBBB\n");
    dated("README");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, "README").unwrap(), "BBBB\n");
    assert_eq!(file(&repo, &taken.index_tree, "README").unwrap(), "AAAA\n");
}

#[test]
fn a_git_command_at_the_same_time_does_not_fail_the_snapshot() {
    let repo = Repo::with_commit();
    repo.write(".git/index.lock", "");
    repo.write("new", "x");
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "new").unwrap(), "x");
    std::fs::remove_file(repo.path(".git/index.lock")).unwrap();
    std::fs::remove_file(repo.path(".git/index")).unwrap();
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.index_tree, "README"), None, "without an index everything is staged as deleted");
    assert_eq!(file(&repo, &taken.files_tree, "README").unwrap(), "hello\n");
}

#[test]
fn a_sparse_checkout_is_shipped_whole() {
    let repo = Repo::with_commit();
    repo.write("in/a", "a");
    repo.write("out/b", "b");
    repo.commit("more");
    repo.git(["sparse-checkout", "set", "--cone", "--sparse-index", "in"]);
    repo.write("in/a", "edited");
    repo.write("out/new", "outside the cone");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, "in/a").unwrap(), "edited");
    assert_eq!(file(&repo, &taken.files_tree, "out/b").unwrap(), "b");
    assert_eq!(file(&repo, &taken.files_tree, "out/new").unwrap(), "outside the cone");
    assert_eq!(file(&repo, &taken.index_tree, "out/b").unwrap(), "b");
}

#[test]
fn line_endings_are_stored_as_the_users_git_would() {
    let repo = Repo::with_commit();
    repo.git(["config", "core.autocrlf", "true"]);
    repo.git(["config", "core.safecrlf", "true"]);
    repo.write("README", "hello\r\n");
    repo.write("mixed", "a\r\nb\n");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, "README").unwrap(), "hello\n");
    assert_eq!(file(&repo, &taken.files_tree, "mixed").unwrap(), "a\nb\n");
    assert_eq!(taken.left_behind, []);
}

#[test]
fn a_linked_worktree_and_a_detached_head_can_be_shipped() {
    let repo = Repo::with_commit();
    let linked = repo.sibling("linked");
    repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
    std::fs::write(linked.join("only here"), "x").unwrap();
    let taken = take(&Repository::discover(&linked).unwrap(), &[]).unwrap();
    assert_eq!(taken.branch, None);
    assert_eq!(file(&repo, &taken.files_tree, "only here").unwrap(), "x");
    assert_eq!(file(&repo, &snapshot(&repo).files_tree, "only here"), None);
}

#[test]
fn borrowed_objects_and_strange_paths_work() {
    let origin = Repo::with_commit();
    let repo = Repo::empty();
    let clone = repo.sibling("a \"clone\":\n");
    repo.git(["clone", "-q", "--shared", origin.top().to_str().unwrap(), clone.to_str().unwrap()]);
    std::fs::write(clone.join("new"), "x").unwrap();
    let taken = take(&Repository::discover(&clone).unwrap(), &[]).unwrap();
    crate::git::testing::git_in(&clone, ["cat-file", "-e", &format!("{}:new", taken.commit)]);
}

#[test]
fn a_failure_leaves_no_object_behind() {
    let repo = Repo::with_commit();
    repo.git(["config", "filter.broken.clean", "false"]);
    repo.git(["config", "filter.broken.required", "true"]);
    repo.write(".gitattributes", "*.x filter=broken\n");
    repo.write("a", "a new object");
    repo.write("b.x", "x");
    let before = contents(repo.top());
    let error = take(&repo.open(), &[]).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    let none: [&str; 0] = [];
    assert_eq!(before.changes(&contents(repo.top())), none);
}

#[test]
fn a_snapshot_during_commits_is_consistent() {
    let repo = Repo::with_commit();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                n += 1;
                repo.write("README", format!("{n}\n"));
                repo.git(["commit", "-qam", "next"]);
                std::thread::sleep(std::time::Duration::from_millis(150));
            }
        });
        for _ in 0..6 {
            match take(&repo.open(), &[]) {
                Ok(taken) => assert_eq!(
                    taken.index_tree.as_str(),
                    repo.git(["rev-parse", &format!("{}^{{tree}}", taken.head)]).trim(),
                    "nothing was ever staged without being committed"
                ),
                Err(error) => assert!(error.to_string().contains("kept changing"), "{error}"),
            }
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}
