//! Recovery of a dispatch that another process began and did not finish, after Ctrl-C, a crash or a power loss.

use crate::model::attempt::{AttemptNo, CancelReason, Next, Outcome, Reason, Writer};
use crate::model::event::Kind;
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::poll::{Alive, StateLine};
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

impl Driver {
    /// The newest attempt. One is made if the process that recorded the handoff ended before it could.
    pub(in crate::supervise) async fn first_attempt(&mut self) -> Result<Option<AttemptNo>, Error> {
        let handoff = self.handoff();
        if let Some((n, _)) = handoff.last_attempt() {
            return Ok(Some(n));
        }
        if !handoff.status().is_active() || handoff.is_taken_over() || handoff.is_stop_requested() {
            return Ok(None);
        }
        // A grant was journaled and not used. The host never heard of it, so it is used now.
        if let Some(grant) = handoff.grants().last().filter(|grant| grant.epoch == handoff.epoch()).cloned() {
            let launch = self.dispatch_spec_of(&grant)?;
            self.record_dispatch(&grant, launch.start)?;
            self.ensure_again(grant.first).await?;
            return Ok(Some(grant.first));
        }
        let (ship, attempts) = (handoff.request().base.clone(), handoff.request().limits.attempts);
        let launch = DispatchSpec { ship, checkout: true, start: Start::Fresh, message: None, attempts };
        self.relaunch(&launch).await.map(Some)
    }

    /// Whether the watcher may be waiting for a push that another process of ours did not finish.
    pub(in crate::supervise) fn is_half_sent(&self, line: &StateLine) -> bool {
        let handoff = self.handoff();
        let grant = handoff.attempt(line.attempt).map(|attempt| attempt.grant);
        let begins = handoff.grants().iter().any(|g| {
            let unproved = !handoff.releases().is_shipped_to(&g.host);
            Some(g.number) == grant && (g.first == line.attempt || unproved)
        });
        let wanted = !handoff.is_stop_requested() && !handoff.is_taken_over() && !handoff.is_outdated(line.attempt);
        begins && wanted && !line.intent && !line.result && self.sent != grant
    }

    /// Ends an attempt that has a number and has not started: the host learns a higher epoch, under which it starts
    /// nothing. `false`: the attempt started at that moment and must be stopped like any other.
    pub(in crate::supervise) async fn call_off(&mut self, remote: &Remote, n: AttemptNo) -> Result<bool, Error> {
        if self.handoff().is_outdated(n) {
            remote.set_epoch(&self.name, self.handoff().epoch()).await?;
        } else {
            let (epoch, owner) = (self.handoff().epoch() + 1, self.handoff().owner().clone());
            remote.set_epoch(&self.name, epoch).await?;
            self.append(Kind::Owner { epoch, owner, confirmed: true })?;
        }
        if let Some(line) = remote.state(&self.name, n).await? {
            if line.intent || line.result || matches!(line.watch, Alive::Yes | Alive::Stopped | Alive::Unknown) {
                return Ok(false);
            }
            // Its watcher died, but a setup or a check that it started may still run.
            remote.cancel(&self.name, n, &CancelReason::Stop, KILL_GRACE).await?;
        }
        let evidence = "stopped before the agent was started".to_owned();
        let verdict = Verdict::new(Class::Stopped, evidence);
        let outcome = Outcome { class: Class::Stopped.into(), reason: Reason::Stop, ..Outcome::default() };
        self.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict: verdict.clone() })?;
        self.append(Kind::Decided { attempt: n, next: Next::End, by: Writer::Laptop })?;
        self.tell(&Progress::Ended { attempt: n, verdict, active: 0 });
        Ok(true)
    }
}
