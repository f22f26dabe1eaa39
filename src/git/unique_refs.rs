//! Which refs of a handoff have something that no other ref has.

use std::collections::HashSet;

use super::{Repository, Result, refs};
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;

impl Repository {
    /// The refs below `refs/handoff/<id>/` that would be lost with them: of a working state, HEAD, the index or the files
    /// are in no commit of another ref; of contents of Git LFS, one is not where git-lfs has it; of anything else, the
    /// commit itself.
    ///
    /// # Errors
    /// git fails.
    pub fn only_in(&self, id: &HandoffId) -> Result<Vec<(String, Oid)>> {
        let mut own = self.list_refs(&refs::of(id))?;
        let without = format!("--exclude={}*", refs::of(id));
        let others = self.git("log").args(["--no-show-signature", "--format=%H %T", &without, "--all"]).run()?;
        let text = String::from_utf8_lossy(&others);
        let (mut commits, mut trees) = (HashSet::new(), HashSet::new());
        for (commit, tree) in text.lines().filter_map(|line| line.split_once(' ')) {
            commits.insert(commit);
            trees.insert(tree);
        }
        let mut stored = HashSet::new();
        for (name, object) in &own {
            if refs::is_lfs(id, name) && self.has_lfs(object)? {
                stored.insert(object.clone());
            }
        }
        own.retain(|(name, object)| {
            let is_elsewhere = commits.contains(object.as_str())
                || stored.contains(object)
                || refs::is_state(id, name)
                    && self.read_capture(object).is_ok_and(|work| {
                        work.head.commit().is_none_or(|head| commits.contains(head.as_str()))
                            && [work.index_tree, work.files_tree].iter().all(|tree| trees.contains(tree.as_str()))
                    });
            !is_elsewhere
        });
        Ok(own)
    }

    /// Deletes the refs below `refs/handoff/<id>/`, all of them or none, if they are what they were.
    ///
    /// # Errors
    /// git fails.
    pub fn forget_refs(&self, id: &HandoffId) -> Result<usize> {
        let own = self.list_refs(&refs::of(id))?;
        let gone = |(name, object): &(String, Oid)| refs::Change {
            name: name.clone(),
            old: Some(refs::Was::At(object.clone())),
            new: None,
        };
        let changes: Vec<refs::Change> = own.iter().map(gone).collect();
        if !changes.is_empty() {
            self.update_refs(&changes)?;
        }
        Ok(changes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::repository::oid;
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn a_working_state_is_elsewhere_if_commits_of_other_refs_have_its_trees() {
        let repo = Repo::with_commit();
        let (git, id): (_, HandoffId) = (repo.open(), "x".parse().unwrap());
        git.keep_ref(&refs::base(&id), &snapshot::take(&git, &[]).unwrap().commit).unwrap();
        assert!(git.only_in(&id).unwrap().is_empty());
        repo.write("README", "by the agent\n");
        let work = snapshot::take(&git, &[]).unwrap();
        git.keep_ref("refs/handoff/x/1/work", &work.commit).unwrap();
        // Another handoff's ref with a name that begins alike is another ref.
        git.keep_ref("refs/handoff/x-2/base", &git.head_commit()).unwrap();
        assert_eq!(git.only_in(&id).unwrap(), [("refs/handoff/x/1/work".to_owned(), work.commit.clone())]);
        let side = repo.git(["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "side"]);
        // The shape of a working state does not make one of an agent's merge.
        let merge = repo.git(["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-p", side.trim(), "-m", "merge"]);
        let merge = oid(merge.trim()).unwrap();
        git.keep_ref("refs/handoff/x/1/heads/side", &merge).unwrap();
        assert!(git.only_in(&id).unwrap().contains(&("refs/handoff/x/1/heads/side".to_owned(), merge)));
        git.update_refs(&[refs::Change { name: "refs/handoff/x/1/heads/side".into(), old: None, new: None }]).unwrap();
        let commit = git.commit_for_user(&work.files_tree, &work.head, "final\n").unwrap();
        git.keep_ref(&refs::final_work(&id), &commit).unwrap();
        assert_eq!(git.only_in(&id).unwrap().len(), 2);
        git.make_branch("fix", &commit).unwrap();
        assert!(git.only_in(&id).unwrap().is_empty());
        assert_eq!((git.forget_refs(&id).unwrap(), git.forget_refs(&id).unwrap()), (3, 0));
        assert_eq!(repo.git(["for-each-ref", "--format=%(refname)", "refs/handoff"]), "refs/handoff/x-2/base\n");
        assert_eq!(oid(repo.git(["rev-parse", "fix"]).trim()).unwrap(), commit);
    }
}
