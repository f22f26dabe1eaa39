//! A launch that another process began and did not end: a Ctrl-C, a crash, a battery.

use super::driver::Driver;
use super::error::Error;
use super::launch::Launch;
use super::spec::Start;
use crate::model::attempt::{AttemptNo, Next, Outcome};
use crate::model::event::{Kind, Owner};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::poll::StateLine;

impl Driver {
    /// The newest attempt. One is made where the process that recorded the handoff ended before it could.
    pub(super) async fn first_attempt(&mut self) -> Result<Option<AttemptNo>, Error> {
        let handoff = self.handoff();
        if let Some((n, _)) = handoff.last_attempt() {
            return Ok(Some(n));
        }
        if !handoff.status().is_active() || handoff.owner == Owner::Laptop || handoff.stop_requested {
            return Ok(None);
        }
        let (ship, attempts) = (handoff.made.base.clone(), handoff.made.limits.attempts);
        let launch = Launch { ship, checkout: true, start: Start::Fresh, message: None, attempts };
        self.relaunch(&launch).await.map(Some)
    }

    /// Whether the watcher may be waiting for objects whose push another process of ours has not finished.
    pub(super) fn is_half_sent(&self, line: &StateLine) -> bool {
        let handoff = self.handoff();
        let grant = handoff.attempts.get(&line.attempt).map(|attempt| attempt.grant);
        let begins = handoff.grants.iter().any(|g| Some(g.number) == grant && g.first == line.attempt);
        let wanted = !handoff.stop_requested && handoff.owner != Owner::Laptop;
        begins && wanted && !line.intent && !line.result && self.sent != grant
    }

    /// Ends an attempt that is to be stopped and of which the host knows nothing. `false`: it has begun meanwhile.
    pub(super) async fn end_unbegun(&mut self, remote: &Remote, n: AttemptNo) -> Result<bool, Error> {
        let (epoch, owner) = (self.handoff().epoch + 1, self.handoff().owner.clone());
        // Under a higher epoch the host refuses an `ensure` that is still on its way.
        let begun = remote.put_epoch(&self.name, epoch).await?;
        self.append(Kind::Owner { epoch, owner, confirmed: true })?;
        if begun {
            return Ok(false);
        }
        let outcome = Outcome { class: "stopped".into(), reason: "not-begun".into(), ..Outcome::default() };
        let verdict = Verdict {
            class: Class::Stopped,
            evidence: "stopped before the host knew of it".into(),
            line: None,
            until: None,
        };
        self.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict })?;
        self.append(Kind::Decided { attempt: n, next: Next::End, by: "laptop".into() })?;
        Ok(true)
    }
}
