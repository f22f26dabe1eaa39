//! A commit of the user's as a working state without changes.

use super::capture::Captured;
use super::repository::{commit_tree, oid};
use super::{Repository, Result};
use crate::model::snapshot::Oid;

impl Repository {
    /// The commit with this id, or the only one whose id begins so. `None`: there is none. A branch of that name is not
    /// meant.
    ///
    /// # Errors
    /// git fails.
    pub fn commit_with(&self, id: &str) -> Result<Option<Oid>> {
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id || !self.missing_commits(&[id])?.is_empty() {
            return Ok(None);
        }
        let found = self.git("rev-parse").args(["--quiet", "--verify", &format!("{id}^{{commit}}")]).answer()?;
        let found = found.map(|text| oid(&text)).transpose()?;
        Ok(found.filter(|commit| commit.as_str().starts_with(id)))
    }

    /// The state of a checkout of the commit in which nothing was changed, in the shape of a stash. The caller keeps the
    /// commit.
    ///
    /// # Errors
    /// git fails.
    pub fn clean_state(&self, head: &Oid) -> Result<Captured> {
        let tree = self.tree_of(head)?;
        let index = commit_tree(self.git("commit-tree"), "handoff: what is staged", &tree, [head])?;
        let commit =
            commit_tree(self.git("commit-tree"), "handoff: what lies in the directory", &tree, [head, &index])?;
        Ok(Captured { commit, head: head.clone().into(), index_tree: tree.clone(), files_tree: tree })
    }
}

#[cfg(test)]
mod tests {
    use crate::git::testing::Repo;

    #[test]
    fn a_commit_is_found_by_its_id_only_and_is_a_state_without_changes() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let head = git.head_commit();
        assert_eq!(git.commit_with(head.short()).unwrap(), Some(head.clone()));
        repo.git(["branch", "deadbeef"]);
        for other in ["deadbeef", "HEAD", "", "--all", &"1".repeat(40), git.tree_of(&head).unwrap().as_str()] {
            assert_eq!(git.commit_with(other).unwrap(), None, "{other}");
        }
        let state = git.clean_state(&head).unwrap();
        assert_eq!(git.read_capture(&state.commit).unwrap(), state);
        assert_eq!(state.files_tree, git.tree_of(&head).unwrap());
    }
}
