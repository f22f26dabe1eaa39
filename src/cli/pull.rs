//! `handoff pull`

use super::Global;
use super::context::{self};
use super::error::Error;
use super::exit;
use crate::supervise::driver::Driver;
use crate::ui::plain::Plain;

/// Fetch what the attempts left into refs/handoff/; nothing you have checked out changes
#[derive(Debug, clap::Args)]
pub struct Pull {
    /// Its id, or enough of it (default: the newest)
    id: Option<String>,
}

impl Pull {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(Plain))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let mut driver = Driver::open(&services, &id)?;
        let came = driver.pull().await?;
        if came == 0 {
            outln!("nothing new");
        }
        for (n, attempt) in &driver.handoff().attempts {
            if let Some(commit) = &attempt.fetched {
                let superseded = if attempt.superseded { "  (superseded)" } else { "" };
                outln!("refs/handoff/{id}/{n}/work  {}{superseded}", commit.short());
            }
        }
        if driver.handoff().lineage().any(|(_, attempt)| attempt.fetched.is_some()) {
            outln!("see it: handoff diff {id}");
        }
        Ok(exit::OK)
    }
}
