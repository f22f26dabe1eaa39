//! `handoff stop`

use std::time::Duration;

use super::Global;
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use super::watch::closing;
use crate::model::event::Kind;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as Engine;
use crate::supervise::fence::PATIENCE as PATIENCE_WITH_HOSTS;

/// How long another process has to carry the stop out before we say so.
const PATIENCE: Duration = Duration::from_secs(60);

/// End the attempt and everything it started; what it left is kept
#[derive(Debug, clap::Args)]
pub struct Stop {
    /// Its id, or enough of it (default: the newest)
    id: Option<String>,
    #[command(flatten)]
    show: Show,
}

impl Stop {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let engine = context::engine(global, self.show.reporter())?;
        let id = context::resolve(&engine, self.id.as_deref())?;
        let mut journal = engine.store.open(&id)?;
        if !journal.handoff().status().is_active() {
            if !journal.handoff().owing().is_empty()
                && let Ok(mut driver) = Driver::open(&engine, &id)
            {
                driver.settle(PATIENCE_WITH_HOSTS).await?;
                journal.refresh()?;
            }
            outln!("{id} is not at work ({})", journal.handoff().status().word());
            return Ok(exit::OK);
        }
        match Driver::open(&engine, &id) {
            Ok(mut driver) => {
                driver.stop().await?;
                outln!("{}", closing(&engine, driver.handoff()));
            }
            Err(Engine::Driven { .. }) => {
                journal.append(Kind::StopRequested)?;
                let until = tokio::time::Instant::now() + PATIENCE;
                while journal.handoff().status().is_active() {
                    if tokio::time::Instant::now() > until {
                        return Err(Error::failed(format!("{id} is asked to stop, and has not yet"))
                            .hint(format!("handoff show {id}")));
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    journal.refresh()?;
                }
                outln!("{}", closing(&engine, journal.handoff()));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(exit::OK)
    }
}
