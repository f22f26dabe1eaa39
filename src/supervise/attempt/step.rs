//! One step of an attempt: a poll and what it brings, or what follows an end.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, Next};
use crate::model::handoff::Handoff;
use crate::model::phase::{Phase, Remainder};
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::poll::{Alive, LONGEST_WAIT, Message};
use crate::remote::refusal::RefusalClass;
use crate::supervise::attempt::after_end::after_end;
use crate::supervise::attempt::ingest::{on_result, on_state};
use crate::supervise::attempt::watcher::{after_quiet_poll, is_elsewhere, not_there, reason_to_cancel};
use crate::supervise::attempt::{LoopAction, TICK, Until};
use crate::supervise::connection::HostConnection;
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::contact::reachability::contact_made;
use crate::supervise::contact::root::lose;
use crate::supervise::error::Error;
use crate::supervise::logs::Piece;
use crate::supervise::record::Record;
use crate::transport::TransportError;

/// Longest wait of a poll, in milliseconds, if the server allows only one session at a time.
const SINGLE_WAIT: u64 = 1_000;

/// Whether following attempt `n` is over.
pub(in crate::supervise) fn has_arrived(handoff: &Handoff, n: AttemptNo, until: Until) -> bool {
    let Some(phase) = handoff.phase(n) else { return false };
    if until == Until::Started && (handoff.has_started(n) || !phase.is_open()) {
        return true;
    }
    match phase {
        Phase::Granted | Phase::Waiting { .. } | Phase::Running | Phase::Ended(_) => false,
        // After a takeover the attempt is read to its end, and no further.
        Phase::Collected(_) | Phase::Judged(_) => handoff.is_taken_over() || !handoff.status().is_active(),
        Phase::Superseded(remainder) => remainder == Remainder::Nothing,
    }
}

/// One step of attempt `n`, by its phase. It may be dropped at any point: each part of it is journaled when it is done,
/// and a later step continues there.
pub(in crate::supervise) async fn step(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
    until: Until,
) -> Result<LoopAction, Error> {
    let remote = connection.once().await?;
    let handoff = record.handoff();
    let is_last = handoff.last_attempt().is_some_and(|(last, _)| last == n);
    let outcome = || handoff.attempt(n)?.outcome.clone();
    let ended = match handoff.phase(n) {
        None | Some(Phase::Granted | Phase::Waiting { .. } | Phase::Running) => None,
        Some(Phase::Superseded(Remainder::End)) => None,
        Some(Phase::Superseded(Remainder::Capture | Remainder::Nothing)) => outcome(),
        // The capture is missing, or what follows was not decided.
        Some(Phase::Ended(outcome) | Phase::Collected(outcome)) => Some(outcome.clone()),
        // An earlier process ended before it recorded the next attempt, or made the grant for it.
        Some(Phase::Judged(Next::Resume { .. } | Next::ResumeWithCheck { .. } | Next::WaitUntil { .. })) => {
            outcome().filter(|_| is_last)
        }
        Some(Phase::Judged(Next::End | Next::Park { .. })) => None,
    };
    match ended {
        Some(outcome) => after_end(record, connection, &remote, n, outcome).await,
        None => poll(record, connection, &remote, n, until).await,
    }
}

/// Polls attempt `n` until its host has something to act on, or until the poll ends by itself.
async fn poll(
    record: &mut Record,
    connection: &mut HostConnection,
    remote: &Remote,
    n: AttemptNo,
    until: Until,
) -> Result<LoopAction, Error> {
    let wants = record.logs.wants(&record.name, n)?;
    let longest = if remote.is_single() { SINGLE_WAIT } else { connection.longest_wait };
    let mut poll = remote.poll(&wants, longest).await?;
    let asked = tokio::time::Instant::now();
    contact_made(record, connection)?;
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut cancelled = false;
    let mut state = None;
    loop {
        let message = tokio::select! {
            message = poll.next() => message.inspect_err(|error| shorten(connection, error, asked.elapsed()))?,
            _ = tick.tick() => {
                record.ledger.refresh()?;
                if !cancelled && let Some(reason) = reason_to_cancel(record.handoff(), n) {
                    let line = match remote.cancel(&record.name, n, &reason, KILL_GRACE).await {
                        // The attempt is not due yet, and the poll was about to report that.
                        Err(error) if error.is_refused(&RefusalClass::Unknown) => {
                            return not_there(record, connection, remote, n).await;
                        }
                        line => line?,
                    };
                    cancelled = true;
                    is_elsewhere(record, &connection.host.name, &line)?;
                    // Without a watcher nothing wakes this poll.
                    if line.is_unwatched() {
                        return after_quiet_poll(record, connection, n, Some(line)).await;
                    }
                }
                record.mirror_logs()?;
                if has_arrived(record.handoff(), n, until) { return Ok(LoopAction::Left) } else { continue }
            }
        };
        match message {
            None => break,
            Some(Message::State(line)) if line.attempt == n => {
                if record.handoff().has_started(n) && !line.intent {
                    let why = "the host shows the attempt as it was before its start (restored from a backup?)";
                    lose(record, remote, n, why).await?;
                    return Ok(LoopAction::Again);
                }
                on_state(record, &connection.host.name, &line)?;
                is_elsewhere(record, &connection.host.name, &line)?;
                if until == Until::Started && line.intent {
                    return Ok(LoopAction::Left);
                }
                // A watcher that is dead or stopped wakes no poll.
                if line.is_unwatched() && line.watch != Alive::Never {
                    return after_quiet_poll(record, connection, n, Some(line)).await;
                }
                state = Some(line);
            }
            Some(Message::Bytes { attempt, stream, inode, offset, bytes }) if attempt == n => {
                let piece = Piece { attempt, stream, inode, offset, bytes };
                record.logs.receive(&mut record.ledger, &connection.host.name, &piece)?;
            }
            Some(Message::Result { attempt, outcome }) if attempt == n => {
                on_result(record, attempt, &outcome)?;
                return after_end(record, connection, remote, attempt, *outcome).await;
            }
            Some(Message::Error { attempt, class, .. }) if attempt == n && class == RefusalClass::Unknown => {
                return not_there(record, connection, remote, n).await;
            }
            Some(_) => {}
        }
    }
    after_quiet_poll(record, connection, n, state).await
}

/// The server closed an idle channel. From now on polls end by themselves before that.
fn shorten(connection: &mut HostConnection, error: &RemoteError, asked: Duration) {
    if matches!(error, RemoteError::Transport(TransportError::Closed { .. })) {
        let half = u64::try_from(asked.as_millis() / 2).unwrap_or(LONGEST_WAIT);
        connection.longest_wait = half.clamp(SINGLE_WAIT, LONGEST_WAIT);
    }
}
