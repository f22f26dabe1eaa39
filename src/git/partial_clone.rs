//! Partial clones: objects that a ship needs may be only on the remote.
//!
//! git fetches a missing object when it meets it, each with a connection of its own, so every git of ours has that
//! switched off ([`super::command`]). What a ship lacks is listed, and fetched with few requests. The history that is sent
//! ends near HEAD, because a pack of all of it would need all of it here (`ends` chooses where).

mod ends;
mod fetch;

use std::cell::Cell;
use std::collections::HashSet;

use super::boundary::Boundary;
use super::command::Git;
use super::config::Config;
use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::snapshot::{Head, History, Oid, Snapshot};

/// Is told before a fetch: the number of objects and the remote.
pub type Tell<'a> = &'a (dyn Fn(u64, &str) + Sync);
/// Makes a git command that sees the objects of the ship.
type Seeing<'a> = &'a dyn Fn(&'static str) -> Git;

/// A repository that may lack objects.
pub(super) struct PartialClone<'a> {
    repo: &'a Repository,
    config: Config,
    /// The remotes that have promised the objects. There is at least one.
    remotes: Vec<String>,
    /// A remote did not answer in time. Another wait would be as long.
    is_silent: Cell<bool>,
}

/// Objects that did not come.
struct Lack {
    objects: u64,
    why: String,
}

impl<'a> PartialClone<'a> {
    /// `None`: the repository has every object.
    pub(super) fn of(repo: &'a Repository) -> Result<Option<Self>> {
        let config = repo.config()?;
        let remotes = config.promisors();
        Ok((!remotes.is_empty()).then_some(Self { repo, config, remotes, is_silent: Cell::new(false) }))
    }

    /// Fetches the directories of HEAD, without which no snapshot can be taken. `false`: none is missing.
    pub(super) fn bring_trees(&self, tell: Option<Tell<'_>>) -> Result<bool> {
        let head = self.repo.head()?;
        let Some(commit) = head.commit() else { return Ok(false) };
        let missing =
            || missing_in(self.repo.git("rev-list").args(["--no-walk", "--filter=blob:none", commit.as_str()]));
        let objects = missing()?.len() as u64;
        match tell {
            _ if objects == 0 => Ok(false),
            None => Err(Error::unfit(
                "this partial clone lacks directories of HEAD; a dry run fetches nothing, and cannot say what is sent",
                "handoff run --host HOST \"TASK\"  (fetches them first)",
            )),
            Some(tell) => self.bring(missing, tell)?.map(|_| true).map_err(|lack| self.refused(lack)),
        }
    }

    /// Chooses the history that is sent with a snapshot, and fetches what the ship needs of it. `None`: all of it is here,
    /// and is sent. Without `tell`, nothing is fetched; the number is of what would be.
    ///
    /// # Errors
    /// [`Error::OnlyOnRemote`] if not even the files of HEAD are complete and the remote does not send them.
    pub(super) fn history(&self, git: Seeing<'_>, ship: &Snapshot, tell: Option<Tell<'_>>) -> Result<Option<History>> {
        let walk = Walk::new(git, ship, None);
        if walk.is_whole()? {
            return Ok(None);
        }
        let at_head = ends::at_head(&walk, ship)?;
        // A longer history may cost some objects more than HEAD alone.
        let most = walk.missing(self.repo, &at_head)?.len().saturating_add(ends::MOST_OBJECTS);
        let choices = [ends::kept(self.repo, &walk)?, ends::since_fork(self, &walk, ship)?, Some(at_head)];
        let (mut tried, mut lack) = (Vec::new(), Lack { objects: 0, why: String::new() });
        for ends in choices.into_iter().flatten() {
            if tried.contains(&ends) {
                continue;
            }
            let missing = walk.missing(self.repo, &ends)?;
            let brought = match tell {
                _ if missing.len() > most => continue,
                None => Ok(missing.len() as u64),
                Some(tell) => self.bring(|| walk.missing(self.repo, &ends), tell)?,
            };
            match brought {
                Ok(fetched) => return self.describe(&walk, ship, ends, fetched, tell.is_some()).map(Some),
                Err(why) => lack = why,
            }
            tried.push(ends);
        }
        Err(self.refused(lack))
    }

    fn describe(
        &self,
        walk: &Walk<'_>,
        ship: &Snapshot,
        ends: Vec<Oid>,
        fetched: u64,
        is_sent: bool,
    ) -> Result<History> {
        if is_sent {
            ends::remember(self.repo, &ends)?;
        }
        let commits = walk.commits(self.repo, &ends)?.len().saturating_sub(walk.own);
        let within = self.repo.refs_within(&ship.head, &ends)?.len();
        let left_refs = self.repo.shared_refs()?.len().saturating_sub(within);
        let at_least = fetched > 0 && !is_sent && walk.lacks_trees(self.repo, &ends)?;
        let remote = self.remotes[0].clone();
        Ok(History { ends, commits: commits as u64, left_refs: left_refs as u64, remote, fetched, at_least })
    }

    /// Fetches until nothing is missing, and returns how many objects were asked for. Objects that did not come are not
    /// asked for again.
    fn bring(&self, missing: impl Fn() -> Result<Vec<Oid>>, tell: Tell<'_>) -> Result<std::result::Result<u64, Lack>> {
        let mut asked: HashSet<Oid> = HashSet::new();
        loop {
            let lacking = missing()?;
            let objects = lacking.len() as u64;
            if lacking.is_empty() {
                return Ok(Ok(asked.len() as u64));
            }
            if lacking.iter().any(|id| asked.contains(id)) {
                return Ok(Err(Lack { objects, why: "it left some out without an error".to_owned() }));
            }
            if let Some(why) = self.fetch(&lacking, tell)? {
                return Ok(Err(Lack { objects, why }));
            }
            asked.extend(lacking);
        }
    }

    /// Asks one remote after the other. Returns why the last one refused.
    fn fetch(&self, ids: &[Oid], tell: Tell<'_>) -> Result<Option<String>> {
        let mut why = None;
        for remote in &self.remotes {
            if self.is_silent.get() {
                return Ok(Some("no answer in time".to_owned()));
            }
            let wanted = self.repo.absent(ids)?;
            if wanted.is_empty() {
                return Ok(None);
            }
            tell(wanted.len() as u64, remote);
            let failure = fetch::fetch(self.repo, &self.config, remote, &wanted, fetch::LIMITS)?.err();
            self.is_silent.set(failure.as_ref().is_some_and(|failure| failure.is_silent));
            why = failure.map(|failure| failure.why);
        }
        Ok(why)
    }

    fn refused(&self, lack: Lack) -> Error {
        let remote = self.remotes[0].clone();
        let hint = format!("git fetch --refetch --no-filter {remote}");
        Error::OnlyOnRemote { objects: lack.objects, remote, why: lack.why, hint }
    }
}

/// A walk over what a ship sends.
struct Walk<'a> {
    git: Seeing<'a>,
    /// Commits of ours, as arguments.
    tips: Vec<String>,
    /// Number of commits of ours among those that it sends.
    own: usize,
}

impl<'a> Walk<'a> {
    /// Without what `held` reaches.
    fn new(git: Seeing<'a>, ship: &Snapshot, held: Option<&Oid>) -> Self {
        let operation = ship.operation.iter().map(|operation| operation.commit.to_string());
        let mut tips: Vec<String> = operation.chain([ship.commit.to_string()]).collect();
        // The commit of the index is a parent of the snapshot's.
        let own = tips.len() + 1;
        tips.extend(held.map(|held| format!("^{held}")));
        Self { git, tips, own }
    }

    fn list(&self) -> Git {
        (self.git)("rev-list")
    }

    /// Whether nothing of the whole history is missing, with tags and remote-tracking refs. Stops at the first object that
    /// is.
    fn is_whole(&self) -> Result<bool> {
        let all = ["--objects", "--quiet", "--in-commit-order", "--tags", "--remotes"];
        Ok(self.list().args(all).args(&self.tips).output()?.status.success())
    }

    /// What is missing of a history that ends at `ends`.
    fn missing(&self, repo: &Repository, ends: &[Oid]) -> Result<Vec<Oid>> {
        missing_in(Boundary::with(repo, ends)?.apply(self.list().args(&self.tips)))
    }

    fn lacks_trees(&self, repo: &Repository, ends: &[Oid]) -> Result<bool> {
        let walk = self.list().arg("--filter=blob:none").args(&self.tips);
        Ok(!missing_in(Boundary::with(repo, ends)?.apply(walk))?.is_empty())
    }

    /// The commits of such a history, with ours. More than [`ends::MOST_COMMITS`] are not listed.
    fn commits(&self, repo: &Repository, ends: &[Oid]) -> Result<Vec<Oid>> {
        let most = format!("--max-count={}", ends::MOST_COMMITS + self.own + 1);
        let printed = Boundary::with(repo, ends)?.apply(self.list().arg(most).args(&self.tips)).run()?;
        String::from_utf8_lossy(&printed).lines().map(oid).collect()
    }
}

/// The objects that a `rev-list` misses.
fn missing_in(walk: Git) -> Result<Vec<Oid>> {
    let printed = walk.args(["--objects", "--quiet", "--missing=print"]).run()?;
    String::from_utf8_lossy(&printed).lines().filter_map(|line| line.strip_prefix('?')).map(oid).collect()
}

impl Repository {
    /// Whether objects may be absent here that a remote has promised.
    pub(super) fn is_partial_clone(&self) -> Result<bool> {
        Ok(!self.config()?.promisors().is_empty())
    }

    /// Chooses the history that is sent with a snapshot that was not made for a ship, and fetches what the ship needs.
    /// `None`: all of it is here, and is sent.
    ///
    /// # Errors
    /// [`Error::OnlyOnRemote`]: the remote does not send it.
    pub fn history_of(&self, ship: &Snapshot, tell: Tell<'_>) -> Result<Option<History>> {
        match PartialClone::of(self)? {
            Some(clone) => clone.history(&|verb| self.git(verb), ship, Some(tell)),
            None => Ok(None),
        }
    }

    /// Fetches what a later ship of a handoff adds to its base and this partial clone lacks, such as a branch that the user
    /// merged. Does nothing in another repository.
    ///
    /// # Errors
    /// [`Error::OnlyOnRemote`]: the remote does not send it.
    pub fn complete_ship(&self, base: &Snapshot, ship: &Snapshot, tell: Tell<'_>) -> Result<()> {
        if ship.commit == base.commit {
            return Ok(());
        }
        let Some(clone) = PartialClone::of(self)? else { return Ok(()) };
        let ends = base.history.as_ref().map(|history| &history.ends[..]).unwrap_or_default();
        let git = |verb| self.git(verb);
        let walk = Walk::new(&git, ship, Some(&base.commit));
        clone.bring(|| walk.missing(self, ends), tell)?.map_err(|lack| clone.refused(lack))?;
        Ok(())
    }

    /// Fetches objects by id if this is a partial clone that lacks them.
    ///
    /// # Errors
    /// [`Error::OnlyOnRemote`]: the remote does not send them.
    pub(super) fn bring_objects(&self, ids: &[Oid]) -> Result<()> {
        if ids.is_empty() || self.absent(ids)?.is_empty() {
            return Ok(());
        }
        let Some(clone) = PartialClone::of(self)? else { return Ok(()) };
        clone.bring(|| self.absent(ids), &|_, _| {})?.map_err(|lack| clone.refused(lack)).map(drop)
    }

    /// Fetches what is missing of what these arguments of rev-list select. `false`: nothing is, or this is no partial clone.
    ///
    /// # Errors
    /// [`Error::OnlyOnRemote`]: the remote does not send it.
    pub(super) fn bring_new(&self, git: Seeing<'_>, ends: &[String]) -> Result<bool> {
        let Some(clone) = PartialClone::of(self)? else { return Ok(false) };
        let brought = clone.bring(|| missing_in(git("rev-list").args(ends)), &|_, _| {})?;
        Ok(brought.map_err(|lack| clone.refused(lack))? > 0)
    }

    /// Tags and remote-tracking refs at commits that `head` reaches in a history that ends at `ends`.
    pub(super) fn refs_within(&self, head: &Head, ends: &[Oid]) -> Result<Vec<(Oid, String)>> {
        let Some(head) = head.commit() else { return Ok(vec![]) };
        if ends.is_empty() {
            return self.listed_refs(self.git("for-each-ref").arg(format!("--merged={head}")));
        }
        // `--merged` would walk the history of every ref to its beginning.
        let sent = Boundary::with(self, ends)?.apply(self.git("rev-list").arg(head.as_str())).run()?;
        let sent = String::from_utf8_lossy(&sent).into_owned();
        let sent: HashSet<&str> = sent.lines().collect();
        let refs = self.shared_refs()?;
        let commits: String = refs.iter().map(|(id, _)| format!("{id}^{{commit}}\n")).collect();
        let printed = self.git("cat-file").args(["--batch-check=%(objectname)", "--buffer"]).stdin(commits).run()?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let within = refs.into_iter().zip(printed.lines()).filter(|(_, commit)| sent.contains(commit));
        Ok(within.map(|(named, _)| named).collect())
    }

    /// Those of `ids` that are not here.
    fn absent(&self, ids: &[Oid]) -> Result<Vec<Oid>> {
        let present: HashSet<Oid> = self.present(ids)?.into_iter().collect();
        Ok(ids.iter().filter(|id| !present.contains(id)).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
