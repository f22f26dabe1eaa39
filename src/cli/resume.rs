//! `handoff resume`

use super::Global;
use super::context::{self, Show};
use super::error::Error;
use super::watch::follow;
use crate::supervise::attempt_loop::Until;
use crate::supervise::driver::Driver;

/// Start the next attempt of a handoff that has come to rest
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// Its id, or enough of it (default: the newest)
    id: Option<String>,
    /// What to add to the agent's next prompt
    #[arg(short, long)]
    message: Option<String>,
    /// Carry the work to another host
    #[arg(long)]
    host: Option<String>,
    /// Return as soon as the host has confirmed the start
    #[arg(short, long)]
    detach: bool,
    /// Count work without a check as failed
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    show: Show,
}

impl Resume {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.show.reporter())?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let mut driver = Driver::open(&services, &id)?;
        driver.resume(self.message, self.host.as_deref()).await?;
        let until = if self.detach { Until::Started } else { Until::Rest };
        follow(&mut driver, until, self.require_check, self.show).await
    }
}
