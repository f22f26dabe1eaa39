//! An attempt that does not run as it should: it is missing on its host, nothing watches it, another machine does, or
//! it must be stopped.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, CancelReason};
use crate::model::event::Owner;
use crate::model::handoff::Handoff;
use crate::remote::client::Remote;
use crate::remote::poll::{Alive, StateLine};
use crate::supervise::attempt::epoch::call_off;
use crate::supervise::attempt::relaunch::dispatch_spec_of;
use crate::supervise::attempt::{LoopAction, TICK};
use crate::supervise::connection::{HostConnection, pause};
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::contact::root::lose;
use crate::supervise::dispatch::{dispatch, facts_again};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// Longest time between two requests to a host whose next attempt is not due yet.
const LONGEST_NAP: Duration = Duration::from_secs(10);

/// Longest expected silence of a watcher, in seconds. It reports every 5 s, and less often while it stops and captures
/// an attempt.
const LONGEST_SILENCE: u64 = 60;

/// Why the host must stop attempt `n`, if it must.
pub(in crate::supervise) fn reason_to_cancel(handoff: &Handoff, n: AttemptNo) -> Option<CancelReason> {
    if !handoff.phase(n)?.is_open() {
        return None;
    }
    match handoff.owner() {
        Owner::Laptop => Some(CancelReason::Takeover),
        Owner::Host(_) if handoff.is_stop_requested() => Some(CancelReason::Stop),
        // The handoff was moved, and nothing waits for what the host has begun.
        Owner::Host(_) if handoff.is_outdated(n) => Some(CancelReason::Moved),
        Owner::Host(_) => None,
    }
}

/// The host does not know the attempt: it is not due yet, or `ensure` never arrived.
pub(in crate::supervise) async fn not_there(
    record: &mut Record,
    connection: &mut HostConnection,
    remote: &Remote,
    n: AttemptNo,
) -> Result<LoopAction, Error> {
    let before = n.checked_sub(1).filter(|before| record.handoff().attempts().contains_key(before));
    if record.handoff().has_started(n) {
        lose(record, remote, n, "the directory of the attempt is gone").await?;
        return Ok(LoopAction::Again);
    }
    if reason_to_cancel(record.handoff(), n).is_some() {
        return Ok(if call_off(record, remote, n).await? { LoopAction::Left } else { LoopAction::Again });
    }
    let Some(before) = before else { return ensure_again(record, connection, n).await };
    let state = remote.state(&record.name, before).await?;
    match &state {
        Some(line) => is_elsewhere(record, &connection.host.name, line)?,
        // The host had the previous attempt under the same grant and may have started this one.
        None if grant_number(record.handoff(), before) == grant_number(record.handoff(), n) => {
            lose(record, remote, n, "the directory of the handoff is gone").await?;
            return Ok(LoopAction::Again);
        }
        None => {}
    }
    let watched = state.is_some_and(|line| matches!(line.watch, Alive::Yes | Alive::Unknown) || line.last >= n);
    if watched {
        wait_until_due(record, n).await?;
        return Ok(LoopAction::Again);
    }
    ensure_again(record, connection, n).await
}

fn grant_number(handoff: &Handoff, n: AttemptNo) -> Option<u32> {
    handoff.attempt(n).map(|attempt| attempt.grant)
}

/// Waits for half of the time until attempt `n` is due, at most 10 s, or until the user stops or takes over.
async fn wait_until_due(record: &mut Record, n: AttemptNo) -> Result<(), Error> {
    let left = record.handoff().time_left(n, jiff::Timestamp::now().as_second()).unwrap_or_default();
    let until = tokio::time::Instant::now() + (left / 2).clamp(TICK, LONGEST_NAP);
    while tokio::time::Instant::now() < until && !pause(TICK).await {
        record.ledger.refresh()?;
        if reason_to_cancel(record.handoff(), n).is_some() {
            break;
        }
    }
    Ok(())
}

/// An attempt without a result and without a watcher needs a new watcher.
pub(in crate::supervise) async fn after_quiet_poll(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
    state: Option<StateLine>,
) -> Result<LoopAction, Error> {
    match state {
        Some(line) if line.is_unwatched() => {
            // The host starts nothing under an old epoch, so waiting is useless.
            if !line.intent && record.handoff().is_outdated(n) {
                let remote = connection.once().await?;
                return Ok(if call_off(record, &remote, n).await? { LoopAction::Left } else { LoopAction::Again });
            }
            // The new watcher must find the stop request, or it would report another end.
            if let Some(reason) = reason_to_cancel(record.handoff(), n) {
                let remote = connection.once().await?;
                remote.cancel(&record.name, n, &reason, KILL_GRACE).await?;
            }
            ensure_again(record, connection, n).await
        }
        _ => Ok(LoopAction::Again),
    }
}

/// Sends `ensure` for an attempt again: its watcher died, or never existed.
pub(in crate::supervise) async fn ensure_again(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
) -> Result<LoopAction, Error> {
    let handoff = record.handoff();
    let Some(grant) = handoff.attempt(n).and_then(|a| handoff.grants().iter().find(|g| g.number == a.grant)) else {
        return Ok(LoopAction::Left);
    };
    let grant = grant.clone();
    let launch = dispatch_spec_of(record, &grant)?;
    let facts = facts_again(record, &launch.ship).await?;
    dispatch(record, connection, (&grant, n), &launch, &facts).await?;
    Ok(LoopAction::Again)
}

/// Reports once that another machine started the attempt. A stop waits as long as that machine shows signs of life.
pub(in crate::supervise) fn is_elsewhere(record: &mut Record, host: &str, line: &StateLine) -> Result<(), Error> {
    if line.watch != Alive::Unknown || line.result {
        return Ok(());
    }
    let (attempt, host) = (line.attempt, host.to_owned());
    if line.cancel && line.beat.is_none_or(|beat| beat > LONGEST_SILENCE) {
        return Err(Error::Elsewhere { id: record.id().clone(), host, attempt, beat: line.beat });
    }
    if record.elsewhere.replace(attempt) != Some(attempt) {
        let id = record.id();
        let text = format!(
            "another machine that shares the directory of {host} began attempt {attempt}: whether it lives is seen \
             only there, and nothing is started here. What it writes is followed; where it is gone for good, \
             `handoff takeover {id}` goes on without it"
        );
        record.tell(&Progress::Note { text });
    }
    Ok(())
}
