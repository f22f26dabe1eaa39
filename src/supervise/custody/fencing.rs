//! Fencing: a host that may continue under an old epoch learns the new one. What runs there is stopped, and its work is
//! fetched. Work that arrives too late is superseded: kept under its own number and never built on.

use std::time::Duration;

use crate::git::refs;
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::supervise::attempt::epoch::{discover_attempts, set_epoch};
use crate::supervise::attempt::step::step;
use crate::supervise::attempt::{LoopAction, Until};
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// How long a command that has something else to do waits for a host that does not answer.
pub const SHORT: Duration = Duration::from_secs(2);
/// How long a host's attempts may take to end and to be captured.
const DYING: Duration = Duration::from_secs(120);

/// Fences every host that has not confirmed the present epoch, waiting up to `patience` for each. A host that is out of
/// reach is left as it is; the next command asks again.
pub(in crate::supervise) async fn settle(
    record: &mut Record,
    connection: &mut HostConnection,
    patience: Duration,
) -> Result<(), Error> {
    record.ledger.refresh()?;
    record.ledger.read_secrets().await;
    for host in record.handoff().unfenced_hosts() {
        let own = record.handoff().host() == host;
        match settle_host(record, connection, &host, patience).await {
            Ok(()) => {}
            Err(error) if own => return Err(error),
            // A problem of another host must not block this one.
            Err(error) => record.tell(&Progress::Note { text: format!("could not tell {host} to stop: {error}") }),
        }
        record.update()?;
    }
    Ok(())
}

async fn settle_host(
    record: &mut Record,
    connection: &mut HostConnection,
    host: &str,
    patience: Duration,
) -> Result<(), Error> {
    let is_fenced = if connection.host.name == host {
        fence(record, connection, patience).await?
    } else {
        fence(record, &mut record.connection_to(host)?, patience).await?
    };
    if is_fenced {
        confirm(record, host)?;
    }
    Ok(())
}

/// Sends the epoch to the connection's host and reads the work of its attempts to the end. `false`: the host was out of
/// reach, or for part of that time.
async fn fence(record: &mut Record, connection: &mut HostConnection, patience: Duration) -> Result<bool, Error> {
    let epoch = record.handoff().epoch();
    match tokio::time::timeout(patience, set_epoch(record, connection, epoch)).await {
        Ok(Ok(())) => {}
        Err(_) => {
            connection.drop_connection();
            return Ok(false);
        }
        Ok(Err(error)) => return leave_for_later(connection, error),
    }
    match tokio::time::timeout(DYING, collect(record, connection)).await {
        Ok(Ok(())) => Ok(true),
        // The work was not read to its end, whatever the reason.
        Err(_) | Ok(Err(Error::Elsewhere { .. })) => Ok(false),
        Ok(Err(error)) => leave_for_later(connection, error),
    }
}

/// What fencing does about a failure of the connection: it leaves the host for a later command.
fn leave_for_later(connection: &mut HostConnection, error: Error) -> Result<bool, Error> {
    if !error.may_retry() {
        return Err(error);
    }
    connection.drop_connection();
    Ok(false)
}

/// Reads every attempt of the connection's host to its end, also those that the host started alone.
async fn collect(record: &mut Record, connection: &mut HostConnection) -> Result<(), Error> {
    discover_attempts(record, connection).await?;
    let host = connection.host.name.clone();
    let open: Vec<AttemptNo> = record
        .handoff()
        .attempts()
        .iter()
        .filter(|(_, a)| a.host == host && !a.is_collected())
        .map(|(n, _)| *n)
        .collect();
    for n in open {
        read_to_end(record, connection, n).await?;
    }
    Ok(())
}

/// Follows one attempt until its host has nothing more of it.
pub(in crate::supervise) async fn read_to_end(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
) -> Result<(), Error> {
    while !record.handoff().phase(n).is_some_and(|phase| phase.is_collected()) {
        match step(record, connection, n, Until::Rest).await? {
            LoopAction::Again => record.ledger.refresh()?,
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
fn confirm(record: &mut Record, host: &str) -> Result<(), Error> {
    let handoff = record.handoff();
    let (epoch, owner) = (handoff.epoch(), handoff.owner().clone());
    let event = if !handoff.ownership().is_confirmed() && handoff.host() == host {
        Kind::Owner { epoch, owner, confirmed: true }
    } else {
        Kind::Told { host: host.to_owned(), epoch }
    };
    let told = handoff.ownership().confirmed_epoch(host);
    if !record.append(event)? {
        return Ok(());
    }
    let handoff = record.handoff();
    let is_news = |n| handoff.grant_of(n).is_none_or(|grant| grant.epoch >= told);
    for (n, attempt) in handoff.superseded().filter(|(n, attempt)| attempt.host == host && is_news(*n)) {
        let class = attempt.verdict.as_ref().map_or("unknown", |verdict| verdict.class.word());
        let kept = attempt.fetched.as_ref().map_or("it left no work".to_owned(), |_| {
            format!("saved as {}{n}/work, not applied", refs::of(record.id()))
        });
        record.tell(&Progress::Note {
            text: format!("attempt {n} on {host} finished after the handoff had moved on ({class}); {kept}"),
        });
    }
    record.tell(&Progress::Note { text: format!("{host} has confirmed that it starts nothing else") });
    Ok(())
}
