//! `handoff resume`

use std::sync::Arc;

use super::Global;
use super::context;
use super::error::Error;
use super::watch::{Follow, NextAgent};
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::supervise::services::Services;
use crate::supervise::watch_all::driver_for_user;

/// Start another attempt of a handoff that failed, was stopped or needs you
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// Id of the handoff, or an unambiguous prefix (default: the newest, if no other can be resumed)
    id: Option<String>,
    /// Text to add to the agent's next prompt
    #[arg(short, long)]
    message: Option<String>,
    /// Start another attempt although the handoff is done
    #[arg(long)]
    again: bool,
    /// Move the work to this host
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    next: NextAgent,
    #[command(flatten)]
    follow: Follow,
}

impl Resume {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.follow.show.reporter())?;
        let (id, code) = self.carry_out(&services).await?;
        context::report_to_chat(global, &services, &id);
        Ok(code)
    }

    /// Does it, and returns the handoff and the exit code.
    pub async fn carry_out(self, services: &Arc<Services>) -> Result<(HandoffId, u8), Error> {
        let wished = self.again || self.message.is_some() || self.host.is_some() || self.next.is_chosen();
        // A running handoff is moved only if a host is named: its own may be unreachable.
        let fits = |handoff: &Handoff| match handoff.status() {
            Status::Parked | Status::Failed | Status::Stopped => true,
            Status::Done => wished,
            Status::Queued | Status::Running | Status::Waiting => self.host.is_some(),
            Status::Interactive | Status::Finished => false,
        };
        let id = context::choose(services, self.id.as_deref(), "resume", fits)?;
        let journal = services.store.open(&id)?;
        if !wished && journal.handoff().status() == Status::Done && !journal.handoff().is_read_only() {
            return Err(is_done(&id));
        }
        let mut driver = driver_for_user(services, &id).await?;
        let agent = self.next.choice();
        driver.resume(self.message, self.host.as_deref(), agent.as_ref()).await?;
        Ok((id, self.follow.attempt(&mut driver).await?))
    }
}

fn is_done(id: &HandoffId) -> Error {
    Error::usage(format!("{id} is done"))
        .hint(format!("handoff diff {id}"))
        .hint(format!("handoff resume {id} --message \"what is still missing\""))
        .hint(format!("handoff resume {id} --again"))
}
