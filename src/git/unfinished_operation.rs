//! Which operation of the user's, such as a merge or a rebase, is unfinished in a work tree, and how it is ended.

use std::path::Path;

use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// Refs next to HEAD that exist during an operation. With the reftable format, git has no files for some of them.
const MERGE: &str = "MERGE_HEAD";
const CHERRY_PICK: &str = "CHERRY_PICK_HEAD";
const REVERT: &str = "REVERT_HEAD";

/// What can be unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnfinishedOperation {
    Rebase,
    Am,
    Merge,
    CherryPick,
    Revert,
    /// git's directory for several cherry-picks or reverts, without the list that says which.
    Sequence,
    Bisect,
}

impl UnfinishedOperation {
    /// The operation with an article.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rebase => "a rebase",
            Self::Am => "a git am",
            Self::Merge => "a merge",
            Self::CherryPick => "a cherry-pick",
            Self::Revert => "a revert",
            Self::Sequence => "a cherry-pick or revert of several commits",
            Self::Bisect => "a bisect",
        }
    }

    /// The error of a command that cannot work while it is unfinished in a work tree.
    pub fn refusal(self, work_tree: &Path) -> Error {
        let what = format!("{} is not finished in {}", self.name(), work_tree.display());
        Error::unfit(what, self.hint(work_tree))
    }

    /// The commands that end it in a work tree.
    pub fn hint(self, work_tree: &Path) -> String {
        let commands: &[&str] = match self {
            Self::Rebase => &["rebase --continue", "rebase --abort"],
            Self::Am => &["am --continue", "am --abort"],
            Self::Merge => &["merge --continue", "merge --abort"],
            Self::CherryPick => &["cherry-pick --continue", "cherry-pick --abort"],
            Self::Revert => &["revert --continue", "revert --abort"],
            Self::Sequence => &["cherry-pick --quit"],
            Self::Bisect => &["bisect reset"],
        };
        commands_in(work_tree, commands)
    }
}

/// git commands for a work tree, of which the user chooses one.
pub fn commands_in(work_tree: &Path, commands: &[&str]) -> String {
    let path = work_tree.to_string_lossy();
    let quoted = shlex::try_quote(&path).map_or_else(|_| path.to_string(), |quoted| quoted.into_owned());
    let commands: Vec<_> = commands.iter().map(|command| format!("git -C {quoted} {command}")).collect();
    commands.join(", or ")
}

impl Repository {
    /// What is unfinished in this work tree, in the order in which it can be ended: at most one operation, and the bisect
    /// around it. The cherry-picks and merges of a rebase are the rebase.
    ///
    /// # Errors
    /// git or the disk fails.
    pub fn unfinished_operations(&self) -> Result<Vec<UnfinishedOperation>> {
        let mut found: Vec<_> = self.inner_operation()?.into_iter().collect();
        // `git bisect` itself looks for this file.
        if self.has("BISECT_START")? {
            found.push(UnfinishedOperation::Bisect);
        }
        Ok(found)
    }

    /// Fails if an operation is unfinished here, with the commands that end it.
    ///
    /// # Errors
    /// [`Error::Unfit`]; git or the disk fails.
    pub fn need_no_operation(&self) -> Result<()> {
        self.unfinished_operations()?.first().map_or(Ok(()), |operation| Err(operation.refusal(self.top())))
    }

    fn inner_operation(&self) -> Result<Option<UnfinishedOperation>> {
        if self.has("rebase-merge")? {
            return Ok(Some(UnfinishedOperation::Rebase));
        }
        if self.has("rebase-apply")? {
            let is_am = self.has("rebase-apply/applying")?;
            return Ok(Some(if is_am { UnfinishedOperation::Am } else { UnfinishedOperation::Rebase }));
        }
        let named = [
            (MERGE, UnfinishedOperation::Merge),
            (CHERRY_PICK, UnfinishedOperation::CherryPick),
            (REVERT, UnfinishedOperation::Revert),
        ];
        let refs = self.refs_next_to_head(&[MERGE, CHERRY_PICK, REVERT])?;
        for (name, operation) in named {
            if self.has(name)? || refs.iter().any(|(known, _)| *known == name) {
                return Ok(Some(operation));
            }
        }
        if !self.has("sequencer")? {
            return Ok(None);
        }
        // Between two of several steps, only the list of steps says what is done.
        let todo = self.git_dir().join("sequencer/todo");
        let steps = match std::fs::read_to_string(&todo) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            read => read.map_err(Error::io("read", &todo))?,
        };
        Ok(Some(match steps.split_whitespace().next() {
            Some("pick" | "p") => UnfinishedOperation::CherryPick,
            Some("revert") => UnfinishedOperation::Revert,
            _ => UnfinishedOperation::Sequence,
        }))
    }

    /// The refs of a list that are next to HEAD in the reftable format, which only git can read. In other formats they
    /// are files, and none is returned.
    ///
    /// # Errors
    /// git fails.
    pub(super) fn refs_next_to_head<'a>(&self, names: &[&'a str]) -> Result<Vec<(&'a str, Oid)>> {
        if !self.common_dir().join("reftable").is_dir() {
            return Ok(Vec::new());
        }
        let asked: String = names.iter().map(|name| format!("{name}\n")).collect();
        let printed = self.git("cat-file").arg("--batch-check=%(objectname)").stdin(asked).run()?;
        let lines = printed.split(|byte| *byte == b'\n').zip(names);
        // For a missing ref git prints `<name> missing`.
        Ok(lines.filter_map(|(line, name)| Some((*name, oid(std::str::from_utf8(line).ok()?).ok()?))).collect())
    }

    /// Whether a file or directory is in this work tree's git directory.
    fn has(&self, name: &str) -> Result<bool> {
        let path = self.git_dir().join(name);
        match path.symlink_metadata() {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                Ok(false)
            }
            Err(error) => Err(Error::io("read", &path)(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::UnfinishedOperation as Operation;
    use super::*;
    use crate::git::testing::{Repo, git_in, raw};

    /// A linked worktree on `topic` whose two commits conflict with the two of `side`, each.
    fn divided(format: &str) -> Option<(Repo, std::path::PathBuf)> {
        let repo = Repo::with_ref_format(format)?;
        for branch in ["side", "topic"] {
            repo.git(["checkout", "-q", "-b", branch, "main"]);
            for step in ["one", "two"] {
                repo.write(step, format!("{branch}\n"));
                repo.commit(step);
            }
        }
        repo.git(["checkout", "-q", "main"]);
        let linked = repo.sibling("linked tree");
        repo.git(["worktree", "add", "-q", linked.to_str().unwrap(), "topic"]);
        repo.git(["format-patch", "-q", "-o", "../patches", "main..side"]);
        Some((repo, linked))
    }

    #[test]
    fn every_operation_is_found_in_its_work_tree_and_the_commands_of_the_hint_end_it() {
        let starts: [(&[&str], &[Operation]); 11] = [
            (&["rebase", "--merge", "side"], &[Operation::Rebase]),
            (&["rebase", "--apply", "side"], &[Operation::Rebase]),
            (&["am", "-3", "../patches/0001-one.patch"], &[Operation::Am]),
            (&["merge", "side"], &[Operation::Merge]),
            (&["cherry-pick", "side"], &[Operation::CherryPick]),
            (&["cherry-pick", "side~1", "side"], &[Operation::CherryPick]),
            (&["revert", "--no-edit", "HEAD~2"], &[Operation::Revert]),
            (&["revert", "--no-edit", "HEAD~2", "HEAD~1"], &[Operation::Revert]),
            (&["bisect", "start"], &[Operation::Bisect]),
            (&["merge", "--squash", "side"], &[]),
            (&["status"], &[]),
        ];
        for format in ["files", "reftable"] {
            let Some((repo, linked)) = divided(format) else {
                eprintln!("this git has no {format} format");
                continue;
            };
            // The older commit cannot be reverted without a conflict any more.
            std::fs::write(linked.join("one"), "later\n").unwrap();
            git_in(&linked, ["commit", "-qam", "later"]);
            for (start, expected) in starts {
                raw(&linked, ["-c", "user.name=x", "-c", "user.email=x"].iter().chain(start));
                let (here, tree) = (repo.open(), Repository::discover(&linked).unwrap());
                assert_eq!(tree.unfinished_operations().unwrap(), expected, "{format}: {start:?}");
                assert_eq!(here.unfinished_operations().unwrap(), [], "{format}: {start:?} in another work tree");
                assert_eq!(tree.need_no_operation().is_err(), !expected.is_empty());
                for operation in expected {
                    end(&tree, *operation);
                }
                assert_eq!(tree.unfinished_operations().unwrap(), [], "{format}: {start:?} was ended");
                git_in(&linked, ["reset", "-q", "--hard"]);
            }
            // Between two picks, and inside of a bisect.
            git_in(&linked, ["bisect", "start"]);
            raw(&linked, ["-c", "user.name=x", "-c", "user.email=x", "cherry-pick", "side~1", "side"]);
            git_in(&linked, ["commit", "-q", "--allow-empty", "-am", "resolved"]);
            let tree = Repository::discover(&linked).unwrap();
            assert_eq!(tree.unfinished_operations().unwrap(), [Operation::CherryPick, Operation::Bisect], "{format}");
        }
    }

    /// Types the last command of the hint.
    fn end(tree: &Repository, operation: Operation) {
        let hint = operation.hint(tree.top());
        let words = shlex::split(hint.rsplit(", or ").next().unwrap()).unwrap();
        git_in(tree.top(), &words[3..]);
    }

    #[test]
    fn a_sequence_without_its_list_is_ended_by_the_hint() {
        let repo = Repo::with_commit();
        std::fs::create_dir(repo.path(".git/sequencer")).unwrap();
        let tree = repo.open();
        assert_eq!(tree.unfinished_operations().unwrap(), [Operation::Sequence]);
        end(&tree, Operation::Sequence);
        assert_eq!(tree.unfinished_operations().unwrap(), []);
    }
}
