//! Finds the repositories that go with a handoff, and takes their snapshots.
//!
//! A submodule that is checked out goes with the handoff without being asked for, with its own submodules. A nested
//! repository and one next to the checkout go only when the user names them.

use std::path::{Path, PathBuf};

use super::partial_clone::Tell;
use super::repository::oid;
use super::ship_facts::ShipFacts;
use super::snapshot;
use super::{Error, Repository, Result};
use crate::model::companion::is_possible;
use crate::model::snapshot::{Companion, LeftBehind, Oid, Snapshot};

/// Maximum number of submodules in each other.
const DEEPEST: usize = 16;

/// What is wanted of the snapshots.
#[derive(Clone, Copy)]
pub enum Purpose<'a> {
    /// They are shipped to a new checkout. What a partial clone lacks is fetched, after it was told.
    Run(Tell<'a>),
    /// Nothing is stored.
    Preview,
    /// They are compared.
    Work,
    /// They are shipped to a checkout that exists: only those at these paths.
    Give(&'a [String]),
}

/// A companion before its snapshot.
struct Found {
    path: String,
    repo: Repository,
}

/// A companion that is no submodule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it is on the host, as in [`Companion`].
    pub path: String,
    /// Where it is here, if that is another place.
    pub directory: Option<PathBuf>,
}

impl From<&str> for Named {
    fn from(path: &str) -> Self {
        Named { path: path.to_owned(), directory: None }
    }
}

/// Takes the snapshots of the companions of a repository, the outer ones first. `named` are those that are no
/// submodules.
///
/// # Errors
/// A named repository is not one, or git fails.
pub fn take(repo: &Repository, named: &[Named], purpose: Purpose<'_>) -> Result<Vec<Companion>> {
    let mut found = Vec::new();
    for named in named {
        let named = open_named(repo, named)?;
        find_submodules(&named.repo, &format!("{}/", named.path), 1, &mut found)?;
        found.push(named);
    }
    find_submodules(repo, "", 0, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found.dedup_by(|a, b| a.path == b.path);
    let mut directories = vec![repo.common_dir().to_owned()];
    for Found { path, repo } in &found {
        if directories.iter().any(|known| known == repo.common_dir()) {
            let what = format!("{path} is a worktree of a repository that is sent already");
            return Err(Error::unfit(what, "name only one worktree of a repository"));
        }
        directories.push(repo.common_dir().to_owned());
    }
    if let Purpose::Give(known) = purpose {
        found.retain(|found| known.contains(&found.path));
    }
    let mut taken: Vec<Companion> = Vec::new();
    // The snapshot of the outer one has the commits of the inner ones.
    for Found { path, repo } in found.into_iter().rev() {
        let inner = direct(&taken, &path);
        let work = match purpose {
            Purpose::Run(tell) => snapshot::take_for_run(&repo, &[], &inner, tell),
            Purpose::Preview => snapshot::preview(&repo, &[], &inner),
            Purpose::Work | Purpose::Give(_) => snapshot::take_with_companions(&repo, &[], &inner),
        }?;
        // Finding the key notes it in the repository.
        let cache_key = match purpose {
            Purpose::Preview => None,
            _ => Some(ShipFacts::of(&repo, Some(&work))?.cache_key),
        };
        taken.push(Companion { path, work: Box::new(Snapshot { cache_key, ..work }) });
    }
    taken.reverse();
    Ok(taken)
}

/// The snapshot for a new handoff, with those of its companions; see [`snapshot::take_for_run`].
///
/// # Errors
/// Those of [`take`] and of the snapshot.
pub fn take_for_run(repo: &Repository, include: &[String], named: &[Named], tell: Tell<'_>) -> Result<Snapshot> {
    let companions = take(repo, named, Purpose::Run(tell))?;
    let work = snapshot::take_for_run(repo, include, &direct(&companions, ""), tell)?;
    Ok(joined(work, companions))
}

/// What [`take_for_run`] would store; see [`snapshot::preview`].
///
/// # Errors
/// As there.
pub fn preview(repo: &Repository, include: &[String], named: &[Named]) -> Result<Snapshot> {
    let companions = take(repo, named, Purpose::Preview)?;
    let work = snapshot::preview(repo, include, &direct(&companions, ""))?;
    Ok(joined(work, companions))
}

/// The snapshot of a checkout that continues a handoff, with those of its companions.
///
/// # Errors
/// As there.
pub fn take_work(repo: &Repository, include: &[String], named: &[Named], purpose: Purpose<'_>) -> Result<Snapshot> {
    let companions = take(repo, named, purpose)?;
    let work = snapshot::take_with_companions(repo, include, &direct(&companions, ""))?;
    Ok(joined(work, companions))
}

/// The snapshot of a repository together with those of its companions. What they leave behind is listed with its own.
fn joined(work: Snapshot, mut companions: Vec<Companion>) -> Snapshot {
    let mut left_behind = work.left_behind;
    for companion in &mut companions {
        let path = &companion.path;
        let of_companion = std::mem::take(&mut companion.work.left_behind);
        left_behind.extend(of_companion.into_iter().map(|item| match item.more {
            0 => LeftBehind { path: format!("{path}/{}", item.path), ..item },
            _ => item,
        }));
    }
    Snapshot { companions, left_behind, ..work }
}

/// The companions among `all` that are directly in the one at `above` (empty: in the checkout), with paths relative to
/// that.
pub fn direct(all: &[Companion], above: &str) -> Vec<Companion> {
    let prefix = if above.is_empty() { String::new() } else { format!("{above}/") };
    let inside = |path: &str| path.strip_prefix(&prefix).filter(|rest| !rest.starts_with("../")).map(str::to_owned);
    let mut inner: Vec<(String, &Companion)> =
        all.iter().filter_map(|companion| Some((inside(&companion.path)?, companion))).collect();
    let paths: Vec<String> = inner.iter().map(|(path, _)| format!("{path}/")).collect();
    inner.retain(|(path, _)| !paths.iter().any(|outer| path.starts_with(outer)));
    inner.into_iter().map(|(path, companion)| Companion { path, work: companion.work.clone() }).collect()
}

/// Adds the submodules that are checked out, with theirs.
fn find_submodules(repo: &Repository, above: &str, depth: usize, found: &mut Vec<Found>) -> Result<()> {
    // Without this file, a commit in the index is a nested repository, which goes only when the user names it.
    if depth == DEEPEST || !repo.top().join(".gitmodules").is_file() {
        return Ok(());
    }
    let printed = repo.git("ls-files").args(["-s", "-z"]).run()?;
    let links = printed.split(|byte| *byte == 0).filter_map(|entry| {
        let (head, path) = entry.split_at(entry.iter().position(|byte| *byte == b'\t')?);
        (head.starts_with(b"160000 ") && head.ends_with(b" 0")).then(|| &path[1..])
    });
    // A path that no host can have is left behind, and listed as other paths are.
    for path in links.filter_map(|path| std::str::from_utf8(path).ok()) {
        let whole = format!("{above}{path}");
        let Some(inner) = is_possible(&whole).then(|| open(repo.top(), path)).flatten() else { continue };
        found.push(Found { path: whole.clone(), repo: inner.clone() });
        find_submodules(&inner, &format!("{whole}/"), depth + 1, found)?;
    }
    Ok(())
}

/// The repository at a path below `top` that is not reached through a link and has a commit.
fn open(top: &Path, path: &str) -> Option<Repository> {
    let directory = top.canonicalize().ok()?.join(path);
    directory.join(".git").symlink_metadata().ok()?;
    let repo = Repository::discover(&directory).ok()?;
    let is_whole = repo.top() == directory && directory.canonicalize().ok()? == directory;
    (is_whole && !repo.head().ok()?.is_unborn()).then_some(repo)
}

fn open_named(repo: &Repository, named: &Named) -> Result<Found> {
    let Named { path, directory } = named;
    if !is_possible(path) {
        let what = format!("{path} is neither inside the checkout nor directly next to it");
        return Err(Error::unfit(what, "name a repository below the checkout, or ../NAME"));
    }
    let opened = match directory {
        Some(directory) => open(directory, ""),
        None => repo.companion(repo.top(), path).ok(),
    };
    let found = opened.map(|repo| Found { path: path.to_owned(), repo });
    found.ok_or_else(|| {
        Error::unfit(format!("{path} is not a repository with a commit"), format!("git -C {path} log -1"))
    })
}

impl Repository {
    /// The commit that the tree of a commit names at the path of a submodule; `None` if none is there.
    ///
    /// # Errors
    /// git fails.
    pub fn commit_linked(&self, commit: &Oid, path: &str) -> Result<Option<Oid>> {
        let printed = self.git("ls-tree").args(["-z", "--full-tree", commit.as_str(), "--", path]).run()?;
        let text = String::from_utf8_lossy(&printed);
        let linked = text.strip_prefix("160000 commit ").and_then(|rest| rest.split('\t').next());
        linked.map(oid).transpose()
    }

    /// Whether a commit needs no branch: it is in one that the user made or fetched, or in a tag, or it is not here.
    ///
    /// # Errors
    /// git fails.
    pub fn needs_no_branch(&self, commit: &Oid) -> Result<bool> {
        if !self.git("cat-file").args(["-e", &format!("{commit}^{{commit}}")]).output()?.status.success() {
            return Ok(true);
        }
        let containing = self.git("for-each-ref").args(["--format=%(refname)", "--contains", commit.as_str()]);
        let listed = containing.args(["refs/heads", "refs/remotes", "refs/tags"]).run()?;
        // The branch of a takeover's worktree is ours.
        let own = "refs/heads/handoff/";
        Ok(String::from_utf8_lossy(&listed).lines().any(|name| !name.starts_with(own)))
    }

    /// The repository of a companion of a handoff that began in the directory `top`.
    ///
    /// # Errors
    /// [`Error::Unfit`] if it is not there.
    pub fn companion(&self, top: &Path, path: &str) -> Result<Repository> {
        let at = |top: &Path| match path.strip_prefix("../") {
            Some(name) => open(top.parent()?, name),
            None => open(top, path),
        };
        let found = [top, self.top()].into_iter().find_map(at);
        found.ok_or_else(|| {
            let hint = match path.starts_with("../") {
                true => format!("bring the repository back to {path}"),
                false => format!("git submodule update --init --recursive -- {path}"),
            };
            Error::unfit(format!("the repository {path} is not checked out in {}", top.display()), hint)
        })
    }
}

#[cfg(test)]
mod tests;
