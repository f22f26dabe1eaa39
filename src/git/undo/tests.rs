//! Work that comes into a checkout, and its undo: exact, or nothing, also after a crash at any step.

mod drift;
mod meanwhile;
mod random;

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::git::capture::Captured;
use crate::git::merge_here::{Outcome, Preview, prepare};
use crate::git::snapshot;
use crate::git::testing::{Repo, raw};

/// What a file is: mode, content or target, and for files the modification time.
type Shape = (u32, Vec<u8>, Option<(i64, i64)>);

/// Everything of a checkout that undo restores: files, directories, and the bytes of the index.
fn everything(repo: &Repo) -> BTreeMap<PathBuf, Shape> {
    let (mut found, mut open) = (BTreeMap::new(), vec![repo.top().to_owned()]);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = entry.symlink_metadata().unwrap();
            let shape = if meta.is_dir() {
                (meta.mode(), Vec::new(), None)
            } else if meta.is_symlink() {
                (meta.mode(), std::fs::read_link(&entry).unwrap().into_os_string().into_encoded_bytes(), None)
            } else {
                (meta.mode(), std::fs::read(&entry).unwrap(), Some((meta.mtime(), meta.mtime_nsec())))
            };
            if entry == repo.path(".git") {
                continue;
            }
            if meta.is_dir() {
                open.push(entry.clone());
            }
            found.insert(entry, shape);
        }
    }
    let index = repo.path(".git/index");
    found.insert(index.clone(), (0, std::fs::read(&index).unwrap_or_default(), None));
    let lock = repo.path(".git/index.lock");
    assert!(!lock.exists(), "the index is locked");
    found
}

fn assert_same(before: &BTreeMap<PathBuf, Shape>, after: &BTreeMap<PathBuf, Shape>, when: &str) {
    let paths: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let differ: Vec<_> = paths.into_iter().filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(differ.is_empty(), "{when}: {differ:?}");
}

/// A checkout, what the work began with, and what came back.
struct Case {
    user: Repo,
    host: Repo,
    base: Captured,
    work: Captured,
}

impl Case {
    /// `start` makes the state that is shipped, and `agent` what the agent does with it on the host.
    fn new(start: impl FnOnce(&Repo), agent: impl FnOnce(&Repo)) -> Self {
        let user = Repo::with_commit();
        start(&user);
        let base = Captured::from(&snapshot::take(&user.open(), &[]).unwrap());
        let host = user.copy();
        agent(&host);
        let work = Captured::from(&snapshot::take(&host.open(), &[]).unwrap());
        user.borrow_objects(&host);
        let case = Self { user, host, base, work };
        std::fs::create_dir_all(case.directory()).unwrap();
        case
    }

    fn directory(&self) -> PathBuf {
        self.user.path(".git/handoff/x")
    }

    fn undo(&self) -> Undo {
        Undo::of(&self.directory())
    }

    fn prepare(&self) -> Result<Outcome> {
        prepare(&self.user.open(), &self.undo(), 1, &self.base, &self.work)
    }

    /// Brings the work here and returns the preview.
    fn bring(&self) -> Preview {
        let preview = match self.prepare().unwrap() {
            Outcome::Ready(preview) => preview,
            Outcome::Conflicts(conflicts) => panic!("{conflicts:?}"),
        };
        self.undo().begin().unwrap();
        self.undo().write(&self.user.open(), &mut || Ok(())).unwrap();
        self.undo().finish().unwrap();
        preview
    }

    fn take_back(&self) -> Result<()> {
        let kept = self.undo().undo(&self.user.open(), "refs/handoff/x/undo", &mut || Ok(()))?;
        assert_eq!(kept, [""; 0]);
        Ok(())
    }

    /// The conflicts, as text. Nothing may be touched.
    fn refused(&self) -> Vec<String> {
        let before = everything(&self.user);
        let conflicts = match self.prepare().unwrap() {
            Outcome::Conflicts(conflicts) => conflicts,
            Outcome::Ready(preview) => panic!("{preview:?}"),
        };
        assert_same(&before, &everything(&self.user), "refused");
        conflicts.iter().map(|it| format!("{} {}", it.path, it.why)).collect()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.user.path(name)).unwrap()
    }
}

/// A step that fails when it is called for the time after `left`.
fn killed_after(mut left: u32) -> impl FnMut() -> Result<()> {
    move || match left.checked_sub(1) {
        Some(less) => {
            left = less;
            Ok(())
        }
        None => Err(Error::untrusted("killed")),
    }
}

/// Files that become directories, directories that become files, links, modes, and staged changes.
fn rich() -> Case {
    let start = |repo: &Repo| {
        for name in ["changed", "deleted/deep/file", "file to directory", "directory/to/file", "kept", "private"] {
            repo.write(name, "one\ntwo\nthree\nfour\nfive\n");
        }
        std::fs::set_permissions(repo.path("private"), std::fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("kept", repo.path("link")).unwrap();
        repo.commit("files");
    };
    let case = Case::new(start, |host| {
        host.write("changed", "one\ntwo\nthree\nfour\nFIVE\n");
        host.write("private", "secret\n");
        std::fs::remove_dir_all(host.path("deleted")).unwrap();
        std::fs::remove_file(host.path("file to directory")).unwrap();
        host.write("file to directory/below", "x\n");
        std::fs::remove_dir_all(host.path("directory")).unwrap();
        host.write("directory", "a file\n");
        std::fs::remove_file(host.path("link")).unwrap();
        std::os::unix::fs::symlink("changed", host.path("link")).unwrap();
        host.git(["add", "-A"]);
        host.git(["commit", "-qm", "by the agent"]);
        host.write("new/untracked", "n\n");
        host.executable("kept");
    });
    case.user.write("changed", "ONE\ntwo\nthree\nfour\nfive\n");
    case.user.write("mine", "mine\n");
    case.user.git(["add", "mine"]);
    case.user.write("mine", "mine, later\n");
    std::fs::set_permissions(case.user.path("deleted/deep"), std::fs::Permissions::from_mode(0o750)).unwrap();
    case
}

#[test]
fn the_work_is_merged_into_files_and_index_and_undone_exactly() {
    let case = rich();
    let (before, head) = (everything(&case.user), case.user.git(["rev-parse", "HEAD", "main"]));
    let preview = case.bring();
    assert_eq!(preview.changed, ["changed", "kept", "link", "private"]);
    assert_eq!(preview.added, ["directory", "file to directory/below", "new/untracked"]);
    assert_eq!(preview.deleted, ["deleted/deep/file", "directory/to/file", "file to directory"]);
    assert_eq!(case.read("changed"), "ONE\ntwo\nthree\nfour\nFIVE\n");
    assert_eq!(case.read("mine"), "mine, later\n");
    assert_eq!(case.user.path("private").metadata().unwrap().mode() & 0o777, 0o600, "a private file stays private");
    assert!(!case.user.path("deleted").exists());
    let status = case.user.git(["status", "--porcelain"]);
    let expected = "MM changed\nD  deleted/deep/file\nA  directory\nD  directory/to/file\nD  \"file to directory\"\n\
                    A  \"file to directory/below\"\n M kept\nM  link\nAM mine\nM  private\n?? new/\n";
    assert_eq!(status, expected, "commits of the agent are staged, the rest is not");
    assert_eq!(case.user.git(["rev-parse", "HEAD", "main"]), head);
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone");
    case.take_back().unwrap();
    assert_same(&before, &everything(&case.user), "undone twice");
}

#[test]
fn a_crash_at_any_step_is_rolled_back_and_an_interrupted_undo_is_finished() {
    let case = rich();
    let before = everything(&case.user);
    let git = case.user.open();
    let mut steps = 0;
    loop {
        assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
        case.undo().begin().unwrap();
        let whole = case.undo().write(&git, &mut killed_after(steps)).is_ok();
        assert_eq!(case.undo().unfinished(), Some(Unfinished::Writing));
        // The recovery is killed, too, after each number of steps.
        let mut tries = 0;
        while case.undo().roll_back(&git, &mut killed_after(tries)).is_err() {
            tries += 1;
        }
        assert_same(&before, &everything(&case.user), &format!("killed after {steps} steps"));
        case.undo().forget().unwrap();
        if whole {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "{steps}");
    case.bring();
    let mut tries = 0;
    while case.undo().undo(&git, "x", &mut killed_after(tries)).is_err() {
        assert_eq!(case.undo().unfinished(), Some(Unfinished::Undoing));
        tries += 1;
    }
    // Each try continues where the one before was killed.
    assert!(tries > 3, "{tries}");
    assert_same(&before, &everything(&case.user), "undone");
}

#[test]
fn a_lock_of_gits_is_respected_and_one_of_ours_is_removed_after_a_kill() {
    let case = rich();
    let before = everything(&case.user);
    assert!(matches!(case.prepare().unwrap(), Outcome::Ready(_)));
    case.undo().begin().unwrap();
    case.user.write(".git/index.lock", "");
    let error = case.undo().write(&case.user.open(), &mut || Ok(())).unwrap_err();
    assert!(error.to_string().contains("index.lock exists"), "{error}");
    case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    assert!(case.user.path(".git/index.lock").exists(), "nothing was written, so the lock is not needed");
    std::fs::remove_file(case.user.path(".git/index.lock")).unwrap();
    case.undo().write(&case.user.open(), &mut killed_after(3)).unwrap_err();
    assert!(case.user.path(".git/index.lock").exists(), "git waits while files are half written");
    case.undo().roll_back(&case.user.open(), &mut || Ok(())).unwrap();
    assert_same(&before, &everything(&case.user), "rolled back");
}
