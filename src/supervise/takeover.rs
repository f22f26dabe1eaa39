//! `takeover`: the laptop becomes the owner, with the work and the record in a worktree.

use std::path::PathBuf;

use crate::git::takeover_worktree;
use crate::model::event::{Kind, Owner};
use crate::supervise::connection::PATIENCE;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::takeover_worktree;
use crate::supervise::services::blocking;

/// Maximum number of files that are named for one reason.
const MOST_NAMED: usize = 20;

/// Where the work is now.
pub struct TakeoverResult {
    pub worktree: PathBuf,
    /// Hosts that did not confirm. What they still produce is superseded.
    pub untold: Vec<String>,
}

impl Driver {
    /// Raises the epoch, stops what runs, fetches it, and makes the worktree at `destination` (`None`: next to the
    /// repository). A handoff that was taken over before keeps its worktree.
    pub async fn takeover(&mut self, destination: Option<PathBuf>) -> Result<TakeoverResult, Error> {
        if self.handoff().is_taken_over()
            && let Some(worktree) = takeover_worktree(&self.services, self.handoff())
        {
            self.settle(PATIENCE).await?;
            // An earlier takeover may have been killed before it wrote the record there.
            self.update_record()?;
            return Ok(TakeoverResult { worktree, untold: self.handoff().unfenced_hosts() });
        }
        if self.handoff().attempts().is_empty() {
            let (id, why) =
                (self.id().clone(), "was never sent to a host, so there is nothing to take over".to_owned());
            return Err(Error::NotNow { id, why });
        }
        self.check_place(destination.clone()).await?;
        if self.handoff().refused_work().is_some() {
            // The user may have accepted the work by now. Without it, the takeover would use older work.
            self.pull_missing().await?;
        }
        if !self.handoff().is_taken_over() {
            let epoch = self.handoff().epoch() + 1;
            self.ledger.require(Kind::Owner { epoch, owner: Owner::Laptop, confirmed: false })?;
        }
        self.fence_for_takeover().await?;
        if self.handoff().unfenced_hosts().is_empty() {
            self.pull_if_possible().await;
        }
        self.need_work()?;
        let worktree = self.make_worktree(destination).await?;
        self.ledger.require(Kind::Worktree { path: worktree.display().to_string() })?;
        self.update_record()?;
        self.record_into(&worktree)?;
        Ok(TakeoverResult { worktree, untold: self.handoff().unfenced_hosts() })
    }

    /// Fences the hosts that may still continue, as far as they can be reached.
    async fn fence_for_takeover(&mut self) -> Result<(), Error> {
        if self.handoff().is_over() {
            self.append(Kind::Owner { epoch: self.handoff().epoch(), owner: Owner::Laptop, confirmed: true })?;
        }
        self.settle(PATIENCE).await
    }

    /// Fails if the worktree could not be made, before the agent is stopped for it.
    async fn check_place(&self, destination: Option<PathBuf>) -> Result<(), Error> {
        let repository = self.services.repository.clone();
        let (id, name) = (self.id().clone(), self.name.clone());
        let checked = blocking(move || {
            let destination = destination.unwrap_or_else(|| takeover_worktree::default_destination(&repository, &id));
            takeover_worktree::check_place(&repository, (&id, &name), &destination)
        });
        Ok(checked.await??)
    }

    async fn make_worktree(&self, destination: Option<PathBuf>) -> Result<PathBuf, Error> {
        let commit = self.last_work()?.commit;
        let repository = self.services.repository.clone();
        let (id, name) = (self.id().clone(), self.name.clone());
        let landed = blocking(move || {
            let work = repository.without_record(repository.read_capture(&commit)?)?;
            let destination = destination.unwrap_or_else(|| takeover_worktree::default_destination(&repository, &id));
            takeover_worktree::worktree_for_takeover(&repository, (&id, &name), &work, &destination)
        });
        let landed = landed.await??;
        if landed.before {
            let text = format!("{} exists from an earlier takeover and is not changed", landed.path.display());
            self.tell(&Progress::Note { text });
        }
        if let Some(extra) = self.handoff().request().base.extra.clone().filter(|_| !landed.before) {
            let worktree = landed.path.clone();
            // The work is complete without these.
            if let Err(error) = blocking(move || takeover_worktree::add_ignored(&worktree, &extra.tree)).await? {
                let text = format!("the ignored files that were sent with the task are not in the worktree: {error}");
                self.tell(&Progress::Note { text });
            }
        }
        for path in landed.differing {
            self.tell(&Progress::Note { text: format!("{path} could not be written to the worktree unchanged") });
        }
        for stored in landed.stored.iter().take(MOST_NAMED) {
            let text = format!("{} is in the worktree as git stores it ({})", stored.path, stored.why);
            self.tell(&Progress::Note { text });
        }
        if let Some(more) = landed.stored.len().checked_sub(MOST_NAMED).filter(|more| *more > 0) {
            self.tell(&Progress::Note { text: format!("the same applies to {more} more files") });
        }
        Ok(landed.path)
    }
}
