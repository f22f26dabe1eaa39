//! The final work of a handoff as a commit of the user's, and the branch that gets it.

use std::collections::BTreeSet;

use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::snapshot::{Head, Oid};

/// The reason in the reflog of a branch that a takeover made.
pub(super) const TAKEOVER: &str = "handoff: takeover";

impl Repository {
    /// Makes a commit with the user's identity, signed if the user signs commits: on `parent`, or the first one. No ref
    /// changes and no hook runs.
    ///
    /// # Errors
    /// The user has no identity, the signature fails, or git fails.
    pub fn commit_for_user(&self, tree: &Oid, parent: &Head, message: &str) -> Result<Oid> {
        let signs = self.git("config").for_user().args(["--type=bool", "--get", "commit.gpgSign"]).answer()?;
        let mut commit = self.git("commit-tree").for_user();
        // `commit-tree` does not read the setting.
        if signs.as_deref() == Some("true") {
            commit = commit.arg("-S");
        }
        if let Some(parent) = parent.commit() {
            commit = commit.args(["-p", parent.as_str()]);
        }
        oid(&commit.arg(tree.as_str()).stdin(message).line()?)
    }

    /// Commits `files`, the tree of all files of this work tree, on its HEAD. An interrupted call can be repeated.
    ///
    /// # Errors
    /// As [`Repository::commit_for_user`]; HEAD has moved.
    pub fn commit_all_for_user(&self, files: &Oid, message: &str) -> Result<Oid> {
        let head = self.head()?;
        let commit = self.commit_for_user(files, &head, message)?;
        // Keeps the stat data of unchanged files, as a takeover does.
        self.git("read-tree").config("core.sparseCheckout=false").args(["-i", "-m", files.as_str()]).run()?;
        let first = message.lines().next().unwrap_or_default();
        let reason = format!("commit: {first}");
        let before = head.commit().map_or(self.format().zero(), Oid::as_str);
        self.git("update-ref").for_user().args(["-m", &reason, "HEAD", commit.as_str(), before]).run()?;
        Ok(commit)
    }

    /// The tree of a commit.
    ///
    /// # Errors
    /// git fails.
    pub fn tree_of(&self, commit: &Oid) -> Result<Oid> {
        oid(&self.git("rev-parse").args(["--verify", &format!("{commit}^{{tree}}")]).line()?)
    }

    /// The tree of HEAD; the empty tree on a branch without a commit.
    ///
    /// # Errors
    /// git fails.
    pub fn tree_of_head(&self, head: &Head) -> Result<Oid> {
        head.commit().map_or_else(|| oid(self.format().empty_tree()), |commit| self.tree_of(commit))
    }

    /// The commit of a local branch; `None` if there is no such branch.
    ///
    /// # Errors
    /// git fails.
    pub fn branch_tip(&self, name: &str) -> Result<Option<Oid>> {
        let full = format!("refs/heads/{name}");
        self.git("rev-parse").args(["--quiet", "--verify", &full]).answer()?.map(|text| oid(&text)).transpose()
    }

    /// Fails unless a branch `name` can be made at a commit, or is there already. Nothing changes.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the name is no name of a branch, or is in use.
    pub fn check_branch(&self, name: &str, at: &Oid) -> Result<()> {
        if self.branch_tip(name)?.as_ref() == Some(at) { Ok(()) } else { self.check_new_branch(name, at) }
    }

    /// Fails unless a branch `name` can be made at a commit. Nothing changes.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the name is no name of a branch, or is in use.
    pub fn check_new_branch(&self, name: &str, at: &Oid) -> Result<()> {
        let printed = self.git("check-ref-format").args(["--branch", name]).output()?;
        // git replaces names such as `@{-1}` by the branch that they mean.
        if !printed.status.success() || printed.stdout.trim_ascii_end() != name.as_bytes() {
            return Err(other_name(format!("{name:?} is not a name that git accepts for a branch")));
        }
        match self.branch_tip(name)? {
            Some(tip) => Err(in_use(name, &tip)),
            None if self.worktrees_on(&format!("refs/heads/{name}"))? > 0 => {
                Err(other_name(format!("the branch {name} is checked out, and has no commit yet")))
            }
            None => self.rehearse(name, at),
        }
    }

    /// Makes a branch. One that is at this commit already is left as it is.
    ///
    /// # Errors
    /// As [`Repository::check_branch`].
    pub fn make_branch(&self, name: &str, at: &Oid) -> Result<()> {
        self.check_branch(name, at)?;
        let (full, zero) = (format!("refs/heads/{name}"), self.format().zero());
        let made =
            self.git("update-ref").for_user().args(["-m", "handoff: finish", &full, at.as_str(), zero]).output()?;
        match self.branch_tip(name)? {
            Some(tip) if tip == *at => Ok(()),
            Some(tip) => Err(in_use(name, &tip)),
            None => Err(super::command::failed(format!("update-ref {full}"), &made)),
        }
    }

    /// Deletes a branch that a takeover made, if it has not moved from this commit and no worktree is on it.
    ///
    /// # Errors
    /// git fails.
    pub fn remove_branch(&self, name: &str, at: &Head) -> Result<()> {
        let full = format!("refs/heads/{name}");
        let Some(at) = at.commit() else { return Ok(()) };
        if self.branch_tip(name)?.as_ref() != Some(at) {
            return Ok(());
        }
        if self.is_branch_of_takeover(&full)? && self.worktrees_on(&full)? == 0 {
            self.git("update-ref").args(["-d", &full, at.as_str()]).run()?;
        }
        Ok(())
    }

    /// The local branches that had this name before, as their reflogs say.
    ///
    /// # Errors
    /// git fails.
    pub fn branches_renamed_from(&self, name: &str) -> Result<Vec<String>> {
        let reason = format!("--grep-reflog=Branch: renamed refs/heads/{name} to refs/heads/");
        let log = self.git("log").args(["--walk-reflogs", "--branches", "--no-show-signature", "--fixed-strings"]);
        let printed = log.args([reason.as_str(), "--format=%gD", "--"]).run()?;
        let text = String::from_utf8_lossy(&printed);
        // `refs/heads/<name>@{<number>}`
        let names = text.lines().filter_map(|line| line.split_once("@{")).map(|(name, _)| name);
        let names: BTreeSet<_> =
            names.map(|name| name.strip_prefix("refs/heads/").unwrap_or(name).to_owned()).collect();
        Ok(names.into_iter().filter(|found| found != name).collect())
    }

    /// Whether a takeover made a branch and it has not moved since. Only its reflog says so: a branch of this name may
    /// be the user's. `full` begins with `refs/heads/`.
    pub(super) fn is_branch_of_takeover(&self, full: &str) -> Result<bool> {
        let reasons =
            self.git("log").args(["--walk-reflogs", "--no-show-signature", "--format=%gs", full, "--"]).run()?;
        Ok(reasons.trim_ascii_end() == TAKEOVER.as_bytes())
    }

    /// The number of worktrees that have a branch checked out. git allows more than one if it is told to.
    pub(super) fn worktrees_on(&self, full: &str) -> Result<usize> {
        let listed = self.git("worktree").args(["list", "--porcelain"]).run()?;
        let branches = listed.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"branch "));
        Ok(branches.filter(|branch| *branch == full.as_bytes()).count())
    }

    /// Lets git check a new branch, such as `fix` next to `fix/till`, in a transaction that is given up.
    fn rehearse(&self, name: &str, at: &Oid) -> Result<()> {
        let steps = format!("start\ncreate refs/heads/{name} {at}\nprepare\nabort\n");
        let output = self.git("update-ref").arg("--stdin").stdin(steps).output()?;
        if output.status.success() {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(other_name(format!("git cannot make the branch {name} ({why})")))
    }
}

/// A text for git, which ends with a newline.
pub fn ends_with_newline(text: String) -> String {
    if text.ends_with('\n') { text } else { text + "\n" }
}

fn in_use(name: &str, tip: &Oid) -> Error {
    other_name(format!("the branch {name} exists already, at {}", tip.short()))
}

fn other_name(what: String) -> Error {
    Error::unfit(what, "choose another name with --branch NAME")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot;
    use crate::git::testing::{Repo, status};

    #[test]
    fn a_branch_is_made_once_and_never_moved() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let first = git.head_commit();
        repo.commit("second");
        let second = git.head_commit();
        git.make_branch("fix/till", &first).unwrap();
        git.make_branch("fix/till", &first).unwrap();
        for name in ["fix/till", "fix", "main", "a..b", "-x", "@{-1}", "", "a b"] {
            let error = git.make_branch(name, if name == "main" { &first } else { &second }).unwrap_err();
            assert!(matches!(error, Error::Unfit { .. }), "{name}: {error}");
        }
        assert_eq!(repo.git(["branch", "--format=%(refname:short)"]), "fix/till\nmain\n");
        assert_eq!(git.branch_tip("fix/till").unwrap(), Some(first));
    }

    #[test]
    fn everything_in_a_work_tree_becomes_a_commit_of_the_user() {
        let repo = Repo::with_commit();
        repo.write("README", "staged\n");
        repo.git(["add", "-A"]);
        repo.write("README", "changed\n");
        repo.write("new", "new\n");
        let git = repo.open();
        let files = snapshot::take(&git, &[]).unwrap().files_tree;
        let commit = git.commit_all_for_user(&files, "By hand\n\nWith a reason.\n").unwrap();
        assert_eq!((git.head_commit(), git.tree_of(&commit).unwrap()), (commit, files));
        assert_eq!(status(repo.top()), "");
        let said = repo.git(["log", "-1", "--format=%an <%ae> %cn: %B"]);
        assert_eq!(said.trim_end(), "A U Thor <author@example.com> A U Thor: By hand\n\nWith a reason.");
    }

    #[test]
    fn a_commit_is_signed_if_the_user_signs_commits() {
        let repo = Repo::with_commit();
        let signer = repo.script("signer", "cat >/dev/null; echo SIGNED; printf '\\n[GNUPG:] SIG_CREATED ' >&2");
        repo.git(["config", "gpg.program", signer.trim_matches('\'')]);
        let git = repo.open();
        let (head, commit) = (git.head_commit(), |git: &Repository, head: &Oid| {
            let commit = git.commit_for_user(&git.tree_of(head).unwrap(), &head.clone().into(), "m\n").unwrap();
            repo.git(["cat-file", "commit", commit.as_str()])
        });
        assert!(!commit(&git, &head).contains("gpgsig"));
        repo.git(["config", "commit.gpgSign", "yes"]);
        assert!(commit(&git, &head).contains("gpgsig SIGNED"));
        repo.git(["config", "gpg.program", "false"]);
        assert!(git.commit_for_user(&git.tree_of(&head).unwrap(), &head.clone().into(), "m\n").is_err());
    }
}
