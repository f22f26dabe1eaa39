//! The worktrees of a handoff's takeovers. One is removed only if everything in it is in a ref.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::git::capture::Captured;
use crate::git::takeover_worktree::Takeover;
use crate::git::takeover_worktree::removal::{self, Saved, Unsaved};
use crate::mirror::RECORD;
use crate::supervise::companions::worktrees::CompanionWorktrees;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// What became of a worktree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct WorktreeReport {
    pub path: PathBuf,
    pub removed: bool,
    /// Why it stays, as fragments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<String>,
    /// Ignored files that are nowhere else, or were deleted with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<String>,
    /// Whether a commit would save some of it.
    #[serde(skip)]
    pub is_dirty: bool,
}

impl Record {
    /// Removes the worktrees of every takeover of the handoff as far as all that is in them is in refs. `discard`: also
    /// with the ignored files that only they have.
    pub(in crate::supervise) async fn remove_worktrees(&self, discard: bool) -> Result<Vec<WorktreeReport>, Error> {
        let mut reports = Vec::new();
        for round in 1..=self.handoff().round() {
            if let Some(stored) = self.handoff().worktree().map(PathBuf::from) {
                self.complete_removal(round, stored).await?;
            }
            let (id, name) = (self.id().clone(), self.name.clone());
            let takeover = Takeover { id: &id, name: &name, round, branch: None };
            for worktree in removal::worktrees_of(&self.services.repository, takeover) {
                reports.push(self.remove_worktree(round, worktree, discard).await?);
            }
        }
        Ok(reports)
    }

    /// Completes a removal that was interrupted.
    pub(in crate::supervise) async fn complete_removal(&self, round: usize, worktree: PathBuf) -> Result<(), Error> {
        let (repository, id, name) = (self.services.repository.clone(), self.id().clone(), self.name.clone());
        let completed = blocking(move || {
            removal::complete_removal(&repository, Takeover { id: &id, name: &name, round, branch: None }, &worktree)
        });
        Ok(completed.await??)
    }

    /// Removes one worktree, if all that is in it is in refs.
    pub(in crate::supervise) async fn remove_worktree(
        &self,
        round: usize,
        worktree: PathBuf,
        discard: bool,
    ) -> Result<WorktreeReport, Error> {
        let stays = |unsaved: Unsaved| WorktreeReport {
            path: worktree.clone(),
            removed: false,
            why: unsaved.why,
            ignored: unsaved.ignored,
            is_dirty: unsaved.is_dirty,
        };
        if self.is_in(&worktree) {
            let why = "this command runs in it; go to another directory first".to_owned();
            return Ok(stays(Unsaved { why: vec![why], ..Unsaved::default() }));
        }
        let saved = self.saved()?;
        let words = self.carry_words(&worktree)?;
        let (repository, place) = (self.services.repository.clone(), worktree.clone());
        let companions = CompanionWorktrees::find(self, round, &worktree).await?;
        let inner = companions.compared();
        let compared = blocking(move || removal::unsaved(&repository, &place, &saved, &inner));
        let mut unsaved = match compared.await? {
            Err(crate::git::Error::Unfit { what, .. }) => Unsaved { why: vec![what], ..Unsaved::default() },
            unsaved => unsaved?,
        };
        unsaved.why.extend(words);
        unsaved.why.extend(companions.unsaved.why.iter().cloned());
        unsaved.ignored.extend(companions.unsaved.ignored.iter().cloned());
        // The record is not one of the files that only the worktree has.
        unsaved.ignored.retain(|path| !Path::new(path).starts_with(RECORD));
        let removed = unsaved.why.is_empty() && (discard || unsaved.ignored.is_empty());
        if removed {
            // Only files that were listed are deleted.
            for path in &unsaved.ignored {
                self.tell(&Progress::Note { text: format!("deleting {}", worktree.join(path).display()) });
            }
            companions.remove().await?;
            let (repository, place) = (self.services.repository.clone(), worktree.clone());
            let (id, name) = (self.id().clone(), self.name.clone());
            let remove =
                move || removal::remove(&repository, Takeover { id: &id, name: &name, round, branch: None }, &place);
            blocking(remove).await??;
        }
        Ok(WorktreeReport { removed, ..stays(unsaved) })
    }

    /// Whether the user is in a worktree: a shell in a deleted directory is of no use.
    fn is_in(&self, worktree: &Path) -> bool {
        let here = std::env::current_dir().ok();
        self.services.repository.top() == worktree || here.is_some_and(|here| here.starts_with(worktree))
    }

    /// What refs have of the handoff's work.
    fn saved(&self) -> Result<Saved, Error> {
        let (handoff, repository) = (self.handoff(), &self.services.repository);
        let mut states = vec![Captured::from(&handoff.request().base)];
        for commit in handoff.attempts().values().filter_map(|attempt| attempt.fetched.as_ref()) {
            states.push(repository.without_record(repository.read_capture(commit)?)?);
        }
        states.extend(handoff.given().values().map(|given| Captured::from(&given.work)));
        let given = handoff.given().values().filter_map(|given| given.work.extra.as_ref());
        let extras = handoff.request().base.extra.iter().chain(given).map(|extra| extra.tree.clone()).collect();
        Ok(Saved { states, extras })
    }
}
