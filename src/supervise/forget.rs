//! `forget`: removes the record of a handoff that is over, with its refs and its readable files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::git::repository::Repository;
use crate::git::takeover_worktree::Takeover;
use crate::git::takeover_worktree::removal::worktrees_of;
use crate::mirror::files::RecordFiles;
use crate::mirror::place::Place;
use crate::mirror::{RECORD, document, removal};
use crate::model::status::Status;
use crate::state::index;
use crate::supervise::companions::{companion_id, companions_in, shipped};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::created_in;
use crate::supervise::services::blocking;

/// What was removed, and what stays.
#[derive(Debug)]
pub struct Forgotten {
    /// Number of refs.
    pub refs: usize,
    /// The directories for people that stay.
    pub kept: Vec<KeptDirectory>,
}

/// A directory for people that stays.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct KeptDirectory {
    pub directory: String,
    /// The files in it that handoff did not write, or that were edited.
    pub files: Vec<String>,
}

impl Driver {
    /// Removes everything that this repository has of the handoff. `discard`: also what is nowhere else. An interrupted
    /// call is completed by the same one.
    pub async fn forget(self, discard: bool) -> Result<Forgotten, Error> {
        self.need_over()?;
        self.record.update()?;
        let lost = self.lost().await?;
        if !lost.is_empty() && !discard {
            return Err(Error::WouldLose { id: self.id().clone(), lost });
        }
        for line in lost {
            self.tell(&Progress::Note { text: format!("removing {line}") });
        }
        // The record comes last: until then, the same command can be given again.
        let kept = self.remove_pages()?;
        let (repository, id) = (self.record.services.repository.clone(), self.id().clone());
        let mut refs = blocking(move || repository.forget_refs(&id)).await??;
        for repository in self.companions() {
            let id = companion_id(self.handoff());
            refs += blocking(move || repository.forget_refs(&id)).await??;
        }
        let services = &self.record.services;
        services.store.remove(self.id())?;
        if services.store.ids()?.is_empty() {
            index::forget(&services.state_dir, services.repository.common_dir())?;
        }
        Ok(Forgotten { refs, kept })
    }

    /// Fails unless the handoff is over, and no host and no worktree has anything of it.
    fn need_over(&self) -> Result<(), Error> {
        let (handoff, id) = (self.handoff(), self.id().clone());
        if handoff.status().is_active() {
            return Err(Error::StillRunning { id, status: handoff.status().word() });
        }
        let is_over = matches!(handoff.status(), Status::Finished | Status::Done | Status::Stopped);
        if !is_over || handoff.is_give_unfinished() {
            return Err(Error::NotFinished { id, status: handoff.status().label() });
        }
        if !handoff.hosts().is_empty() && !handoff.is_released() {
            return Err(Error::NotReleased { id });
        }
        for round in 1..=handoff.round() {
            let takeover = Takeover { id: &id, name: &self.record.name, round, branch: None };
            if let Some(worktree) = worktrees_of(&self.record.services.repository, takeover).into_iter().next() {
                return Err(Error::HasWorktree { id, worktree });
            }
        }
        Ok(())
    }

    /// The repositories of the companions that are checked out. The refs in others stay.
    fn companions(&self) -> Vec<Repository> {
        let (services, top) = (&self.record.services, companions_in(&self.record));
        shipped(self.handoff())
            .into_iter()
            .filter_map(|it| services.repository.companion(&top, &it.path).ok())
            .collect()
    }

    /// What only this handoff has, as lines for the user.
    async fn lost(&self) -> Result<Vec<String>, Error> {
        let (repository, id) = (self.record.services.repository.clone(), self.id().clone());
        let only = blocking(move || repository.only_in(&id)).await??;
        let mut lost: Vec<String> = only.into_iter().map(|(name, tip)| format!("{name} ({})", tip.short())).collect();
        for repository in self.companions() {
            let (id, top) = (companion_id(self.handoff()), repository.top().display().to_string());
            let only = blocking(move || repository.only_in(&id)).await??;
            lost.extend(only.into_iter().map(|(name, tip)| format!("{name} ({}) in {top}", tip.short())));
        }
        let truth = self.record.services.store.directory(self.id());
        let page = RecordFiles::in_git_directory(&truth)?.document()?;
        let bare = self.record.page_without_words()?;
        if page
            .is_some_and(|page| page != bare && document::merge(&String::from_utf8_lossy(&bare), Some(&page)) != bare)
        {
            lost.push(format!("what you wrote in {}", truth.join("handoff.md").display()));
        }
        Ok(lost)
    }

    /// Removes the files for people: in the worktree that the handoff was created in, and in the checkout into which a
    /// takeover merged the work.
    fn remove_pages(&self) -> Result<Vec<KeptDirectory>, Error> {
        let services = &self.record.services;
        let page = self.record.page_without_words()?;
        let logs = services.readable_logs(self.handoff())?;
        let merged = self.handoff().checkouts().last();
        let merged = merged.and_then(|here| services.repository.worktree_named(&here.worktree));
        let worktrees: BTreeSet<PathBuf> =
            [created_in(services, self.handoff())].into_iter().chain(merged).filter(|place| place.is_dir()).collect();
        let mut kept = Vec::new();
        for worktree in worktrees.iter().filter(|place| Place::of(place, self.id()) == Place::Worktree) {
            let files = match self.record.was_made_by_hand(worktree) {
                true => self.record.leave_to_people(worktree)?,
                false => removal::remove(worktree, self.id(), &page, &logs)?,
            };
            if !files.is_empty() {
                let directory = worktree.join(RECORD).join(self.id().to_string()).display().to_string();
                kept.push(KeptDirectory { directory, files });
            }
        }
        Ok(kept)
    }
}
