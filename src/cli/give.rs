//! `handoff give`

use std::sync::Arc;

use super::Global;
use super::context;
use super::error::Error;
use super::watch::{Follow, NextAgent};
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::supervise::driver::Driver;
use crate::supervise::services::Services;

/// Return a handoff that you took over to a host, with your changes
#[derive(Debug, clap::Args)]
pub struct Give {
    /// Id of the handoff, or an unambiguous prefix (default: the newest, if you took over no other)
    id: Option<String>,
    /// Why you changed what you changed, and what is left to do; the agent reads it
    #[arg(short, long)]
    message: Option<String>,
    /// Give it to this host instead of the last one
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    next: NextAgent,
    #[command(flatten)]
    follow: Follow,
}

impl Give {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.follow.show.reporter())?;
        let (id, code) = self.carry_out(&services).await?;
        context::report_to_chat(global, &services, &id);
        Ok(code)
    }

    /// Does it, and returns the handoff and the exit code.
    pub async fn carry_out(self, services: &Arc<Services>) -> Result<(HandoffId, u8), Error> {
        let id = context::choose(services, self.id.as_deref(), "give", |handoff: &Handoff| {
            handoff.is_taken_over() || handoff.is_give_unfinished()
        })?;
        let mut driver = Driver::open(services, &id)?;
        let agent = self.next.choice();
        driver.give(self.message, self.host.as_deref(), agent.as_ref()).await?;
        Ok((id, self.follow.attempt(&mut driver).await?))
    }
}
