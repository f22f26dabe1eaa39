//! Summaries of logs, so that a log that has not grown is not read again.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::agent::summary::{self, Summary};
use crate::model::profile::DialectName;
use crate::state::log_mirror;
use crate::supervise::error::Error;

/// Summaries of logs, keyed by their length at that time. A log only grows, and only in its last part.
#[derive(Default)]
pub struct Summaries(Mutex<HashMap<PathBuf, (Vec<u64>, Summary)>>);

impl Summaries {
    /// `None`: there is no log.
    pub(super) fn of(&self, path: &Path, dialect: DialectName) -> Result<Option<Summary>, Error> {
        let fail = |source| Error::Read { path: path.display().to_string(), source };
        let files = log_mirror::parts(path).into_iter().map(std::fs::File::open).collect::<Result<Vec<_>, _>>();
        let files = files.map_err(fail)?;
        if files.is_empty() {
            return Ok(None);
        }
        let lengths = files.iter().map(|file| Ok(file.metadata()?.len())).collect::<Result<Vec<_>, _>>();
        let lengths = lengths.map_err(fail)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, summary)) = kept.get(path).filter(|(read, _)| *read == lengths) {
            return Ok(Some(summary.clone()));
        }
        let parts = files.into_iter().zip(&lengths).map(|(file, length)| file.take(*length));
        let summary = summary::summarise_parts(dialect, parts, None).map_err(fail)?;
        kept.insert(path.to_owned(), (lengths, summary.clone()));
        Ok(Some(summary))
    }
}
