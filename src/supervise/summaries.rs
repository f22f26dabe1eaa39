//! Summaries of logs, so that a log that has not grown is not read again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::summary::Summary;
use crate::model::profile::Profile;
use crate::state::log_mirror;
use crate::supervise::error::Error;

/// Summaries of logs, keyed by their length at that time. A log only grows, and only in its last part.
#[derive(Default)]
pub struct Summaries(Mutex<HashMap<PathBuf, (Vec<u64>, Summary)>>);

impl Summaries {
    /// `None`: there is no log.
    pub(super) fn of(&self, path: &Path, profile: &Profile) -> Result<Option<Summary>, Error> {
        let fail = |source| Error::Read { path: path.display().to_string(), source };
        let parts = log_mirror::open_parts(path).map_err(fail)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let lengths: Vec<u64> = parts.iter().map(std::io::Take::limit).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, summary)) = kept.get(path).filter(|(read, _)| *read == lengths) {
            return Ok(Some(summary.clone()));
        }
        let mut analysis = LogAnalysis::read(profile, parts).map_err(fail)?;
        analysis.finish();
        let summary = analysis.summary(profile);
        kept.insert(path.to_owned(), (lengths, summary.clone()));
        Ok(Some(summary))
    }
}
