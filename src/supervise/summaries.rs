//! Summaries of logs and of differences, so that what has not changed is not read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::summary::Summary;
use crate::git::diff::Changes;
use crate::git::repository::Repository;
use crate::model::profile::Profile;
use crate::model::snapshot::Oid;
use crate::state::log_reader;
use crate::supervise::error::Error;

/// Maximum files of a difference that are listed.
const MOST_FILES: usize = 60;

/// The length of each part of a log, and what it contains.
type Summarised = (Vec<u64>, Summary);

/// What this process has read.
#[derive(Default)]
pub struct Summaries {
    /// Keyed by the length of the log at that time. A log only grows, and only in its last part.
    logs: Mutex<HashMap<PathBuf, Summarised>>,
    /// Keyed by the two commits. `None`: git could not compare them.
    changes: Mutex<HashMap<(Oid, Oid), Option<Changes>>>,
}

impl Summaries {
    /// `None`: there is no log.
    pub(super) fn of(&self, path: &Path, profile: &Profile) -> Result<Option<Summary>, Error> {
        let fail = |source| Error::Read { path: path.display().to_string(), source };
        let parts = log_reader::open_parts(path).map_err(fail)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let lengths: Vec<u64> = parts.iter().map(std::io::Take::limit).collect();
        let mut kept = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, summary)) = kept.get(path).filter(|(read, _)| *read == lengths) {
            return Ok(Some(summary.clone()));
        }
        let mut analysis = LogAnalysis::read(profile, parts).map_err(fail)?;
        analysis.finish();
        let summary = analysis.summary(profile);
        kept.insert(path.to_owned(), (lengths, summary.clone()));
        Ok(Some(summary))
    }

    /// The files that differ between two commits. `None`: git cannot compare them; the user may have deleted one.
    pub(super) fn changes(&self, repository: &Repository, from: &Oid, to: &Oid) -> Option<Changes> {
        let mut kept = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        let compare = || repository.changes(from, to, MOST_FILES).ok();
        kept.entry((from.clone(), to.clone())).or_insert_with(compare).clone()
    }
}
