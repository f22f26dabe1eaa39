//! `handoff pull`

mod artifacts;

use std::sync::Arc;

pub use artifacts::{PulledArtifact, PulledArtifacts};

use serde::Serialize;

use super::Global;
use super::context::{self};
use super::error::Error;
use super::exit;
use crate::config::settings::parse_bytes;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::supervise::artifacts::pull_artifacts;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::supervise::watch_all::driver_for_user;
use crate::ui::plain::Plain;
use crate::ui::screen;

/// Fetch the work of each attempt into refs/handoff/; your branches and files do not change
///
/// With --artifacts it also fetches ignored files, such as build results, as they are now: also while the agent runs, and
/// after a takeover as long as the host has the checkout.
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Also fetch the files that match this pattern of an ignore file, from the top of the repository (repeatable)
    #[arg(long, value_name = "GLOB")]
    artifacts: Vec<String>,
    /// Fetch no artifacts if they have more bytes than this in all
    #[arg(long, value_name = "SIZE", default_value = "1GiB", value_parser = parse_bytes, requires = "artifacts")]
    max_size: u64,
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
    /// The files that --artifacts asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    artifacts: Option<PulledArtifacts>,
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
    fn of(handoff: &Handoff, fetched: usize, artifacts: Option<PulledArtifacts>) -> PulledHandoff {
        let id = handoff.request().id.clone();
        let here = handoff.attempts().iter().filter_map(|(n, attempt)| {
            let (commit, superseded) = (attempt.fetched.clone()?, attempt.superseded);
            Some(FetchedAttempt { attempt: *n, name: format!("refs/handoff/{id}/{n}/work"), commit, superseded })
        });
        PulledHandoff { status: handoff.status(), fetched, attempts: here.collect(), artifacts, id }
    }
}

impl Pull {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = if self.json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let id = context::resolve(&services, self.id.as_deref())?;
        // Another process that follows the handoff fetches its work.
        let came = match Driver::open(&services, &id) {
            Err(SuperviseError::Driven { holder, .. }) if !self.artifacts.is_empty() => {
                if !self.json {
                    outln!("{holder} is already following {id}, and fetches its work");
                }
                0
            }
            Err(SuperviseError::Driven { .. }) => driver_for_user(&services, &id).await?.pull().await?,
            driver => driver?.pull().await?,
        };
        let artifacts = match &self.artifacts[..] {
            [] => None,
            globs => Some(PulledArtifacts::of(pull_artifacts(&services, &id, globs, self.max_size).await?)),
        };
        let is_empty = artifacts.as_ref().is_some_and(PulledArtifacts::is_empty);
        let handoff = services.store.open(&id)?.handoff().clone();
        let pulled = PulledHandoff::of(&handoff, came, artifacts);
        if self.json {
            outln!("{}", screen::json(&pulled));
        } else {
            print(&pulled, &handoff);
        }
        Ok(if is_empty { exit::FAILED } else { exit::OK })
    }
}

fn print(pulled: &PulledHandoff, handoff: &Handoff) {
    if pulled.fetched == 0 {
        match handoff.last_attempt().filter(|(_, attempt)| attempt.ended.is_none()) {
            Some((n, _)) => outln!("nothing new: attempt {n} has not ended"),
            None => outln!("nothing new"),
        }
    }
    for FetchedAttempt { name, commit, superseded, .. } in &pulled.attempts {
        let superseded = if *superseded { "  (superseded)" } else { "" };
        outln!("{name}  {}{superseded}", commit.short());
    }
    if let Some(artifacts) = &pulled.artifacts {
        artifacts.print();
    }
    if handoff.lineage().any(|(_, attempt)| attempt.fetched.is_some()) {
        outln!("next: handoff diff {}", pulled.id);
    }
}
