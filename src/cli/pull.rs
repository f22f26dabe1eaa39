//! `handoff pull`

use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context::{self};
use super::error::Error;
use super::exit;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::supervise::driver::Driver;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::ui::plain::Plain;
use crate::ui::screen;

/// Fetch the work of each attempt into refs/handoff/; your branches and files do not change
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The work of a handoff that is in this repository.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PulledHandoff {
    id: HandoffId,
    status: Status,
    /// Number of attempts whose work this command fetched.
    fetched: usize,
    /// The attempts whose work is here.
    attempts: Vec<FetchedAttempt>,
}

/// The work of an attempt in this repository.
#[derive(Serialize, schemars::JsonSchema)]
pub struct FetchedAttempt {
    attempt: AttemptNo,
    /// The ref that has it.
    #[serde(rename = "ref")]
    name: String,
    commit: Oid,
    superseded: bool,
}

impl PulledHandoff {
    fn of(handoff: &Handoff, fetched: usize) -> PulledHandoff {
        let id = handoff.request().id.clone();
        let here = handoff.attempts().iter().filter_map(|(n, attempt)| {
            let (commit, superseded) = (attempt.fetched.clone()?, attempt.superseded);
            Some(FetchedAttempt { attempt: *n, name: format!("refs/handoff/{id}/{n}/work"), commit, superseded })
        });
        PulledHandoff { status: handoff.status(), fetched, attempts: here.collect(), id }
    }
}

impl Pull {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = if self.json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let mut driver = Driver::open(&services, &id)?;
        let came = driver.pull().await?;
        let pulled = PulledHandoff::of(driver.handoff(), came);
        if self.json {
            outln!("{}", screen::json(&pulled));
            return Ok(exit::OK);
        }
        if came == 0 {
            match driver.handoff().last_attempt().filter(|(_, attempt)| attempt.ended.is_none()) {
                Some((n, _)) => outln!("nothing new: attempt {n} has not ended"),
                None => outln!("nothing new"),
            }
        }
        for FetchedAttempt { name, commit, superseded, .. } in &pulled.attempts {
            let superseded = if *superseded { "  (superseded)" } else { "" };
            outln!("{name}  {}{superseded}", commit.short());
        }
        if driver.handoff().lineage().any(|(_, attempt)| attempt.fetched.is_some()) {
            outln!("next: handoff diff {id}");
        }
        Ok(exit::OK)
    }
}
