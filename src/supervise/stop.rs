//! `stop`: ends the attempt's whole process tree, and what it left is captured.

use super::attempt_loop::Until;
use super::driver::Driver;
use super::error::Error;
use crate::model::event::Kind;

impl Driver {
    /// Stops it. The request is journaled first: whoever drives it, now or later, carries it out.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.append(Kind::StopRequested)?;
        self.follow(Until::Rest).await
    }
}
