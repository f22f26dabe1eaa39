//! `handoff resume`

use super::Global;
use super::context::{self, Show};
use super::error::Error;
use super::watch::follow;
use crate::supervise::attempt_loop::Until;
use crate::supervise::driver::Driver;

/// Start another attempt of a handoff that failed, was stopped or needs you
#[derive(Debug, clap::Args)]
pub struct Resume {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Text to add to the agent's next prompt
    #[arg(short, long)]
    message: Option<String>,
    /// Move the work to this host
    #[arg(long)]
    host: Option<String>,
    /// Return when the host has confirmed the start; `handoff watch` continues
    #[arg(short, long)]
    detach: bool,
    /// Exit with a failure if no check was set
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
