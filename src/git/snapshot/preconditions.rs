//! Checks whether a repository's state can be shipped whole, and refuses it otherwise.

use std::collections::HashSet;

use crate::git::{Error, Repository, Result};

/// Refs that exist during an unfinished operation of the user's, its name, and how to end it.
const OPERATIONS: [(&str, &str, &str); 3] = [
    ("MERGE_HEAD", "a merge", "git merge --continue, or git merge --abort"),
    ("CHERRY_PICK_HEAD", "a cherry-pick", "git cherry-pick --continue, or git cherry-pick --abort"),
    ("REVERT_HEAD", "a revert", "git revert --continue, or git revert --abort"),
];

/// Directories in the git directory that exist during an unfinished operation, with the same fields.
const DIRECTORIES: [(&str, &str, &str); 3] = [
    ("rebase-merge", "a rebase", "git rebase --continue, or git rebase --abort"),
    ("rebase-apply", "a rebase or git am", "git rebase --abort, or git am --abort"),
    ("sequencer", "a cherry-pick or revert of several commits", "git cherry-pick --abort, or git revert --abort"),
];

/// Refuses a state that would arrive incomplete, with the command that ends it.
pub(super) fn check(repo: &Repository) -> Result<()> {
    operations(repo)?;
    let conflicts = repo.git("ls-files").args(["-u", "-z"]).run()?;
    if !conflicts.is_empty() {
        let entries = conflicts.split(|b| *b == 0).filter_map(|entry| entry.splitn(2, |b| *b == b'\t').nth(1));
        let paths: HashSet<_> = entries.collect();
        let what = match paths.len() {
            1 => "1 path has a merge conflict".to_owned(),
            n => format!("{n} paths have merge conflicts"),
        };
        return Err(Error::unfit(what, "git add PATH, after you have resolved it; or git reset --merge"));
    }
    if repo.git("rev-parse").arg("--is-shallow-repository").line()? == "true" {
        return Err(Error::unfit(
            "the repository is a shallow clone, without its full history",
            "git fetch --unshallow",
        ));
    }
    if repo.config()?.is_partial() {
        let what = "the repository is a partial clone, without all of its objects";
        return Err(Error::unfit(what, "work in a clone made without --filter"));
    }
    Ok(())
}

fn operations(repo: &Repository) -> Result<()> {
    let unfinished = |what: &str, hint: &str| Error::unfit(format!("{what} is not finished"), hint);
    for (directory, what, hint) in DIRECTORIES {
        if repo.git_dir().join(directory).exists() {
            return Err(unfinished(what, hint));
        }
    }
    // git is asked instead of the file system, because the reftable format has no files for refs.
    let names: String = OPERATIONS.iter().map(|(name, ..)| format!("{name}\n")).collect();
    let printed = repo.git("cat-file").arg("--batch-check=%(objecttype)").stdin(names).run()?;
    for (line, (_, what, hint)) in printed.split(|b| *b == b'\n').zip(OPERATIONS) {
        if line == b"commit" {
            return Err(unfinished(what, hint));
        }
    }
    Ok(())
}
