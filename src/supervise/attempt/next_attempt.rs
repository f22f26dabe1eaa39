//! The attempt after this one, where it needs a new grant: the wait for it, and its start.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, Next};
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;
use crate::model::profile::SessionMode;
use crate::supervise::attempt::after_end::write_decision;
use crate::supervise::attempt::epoch::raise_epoch;
use crate::supervise::attempt::relaunch::{last_work, relaunch};
use crate::supervise::attempt::{LoopAction, TICK};
use crate::supervise::connection::{HostConnection, pause};
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// Starts the attempt after `n` under a new grant when it is due: the old grant has no further number, or its host lost
/// what it had. In that case the work is shipped again.
pub(in crate::supervise) async fn new_grant(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
) -> Result<LoopAction, Error> {
    while due_in(record.handoff(), n) > 0 {
        if pause(TICK).await {
            connection.drop_connection();
        }
        record.ledger.refresh()?;
        if !record.handoff().status().is_active() {
            return Ok(LoopAction::Again);
        }
    }
    let checkout = !record.handoff().has_tree(&connection.host.name, AttemptNo::MAX);
    let has_session = record.handoff().session().is_some() || record.profile.session == SessionMode::None;
    let start = if checkout || !has_session { Start::Fresh } else { Start::Resume };
    relaunch_within(record, connection, checkout, start).await
}

/// The session of attempt `n` is over. The next attempt begins a new one after `delay` seconds.
pub(in crate::supervise) async fn new_session(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
    delay: u64,
) -> Result<LoopAction, Error> {
    let remote = connection.once().await?;
    let profile = record.profile.clone();
    write_decision(record, &remote, n, Next::Park { why: "a new session follows".into() }, &profile).await?;
    begin_grant(record, connection, n, delay, Start::Fresh).await
}

/// Continues after attempt `n` under a new epoch and a new grant, so that nothing of the old grant can interfere.
pub(in crate::supervise) async fn begin_grant(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
    delay: u64,
    start: Start,
) -> Result<LoopAction, Error> {
    record.tell(&Progress::BackingOff { attempt: n + 1, delay: Duration::from_secs(delay) });
    let until = tokio::time::Instant::now() + Duration::from_secs(delay);
    while tokio::time::Instant::now() < until && !pause(TICK).await {
        record.ledger.refresh()?;
        if record.handoff().is_stop_requested() || record.handoff().is_taken_over() {
            return Ok(LoopAction::Left);
        }
    }
    relaunch_within(record, connection, false, start).await
}

/// A new grant for the attempts that the user's last grant still allows, and no more.
async fn relaunch_within(
    record: &mut Record,
    connection: &mut HostConnection,
    checkout: bool,
    start: Start,
) -> Result<LoopAction, Error> {
    let attempts = record.handoff().left();
    if attempts == 0 {
        return Ok(LoopAction::Left);
    }
    raise_epoch(record, connection, None).await?;
    let ship = if checkout { last_work(record)? } else { record.handoff().request().base.clone() };
    let attempt =
        relaunch(record, connection, &DispatchSpec { ship, checkout, start, message: None, attempts }).await?;
    Ok(LoopAction::Attempt(attempt))
}

/// Seconds until the attempt after this one is due.
fn due_in(handoff: &Handoff, before: AttemptNo) -> u64 {
    let due = handoff.attempt(before).and_then(Attempt::next_due).unwrap_or(0);
    u64::try_from(due - jiff::Timestamp::now().as_second()).unwrap_or(0)
}
