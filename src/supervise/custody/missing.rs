//! The captures that this repository lacks.

use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::handoff::Handoff;
use crate::supervise::connection::PATIENCE;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

impl Driver {
    /// Fetches every capture that this repository lacks, as far as the journal tells. Returns how many arrived.
    pub(in crate::supervise) async fn pull_missing(&mut self) -> Result<usize, Error> {
        let here = |handoff: &Handoff| handoff.attempts().values().filter(|attempt| attempt.fetched.is_some()).count();
        let before = here(self.handoff());
        self.settle(PATIENCE).await?;
        let host = &self.connection.host.name;
        let missing: Vec<(AttemptNo, Outcome)> = self
            .handoff()
            .attempts()
            .iter()
            .filter(|(_, attempt)| attempt.fetched.is_none() || !attempt.refused.is_empty())
            .filter(|(_, attempt)| attempt.host == *host && self.handoff().release_of(host).is_none())
            .filter_map(|(n, attempt)| Some((*n, attempt.outcome.clone()?)))
            .filter(|(n, outcome)| outcome.capture.is_some() || self.lacks_capture(*n))
            .collect();
        if !missing.is_empty() {
            let remote = self.connection.patiently().await?;
            for (n, outcome) in &missing {
                self.fetch(&remote, *n, outcome).await?;
            }
            self.update_record()?;
        }
        self.need_work()?;
        Ok(here(self.handoff()) - before)
    }

    /// As [`Driver::pull_missing`], but a failure is only reported.
    pub(in crate::supervise) async fn pull_if_possible(&mut self) {
        // What git refused was reported before.
        if let Err(error) = self.pull_missing().await
            && !matches!(error, Error::Refused { .. })
        {
            self.tell(&Progress::Note { text: format!("some work could not be fetched: {error}") });
        }
    }
}
