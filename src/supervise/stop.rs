//! `stop`: ends every process of the attempt and captures what it left.

use crate::model::event::Kind;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;

impl Driver {
    /// Stops the handoff. The request is journaled first, and whoever drives the handoff now or later carries it out.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.record.append(Kind::StopRequested)?;
        self.follow(Until::Rest).await
    }
}
