//! `takeover`: the laptop becomes the owner, with the work and the record in a worktree, or merged into the user's checkout.

mod hand_back;

use std::path::{Path, PathBuf};

use crate::git;
use crate::git::capture::Captured;
use crate::git::companions::{self, Purpose};
use crate::git::merge_here::{self, Preview};
use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::takeover_worktree::{self, Takeover};
use crate::model::attempt::AttemptNo;
use crate::model::event::{Kind, Owner};
use crate::model::snapshot::Snapshot;
use crate::supervise::attempt::relaunch::last_work;
use crate::supervise::capture::need_work;
use crate::supervise::checkout::bring;
use crate::supervise::companions::worktrees::{changed, land_companions, named_in};
use crate::supervise::connection::PATIENCE;
use crate::supervise::custody::missing::{pull_if_possible, pull_missing};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::{keep_attached, takeover_place, takeover_worktree};
use crate::supervise::services::blocking;

/// Maximum number of files that are named for one reason.
const MOST_NAMED: usize = 20;

/// Where the user wants the work.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a worktree of its own.
    Worktree {
        /// Its directory (`None`: next to the repository).
        directory: Option<PathBuf>,
        /// The name of its branch (`None`: `handoff/<id>`).
        branch: Option<String>,
    },
    /// Merged into the checkout of this command.
    Here,
}

impl Default for Place {
    fn default() -> Self {
        Place::Worktree { directory: None, branch: None }
    }
}

/// Where the work is now.
pub struct TakeoverResult {
    /// The worktree, or the user's checkout.
    pub worktree: PathBuf,
    /// What was merged into the user's checkout, if this command did that.
    pub merged: Option<Merged>,
    /// Hosts that did not confirm. What they still produce is superseded.
    pub untold: Vec<String>,
}

/// Work that was merged into the user's checkout.
pub struct Merged {
    pub preview: Preview,
    /// The newest commits of the agent, which are not in the history of the checkout.
    pub commits: Vec<String>,
    /// The range of all of them, for `git log`.
    pub range: String,
}

impl Driver {
    /// Raises the epoch, stops what runs, fetches it, and brings it to `place`. A handoff that was taken over before
    /// stays where it is.
    pub async fn takeover(&mut self, place: Place) -> Result<TakeoverResult, Error> {
        if self.handoff().is_finished() {
            return Err(Error::Finished { id: self.id().clone() });
        }
        // The work is complete without these.
        if let Err(error) = keep_attached(&self.record.services, self.handoff()).await {
            self.tell(&Progress::Note { text: format!("the attached files are not at their paths: {error}") });
        }
        if let Some(worktree) = self.present_place(&place)? {
            self.settle(PATIENCE).await?;
            // An earlier takeover may have been killed before it wrote the record there.
            self.record.update()?;
            return Ok(TakeoverResult { worktree, merged: None, untold: self.handoff().unfenced_hosts() });
        }
        if self.handoff().attempts().is_empty() {
            let (id, why) =
                (self.id().clone(), "was never sent to a host, so there is nothing to take over".to_owned());
            return Err(Error::NotNow { id, why });
        }
        self.check_place(place.clone()).await?;
        if matches!(place, Place::Here)
            && let Ok(work) = last_work(&self.record)
        {
            self.need_mergeable(&work)?;
        }
        if self.handoff().refused_work().is_some() {
            // The user may have accepted the work by now. Without it, the takeover would use older work.
            pull_missing(&mut self.record, &mut self.connection).await?;
        }
        if !self.handoff().is_taken_over() {
            let epoch = self.handoff().epoch() + 1;
            self.record.ledger.require(Kind::Owner { epoch, owner: Owner::Laptop, confirmed: false })?;
        }
        self.fence_for_takeover().await?;
        if self.handoff().unfenced_hosts().is_empty() {
            pull_if_possible(&mut self.record, &mut self.connection).await;
        }
        need_work(self.handoff())?;
        let (worktree, merged) = match place {
            Place::Here => (self.record.services.repository.top().to_owned(), Some(self.merge().await?)),
            Place::Worktree { directory, branch } => {
                let (path, branch) = self.make_worktree(directory, branch).await?;
                self.record.ledger.require(Kind::Worktree { path: path.display().to_string(), branch })?;
                (path, None)
            }
        };
        self.record.update()?;
        self.record.update_in(&worktree)?;
        Ok(TakeoverResult { worktree, merged, untold: self.handoff().unfenced_hosts() })
    }

    /// Where the work is already. `None`: it has to be brought to `wanted`. Fails if it is at another place than wanted.
    fn present_place(&self, wanted: &Place) -> Result<Option<PathBuf>, Error> {
        let (services, handoff) = (&self.record.services, self.handoff());
        let Some(path) = takeover_place(services, handoff).filter(|_| handoff.is_taken_over()) else { return Ok(None) };
        if let Some(here) = handoff.checkouts().current() {
            let is_wanted = match wanted {
                Place::Here => path == services.repository.top(),
                Place::Worktree { directory, branch } => directory.is_none() && branch.is_none(),
            };
            if !is_wanted {
                let what = format!("{} is in the checkout {} since `takeover --here`", self.id(), here.path);
                return Err(git::Error::Unfit { what, hint: format!("handoff undo {}", self.id()) }.into());
            }
            return Ok(Some(path));
        }
        match wanted {
            Place::Worktree { branch, .. } if handoff.is_worktree_current() => {
                check_branch(&path, branch.as_deref())?;
                Ok(Some(path))
            }
            _ => Ok(None),
        }
    }

    /// Merges the newest work into the checkout of this command: that of the takeover's worktree, if there is one.
    async fn merge(&mut self) -> Result<Merged, Error> {
        let repository = self.record.services.repository.clone();
        let worktree = takeover_worktree(&self.record.services, self.handoff());
        let work = match worktree.filter(|_| self.handoff().is_worktree_current()) {
            Some(path) => {
                let named = named_in(&self.record, self.handoff().round(), &path);
                let taken =
                    blocking(move || companions::take_work(&Repository::discover(&path)?, &[], &named, Purpose::Work))
                        .await??;
                repository.keep_ref(&refs::worktree(self.id()), &taken.commit)?;
                taken
            }
            None => last_work(&self.record)?,
        };
        self.need_mergeable(&work)?;
        let preview = bring(&mut self.record, Captured::from(&work)).await?;
        let here = repository.head()?;
        let commits = repository.commits_since(&here, &work.head, MOST_NAMED)?;
        let since = if here.is_unborn() { "" } else { "HEAD.." };
        Ok(Merged { preview, commits, range: format!("{since}{}", work.head.short()) })
    }

    /// Fails if the work changed other repositories, which no checkout can take in.
    fn need_mergeable(&self, work: &Snapshot) -> Result<(), Error> {
        let Some(path) = changed(self.handoff(), &work.companions).first().map(|path| (*path).to_owned()) else {
            return Ok(());
        };
        let what = format!("the work also changed the repository {path}, which cannot be merged into a checkout");
        Err(git::Error::Unfit { what, hint: format!("handoff takeover {}", self.id()) }.into())
    }

    /// Fences the hosts that may still continue, as far as they can be reached.
    async fn fence_for_takeover(&mut self) -> Result<(), Error> {
        if self.handoff().is_over() || self.handoff().unfenced_hosts().is_empty() {
            self.record.append(Kind::Owner { epoch: self.handoff().epoch(), owner: Owner::Laptop, confirmed: true })?;
        }
        self.settle(PATIENCE).await
    }

    /// Fails if the work could not be brought to the place, before the agent is stopped for it.
    async fn check_place(&self, place: Place) -> Result<(), Error> {
        let repository = self.record.services.repository.clone();
        let (id, name, round) = (self.id().clone(), self.record.name.clone(), self.handoff().round());
        let (top, base) = (self.record.created_in(), self.handoff().request().base.commit.clone());
        let checked = blocking(move || {
            let Place::Worktree { directory, branch } = place else { return merge_here::check(&repository) };
            let takeover = Takeover { id: &id, name: &name, round, branch: branch.as_deref() };
            let destination = directory.unwrap_or_else(|| takeover.default_destination(&top));
            takeover_worktree::check_place(&repository, takeover, &destination, &base)
        });
        Ok(checked.await??)
    }

    /// Returns the worktree and its branch.
    async fn make_worktree(
        &self,
        directory: Option<PathBuf>,
        branch: Option<String>,
    ) -> Result<(PathBuf, Option<String>), Error> {
        let Snapshot { commit, companions, .. } = last_work(&self.record)?;
        let repository = self.record.services.repository.clone();
        let (id, name, round) = (self.id().clone(), self.record.name.clone(), self.handoff().round());
        let top = self.record.created_in();
        let landed = blocking(move || {
            let takeover = Takeover { id: &id, name: &name, round, branch: branch.as_deref() };
            let work = repository.without_record(repository.read_capture(&commit)?)?;
            let destination = directory.unwrap_or_else(|| takeover.default_destination(&top));
            takeover_worktree::worktree_for_takeover(&repository, takeover, &work, &destination)
        });
        let landed = landed.await??;
        if landed.before {
            let text = format!("{} exists from an earlier takeover and is not changed", landed.path.display());
            self.tell(&Progress::Note { text });
        }
        land_companions(&self.record, &landed.path, &companions).await?;
        if let Some(extra) = self.handoff().extra_before(AttemptNo::MAX).cloned() {
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
        Ok((landed.path, landed.branch))
    }
}

/// Refuses another branch than that of a worktree that exists.
fn check_branch(worktree: &Path, wanted: Option<&str>) -> Result<(), Error> {
    let Some(wanted) = wanted else { return Ok(()) };
    let tree = Repository::discover(worktree)?;
    let current = tree.branch()?;
    if current.as_deref() == Some(wanted) {
        return Ok(());
    }
    let on = current.unwrap_or_else(|| "a detached HEAD".to_owned());
    let what = format!("the worktree {} exists and is on {on}", worktree.display());
    let path = worktree.display().to_string();
    let quoted = shlex::try_quote(&path).map_or_else(|_| path.clone(), std::borrow::Cow::into_owned);
    Err(git::Error::Unfit { what, hint: format!("git -C {quoted} switch -c {wanted}") }.into())
}
