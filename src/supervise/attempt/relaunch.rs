//! A new grant on the connection's host, with the newest work.

use crate::git::ship_facts::ShipFacts;
use crate::model::attempt::{AttemptNo, Grant};
use crate::model::handoff::Handoff;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Class;
use crate::supervise::companions::{companions_before, tell_older};
use crate::supervise::connection::HostConnection;
use crate::supervise::dispatch::grant::record_grant;
use crate::supervise::dispatch::shown_command::shown_command;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, dispatch, facts_again};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// A new grant under the present epoch, with its first attempt dispatched.
pub(in crate::supervise) async fn relaunch(
    record: &mut Record,
    connection: &mut HostConnection,
    launch: &DispatchSpec,
) -> Result<AttemptNo, Error> {
    let facts = facts_again(record, &launch.ship).await?;
    relaunch_with(record, connection, launch, &facts).await
}

/// The same with facts that were read before.
pub(in crate::supervise) async fn relaunch_with(
    record: &mut Record,
    connection: &mut HostConnection,
    launch: &DispatchSpec,
    facts: &ShipFacts,
) -> Result<AttemptNo, Error> {
    let (grant, attempt) = record_grant(record, &connection.host.name, launch)?;
    if let Some(text) = lost_operation(record.handoff(), launch, attempt) {
        record.tell(&Progress::Note { text });
    }
    if launch.checkout {
        tell_older(record);
    }
    let (host, command) = (connection.host.name.clone(), shown_command(record, launch.start, attempt)?);
    record.tell(&Progress::Dispatched { attempt, host, command });
    dispatch(record, connection, (&grant, attempt), launch, facts).await?;
    record.update()?;
    Ok(attempt)
}

/// What the user should know when work is shipped again: a capture has the files and commits of an operation that the
/// agent did not finish, but not its state.
fn lost_operation(handoff: &Handoff, launch: &DispatchSpec, attempt: AttemptNo) -> Option<String> {
    let sent = handoff.given_before(attempt).map_or(&handoff.request().base, |given| &given.work);
    let lost = sent.operation.as_ref().filter(|_| launch.checkout && launch.ship.operation.is_none())?;
    let what = &lost.what;
    Some(format!("the checkout is new and has the files, but not the state of {what}, if the agent did not finish it"))
}

/// The newest work in this repository: the last capture that was not superseded, or the base.
pub(in crate::supervise) fn last_work(record: &Record) -> Result<Snapshot, Error> {
    work_before(record, AttemptNo::MAX)
}

/// The newest work before attempt `n`.
fn work_before(record: &Record, n: AttemptNo) -> Result<Snapshot, Error> {
    match record.handoff().given_before(n) {
        Some(given) => Ok(given.work.clone()),
        None => captured_before(record, n),
    }
}

/// What the last fetched attempt before `n` left, or the base.
pub(in crate::supervise) fn captured_before(record: &Record, n: AttemptNo) -> Result<Snapshot, Error> {
    let handoff = record.handoff();
    let mut before = handoff.lineage().rev().filter(|(number, _)| *number < n);
    let Some(commit) = before.find_map(|(_, attempt)| attempt.fetched.clone()) else {
        return Ok(handoff.request().base.clone());
    };
    let captured = record.services.repository.read_capture(&commit)?;
    Ok(Snapshot {
        commit,
        head: captured.head,
        index_tree: captured.index_tree,
        files_tree: captured.files_tree,
        branch: handoff.request().base.branch.clone(),
        changes: None,
        extra: handoff.extra_before(n).cloned(),
        lfs: None,
        operation: None,
        cache_key: None,
        history: None,
        companions: companions_before(record, n)?,
        left_behind: vec![],
        unmatched: vec![],
    })
}

/// The dispatch that a journaled grant stands for, to be sent again.
pub(in crate::supervise) fn dispatch_spec_of(record: &Record, grant: &Grant) -> Result<DispatchSpec, Error> {
    let handoff = record.handoff();
    let RelaunchSpec { checkout, start } = relaunch_spec(handoff, grant);
    let ship = if checkout { work_before(record, grant.first)? } else { handoff.request().base.clone() };
    let message = handoff.message(grant.number).map(str::to_owned);
    Ok(DispatchSpec { ship, checkout, start, message, attempts: grant.last - grant.first + 1 })
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
    RelaunchSpec { checkout, start: start_on(handoff, &grant.host, grant.first, checkout) }
}

/// How the first attempt of a grant for a host begins, from attempt `first`. `checkout`: the work is shipped with it.
pub(in crate::supervise) fn start_on(handoff: &Handoff, host: &str, first: AttemptNo, checkout: bool) -> Start {
    // After a grant that produced nothing, the next one starts fresh.
    let before = handoff.attempts().range(..first).next_back();
    let class = before.and_then(|(_, attempt)| attempt.verdict.as_ref()).map(|verdict| verdict.class);
    let session_is_over = matches!(class, Some(Class::Context | Class::Session))
        || before.is_some_and(|(n, _)| handoff.changes_agent(*n, first));
    let has_session = !checkout || handoff.has_session(host, first);
    if has_session && !session_is_over { Start::Resume } else { Start::Fresh }
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
