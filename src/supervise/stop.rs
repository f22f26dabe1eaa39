//! `stop`: ends the attempt's whole process tree, and what it left is captured.

use super::driver::Driver;
use super::error::Error;
use super::follow::Until;
use super::progress::Progress;
use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::event::{Kind, Owner};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;

impl Driver {
    /// Stops it. The request is journaled first: whoever drives it, now or later, carries it out.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.append(Kind::StopRequested)?;
        self.follow(Until::Rest).await
    }

    /// Ends an attempt that has a number and has not begun: the host is told a higher epoch, under which it starts
    /// nothing. `false` when it had begun in the same moment, and is to be ended like any other.
    pub(super) async fn call_off(&mut self, remote: &Remote, n: AttemptNo) -> Result<bool, Error> {
        let (mut epoch, owner) = (self.handoff().epoch, self.handoff().owner.clone());
        if owner != Owner::Laptop {
            epoch += 1;
        }
        remote.put_epoch(&self.name, epoch).await?;
        self.append(Kind::Owner { epoch, owner, confirmed: true })?;
        if remote.state(&self.name, n).await?.is_some() {
            return Ok(false);
        }
        let evidence = "stopped before the agent was started".to_owned();
        let verdict = Verdict { class: Class::Stopped, evidence, line: None, until: None };
        let outcome = Outcome { class: "stopped".into(), reason: "stop".into(), ..Outcome::default() };
        self.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict: verdict.clone() })?;
        self.tell(&Progress::Ended { attempt: n, verdict, active: 0 });
        Ok(true)
    }
}
