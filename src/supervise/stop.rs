//! `stop`: ends the attempt's whole process tree, and what it left is captured.

use super::driver::Driver;
use super::error::Error;
use super::follow::Until;
use crate::model::event::Kind;
use crate::model::handoff::Status;

impl Driver {
    /// Stops it. The request is journaled first: whoever drives it, now or later, carries it out.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.append(Kind::StopRequested)?;
        if self.handoff().status() == Status::Waiting {
            self.stop_waiting().await?;
        }
        self.follow(Until::Rest).await
    }

    /// Between two attempts nothing runs: the host is told that none follows.
    async fn stop_waiting(&mut self) -> Result<(), Error> {
        let Some((n, _)) = self.handoff().last_attempt() else { return Ok(()) };
        let remote = self.link.once().await?;
        remote.put_epoch(&self.name, self.handoff().epoch + 1).await?;
        let (epoch, owner) = (self.handoff().epoch + 1, self.handoff().owner.clone());
        self.append(Kind::Owner { epoch, owner, confirmed: true })?;
        // The host may have begun the attempt in the same moment: then it is ended like any other.
        remote.cancel(&self.name, n, "stop", 5).await?;
        Ok(())
    }
}
