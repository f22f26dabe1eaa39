//! `handoff stop`

use std::sync::Arc;
use std::time::Duration;

use super::Global;
use super::closing::{closing, say};
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use crate::model::event::Kind;
use crate::model::id::HandoffId;
use crate::state::journal::Journal;
use crate::supervise::connection::PATIENCE as PATIENCE_WITH_HOSTS;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::services::Services;
use crate::ui::text::first_line;

/// How long another process may take to stop the handoff before that is reported.
const PATIENCE: Duration = Duration::from_secs(60);

/// Time between two reads of the journal.
const STEP: Duration = Duration::from_millis(500);

/// How long a host may be out of reach before the command ends. The request stays recorded.
const OUT_OF_REACH: Duration = Duration::from_secs(20);

/// Stop the agent and every process it started; keep its work
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    #[command(flatten)]
    show: Show,
}

impl Stop {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.show.reporter())?;
        Ok(self.carry_out(&services).await?.1)
    }

    /// Does it, and returns the handoff and the exit code.
    pub async fn carry_out(self, services: &Arc<Services>) -> Result<(HandoffId, u8), Error> {
        let id = context::resolve(services, self.id.as_deref())?;
        let mut journal = services.store.open(&id)?;
        if !journal.handoff().status().is_active() {
            if !journal.handoff().unfenced_hosts().is_empty()
                && let Ok(mut driver) = Driver::open(services, &id)
            {
                driver.settle(PATIENCE_WITH_HOSTS).await?;
                journal.refresh()?;
            }
            say(self.show, &format!("{id} is not running ({})", journal.handoff().status().label()));
            return Ok((id, exit::OK));
        }
        match Driver::open(services, &id) {
            Ok(mut driver) => {
                tokio::select! {
                    stopped = driver.stop() => stopped?,
                    reason = out_of_reach(&mut journal) => return Err(not_stopped(&journal.handoff().request().id, &reason?)),
                }
                say(self.show, &closing(services, driver.handoff()));
            }
            Err(SuperviseError::Driven { .. }) => {
                if !journal.handoff().is_stop_requested() {
                    journal.append(Kind::StopRequested)?;
                }
                let until = tokio::time::Instant::now() + PATIENCE;
                while journal.handoff().status().is_active() {
                    if tokio::time::Instant::now() > until {
                        let waited = PATIENCE.as_secs();
                        return Err(Error::failed(format!("{id} has not stopped yet (waited {waited} s)"))
                            .hint(format!("handoff show {id}")));
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    journal.refresh()?;
                }
                say(self.show, &closing(services, journal.handoff()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok((id, exit::OK))
    }
}

/// Completes with the reason when the host has been out of reach for [`OUT_OF_REACH`].
async fn out_of_reach(journal: &mut Journal) -> Result<String, Error> {
    let mut left = OUT_OF_REACH;
    loop {
        tokio::time::sleep(STEP).await;
        journal.refresh()?;
        match journal.handoff().unreachable() {
            None => left = OUT_OF_REACH,
            Some((_, reason)) if left.is_zero() => return Ok(reason.to_owned()),
            Some(_) => left = left.saturating_sub(STEP),
        }
    }
}

fn not_stopped(id: &HandoffId, reason: &str) -> Error {
    let reason = first_line(reason, 200);
    Error::failed(format!(
        "{id} has not stopped: its host cannot be reached ({reason}); the request to stop is recorded"
    ))
    .code(exit::UNREACHABLE)
    .hint(format!("handoff watch {id}  (stops it as soon as the host answers)"))
    .hint(format!("handoff takeover {id}  (continues with the work that is already here)"))
}
