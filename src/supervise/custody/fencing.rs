//! Fencing: a host that may continue under an old epoch learns the new one. What runs there is stopped, and its work is
//! fetched. Work that arrives too late is superseded: kept under its own number and never built on.

use std::time::Duration;

use crate::git::refs;
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::supervise::attempt::step::{LoopAction, Until};
use crate::supervise::driver::{Driver, new_connection};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

/// How long a command that has something else to do waits for a host that does not answer.
pub const SHORT: Duration = Duration::from_secs(2);
/// How long a host's attempts may take to end and to be captured.
const DYING: Duration = Duration::from_secs(120);

impl Driver {
    /// Fences every host that has not confirmed the present epoch, waiting up to `patience` for each. A host that is
    /// out of reach is left as it is; the next command asks again.
    pub async fn settle(&mut self, patience: Duration) -> Result<(), Error> {
        self.ledger.refresh()?;
        self.ledger.read_secrets().await;
        for host in self.handoff().unfenced_hosts() {
            let own = self.handoff().host() == host;
            match self.settle_host(&host, patience).await {
                Ok(()) => {}
                Err(error) if own => return Err(error),
                // A problem of another host must not block this one.
                Err(error) => self.tell(&Progress::Note { text: format!("could not tell {host} to stop: {error}") }),
            }
            self.update_record()?;
        }
        Ok(())
    }

    async fn settle_host(&mut self, host: &str, patience: Duration) -> Result<(), Error> {
        let before = if self.connection.host.name == host {
            None
        } else {
            let connection = new_connection(&self.services, self.handoff(), self.services.host(host)?);
            Some(std::mem::replace(&mut self.connection, connection))
        };
        let fenced = self.fence(patience).await;
        if let Some(connection) = before {
            self.connection = connection;
        }
        if fenced? {
            self.confirm(host)?;
        }
        Ok(())
    }

    /// Sends the epoch to the connection's host and reads the work of its attempts to the end. `false`: the host was
    /// out of reach, or for part of that time.
    async fn fence(&mut self, patience: Duration) -> Result<bool, Error> {
        let epoch = self.handoff().epoch();
        match tokio::time::timeout(patience, self.set_epoch(epoch)).await {
            Ok(Ok(())) => {}
            Err(_) => {
                self.connection.drop_connection();
                return Ok(false);
            }
            Ok(Err(error)) => return self.later(error),
        }
        match tokio::time::timeout(DYING, self.collect()).await {
            Ok(Ok(())) => Ok(true),
            // The work was not read to its end, whatever the reason.
            Err(_) | Ok(Err(Error::Elsewhere { .. })) => Ok(false),
            Ok(Err(error)) => self.later(error),
        }
    }

    /// What fencing does about a failure of the connection: it leaves the host for a later command.
    fn later(&mut self, error: Error) -> Result<bool, Error> {
        if !error.may_retry() {
            return Err(error);
        }
        self.connection.drop_connection();
        Ok(false)
    }

    /// Reads every attempt of the connection's host to its end, also those that the host started alone.
    async fn collect(&mut self) -> Result<(), Error> {
        self.surface().await?;
        let host = self.connection.host.name.clone();
        let open: Vec<AttemptNo> = self
            .handoff()
            .attempts()
            .iter()
            .filter(|(_, a)| a.host == host && !a.is_collected())
            .map(|(n, _)| *n)
            .collect();
        for n in open {
            self.read_to_end(n).await?;
        }
        Ok(())
    }

    /// Follows one attempt until its host has nothing more of it.
    pub(in crate::supervise) async fn read_to_end(&mut self, n: AttemptNo) -> Result<(), Error> {
        while !self.handoff().phase(n).is_some_and(|phase| phase.is_collected()) {
            match self.step(n, Until::Rest).await? {
                LoopAction::Again => self.ledger.refresh()?,
                LoopAction::Attempt(_)
                | LoopAction::NewSession { .. }
                | LoopAction::Overrule { .. }
                | LoopAction::NewGrant(_)
                | LoopAction::Left => {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Journals that a host has confirmed the present epoch, and reports what it did in the meantime.
    fn confirm(&mut self, host: &str) -> Result<(), Error> {
        let handoff = self.handoff();
        let (epoch, owner) = (handoff.epoch(), handoff.owner().clone());
        let event = if !handoff.ownership().is_confirmed() && handoff.host() == host {
            Kind::Owner { epoch, owner, confirmed: true }
        } else {
            Kind::Told { host: host.to_owned(), epoch }
        };
        let told = handoff.ownership().confirmed_epoch(host);
        if !self.append(event)? {
            return Ok(());
        }
        let handoff = self.handoff();
        let is_news = |n| handoff.grant_of(n).is_none_or(|grant| grant.epoch >= told);
        for (n, attempt) in handoff.superseded().filter(|(n, attempt)| attempt.host == host && is_news(*n)) {
            let class = attempt.verdict.as_ref().map_or("unknown", |verdict| verdict.class.word());
            let kept = attempt.fetched.as_ref().map_or("it left no work".to_owned(), |_| {
                format!("saved as {}{n}/work, not applied", refs::of(self.id()))
            });
            self.tell(&Progress::Note {
                text: format!("attempt {n} on {host} finished after the handoff had moved on ({class}); {kept}"),
            });
        }
        self.tell(&Progress::Note { text: format!("{host} is back and will not start anything else") });
        Ok(())
    }
}
