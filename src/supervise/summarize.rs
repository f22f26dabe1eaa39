//! `summarize`: writes what is known now into `handoff.md`, and returns it. Nothing is decided, and nothing is started.

use std::sync::Arc;
use std::time::Duration;

use crate::mirror::document;
use crate::mirror::page::Story;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::phase::Phase;
use crate::model::status::Status;
use crate::supervise::custody::read_so_far;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::record::{Record, written_page};
use crate::supervise::services::Services;

/// Longest time for a host to send what it has of the log.
const PATIENCE: Duration = Duration::from_secs(20);

/// The sections of the page that are the summary.
const SECTIONS: [&str; 5] =
    ["Latest Summary", "What It Tried", "Files Or Areas Touched", "Errors Or Blockers", "Recommended Next Step"];

/// The summary of a handoff.
pub struct WrittenSummary {
    pub status: Status,
    /// The newest attempt.
    pub attempt: Option<AttemptNo>,
    /// Why more is to come.
    pub partial: Option<String>,
    pub story: Story,
    /// The sections of `handoff.md` with their headings.
    pub sections: Vec<(&'static str, String)>,
}

/// Fetches what the host has of a log that still grows, and writes the summary. While another process drives the handoff,
/// that one fetches the log.
///
/// # Errors
/// The record cannot be read or written. A host that cannot be asked makes the summary partial.
pub async fn summarize(services: &Arc<Services>, id: &HandoffId) -> Result<WrittenSummary, Error> {
    match Driver::open(services, id) {
        Ok(mut driver) => {
            let so_far = so_far(&mut driver).await?;
            written(&driver.record, so_far)
        }
        Err(Error::Driven { .. }) => written(&Record::new(services, services.store.open(id)?)?, SoFar::Followed),
        Err(error) => Err(error),
    }
}

/// What is here of the newest attempt's log.
enum SoFar {
    /// As much as the host has.
    Fetched {
        /// The host recorded the end.
        is_over: bool,
    },
    /// Another process fetches it.
    Followed,
    /// The host could not be asked.
    Unreachable(String),
}

async fn so_far(driver: &mut Driver) -> Result<SoFar, Error> {
    let handoff = driver.handoff();
    let open = handoff.last_attempt().filter(|(n, _)| handoff.phase(*n).is_some_and(|phase| phase.is_open()));
    let Some((n, _)) = open.filter(|_| handoff.status().is_active()) else {
        return Ok(SoFar::Fetched { is_over: false });
    };
    let Driver { record, connection, .. } = driver;
    record.ledger.read_secrets().await;
    match tokio::time::timeout(PATIENCE, read_so_far(record, connection, n)).await {
        Ok(Ok(is_over)) => Ok(SoFar::Fetched { is_over }),
        Ok(Err(error)) if error.is_of_host() => Ok(SoFar::Unreachable(error.reason())),
        Ok(Err(error)) => Err(error),
        Err(_) => Ok(SoFar::Unreachable(format!("no answer within {} s", PATIENCE.as_secs()))),
    }
}

fn written(record: &Record, so_far: SoFar) -> Result<WrittenSummary, Error> {
    record.update()?;
    let handoff = record.handoff();
    let page = written_page(&record.services, handoff)?.unwrap_or_default();
    let mut bodies = document::bodies(&page);
    let mut body = |heading: &str| {
        let at = bodies.iter().position(|(name, _)| *name == heading.to_lowercase())?;
        Some(bodies.swap_remove(at).1.trim().to_owned())
    };
    Ok(WrittenSummary {
        status: handoff.status(),
        attempt: handoff.last_attempt().map(|(n, _)| n),
        partial: partial(handoff, so_far),
        story: record.story()?,
        sections: SECTIONS.into_iter().filter_map(|heading| Some((heading, body(heading)?))).collect(),
    })
}

/// Why more is to come. `None`: nothing comes by itself.
fn partial(handoff: &Handoff, so_far: SoFar) -> Option<String> {
    let (id, host) = (&handoff.request().id, handoff.host());
    let Some((n, _)) = handoff.last_attempt().filter(|_| handoff.status().is_active()) else {
        return handoff.status().is_active().then(|| "no attempt is known to have started".to_owned());
    };
    let state = match handoff.phase(n) {
        Some(Phase::Running) => format!("attempt {n} is still running"),
        Some(phase) if phase.is_open() => format!("attempt {n} is not known to have started"),
        _ => format!("attempt {n} has ended, and the next one starts by itself"),
    };
    Some(match so_far {
        SoFar::Fetched { is_over: true } => {
            format!("attempt {n} has ended on {host}; `handoff watch {id}` fetches its work and judges it")
        }
        SoFar::Fetched { is_over: false } | SoFar::Followed => state,
        SoFar::Unreachable(why) => format!("{state}, and {host} could not be asked ({why}); its log may be longer"),
    })
}
