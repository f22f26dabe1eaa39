//! Chooses where the history ends that is sent from a partial clone.
//!
//! A new end is a new cache on the host, which gets all files again. So the end of the last ship is kept while HEAD is not
//! far from it. A first ship has the commits that the user's branch adds, because the agent works on them.

use std::collections::HashSet;
use std::io::Write;

use super::{PartialClone, Walk};
use crate::git::repository::oid;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::{Oid, Snapshot};

/// Maximum commits of a history that is longer than it must be.
pub(super) const MOST_COMMITS: usize = 1000;
/// Maximum objects that are fetched for it, in addition to those of HEAD alone.
pub(super) const MOST_OBJECTS: usize = 10_000;
/// File in `<common dir>/handoff` with the ends of the last ship, one a line.
const KEPT: &str = ".ends";

/// The ends of the last ship, if HEAD still builds on all of them.
pub(super) fn kept(repo: &Repository, walk: &Walk<'_>) -> Result<Option<Vec<Oid>>> {
    let Ok(text) = std::fs::read_to_string(repo.state_dir().join(KEPT)) else { return Ok(None) };
    let Ok(ends) = text.lines().map(oid).collect::<Result<Vec<_>>>() else { return Ok(None) };
    if ends.is_empty() || repo.present(&ends)?.len() < ends.len() {
        return Ok(None);
    }
    let commits: HashSet<Oid> = walk.commits(repo, &ends)?.into_iter().collect();
    let fits = commits.len() <= MOST_COMMITS + walk.own && ends.iter().all(|end| commits.contains(end));
    Ok(fits.then_some(ends))
}

/// Remembers the ends of a ship.
pub(super) fn remember(repo: &Repository, ends: &[Oid]) -> Result<()> {
    let (directory, path) = (repo.state_dir(), repo.state_dir().join(KEPT));
    let mut file = tempfile::NamedTempFile::new_in(&directory).map_err(Error::io("write in", &directory))?;
    for end in ends {
        writeln!(file, "{end}").map_err(Error::io("write", &path))?;
    }
    file.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
    Ok(())
}

/// The commits where the history leaves the main branch of the remote. `None`: that is too far away.
pub(super) fn since_fork(clone: &PartialClone<'_>, walk: &Walk<'_>, ship: &Snapshot) -> Result<Option<Vec<Oid>>> {
    let most = MOST_COMMITS + walk.own;
    let list = walk.list().args(["--boundary", &format!("--max-count={}", most + 1)]).args(&walk.tips);
    let printed = list.args(["--not".to_owned(), main_branch(clone, ship)?]).run()?;
    let printed = String::from_utf8_lossy(&printed);
    let (ends, sent): (Vec<&str>, Vec<&str>) = printed.lines().partition(|line| line.starts_with('-'));
    if sent.len() > most {
        return Ok(None);
    }
    sorted(ends.into_iter().map(|line| oid(line.trim_start_matches('-')))).map(Some)
}

/// The main branch of the remote, else the upstream of the branch, else every branch of the remote.
fn main_branch(clone: &PartialClone<'_>, ship: &Snapshot) -> Result<String> {
    let remote = &clone.remotes[0];
    let upstream = ship.branch.iter().map(|branch| format!("{branch}@{{upstream}}"));
    for name in std::iter::once(format!("refs/remotes/{remote}/HEAD")).chain(upstream) {
        let name = format!("{name}^{{commit}}");
        let ask = clone.repo.git("rev-parse").args(["--quiet", "--verify", "--end-of-options", &name]);
        // A branch without an upstream is an error.
        if let Ok(Some(commit)) = ask.answer() {
            return Ok(commit);
        }
    }
    Ok(format!("--remotes={remote}"))
}

/// HEAD. The next step of an unfinished operation needs the parents of the commits that it names, too.
pub(super) fn at_head(walk: &Walk<'_>, ship: &Snapshot) -> Result<Vec<Oid>> {
    let Some(head) = ship.head.commit() else { return Ok(vec![]) };
    let Some(operation) = &ship.operation else { return Ok(vec![head.clone()]) };
    let parents = |commits: &[Oid]| -> Result<Vec<Oid>> {
        let list = walk.list().args(["--parents", "--no-walk"]).args(commits.iter().map(Oid::as_str)).run()?;
        let text = String::from_utf8_lossy(&list).into_owned();
        sorted(text.lines().flat_map(|line| line.split(' ').skip(1)).map(oid))
    };
    let named = parents(std::slice::from_ref(&operation.commit))?;
    let before = parents(&named)?;
    Ok(before.into_iter().filter(|commit| !named.contains(commit)).collect())
}

fn sorted(ids: impl Iterator<Item = Result<Oid>>) -> Result<Vec<Oid>> {
    let mut ids = ids.collect::<Result<Vec<_>>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}
