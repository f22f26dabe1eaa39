//! Repositories for tests, in their own directory, without the machine's configuration.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Repository;
use crate::model::snapshot::Oid;

/// A repository in a temporary directory with room for other files next to it.
pub struct Repo {
    folder: tempfile::TempDir,
    top: PathBuf,
}

impl Repo {
    pub fn empty() -> Self {
        Self::init(&["init", "-q", "-b", "main"])
    }

    /// A repository with one commit that contains `README`.
    pub fn with_commit() -> Self {
        Self::empty().committed()
    }

    pub fn with_format(format: &str) -> Self {
        Self::init(&["init", "-q", "-b", "main", "--object-format", format]).committed()
    }

    /// The same with a format of the refs. `None`: this git does not know it.
    pub fn with_ref_format(format: &str) -> Option<Self> {
        let probe = tempfile::tempdir().unwrap();
        let arguments = ["init", "-q", "-b", "main", "--ref-format", format];
        raw(probe.path(), arguments).status.success().then(|| Self::init(&arguments).committed())
    }

    fn init(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Every tested path contains a space.
        let top = folder.path().canonicalize().unwrap().join("the repo");
        std::fs::create_dir(&top).unwrap();
        let repo = Self { folder, top };
        repo.git(arguments);
        repo.git(["config", "user.name", "A U Thor"]);
        repo.git(["config", "user.email", "author@example.com"]);
        repo
    }

    fn committed(self) -> Self {
        self.write("README", "hello\n");
        self.commit("start");
        self
    }

    /// A copy with an object store of its own.
    pub fn copy(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap().join("the repo");
        let copied = Command::new("cp").arg("-a").args([&self.top, &top]).status().unwrap();
        assert!(copied.success());
        Self { folder, top }
    }

    /// Makes the objects of another repository readable here.
    pub fn borrow_objects(&self, other: &Repo) {
        self.write(".git/objects/info/alternates", format!("\"{}\"\n", other.path(".git/objects").display()));
    }

    pub fn top(&self) -> &Path {
        &self.top
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.top.join(name)
    }

    /// A path next to the repository.
    pub fn sibling(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    pub fn open(&self) -> Repository {
        Repository::discover(&self.top).unwrap()
    }

    pub fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub fn executable(&self, name: &str) {
        std::fs::set_permissions(self.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    pub fn commit(&self, message: &str) {
        self.git(["add", "-A"]);
        self.git(["commit", "-q", "--allow-empty", "-m", message]);
    }

    /// Runs git as a user would, and panics if it fails.
    pub fn git<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> String {
        git_in(&self.top, arguments)
    }

    /// Writes an executable script next to the repository and returns its path, quoted for a shell.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.sibling(name);
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        format!("'{}'", path.display())
    }
}

impl Repository {
    /// The commit that is checked out.
    pub fn head_commit(&self) -> Oid {
        self.head().unwrap().commit().unwrap().clone()
    }
}

/// Runs git in a directory as a user would, and panics if it fails.
pub fn git_in<S: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = S>) -> String {
    let output = raw(directory, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs git in a directory as a user would, and returns its output and status.
pub fn raw<S: AsRef<OsStr>>(directory: &Path, arguments: impl IntoIterator<Item = S>) -> std::process::Output {
    let mut command = Command::new("git");
    super::command::inherit(&mut command);
    let date = "2026-01-02T03:04:05Z";
    command.env("GIT_COMMITTER_DATE", date).env("GIT_AUTHOR_DATE", date).env("LC_ALL", "C");
    command.arg("-C").arg(directory).args(["-c", "protocol.file.allow=always", "-c", "core.hooksPath=/dev/null"]);
    command.args(arguments).output().unwrap()
}

/// `git status` in a form that separates staged, unstaged and untracked, without branch lines.
pub fn status(directory: &Path) -> String {
    git_in(directory, ["--no-optional-locks", "status", "--porcelain=v2", "-z", "-uall"])
}

/// Every file below a directory at one moment.
pub struct Contents(BTreeMap<PathBuf, State>);

/// Content, mode and modification time.
type State = (Vec<u8>, u32, Option<(i64, i64)>);

pub fn contents(directory: &Path) -> Contents {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap().map(Result::unwrap) {
            let (path, meta) = (entry.path(), entry.metadata().unwrap());
            if meta.is_dir() {
                open.push(path);
                continue;
            }
            let bytes = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            // git updates the time of an existing object instead of writing it again, so that no gc deletes it.
            let text = path.to_string_lossy();
            let freshened = text.contains("/.git/objects/") || text.contains("/.git/sharedindex.");
            let time = (!freshened).then(|| (meta.mtime(), meta.mtime_nsec()));
            found.insert(path, (bytes, meta.mode(), time));
        }
    }
    Contents(found)
}

impl Contents {
    /// Paths that were added, removed or changed between two moments.
    pub fn changes(&self, next: &Contents) -> Vec<String> {
        let paths: std::collections::BTreeSet<_> = self.0.keys().chain(next.0.keys()).collect();
        let changed = paths.into_iter().filter(|path| self.0.get(*path) != next.0.get(*path));
        changed.map(|path| path.to_string_lossy().into_owned()).collect()
    }

    /// The same without objects that only `next` has.
    pub fn changes_but_new_objects(&self, next: &Contents) -> Vec<String> {
        let is_new = |path: &str| path.contains("/.git/objects/") && !self.0.contains_key(Path::new(path));
        self.changes(next).into_iter().filter(|path| !is_new(path)).collect()
    }
}
