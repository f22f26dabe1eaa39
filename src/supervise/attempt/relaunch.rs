//! A new grant on the connection's host, with the newest work.

use crate::model::attempt::{AttemptNo, Grant};
use crate::model::handoff::Handoff;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Class;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, facts};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

impl Driver {
    /// A new grant under the present epoch, with its first attempt dispatched.
    pub(in crate::supervise) async fn relaunch(&mut self, launch: &DispatchSpec) -> Result<AttemptNo, Error> {
        let facts = facts(&self.services.repository, Some(self.handoff().request().base.clone())).await?;
        let (grant, attempt) = self.grant(launch)?;
        let (host, command) = (self.connection.host.name.clone(), self.command(launch.start, attempt)?);
        self.tell(&Progress::Dispatched { attempt, host, command });
        let prepared = self.prepare(&grant, attempt, launch, &facts).await?;
        self.dispatch(&prepared).await?;
        self.update_record()?;
        Ok(attempt)
    }

    /// The newest work in this repository: the last capture that was not superseded, or the base.
    pub(in crate::supervise) fn last_work(&self) -> Result<Snapshot, Error> {
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
    pub(in crate::supervise) fn dispatch_spec_of(&self, grant: &Grant) -> Result<DispatchSpec, Error> {
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
    use crate::model::event::{Event, Kind};
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
