//! What a person did since a takeover.

use std::collections::HashSet;

use super::diff::Change;
use super::{Repository, Result};
use crate::model::event::ByHand;
use crate::model::snapshot::{Head, Snapshot};

/// Maximum number of commits, and of uncommitted files, that are named.
const MOST: usize = 20;
/// Maximum number of files that are compared.
const MOST_COMPARED: usize = 10_000;

impl Repository {
    /// The commits since `head`, and the files that a person changed since the state `before` and did not commit.
    pub fn by_hand(&self, before: &Snapshot, head: &Head, now: &Snapshot) -> Result<ByHand> {
        let changed = self.changes(&before.files_tree, &now.files_tree, MOST_COMPARED)?;
        let changed: HashSet<&str> = changed.files.iter().map(|file| file.path.as_str()).collect();
        let open = self.changes(&self.tree_of_head(&now.head)?, &now.files_tree, MOST_COMPARED)?.files;
        let open: Vec<String> =
            open.iter().filter(|file| changed.contains(file.path.as_str())).map(Change::to_string).collect();
        let more = open.len().checked_sub(MOST).filter(|more| *more > 0).map(|more| format!("and {more} more files"));
        Ok(ByHand {
            count: self.diff_count(&before.files_tree, &now.files_tree)?,
            commits: self.commits_since(head, &now.head, MOST)?,
            uncommitted: open.into_iter().take(MOST).chain(more).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn commits_and_open_files_of_a_person_are_told_apart_from_the_agents() {
        let repo = Repo::with_commit();
        let git = repo.open();
        repo.write("agent", "by the agent, not committed\n");
        let before = snapshot::take(&git, &[]).unwrap();
        repo.write("mine", "1\n2\n");
        repo.git(["add", "mine"]);
        repo.git(["commit", "-qm", "by hand"]);
        repo.write("open", "x\n");
        repo.write("README", "changed\n");
        let now = snapshot::take(&git, &[]).unwrap();
        let by_hand = git.by_hand(&before, &before.head, &now).unwrap();
        assert_eq!(by_hand.uncommitted, ["README (+1 −1)", "open (+1 −0)"]);
        assert_eq!(by_hand.commits.len(), 1);
        assert!(by_hand.commits[0].ends_with(" by hand"), "{by_hand:?}");
        assert!(by_hand.count.starts_with("3 files changed"), "{by_hand:?}");
        assert_eq!(git.by_hand(&now, &now.head, &now).unwrap(), Default::default());
    }
}
