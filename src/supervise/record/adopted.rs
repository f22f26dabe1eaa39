//! The directory that was made by hand, from which the handoff was adopted: its files stay as they are, and come back
//! when the record is removed.

use std::collections::BTreeSet;
use std::path::Path;

use crate::mirror::RECORD;
use crate::mirror::document;
use crate::mirror::files::RecordFiles;
use crate::mirror::hand_made::ORIGINAL;
use crate::model::attempt::log_name;
use crate::supervise::error::Error;
use crate::supervise::record::{Record, created_in};

impl Record {
    /// `handoff.md` as it was found, if the handoff was adopted and had one.
    pub(in crate::supervise) fn original_page(&self) -> Result<Option<Vec<u8>>, Error> {
        if self.handoff().adopted().is_none() {
            return Ok(None);
        }
        let path = self.services.store.directory(self.id()).join(ORIGINAL);
        match std::fs::read(&path) {
            Ok(page) => Ok(Some(page)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Read { path: path.display().to_string(), source }),
        }
    }

    /// The names of the logs in a worktree that may be the only originals: those of attempts that were run by hand, in the
    /// directory that was found.
    pub(super) fn originals_in(&self, worktree: &Path) -> BTreeSet<String> {
        if !self.was_made_by_hand(worktree) {
            return BTreeSet::new();
        }
        let runs = self.handoff().adopted().map_or(&[][..], |adopted| &adopted.attempts);
        runs.iter().filter(|run| run.log.is_some()).map(|run| log_name(run.attempt, 1)).collect()
    }

    /// Whether the directory for people in a worktree is the one that was made by hand. The worktree may have been moved
    /// since, so it is known by its name, and the directory by its place in it.
    pub(in crate::supervise) fn was_made_by_hand(&self, worktree: &Path) -> bool {
        let below = Path::new(RECORD).join(self.id().as_str());
        self.handoff().adopted().is_some_and(|adopted| {
            let directory = Path::new(&adopted.directory);
            directory == worktree.join(&below)
                || directory.ends_with(&below) && created_in(&self.services, self.handoff()) == worktree
        })
    }

    /// Puts the page that was found back, unless people have written in it since. Returns the names of all files in the
    /// directory, which stay.
    pub(in crate::supervise) fn leave_to_people(&self, worktree: &Path) -> Result<Vec<String>, Error> {
        let files = RecordFiles::open(worktree, self.id())?;
        let original = self.original_page()?;
        let unchanged = document::merge(&self.render(&self.findings()?)?, original.as_deref());
        if let Some(original) =
            original.filter(|_| files.document().is_ok_and(|page| page.as_ref() == Some(&unchanged)))
        {
            files.write_document(&original)?;
        }
        Ok(files.names()?.into_iter().collect())
    }
}
