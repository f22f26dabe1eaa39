//! `stop`: ends every process of the attempt and captures what it left.

use super::attempt_loop::Until;
use super::driver::Driver;
use super::error::Error;
use crate::model::event::Kind;

impl Driver {
    /// Stops the handoff. The request is journaled first, and whoever drives the handoff now or later carries it out.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.append(Kind::StopRequested)?;
        self.follow(Until::Rest).await
    }
}
