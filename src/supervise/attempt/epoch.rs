//! A change of owner reaches the connection's host, and what the host started before it heard of that is discovered.

use crate::model::attempt::{AttemptNo, Epoch};
use crate::model::event::{Kind, Owner};
use crate::remote::refusal::RefusalClass;
use crate::supervise::connection::PATIENCE;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;

impl Driver {
    /// The same owner, or `host`, under a higher epoch. Granted numbers that were not used return when the host that
    /// had them has confirmed.
    pub(in crate::supervise) async fn raise_epoch(&mut self, host: Option<&str>) -> Result<(), Error> {
        if self.handoff().attempts().is_empty() {
            return Ok(());
        }
        let epoch = self.handoff().epoch() + 1;
        let owner = host.map_or_else(|| self.handoff().owner().clone(), |host| Owner::Host(host.to_owned()));
        // A running attempt is stopped later, by fencing.
        let at_rest = !self.handoff().status().is_active();
        let confirmed = at_rest
            && match tokio::time::timeout(PATIENCE, self.set_epoch(epoch)).await {
                // An attempt that the host started at the same moment has a number, and fencing stops it.
                Ok(Ok(())) => self.made_alone().await?.is_none(),
                Ok(Err(error)) if !error.may_retry() => return Err(error),
                _ => {
                    self.connection.drop_connection();
                    false
                }
            };
        self.ledger.require(Kind::Owner { epoch, owner, confirmed })?;
        Ok(())
    }

    /// Sends an epoch to the connection's host. If the host's root was replaced, the epoch goes to the root that it has
    /// now.
    pub(in crate::supervise) async fn set_epoch(&mut self, epoch: Epoch) -> Result<(), Error> {
        match self.set_epoch_once(epoch).await {
            Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
                self.accept_root().await?;
                self.set_epoch_once(epoch).await
            }
            put => put,
        }
    }

    async fn set_epoch_once(&mut self, epoch: Epoch) -> Result<(), Error> {
        let remote = self.connection.once().await?;
        match remote.set_epoch(&self.name, epoch).await {
            // A host that never heard of the handoff has nothing to give back.
            Err(error) if error.is_refused(&RefusalClass::Unknown) => Ok(()),
            Err(error) => Err(error.into()),
            Ok(_) => Ok(()),
        }
    }

    /// Discovers attempts that the connection's host started without contact.
    pub(in crate::supervise) async fn surface(&mut self) -> Result<(), Error> {
        let host = self.connection.host.name.clone();
        let known: Vec<AttemptNo> =
            self.handoff().attempts().iter().filter(|(_, a)| a.host == host).map(|(n, _)| *n).collect();
        let remote = self.connection.once().await?;
        // The laptop may know a number before the host has made its directory.
        let mut last = 0;
        for n in known.iter().rev() {
            if let Some(line) = remote.state(&self.name, *n).await? {
                last = line.last;
                break;
            }
        }
        for n in known.first().map_or(1, |first| *first)..=last {
            let grant = self.handoff().grant_of(n).filter(|g| g.host == host).map(|grant| grant.number);
            let (Some(grant), false) = (grant, self.handoff().attempts().contains_key(&n)) else { continue };
            // A grant that was cut short leaves unused numbers below those of a later grant.
            if n < last && remote.state(&self.name, n).await?.is_none() {
                continue;
            }
            let (host, command) = (host.clone(), self.command(Start::Resume, n)?);
            let newest = self.handoff().attempts().last_key_value().is_none_or(|(last, _)| *last < n);
            self.append(if newest {
                Kind::TakenUp { attempt: n, grant, host, command }
            } else {
                Kind::Surfaced { attempt: n, grant, host, command }
            })?;
        }
        Ok(())
    }

    /// The attempt that the host started by itself, within its grant, and that was unknown here. A host that is out of
    /// reach keeps its numbers.
    pub(in crate::supervise) async fn made_alone(&mut self) -> Result<Option<AttemptNo>, Error> {
        let Some((last, _)) = self.handoff().last_attempt().filter(|(n, _)| self.handoff().may_follow(*n)) else {
            return Ok(None);
        };
        match tokio::time::timeout(PATIENCE, self.surface()).await {
            Ok(Err(error)) if !error.may_retry() => Err(error),
            _ => Ok(self.handoff().attempts().keys().next_back().copied().filter(|newest| *newest > last)),
        }
    }
}
