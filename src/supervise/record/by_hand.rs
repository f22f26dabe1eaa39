//! What the user did since the takeover.

use crate::git::refs;
use crate::model::event::ByHand;
use crate::model::snapshot::Snapshot;
use crate::supervise::error::Error;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

impl Record {
    /// What the user did to the work `before`, which is now `now`. A checkout into which the work was merged had commits
    /// of its own before that.
    pub(in crate::supervise) async fn by_hand(&self, before: Snapshot, now: Snapshot) -> Result<ByHand, Error> {
        let repository = self.services.repository.clone();
        let is_merged = self.handoff().checkouts().place().is_some();
        let undo = refs::undo(self.id());
        let read = blocking(move || {
            let merged_into = match is_merged {
                true => repository.list_refs(&undo)?.into_iter().next().map(|(_, commit)| commit),
                false => None,
            };
            let head = match merged_into {
                Some(commit) => repository.read_capture(&commit)?.head,
                None => before.head.clone(),
            };
            repository.by_hand(&before, &head, &now)
        });
        Ok(read.await??)
    }
}
