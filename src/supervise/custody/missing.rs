//! The captures that this repository lacks.

use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::handoff::Handoff;
use crate::supervise::capture::{fetch_capture, need_work};
use crate::supervise::companions::are_companions_here;
use crate::supervise::connection::{HostConnection, PATIENCE};
use crate::supervise::custody::fencing::settle;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// Fetches every capture that this repository lacks, as far as the journal tells. Returns how many arrived.
pub(in crate::supervise) async fn pull_missing(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<usize, Error> {
    let here = |handoff: &Handoff| handoff.attempts().values().filter(|attempt| attempt.fetched.is_some()).count();
    let before = here(record.handoff());
    settle(record, connection, PATIENCE).await?;
    let host = &connection.host.name;
    let missing: Vec<(AttemptNo, Outcome)> = record
        .handoff()
        .attempts()
        .iter()
        .filter(|(n, attempt)| {
            let words = attempt.outcome.as_ref().map(|outcome| outcome.companions.as_slice()).unwrap_or_default();
            let is_here = attempt.fetched.is_some() && attempt.refused.is_empty();
            !is_here || !are_companions_here(record, **n, words)
        })
        .filter(|(_, attempt)| attempt.host == *host && record.handoff().release_of(host).is_none())
        .filter_map(|(n, attempt)| Some((*n, attempt.outcome.clone()?)))
        .filter(|(n, outcome)| outcome.capture.is_some() || record.handoff().lacks_capture(*n))
        .collect();
    if !missing.is_empty() {
        let remote = connection.patiently().await?;
        for (n, outcome) in &missing {
            fetch_capture(record, &remote, *n, outcome).await?;
        }
        record.update()?;
    }
    need_work(record.handoff())?;
    Ok(here(record.handoff()) - before)
}

/// As [`pull_missing`], but a failure is only reported.
pub(in crate::supervise) async fn pull_if_possible(record: &mut Record, connection: &mut HostConnection) {
    // What git refused was reported before.
    if let Err(error) = pull_missing(record, connection).await
        && !matches!(error, Error::Refused { .. })
    {
        record.tell(&Progress::Note { text: format!("some work could not be fetched: {error}") });
    }
}
