//! `resume`: a handoff at rest gets a new grant, on the same host or another.

use crate::model::attempt::{AttemptNo, Grant};
use crate::model::event::{Kind, Owner};
use crate::model::handoff::Handoff;
use crate::model::profile::SessionMode;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Class;
use crate::remote::client::Remote;
use crate::supervise::connection::HostConnection;
use crate::supervise::custody::fencing::PATIENCE;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, facts};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::transport::{TransportError, UnreachableKind};

impl Driver {
    /// Starts the next attempt of a handoff at rest. `message` goes into its prompt; `host` moves the handoff.
    pub async fn resume(&mut self, message: Option<String>, host: Option<&str>) -> Result<AttemptNo, Error> {
        self.settle(PATIENCE).await?;
        let refuse = |handoff: &Handoff, why: String| Err(Error::NotNow { id: handoff.request().id.clone(), why });
        if self.handoff().is_taken_over() {
            return refuse(self.handoff(), "was taken over; continue in its worktree".to_owned());
        }
        // A host that was fenced just now has stopped its attempts, and their work is here. Otherwise it might still
        // start one.
        if let Some(host) =
            host.filter(|host| self.handoff().unfenced_hosts().iter().any(|unfenced_hosts| unfenced_hosts == host))
        {
            return Err(Error::Untold { id: self.id().clone(), host: host.to_owned() });
        }
        let elsewhere = host.is_some_and(|host| host != self.handoff().host());
        let active = self.handoff().status().is_active();
        // A host that is named again and has no root directory starts from nothing: the user knows that the directory
        // was deleted.
        let begins_again = host.is_some()
            && !elsewhere
            && self.is_rootless().await.or_else(|error| match error {
                error if error.may_retry() => Ok(false),
                error => Err(error),
            })?;
        if begins_again {
            self.give_up_root()?;
        }
        let out_of_reach = begins_again || active && elsewhere && self.is_out_of_reach().await?;
        if active && !out_of_reach {
            return refuse(self.handoff(), "is still running".to_owned());
        }
        if !active && !begins_again {
            self.finish_last(elsewhere).await?;
            if let Some(n) = self.made_alone().await? {
                let why = format!("is still running: {} started attempt {n} by itself", self.connection.host.name);
                return refuse(self.handoff(), why);
            }
        }
        let handoff = self.handoff();
        // On another host, or one that was asked to delete its copy, nothing is assumed to be there. The work is
        // shipped again.
        let checkout = !handoff.has_tree(host.unwrap_or(handoff.host()), AttemptNo::MAX);
        let has_session = handoff.session().is_some() || self.profile.session == SessionMode::None;
        if checkout && !out_of_reach {
            self.pull_if_possible().await;
            self.need_work()?;
        }
        let start = if checkout || !has_session { Start::Fresh } else { Start::Resume };
        let ship = if checkout { self.last_work()? } else { self.handoff().request().base.clone() };
        let attempts = self.handoff().request().limits.attempts;
        let contact = self.first_contact(host).await?;
        self.raise_epoch(host).await?;
        if let Some(host) = host {
            self.move_to(host)?;
        }
        if let Some(remote) = contact {
            self.connection.reuse(remote);
        }
        if start == Start::Fresh && self.handoff().session().is_some() {
            let text = format!(
                "the agent's earlier session is not on {}; a new session starts from the resume prompt",
                self.connection.host.name
            );
            self.tell(&Progress::Note { text });
        }
        self.relaunch(&DispatchSpec { ship, checkout, start, message, attempts }).await
    }

    /// Connects to the host that is to get the work before anything is recorded, so that a mistyped name, a refused
    /// login or a changed key changes nothing.
    async fn first_contact(&mut self, host: Option<&str>) -> Result<Option<Remote>, Error> {
        match host.filter(|host| *host != self.connection.host.name) {
            Some(host) => {
                let services = &self.services;
                let (connect, prompter) = (services.connect.clone(), services.prompter.clone());
                let mut connection =
                    HostConnection::new(services.host(host)?, connect, prompter, services.reporter.clone());
                Ok(Some(connection.patiently().await?))
            }
            // The handoff's own host was reached before and is worth waiting for, unless its name no longer resolves.
            None => match tokio::time::timeout(PATIENCE, self.connection.once()).await {
                Ok(Err(error @ TransportError::Unreachable { kind: UnreachableKind::Nameless, .. })) => {
                    Err(error.into())
                }
                _ => Ok(None),
            },
        }
    }

    /// A new grant under the present epoch, with its first attempt dispatched.
    pub(super) async fn relaunch(&mut self, launch: &DispatchSpec) -> Result<AttemptNo, Error> {
        let facts = facts(&self.services.repository, Some(self.handoff().request().base.clone())).await?;
        let (grant, attempt) = self.grant(launch)?;
        let (host, command) = (self.connection.host.name.clone(), self.command(launch.start, attempt)?);
        self.tell(&Progress::Dispatched { attempt, host, command });
        let prepared = self.prepare(&grant, attempt, launch, &facts).await?;
        self.dispatch(&prepared).await?;
        self.update_record()?;
        Ok(attempt)
    }

    /// Whether the host that has the handoff does not answer, so that the handoff is moved without its confirmation.
    async fn is_out_of_reach(&mut self) -> Result<bool, Error> {
        let (name, n) = (self.name.clone(), self.handoff().last_attempt().map_or(1, |(n, _)| n));
        let connection = &mut self.connection;
        let ask = async {
            let remote = connection.once().await?;
            Ok::<_, Error>(remote.state(&name, n).await?)
        };
        let answer = tokio::time::timeout(PATIENCE, ask).await;
        match answer {
            Ok(Ok(_)) => Ok(false),
            Ok(Err(error)) if !error.may_retry() => Err(error),
            _ => {
                self.connection.drop_connection();
                Ok(true)
            }
        }
    }

    /// Fetches what the last attempt left if an earlier process ended before it could. A move continues without it if
    /// the host is out of reach.
    async fn finish_last(&mut self, elsewhere: bool) -> Result<(), Error> {
        let Some((n, _)) = self.handoff().last_attempt().filter(|(_, attempt)| !attempt.is_collected()) else {
            return Ok(());
        };
        match tokio::time::timeout(PATIENCE, self.read_to_end(n)).await {
            Ok(Err(error)) if !(elsewhere && error.may_retry()) => Err(error),
            _ => Ok(()),
        }
    }

    /// The attempt that the host started by itself, within its grant, and that was unknown here. A host that is out of
    /// reach keeps its numbers.
    async fn made_alone(&mut self) -> Result<Option<AttemptNo>, Error> {
        let Some((last, _)) = self.handoff().last_attempt().filter(|(n, _)| self.handoff().may_follow(*n)) else {
            return Ok(None);
        };
        match tokio::time::timeout(PATIENCE, self.surface()).await {
            Ok(Err(error)) if !error.may_retry() => Err(error),
            _ => Ok(self.handoff().attempts().keys().next_back().copied().filter(|newest| *newest > last)),
        }
    }

    /// The same owner, or `host`, under a higher epoch. Granted numbers that were not used return when the host that
    /// had them has confirmed.
    pub(super) async fn raise_epoch(&mut self, host: Option<&str>) -> Result<(), Error> {
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
        self.journal.append(Kind::Owner { epoch, owner, confirmed })?;
        Ok(())
    }

    /// The newest work in this repository: the last capture that was not superseded, or the base.
    pub(super) fn last_work(&self) -> Result<Snapshot, Error> {
        self.work_before(AttemptNo::MAX)
    }

    /// The newest work before attempt `n`.
    fn work_before(&self, n: AttemptNo) -> Result<Snapshot, Error> {
        let handoff = self.handoff();
        let mut before = handoff.lineage().rev().filter(|(number, _)| *number < n);
        let Some(commit) = before.find_map(|(_, attempt)| attempt.fetched.clone()) else {
            return Ok(handoff.request().base.clone());
        };
        let captured = self.services.repository.read_capture(&commit)?;
        Ok(Snapshot {
            commit,
            head: captured.head,
            index_tree: captured.index_tree,
            files_tree: captured.files_tree,
            branch: handoff.request().base.branch.clone(),
            extra: handoff.request().base.extra.clone(),
            left_behind: vec![],
        })
    }

    /// The dispatch that a journaled grant stands for, to be sent again.
    pub(super) fn dispatch_spec_of(&self, grant: &Grant) -> Result<DispatchSpec, Error> {
        let handoff = self.handoff();
        let RelaunchSpec { checkout, start } = relaunch_spec(handoff, grant);
        let ship = if checkout { self.work_before(grant.first)? } else { handoff.request().base.clone() };
        let message = handoff.message(grant.number).map(str::to_owned);
        Ok(DispatchSpec { ship, checkout, start, message, attempts: grant.last - grant.first + 1 })
    }
}

/// How a grant began, read from the journal.
#[derive(Debug, PartialEq, Eq)]
struct RelaunchSpec {
    /// Whether the work of the attempts before it was shipped with it.
    checkout: bool,
    start: Start,
}

fn relaunch_spec(handoff: &Handoff, grant: &Grant) -> RelaunchSpec {
    let checkout = !handoff.has_tree(&grant.host, grant.first);
    // After a grant that produced nothing, the next one starts fresh.
    let before = handoff.attempts().range(..grant.first).next_back();
    let class = before.and_then(|(_, attempt)| attempt.verdict.as_ref()).map(|verdict| verdict.class);
    let session_is_over = matches!(class, Some(Class::Context | Class::Session));
    RelaunchSpec { checkout, start: if checkout || session_is_over { Start::Fresh } else { Start::Resume } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::testing::created;
    use crate::model::verdict::Verdict;

    fn after(class: Class) -> Handoff {
        let event = |kind| Event::new(jiff::Timestamp::UNIX_EPOCH, kind);
        let mut handoff = Handoff::created(&event(Kind::Created(Box::new(created("20261121-x"))))).unwrap();
        let (host, commit) = ("buildbox".to_owned(), handoff.request().base.commit.clone());
        let verdict = Verdict::new(class, "e");
        for kind in [
            Kind::Granted { grant: grant(1, "buildbox", 1) },
            Kind::Dispatched { attempt: 1, grant: 1, host: host.clone(), command: "agent".into() },
            Kind::Shipped { host, commit },
            Kind::Started { attempt: 1, command: None, session: None },
            Kind::Ended { attempt: 1, outcome: Box::default(), verdict },
        ] {
            handoff.apply(&event(kind)).unwrap();
        }
        handoff
    }

    fn grant(number: u32, host: &str, first: AttemptNo) -> Grant {
        Grant { number, epoch: number, host: host.into(), first, last: first, active: 60 }
    }

    #[test]
    fn a_move_that_is_sent_again_still_carries_the_work() {
        let moved = relaunch_spec(&after(Class::Stopped), &grant(2, "bigbox", 2));
        assert_eq!(moved, RelaunchSpec { checkout: true, start: Start::Fresh });
        let stayed = relaunch_spec(&after(Class::Stopped), &grant(2, "buildbox", 2));
        assert_eq!(stayed, RelaunchSpec { checkout: false, start: Start::Resume });
    }

    #[test]
    fn after_a_release_the_work_is_shipped_again_however_often_it_is_sent() {
        let mut handoff = after(Class::Stopped);
        let released = Kind::Released { host: "buildbox".into(), last: 1, confirmed: false };
        handoff.apply(&Event::new(jiff::Timestamp::UNIX_EPOCH, released)).unwrap();
        let back = relaunch_spec(&handoff, &grant(2, "buildbox", 2));
        assert_eq!(back, RelaunchSpec { checkout: true, start: Start::Fresh });
    }

    #[test]
    fn a_session_that_is_over_is_not_resumed_when_its_successor_is_sent_again() {
        let next = relaunch_spec(&after(Class::Context), &grant(2, "buildbox", 2));
        assert_eq!((next.start, next.checkout), (Start::Fresh, false));
    }
}
