//! A change of owner reaches the connection's host, and what the host started before it heard of that is discovered.

use crate::model::attempt::{AttemptNo, CancelReason, Epoch, Next, Outcome, Reason, Writer};
use crate::model::event::{Kind, Owner};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::poll::Alive;
use crate::remote::refusal::RefusalClass;
use crate::supervise::connection::{HostConnection, PATIENCE};
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::contact::root::accept_root;
use crate::supervise::dispatch::shown_command::shown_command;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// The same owner, or `host`, under a higher epoch. Granted numbers that were not used return when the host that had
/// them has confirmed.
pub(in crate::supervise) async fn raise_epoch(
    record: &mut Record,
    connection: &mut HostConnection,
    host: Option<&str>,
) -> Result<(), Error> {
    let epoch = record.handoff().epoch() + 1;
    let owner = host.map_or_else(|| record.handoff().owner().clone(), |host| Owner::Host(host.to_owned()));
    // No host was ever allowed anything, so there is none to tell.
    if record.handoff().is_only_by_hand() {
        record.ledger.require(Kind::Owner { epoch, owner, confirmed: true })?;
        return Ok(());
    }
    if record.handoff().attempts().is_empty() {
        return Ok(());
    }
    // A running attempt is stopped later, by fencing.
    let at_rest = !record.handoff().status().is_active();
    let confirmed = at_rest
        && match tokio::time::timeout(PATIENCE, set_epoch(record, connection, epoch)).await {
            // An attempt that the host started at the same moment has a number, and fencing stops it.
            Ok(Ok(())) => made_alone(record, connection).await?.is_none(),
            Ok(Err(error)) if !error.may_retry() => return Err(error),
            _ => {
                connection.drop_connection();
                false
            }
        };
    record.ledger.require(Kind::Owner { epoch, owner, confirmed })?;
    Ok(())
}

/// Sends an epoch to the connection's host. If the host's root was replaced, the epoch goes to the root that it has
/// now.
pub(in crate::supervise) async fn set_epoch(
    record: &mut Record,
    connection: &mut HostConnection,
    epoch: Epoch,
) -> Result<(), Error> {
    match set_epoch_once(record, connection, epoch).await {
        Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
            accept_root(record, connection).await?;
            set_epoch_once(record, connection, epoch).await
        }
        put => put,
    }
}

async fn set_epoch_once(record: &Record, connection: &mut HostConnection, epoch: Epoch) -> Result<(), Error> {
    let remote = connection.once().await?;
    match remote.set_epoch(&record.name, epoch).await {
        // A host that never heard of the handoff has nothing to give back.
        Err(error) if error.is_refused(&RefusalClass::Unknown) => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Ok(()),
    }
}

/// Discovers attempts that the connection's host started without contact.
pub(in crate::supervise) async fn discover_attempts(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<(), Error> {
    let host = connection.host.name.clone();
    let known: Vec<AttemptNo> =
        record.handoff().attempts().iter().filter(|(_, a)| a.host == host).map(|(n, _)| *n).collect();
    let remote = connection.once().await?;
    // The laptop may know a number before the host has made its directory.
    let mut last = 0;
    for n in known.iter().rev() {
        if let Some(line) = remote.state(&record.name, *n).await? {
            last = line.last;
            break;
        }
    }
    for n in known.first().map_or(1, |first| *first)..=last {
        let grant = record.handoff().grant_of(n).filter(|g| g.host == host).map(|grant| grant.number);
        let (Some(grant), false) = (grant, record.handoff().attempts().contains_key(&n)) else { continue };
        // A grant that was cut short leaves unused numbers below those of a later grant.
        if n < last && remote.state(&record.name, n).await?.is_none() {
            continue;
        }
        let (host, command) = (host.clone(), shown_command(record, Start::Resume, n)?);
        let newest = record.handoff().attempts().last_key_value().is_none_or(|(last, _)| *last < n);
        record.append(if newest {
            Kind::TakenUp { attempt: n, grant, host, command }
        } else {
            Kind::Surfaced { attempt: n, grant, host, command }
        })?;
    }
    Ok(())
}

/// The attempt that the host started by itself, within its grant, and that was unknown here. A host that is out of
/// reach keeps its numbers.
pub(in crate::supervise) async fn made_alone(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<Option<AttemptNo>, Error> {
    let Some((last, _)) = record.handoff().last_attempt().filter(|(n, _)| record.handoff().may_follow(*n)) else {
        return Ok(None);
    };
    match tokio::time::timeout(PATIENCE, discover_attempts(record, connection)).await {
        Ok(Err(error)) if !error.may_retry() => Err(error),
        _ => Ok(record.handoff().attempts().keys().next_back().copied().filter(|newest| *newest > last)),
    }
}

/// Ends an attempt that has a number and has not started: the host learns a higher epoch, under which it starts
/// nothing. `false`: the attempt started at that moment and must be stopped like any other.
pub(in crate::supervise) async fn call_off(record: &mut Record, remote: &Remote, n: AttemptNo) -> Result<bool, Error> {
    if record.handoff().is_outdated(n) {
        remote.set_epoch(&record.name, record.handoff().epoch()).await?;
    } else {
        let (epoch, owner) = (record.handoff().epoch() + 1, record.handoff().owner().clone());
        remote.set_epoch(&record.name, epoch).await?;
        record.append(Kind::Owner { epoch, owner, confirmed: true })?;
    }
    if let Some(line) = remote.state(&record.name, n).await? {
        if line.intent || line.result || matches!(line.watch, Alive::Yes | Alive::Stopped | Alive::Unknown) {
            return Ok(false);
        }
        // Its watcher died, but a setup or a check that it started may still run.
        remote.cancel(&record.name, n, &CancelReason::Stop, KILL_GRACE).await?;
    }
    let evidence = "stopped before the agent was started".to_owned();
    let verdict = Verdict::new(Class::Stopped, evidence);
    let outcome = Outcome { class: Class::Stopped.into(), reason: Reason::Stop, ..Outcome::default() };
    record.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict: verdict.clone() })?;
    record.append(Kind::Decided { attempt: n, next: Next::End, by: Writer::Laptop })?;
    record.tell(&Progress::Ended { attempt: n, verdict, active: 0 });
    Ok(true)
}
