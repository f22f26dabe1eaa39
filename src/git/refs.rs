//! Refs below `refs/handoff/`, changed in transactions.

use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;

/// The directory of all our refs in the user's repository.
pub const ROOT: &str = "refs/handoff/";

/// One ref to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub name: String,
    /// The required current state; `None` for any.
    pub old: Option<Was>,
    /// The new object; `None` deletes the ref.
    pub new: Option<Oid>,
}

/// The state a change expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Was {
    Absent,
    At(Oid),
}

/// The directory of a handoff's refs, `refs/handoff/<id>/`.
pub fn of(id: &HandoffId) -> String {
    format!("{ROOT}{}/", id.as_str())
}

/// The ref of the snapshot that a handoff started from.
pub fn base(id: &HandoffId) -> String {
    format!("{}base", of(id))
}

/// The ref of the ignored files that were shipped with it.
pub fn extra(id: &HandoffId) -> String {
    format!("{}extra", of(id))
}

/// The directory of the contents of Git LFS that were sent, by the number of the grant.
pub const LFS: &str = "lfs/";

/// The ref of the contents of Git LFS that were sent with a grant.
pub fn lfs(id: &HandoffId, grant: u32) -> String {
    format!("{}{LFS}{grant}", of(id))
}

/// Whether a ref of a handoff is of contents of Git LFS, by its name: of a ship or of a capture.
pub fn is_lfs(id: &HandoffId, name: &str) -> bool {
    let number = |text: &str| text.parse::<AttemptNo>().is_ok();
    let name = name.strip_prefix(&of(id)).unwrap_or_default();
    let lfs = name.strip_prefix(LFS).or_else(|| name.strip_suffix("/lfs"));
    lfs.is_some_and(number)
}

/// The ref of the contents of Git LFS that came back with an attempt.
pub fn captured_lfs(id: &HandoffId, attempt: AttemptNo) -> String {
    format!("{}{attempt}/lfs", of(id))
}

/// The ref of the files that the user attached to the task.
pub fn attached(id: &HandoffId) -> String {
    format!("{}attached", of(id))
}

/// The ref of the unfinished operation that was shipped with it.
pub fn operation(id: &HandoffId) -> String {
    format!("{}operation", of(id))
}

/// The ref of the snapshot that a checkout had before a takeover merged the work into it.
pub fn undo(id: &HandoffId) -> String {
    format!("{}undo", of(id))
}

/// The same ref of a change that is not complete yet.
pub fn undo_begun(id: &HandoffId) -> String {
    format!("{}undo-begun", of(id))
}

/// The directory of such snapshots that may have what is nowhere else, because the checkout was not restored whole.
pub fn undo_kept(id: &HandoffId) -> String {
    format!("{}undo-kept/", of(id))
}

/// The ref of what a takeover's worktree had before its work was brought into a checkout.
pub fn worktree(id: &HandoffId) -> String {
    format!("{}worktree", of(id))
}

/// The directory of the snapshots that the user gave back, by the number of the last attempt before them.
pub const GIVEN: &str = "given/";

/// The ref of the snapshot that the user gave back after attempt `last`.
pub fn given(id: &HandoffId, last: AttemptNo) -> String {
    format!("{}{GIVEN}{last}", of(id))
}

/// The directory of the build results that were fetched, by the attempt whose checkout had them.
pub const ARTIFACTS: &str = "artifacts/";

/// The ref of the build results of attempt `n`.
pub fn artifacts(id: &HandoffId, n: AttemptNo) -> String {
    format!("{}{ARTIFACTS}{n}", of(id))
}

/// The ref of the final work of a finished handoff.
pub fn final_work(id: &HandoffId) -> String {
    format!("{}final", of(id))
}

/// Whether a ref of a handoff is a working state, by its name. A commit of the agent's may have the shape of one: a merge
/// of a branch with one commit, or the second commit of a history.
pub(super) fn is_state(id: &HandoffId, name: &str) -> bool {
    let number = |text: &str| text.parse::<AttemptNo>().is_ok();
    let parts: Vec<&str> = name.strip_prefix(&of(id)).unwrap_or_default().split('/').collect();
    match parts[..] {
        ["base" | "undo" | "undo-begun" | "worktree"] => true,
        ["given", n] | [n, "work"] => number(n),
        [n, "worktrees", k, "work"] => number(n) && number(k),
        _ => false,
    }
}

impl Repository {
    /// Points a ref at an object, so that no gc of the user's deletes it. An existing ref is moved.
    pub fn keep_ref(&self, name: &str, oid: &Oid) -> Result<()> {
        self.update_refs(&[Change { name: name.to_owned(), old: None, new: Some(oid.clone()) }])
    }

    /// Makes all changes or none. Only names below [`ROOT`] are accepted.
    pub fn update_refs(&self, changes: &[Change]) -> Result<()> {
        let mut input = Vec::new();
        for change in changes {
            check_name(&change.name)?;
            let old = match &change.old {
                None => "",
                Some(Was::Absent) => self.format().zero(),
                Some(Was::At(oid)) => oid.as_str(),
            };
            let line = match &change.new {
                Some(new) => format!("update {}\0{new}\0{old}\0", change.name),
                None => format!("delete {}\0{old}\0", change.name),
            };
            input.extend(line.into_bytes());
        }
        // No reflogs, because with `logAllRefUpdates=always` they would outlive the ref.
        self.git("update-ref")
            .config("core.logAllRefUpdates=false")
            .config("core.fsync=committed,reference")
            .args(["--stdin", "-z"])
            .stdin(input)
            .run()?;
        Ok(())
    }

    /// The refs below a directory under [`ROOT`], sorted by name.
    pub fn list_refs(&self, below: &str) -> Result<Vec<(String, Oid)>> {
        check_name(below.trim_end_matches('/'))?;
        let printed = self.git("for-each-ref").args(["--format=%(objectname) %(refname)", below]).run()?;
        let text = String::from_utf8_lossy(&printed);
        let pairs = text.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(id, name)| Ok((name.to_owned(), oid(id)?))).collect()
    }
}

/// Checks that a name is one of ours and that git cannot take it for anything else.
pub(super) fn check_name(name: &str) -> Result<()> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    let ours = format!("{name}/").starts_with(ROOT);
    if ours && !name.contains(bad) && !name.contains("..") && !name.ends_with('/') {
        Ok(())
    } else {
        Err(Error::untrusted(format!("{name:?} is not a ref name under {ROOT}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    fn id(text: &str) -> HandoffId {
        text.parse().unwrap()
    }

    #[test]
    fn a_transaction_makes_all_changes_or_none() {
        let repo = Repo::with_commit();
        repo.git(["config", "core.logAllRefUpdates", "always"]);
        let git = repo.open();
        let head = git.head_commit();
        let make = |name: &str| Change { name: name.into(), old: Some(Was::Absent), new: Some(head.clone()) };
        git.update_refs(&[make("refs/handoff/a/base")]).unwrap();
        git.update_refs(&[make("refs/handoff/a/1/work"), make("refs/handoff/a/base")]).unwrap_err();
        assert_eq!(git.list_refs("refs/handoff/a/").unwrap(), [("refs/handoff/a/base".to_owned(), head)]);
        assert!(!repo.path(".git/logs/refs/handoff").exists());
    }

    #[test]
    fn refs_of_a_longer_id_are_not_listed() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let head = git.head_commit();
        for name in ["refs/handoff/a/base", "refs/handoff/a/1/heads/x", "refs/handoff/a-2/base"] {
            git.keep_ref(name, &head).unwrap();
        }
        let names = |id: &HandoffId| -> Vec<String> {
            git.list_refs(&of(id)).unwrap().into_iter().map(|(name, _)| name).collect()
        };
        assert_eq!(names(&id("a")), ["refs/handoff/a/1/heads/x", "refs/handoff/a/base"]);
        assert_eq!(names(&id("a-2")), [base(&id("a-2"))]);
    }

    #[test]
    fn only_refs_below_refs_handoff_can_be_changed() {
        for bad in [
            "refs/heads/main",
            "refs/handoffx/a",
            "refs/handoff/../heads/main",
            "refs/handoff/a\0b",
            "refs/handoff/a\nb",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        check_name("refs/handoff/a/1/heads/fix/é").unwrap();
    }
}
