//! Checks whether a repository's state can be shipped whole, and refuses it otherwise.

use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// Refuses a state that would arrive incomplete, with the command that helps.
///
/// A host gets the whole history, so a partial clone must have all of its objects. They are not fetched here: that may
/// take long and may need the user.
pub(super) fn check(repo: &Repository) -> Result<()> {
    let Some(remote) = repo.config()?.promisor().map(str::to_owned) else { return Ok(()) };
    let walk = repo.git("rev-list").args(["--objects", "--quiet", "--missing=print", "--tags", "--remotes"]);
    let printed = walk.args(repo.head()?.commit().map(Oid::as_str)).run()?;
    let objects = match printed.iter().filter(|byte| **byte == b'?').count() {
        0 => return Ok(()),
        1 => "1 object of its history is".to_owned(),
        count => format!("{count} objects of its history are"),
    };
    Err(Error::unfit(
        format!("the repository is a partial clone: {objects} only on the remote {remote:?}"),
        format!("git fetch --refetch --no-filter {remote}"),
    ))
}
