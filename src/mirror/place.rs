//! Where the record of a handoff is for people: below `.cursor` in a worktree, or only in the git directory if
//! `.cursor` is not a directory of this worktree that we may write to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};

use super::RECORD;
use crate::git::Repository;
use crate::model::id::HandoffId;

/// Where `handoff.md` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Worktree,
    /// In the git directory, with the reason for the user.
    GitDirectory {
        why: String,
    },
}

impl Place {
    /// Decides without changing anything. A link is never followed, because its target is not part of this worktree.
    pub fn of(worktree: &Path, id: &HandoffId) -> Place {
        match obstacle(worktree, id).or_else(|| submodule(worktree)) {
            Some(why) => Place::GitDirectory { why },
            None => Place::Worktree,
        }
    }

    /// The path of `handoff.md`. `truth`: the directory of the handoff in the git directory.
    pub fn document(&self, worktree: &Path, id: &HandoffId, truth: &Path) -> PathBuf {
        match self {
            Place::Worktree => worktree.join(RECORD).join(id.as_str()).join("handoff.md"),
            Place::GitDirectory { .. } => truth.join("handoff.md"),
        }
    }
}

/// What prevents the record's directory.
fn obstacle(worktree: &Path, id: &HandoffId) -> Option<String> {
    let mut at = worktree.to_owned();
    let mut name = PathBuf::new();
    for part in Path::new(RECORD).iter().chain([id.as_str().as_ref()]) {
        let Ok(meta) = at.join(part).symlink_metadata() else {
            // The missing directories are created in the last one that exists.
            let why = format!(
                "{} cannot be written",
                if name.as_os_str().is_empty() { at.display() } else { name.display() }
            );
            let write = rustix::fs::Access::WRITE_OK;
            return rustix::fs::access(&at, write).is_err().then_some(why);
        };
        at.push(part);
        name.push(part);
        if meta.is_symlink() {
            return Some(format!("{} is a symbolic link", name.display()));
        }
        if !meta.is_dir() {
            return Some(format!("{} is not a directory", name.display()));
        }
        if at.join(".git").symlink_metadata().is_ok() {
            return Some(format!("{} is another repository", name.display()));
        }
    }
    let why = format!("{} cannot be written", name.display());
    rustix::fs::access(&at, rustix::fs::Access::WRITE_OK).is_err().then_some(why)
}

/// Whether `.cursor` is a submodule, populated or not. Each process asks git once.
fn submodule(worktree: &Path) -> Option<String> {
    static KNOWN: LazyLock<Mutex<HashMap<PathBuf, Option<String>>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(worktree.to_owned()).or_insert_with(|| ask(worktree)).clone()
}

/// `None` if git does not answer: then no obstacle is known.
fn ask(worktree: &Path) -> Option<String> {
    let repository = Repository::discover(worktree).ok()?;
    let parts = [":(top,literal).cursor", &format!(":(top,literal){RECORD}")].map(str::to_owned);
    let listed = repository.git("ls-files").args(["-s", "-z", "--"]).args(parts).run().ok()?;
    let mut links = listed.split(|b| *b == 0).filter(|entry| entry.starts_with(b"160000 "));
    let path = links.next()?.splitn(2, |b| *b == b'\t').nth(1)?;
    Some(format!("{} is a submodule", String::from_utf8_lossy(path)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_record_is_below_directories_of_its_worktree_or_in_the_git_directory() {
        let id: HandoffId = "20261121-x".parse().unwrap();
        let why = |prepare: &dyn Fn(&Path)| {
            let folder = tempfile::tempdir().unwrap();
            prepare(folder.path());
            match Place::of(folder.path(), &id) {
                Place::Worktree => String::new(),
                Place::GitDirectory { why } => why,
            }
        };
        let directory = |at: &Path| std::fs::create_dir_all(at).unwrap();
        assert_eq!(why(&|_| ()), "");
        assert_eq!(why(&|top| directory(&top.join(".cursor/agent-handoffs/20261121-x"))), "");
        assert_eq!(why(&|top| symlink("x", top.join(".cursor")).unwrap()), ".cursor is a symbolic link");
        assert_eq!(why(&|top| std::fs::write(top.join(".cursor"), "").unwrap()), ".cursor is not a directory");
        assert_eq!(why(&|top| directory(&top.join(".cursor/.git"))), ".cursor is another repository");
        let deeper = |top: &Path| {
            directory(&top.join(".cursor"));
            symlink(top, top.join(".cursor/agent-handoffs")).unwrap();
        };
        assert_eq!(why(&deeper), ".cursor/agent-handoffs is a symbolic link");
        let closed = |top: &Path| {
            directory(&top.join(".cursor"));
            std::fs::set_permissions(top.join(".cursor"), std::fs::Permissions::from_mode(0o555)).unwrap();
        };
        let said = why(&closed);
        assert!(said == ".cursor cannot be written" || said.is_empty(), "root writes everywhere: {said}");
        let documents = [Place::Worktree, Place::GitDirectory { why: String::new() }]
            .map(|place| place.document(Path::new("/w"), &id, Path::new("/g")));
        assert_eq!(documents[0], Path::new("/w/.cursor/agent-handoffs/20261121-x/handoff.md"));
        assert_eq!(documents[1], Path::new("/g/handoff.md"));
    }
}
