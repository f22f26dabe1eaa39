//! `handoff pull`

use super::Global;
use super::context::{self};
use super::error::Error;
use super::exit;
use crate::supervise::driver::Driver;
use crate::ui::plain::Plain;

/// Fetch the work of each attempt into refs/handoff/; your branches and files do not change
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
}

impl Pull {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(Plain))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let mut driver = Driver::open(&services, &id)?;
        let came = driver.pull().await?;
        if came == 0 {
            match driver.handoff().last_attempt().filter(|(_, attempt)| attempt.ended.is_none()) {
                Some((n, _)) => outln!("nothing new: attempt {n} has not ended"),
                None => outln!("nothing new"),
            }
        }
        for (n, attempt) in driver.handoff().attempts() {
            if let Some(commit) = &attempt.fetched {
                let superseded = if attempt.superseded { "  (superseded)" } else { "" };
                outln!("refs/handoff/{id}/{n}/work  {}{superseded}", commit.short());
            }
        }
        if driver.handoff().lineage().any(|(_, attempt)| attempt.fetched.is_some()) {
            outln!("next: handoff diff {id}");
        }
        Ok(exit::OK)
    }
}
