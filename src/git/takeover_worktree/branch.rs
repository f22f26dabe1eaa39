//! The branch of a takeover's worktree.

use super::Takeover;
use crate::git::capture::Captured;
use crate::git::final_work::TAKEOVER;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// The HEAD of a worktree without a commit has no reflog, so one that has a reflog had commits.
pub(super) const NO_REFLOG: &str = "core.logAllRefUpdates=false";

/// Fails if the user named a branch that cannot be made. A name that handoff chooses is fine, because HEAD is detached if
/// it is taken. `at` is any commit.
pub(super) fn check(repo: &Repository, takeover: Takeover, at: &Oid) -> Result<()> {
    takeover.branch.map_or(Ok(()), |name| repo.check_new_branch(name, at))
}

/// Puts HEAD on the branch of the takeover. If `handoff/<id>` cannot be created, HEAD is detached. HEAD is set first, so
/// an existing branch that no staging worktree has checked out is not ours.
///
/// # Errors
/// [`Error::Unfit`] if the user's name cannot be created, or any name for work without a commit: HEAD cannot be detached
/// then.
pub(super) fn attach(tree: &Repository, takeover: Takeover, work: &Captured) -> Result<Option<String>> {
    let name = takeover.branch();
    let short = name.strip_prefix("refs/heads/").unwrap_or(&name);
    let Some(head) = work.head.commit() else {
        tree.check_new_branch(short, &work.commit)?;
        tree.git("symbolic-ref").config(NO_REFLOG).args(["HEAD", &name]).run()?;
        return Ok(Some(short.to_owned()));
    };
    if tree.git("rev-parse").args(["--quiet", "--verify", &name]).answer()?.is_some() {
        return takeover.branch.map_or(Ok(None), |name| Err(taken(name, b"it exists")));
    }
    tree.git("symbolic-ref").args(["-m", TAKEOVER, "HEAD", &name]).run()?;
    // A branch called `handoff` prevents it, too. git decides, and changes nothing if it refuses. The reflog says later
    // whose branch this is, so it is made whatever the configuration says.
    let create = tree.git("update-ref").args(["--create-reflog", "-m", TAKEOVER, &name, head.as_str()]);
    let created = create.arg(tree.format().zero()).output()?;
    if created.status.success() {
        return Ok(Some(short.to_owned()));
    }
    tree.git("update-ref").args(["--no-deref", "HEAD", head.as_str()]).run()?;
    takeover.branch.map_or(Ok(None), |name| Err(taken(name, &created.stderr)))
}

fn taken(name: &str, said: &[u8]) -> Error {
    let said = String::from_utf8_lossy(said);
    let why = said.trim_ascii_end().rsplit(": ").next().unwrap_or_default();
    Error::unfit(format!("the branch {name} cannot be created: {why}"), "choose another name with --branch NAME")
}
