//! `takeover --return`: the takeover is given up, and the handoff is as before it.

use std::path::PathBuf;

use crate::git;
use crate::git::capture::Captured;
use crate::git::repository::Repository;
use crate::git::takeover_worktree::{Takeover, own_branch, removal};
use crate::model::event::{Kind, Owner};
use crate::model::snapshot::Snapshot;
use crate::supervise::attempt::relaunch::last_work;
use crate::supervise::companions::worktrees::CompanionWorktrees;
use crate::supervise::connection::PATIENCE;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::takeover_worktree;
use crate::supervise::services::blocking;

impl Driver {
    /// Removes the unchanged worktree, and makes the last host the owner again. Nothing starts there. Returns the
    /// worktree. An interrupted call is completed by the same one, because the owner changes last.
    pub async fn hand_back(&mut self) -> Result<Option<PathBuf>, Error> {
        let id = self.id().clone();
        if self.handoff().is_finished() {
            return Err(Error::Finished { id });
        }
        if !self.handoff().is_taken_over() {
            let why = "was not taken over, so there is nothing to return".to_owned();
            return Err(Error::NotNow { id, why });
        }
        if let Some(here) = self.handoff().checkouts().current() {
            let what = format!("{id} is in the checkout {} since `takeover --here`", here.path);
            return Err(crate::git::Error::Unfit { what, hint: format!("handoff undo {id}") }.into());
        }
        self.settle(PATIENCE).await?;
        if let Some(host) = self.handoff().unfenced_hosts().into_iter().next() {
            let why = format!("cannot be returned yet: {host} has not confirmed the takeover");
            return Err(Error::NotNow { id, why });
        }
        let removed = self.remove_unchanged().await?;
        let (epoch, host) = (self.handoff().epoch() + 1, self.handoff().host().to_owned());
        self.record.ledger.require(Kind::Owner { epoch, owner: Owner::Host(host), confirmed: true })?;
        self.record.update()?;
        Ok(removed)
    }

    /// Removes the takeover's worktree and the branch that handoff made for it.
    async fn remove_unchanged(&mut self) -> Result<Option<PathBuf>, Error> {
        let (id, name, round) = (self.id().clone(), self.record.name.clone(), self.handoff().round());
        let takeover = Takeover { id: &id, name: &name, round, branch: None };
        if let Some(stored) = self.handoff().worktree().map(PathBuf::from) {
            self.record.complete_removal(round, stored).await?;
        }
        let repository = self.record.services.repository.clone();
        let Snapshot { commit: work, companions: before, .. } = last_work(&self.record)?;
        let worktree = takeover_worktree(&self.record.services, self.handoff());
        let worktree = worktree.filter(|_| self.handoff().is_worktree_current());
        let own = own_branch(takeover);
        let branch = self.handoff().worktree_branch().filter(|_| self.handoff().is_worktree_current());
        let (place, branch) = (worktree.clone(), branch.unwrap_or(&own).to_owned());
        let companions = match &worktree {
            Some(worktree) => Some(CompanionWorktrees::find(&self.record, round, worktree).await?),
            None => None,
        };
        let inner = companions.as_ref().map(CompanionWorktrees::compared).unwrap_or_default();
        let found = blocking(move || {
            let state = repository.without_record(repository.read_capture(&work)?)?;
            let is_changed =
                place.map_or(Ok(false), |place| removal::is_unchanged(&place, &state, &inner).map(|same| !same))?;
            Found::read(&repository, branch, state, is_changed)
        });
        let found = found.await??;
        if found.is_changed || companions.as_ref().is_some_and(|companions| !companions.are_unchanged(&before)) {
            let why = vec!["its work has changed".to_owned()];
            return Err(Error::NotReturned { id, why, is_changed: true });
        }
        if found.has_moved {
            let is_gone = worktree.is_none();
            let worktree = worktree.unwrap_or_else(|| self.place_for(takeover));
            return Err(Error::BranchMoved { id, branch: found.branch, worktree, is_gone });
        }
        for renamed in found.renamed {
            let text =
                format!("the branch {renamed}, which was {}, has commits that the agent does not get", found.branch);
            self.tell(&Progress::Note { text });
        }
        if let Some(worktree) = worktree.clone() {
            let report = self.record.remove_worktree(round, worktree, false).await?;
            if !report.removed {
                let only_there = report.ignored.iter().map(|path| format!("only its worktree has {path}"));
                let why = report.why.into_iter().chain(only_there).collect();
                return Err(Error::NotReturned { id, why, is_changed: false });
            }
        }
        if let Some(companions) = companions {
            companions.remove_branches(&before).await?;
        }
        self.record.services.repository.remove_branch(&own, &found.state.head)?;
        Ok(worktree)
    }

    /// Where the user can make the worktree again, so that it is known as that of the takeover.
    fn place_for(&self, takeover: Takeover) -> PathBuf {
        let stored = self.handoff().worktree().map(PathBuf::from);
        let stored = stored.unwrap_or_else(|| takeover.default_destination(&self.record.created_in()));
        // git names a worktree after its directory. Takeovers themselves use the name without a digit for a while.
        stored.with_file_name(format!("{}1", takeover.made_as()))
    }
}

/// What there is of a takeover that is given up.
struct Found {
    /// The work as the takeover began.
    state: Captured,
    /// Whether the worktree has something else.
    is_changed: bool,
    branch: String,
    /// Whether the branch has other commits.
    has_moved: bool,
    /// Its new names with other commits, if the user renamed it.
    renamed: Vec<String>,
}

impl Found {
    fn read(repository: &Repository, branch: String, state: Captured, is_changed: bool) -> git::Result<Found> {
        let has_moved = |name: &str| {
            Ok::<_, git::Error>(repository.branch_tip(name)?.is_some_and(|tip| Some(&tip) != state.head.commit()))
        };
        let mut renamed = repository.branches_renamed_from(&branch)?;
        let all = renamed.iter().map(|name| has_moved(name)).collect::<git::Result<Vec<bool>>>()?;
        let mut all = all.into_iter();
        renamed.retain(|_| all.next().unwrap_or_default());
        Ok(Found { is_changed, has_moved: has_moved(&branch)?, branch, renamed, state })
    }
}
