//! Finds the work trees of a repository by their own git directories. A stored path only says where a work tree was;
//! git's files say where it is.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Repository;

impl Repository {
    /// The name of this work tree within its repository; empty for the main one.
    pub fn worktree_name(&self) -> String {
        if self.git_dir() == self.common_dir() {
            return String::new();
        }
        self.git_dir().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// The name of the work tree whose top is `path`; `None` if it does not belong to this repository.
    pub fn worktree_at(&self, path: &Path) -> Option<String> {
        if path == self.top() {
            return Some(self.worktree_name());
        }
        let git_dir = git_dir_of(path)?;
        if git_dir == self.common_dir() {
            return Some(String::new());
        }
        let all = self.common_dir().join("worktrees").canonicalize().ok()?;
        (git_dir.parent() == Some(&all)).then(|| git_dir.file_name().map(|name| name.to_string_lossy().into_owned()))?
    }

    /// Where the work tree with that name is now; `None` if git does not know it or it does not exist.
    pub fn worktree_named(&self, name: &str) -> Option<PathBuf> {
        if name == self.worktree_name() {
            return Some(self.top().to_owned());
        }
        let path = if name.is_empty() {
            self.common_dir().parent()?.to_owned()
        } else {
            let admin = self.common_dir().join("worktrees").join(Path::new(name).file_name()?);
            let text = std::fs::read(admin.join("gitdir")).ok()?;
            // The path may be relative to its directory.
            admin.join(OsStr::from_bytes(text.trim_ascii_end())).parent()?.to_owned()
        };
        let path = path.canonicalize().ok()?;
        (self.worktree_at(&path).as_deref() == Some(name)).then_some(path)
    }

    /// The names of the linked work trees that start with `prefix`.
    pub fn worktrees_called(&self, prefix: &str) -> Vec<String> {
        let entries = std::fs::read_dir(self.common_dir().join("worktrees")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        names
    }
}

/// The git directory that the top of a work tree names.
fn git_dir_of(top: &Path) -> Option<PathBuf> {
    let dot_git = top.join(".git");
    if dot_git.is_dir() {
        return dot_git.canonicalize().ok();
    }
    let text = std::fs::read(&dot_git).ok()?;
    let path = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    top.join(OsStr::from_bytes(path)).canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Repo, git_in};

    #[test]
    fn work_trees_are_found_where_they_were_moved_to() {
        let repo = Repo::with_commit();
        let (linked, moved) = (repo.sibling("linked"), repo.sibling("moved"));
        repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
        let main = repo.open();
        assert_eq!((main.worktree_name().as_str(), main.worktree_named("").as_deref()), ("", Some(repo.top())));
        assert_eq!(main.worktree_at(&linked).as_deref(), Some("linked"));
        assert_eq!(main.worktree_named("linked").as_ref(), Some(&linked));
        repo.git(["worktree", "move", linked.to_str().unwrap(), moved.to_str().unwrap()]);
        assert_eq!(main.worktree_named("linked").as_ref(), Some(&moved));
        let inside = Repository::discover(&moved).unwrap();
        assert_eq!(inside.worktree_name(), "linked");
        assert_eq!(inside.worktree_named("").as_deref(), Some(repo.top()));
        // A work tree that was moved without git is only found from inside.
        std::fs::rename(&moved, &linked).unwrap();
        assert_eq!(main.worktree_named("linked"), None);
        assert_eq!(Repository::discover(&linked).unwrap().worktree_named("linked").as_ref(), Some(&linked));
        git_in(&linked, ["worktree", "repair"]);
        repo.git(["worktree", "remove", "--force", linked.to_str().unwrap()]);
        assert_eq!(main.worktree_named("linked"), None);
        assert!(main.worktrees_called("l").is_empty());
    }

    #[test]
    fn another_directory_at_an_old_path_is_not_this_repositorys() {
        let (repo, other) = (Repo::with_commit(), Repo::with_commit());
        let main = repo.open();
        let empty = repo.sibling("empty");
        std::fs::create_dir(&empty).unwrap();
        for foreign in [&empty, other.top(), Path::new("/nowhere")] {
            assert_eq!(main.worktree_at(foreign), None, "{foreign:?}");
        }
        std::fs::write(empty.join(".git"), format!("gitdir: {}\n", other.top().join(".git").display())).unwrap();
        assert_eq!(main.worktree_at(&empty), None);
    }
}
