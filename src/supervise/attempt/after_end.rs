//! After the end of an attempt: its capture is fetched, and what follows is decided and recorded.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, Next, Outcome, Writer};
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::phase::Phase;
use crate::model::policy::{Decision, decide};
use crate::model::profile::Profile;
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::supervise::attempt::LoopAction;
use crate::supervise::attempt::decide::{FollowUp, follow_up, in_words, overrules};
use crate::supervise::attempt::login::login_line_on;
use crate::supervise::capture::fetch_capture;
use crate::supervise::connection::HostConnection;
use crate::supervise::connection::backoff::attempt_delays;
use crate::supervise::dispatch::shown_command::shown_command;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// After an end: fetches the capture and decides what follows.
pub(in crate::supervise) async fn after_end(
    record: &mut Record,
    connection: &mut HostConnection,
    remote: &Remote,
    n: AttemptNo,
    outcome: Outcome,
) -> Result<LoopAction, Error> {
    fetch_capture(record, remote, n, &outcome).await?;
    record.update()?;
    let superseded = matches!(record.handoff().phase(n), Some(Phase::Superseded(_)));
    if record.handoff().is_taken_over() || superseded {
        return Ok(LoopAction::Left);
    }
    let attempt = record.handoff().attempt(n);
    let Some(verdict) = attempt.and_then(|a| a.verdict.clone()) else { return Ok(LoopAction::Again) };
    let next = match attempt.and_then(|a| a.next.clone()) {
        Some(next) => next,
        None if record.handoff().is_outdated(n) => end_outdated(record, n, &verdict)?,
        None => {
            let now = jiff::Timestamp::now().as_second();
            let mut profile = record.profile.clone();
            if verdict.class == Class::Auth {
                profile.login = login_line_on(record, &connection.host, remote).await;
            }
            match follow_up(record.handoff(), n, &verdict, &profile, delay_after(record.handoff(), n), now) {
                FollowUp::Next(next) => {
                    let stands = write_decision(record, remote, n, next.clone(), &profile).await?;
                    if overrules(&stands, &next) {
                        return Ok(LoopAction::Overrule { delay: wait_of(&next, now) });
                    }
                    stands
                }
                FollowUp::NewSession { delay } => return Ok(LoopAction::NewSession { delay }),
            }
        }
    };
    record.update()?;
    go_on(record, &connection.host.name, n, next)
}

/// Writes what follows to the host. The decision that the host then has counts.
pub(in crate::supervise) async fn write_decision(
    record: &mut Record,
    remote: &Remote,
    n: AttemptNo,
    next: Next,
    profile: &Profile,
) -> Result<Next, Error> {
    if record.handoff().is_gone(n) {
        record.append(Kind::Decided { attempt: n, next: next.clone(), by: Writer::Laptop })?;
        return Ok(next);
    }
    let link = remote.set_next(&record.name, n, &next).await?;
    let (by, stands) = Next::from_link(&link).unwrap_or((Writer::Laptop, next.clone()));
    // A process of ours that was killed before it recorded its decision may have made another one.
    let is_ours = by == Writer::Laptop && std::mem::discriminant(&stands) == std::mem::discriminant(&next);
    let stands = if is_ours { next } else { in_words(stands, next, record.handoff(), n, profile) };
    record.append(Kind::Decided { attempt: n, next: stands.clone(), by })?;
    Ok(stands)
}

/// Nothing follows an attempt whose grant is of an old epoch: a move was begun and not finished.
fn end_outdated(record: &mut Record, n: AttemptNo, verdict: &Verdict) -> Result<Next, Error> {
    let next = match decide(verdict.class, &[]) {
        Decision::End => Next::End,
        _ => Next::Park {
            why: format!(
                "the handoff was about to move to another host; `handoff resume {}` continues it",
                record.id()
            ),
        },
    };
    record.append(Kind::Decided { attempt: n, next: next.clone(), by: Writer::Laptop })?;
    Ok(next)
}

/// Reports what follows, and follows the next attempt if the host starts it.
fn go_on(record: &mut Record, host: &str, n: AttemptNo, next: Next) -> Result<LoopAction, Error> {
    let attempt = n + 1;
    match next {
        Next::End => return Ok(LoopAction::Left),
        Next::Park { why } => {
            record.tell(&Progress::Parked { attempt: n, why });
            return Ok(LoopAction::Left);
        }
        Next::Resume { delay } | Next::ResumeWithCheck { delay } => {
            record.tell(&Progress::BackingOff { attempt, delay: Duration::from_secs(delay) });
        }
        Next::WaitUntil { at } => record.tell(&Progress::WaitingUntil { attempt, at }),
    }
    if record.handoff().needs_grant(n) {
        return Ok(LoopAction::NewGrant(n));
    }
    take_up(record, host, attempt)?;
    Ok(LoopAction::Attempt(attempt))
}

/// The host continues by itself within its grant: follows its next attempt from now on.
fn take_up(record: &mut Record, host: &str, n: AttemptNo) -> Result<(), Error> {
    let Some(grant) = record.handoff().grant_of(n).map(|grant| grant.number) else { return Ok(()) };
    let (host, command) = (host.to_owned(), shown_command(record, Start::Resume, n)?);
    if record.append(Kind::TakenUp { attempt: n, grant, host: host.clone(), command: command.clone() })? {
        record.tell(&Progress::Dispatched { attempt: n, host, command });
    }
    Ok(())
}

/// Seconds to wait after attempt `n`, if it is tried again.
fn delay_after(handoff: &Handoff, n: AttemptNo) -> u64 {
    let first = Duration::from_secs(handoff.request().limits.backoff);
    let delays = attempt_delays(first, n as usize, u64::from(n));
    delays.last().copied().unwrap_or(first.as_secs())
}

/// Seconds until the next attempt is due.
fn wait_of(next: &Next, now: i64) -> u64 {
    match next {
        Next::Resume { delay } | Next::ResumeWithCheck { delay } => *delay,
        Next::WaitUntil { at } => u64::try_from(at - now).unwrap_or(0),
        Next::End | Next::Park { .. } => 0,
    }
}
