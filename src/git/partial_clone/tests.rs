use std::path::PathBuf;
use std::sync::Mutex;

use super::*;
use crate::git::snapshot;
use crate::git::testing::{Contents, Repo, contents, git_in};

/// A clone of a repository whose commits change a file each. What it lacks is promised by `origin`.
struct Clone {
    origin: Repo,
    top: PathBuf,
    told: Mutex<Vec<u64>>,
}

impl Clone {
    fn new(filter: &str) -> Self {
        let origin = Repo::with_commit();
        for n in 1..=4 {
            origin.write("count", format!("{n}\n"));
            origin.write(format!("d{n}/file"), format!("file {n}\n"));
            origin.commit(&format!("commit {n}"));
        }
        origin.git(["config", "uploadpack.allowFilter", "true"]);
        origin.git(["config", "uploadpack.allowAnySHA1InWant", "true"]);
        let (top, url) = (origin.sibling("partial"), format!("file://{}", origin.top().display()));
        origin.git(["clone", "-q", &format!("--filter={filter}"), &url, top.to_str().unwrap()]);
        let clone = Clone { origin, top, told: Mutex::default() };
        clone.git(&["config", "user.name", "x"]);
        clone.git(&["config", "user.email", "x"]);
        clone
    }

    fn git(&self, args: &[&str]) -> String {
        git_in(&self.top, args)
    }

    fn open(&self) -> Repository {
        Repository::discover(&self.top).unwrap()
    }

    fn take(&self) -> Result<Snapshot> {
        self.told.lock().unwrap().clear();
        snapshot::take_for_run(&self.open(), &[], &[], &|objects, _| self.told.lock().unwrap().push(objects))
    }

    /// The history of a ship, with HEAD's number of commits above each end.
    fn history(&self) -> (History, Vec<u64>) {
        let history = self.take().unwrap().history.unwrap();
        let above = |end: &Oid| self.git(&["rev-list", "--count", &format!("{end}..HEAD")]).trim().parse().unwrap();
        let above = history.ends.iter().map(above).collect();
        (history, above)
    }

    fn told(&self) -> Vec<u64> {
        self.told.lock().unwrap().clone()
    }

    /// What changed, except objects that were added and our own directory.
    fn changes(&self, before: &Contents) -> Vec<String> {
        let mut changes = before.changes_but_new_objects(&contents(&self.top));
        changes.retain(|path| !path.contains("/.git/handoff/"));
        changes
    }

    fn vanish(&self) {
        self.git(&["config", "remote.origin.url", "file:///nonexistent"]);
    }

    fn commit(&self, message: &str) {
        self.git(&["commit", "-q", "--allow-empty", "-m", message]);
    }
}

#[test]
fn a_complete_clone_is_sent_whole() {
    let clone = Clone::new("blob:none");
    assert!(clone.take().unwrap().history.is_some());
    clone.git(&["fetch", "-q", "--refetch", "--no-filter", "origin"]);
    assert_eq!(clone.take().unwrap().history, None);
    assert!(clone.told().is_empty());
}

#[test]
fn the_history_ends_where_the_branch_left_the_main_branch() {
    let clone = Clone::new("blob:none");
    let before = contents(&clone.top);
    let (history, above) = clone.history();
    assert_eq!((history.commits, history.fetched, above), (1, 0, vec![0]), "HEAD is on the main branch");
    assert_eq!(clone.changes(&before), Vec::<String>::new());
    std::fs::remove_file(clone.top.join(".git/handoff/.ends")).unwrap();
    clone.git(&["checkout", "-q", "-b", "fix", "HEAD~2"]);
    clone.commit("mine");
    clone.commit("mine again");
    let (history, above) = clone.history();
    assert_eq!((history.commits, history.left_refs, above), (3, 1, vec![2]));
    // A merge of the main branch makes a second end.
    clone.git(&["merge", "-q", "--no-edit", "origin/main"]);
    std::fs::remove_file(clone.top.join(".git/handoff/.ends")).unwrap();
    let (history, mut above) = clone.history();
    above.sort_unstable();
    assert_eq!((history.commits, history.left_refs, above.len()), (5, 0, 2));
    clone.vanish();
    assert_eq!(clone.history().0.ends, history.ends);
}

#[test]
fn the_end_of_the_last_ship_is_kept_while_the_remote_sends_what_lies_between() {
    let clone = Clone::new("blob:none");
    clone.git(&["reset", "-q", "--hard", "HEAD~3"]);
    let first = clone.history().0.ends;
    clone.git(&["reset", "-q", "--hard", "origin/main"]);
    clone.vanish();
    let (history, above) = clone.history();
    assert_eq!((history.fetched, above), (0, vec![0]), "the remote is gone, and HEAD is complete");
    for text in ["garbage\n".to_owned(), format!("{}\n", "1".repeat(40)), String::new()] {
        std::fs::write(clone.top.join(".git/handoff/.ends"), text).unwrap();
        assert_eq!(clone.history().1, [0]);
    }
    clone.git(&["config", "remote.origin.url", &format!("file://{}", clone.origin.top().display())]);
    std::fs::write(clone.top.join(".git/handoff/.ends"), format!("{}\n", first[0])).unwrap();
    let (history, above) = clone.history();
    assert_eq!((history.commits, history.fetched, above), (4, 2, vec![3]));
    assert_eq!((history.ends, clone.told()), (first, vec![2]), "one request");
}

#[test]
fn directories_and_files_of_head_are_fetched_with_few_requests() {
    let clone = Clone::new("tree:0");
    clone.git(&["update-ref", "refs/heads/main", "HEAD~2"]);
    let before = contents(&clone.top);
    let preview = snapshot::preview(&clone.open(), &[], &[]);
    assert!(matches!(preview, Err(Error::Unfit { .. })), "nothing was asked for: {preview:?}");
    assert_eq!(before.changes(&contents(&clone.top)), Vec::<String>::new());
    let taken = clone.take().unwrap();
    assert_eq!(taken.history.unwrap().ends, [clone.open().head_commit()]);
    assert_eq!(clone.told().len(), 2, "directories, then files: {:?}", clone.told());
    assert_eq!(clone.changes(&before), Vec::<String>::new());
    clone.vanish();
    assert!(clone.take().is_ok());
}

#[test]
fn a_ship_that_cannot_be_completed_is_refused_with_the_command_that_helps_and_leaves_nothing() {
    let clone = Clone::new("blob:none");
    clone.git(&["read-tree", "HEAD~2"]);
    clone.git(&["update-ref", "refs/heads/main", "HEAD~2"]);
    clone.vanish();
    let before = contents(&clone.top);
    let Err(Error::OnlyOnRemote { objects, remote, why, hint }) = clone.take() else { panic!("sent") };
    assert_eq!((objects, remote.as_str()), (1, "origin"));
    assert!(why.starts_with("fatal: "), "{why}");
    assert_eq!(before.changes(&contents(&clone.top)), Vec::<String>::new());
    clone.git(&["config", "remote.origin.url", &format!("file://{}", clone.origin.top().display())]);
    let words: Vec<&str> = hint.strip_prefix("git ").unwrap().split(' ').collect();
    clone.git(&words);
    assert_eq!(clone.take().unwrap().history, None);
}

#[test]
fn another_remote_is_asked_and_no_setting_is_written() {
    let clone = Clone::new("blob:none");
    clone.git(&["config", "remote.gone.promisor", "true"]);
    clone.git(&["config", "remote.gone.url", "file:///nonexistent"]);
    clone.git(&["config", "--unset", "remote.origin.partialclonefilter"]);
    clone.git(&["config", "remote.origin.prune", "true"]);
    clone.git(&["config", "fetch.bundleURI", "/nonexistent"]);
    clone.git(&["update-ref", "refs/remotes/origin/stale", "HEAD"]);
    clone.git(&["update-ref", "refs/heads/main", "HEAD~2"]);
    let before = contents(&clone.top);
    let history = clone.take().unwrap().history.unwrap();
    assert_eq!((history.fetched, history.commits), (1, 1));
    assert_eq!(clone.changes(&before), Vec::<String>::new());
}

#[test]
fn a_preview_counts_what_a_ship_fetches() {
    let clone = Clone::new("blob:none");
    clone.git(&["update-ref", "refs/heads/main", "HEAD~2"]);
    let before = contents(&clone.top);
    let planned = snapshot::preview(&clone.open(), &[], &[]).unwrap().history;
    assert_eq!(before.changes(&contents(&clone.top)), Vec::<String>::new());
    assert_eq!(planned, clone.take().unwrap().history);
    assert_eq!(planned.unwrap().fetched, 1);
}

#[test]
fn a_later_ship_gets_what_it_adds() {
    let clone = Clone::new("blob:none");
    clone.git(&["reset", "-q", "--hard", "HEAD~3"]);
    let (base, git) = (clone.take().unwrap(), clone.open());
    clone.git(&["update-ref", "refs/heads/main", "origin/main"]);
    let ship = snapshot::take(&git, &[]).unwrap();
    let asked = Mutex::new(Vec::new());
    let tell = |objects: u64, _: &str| asked.lock().unwrap().push(objects);
    git.complete_ship(&base, &ship, &tell).unwrap();
    git.complete_ship(&base, &ship, &tell).unwrap();
    assert_eq!(*asked.lock().unwrap(), [2], "one request, once");
}
