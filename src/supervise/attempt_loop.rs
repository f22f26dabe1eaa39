//! The loop that follows an attempt to its end, whoever started it: poll, mirror, judge, decide, repeat.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::remote::refusal::RefusalClass;
use crate::supervise::artifacts::fetch_asked;
use crate::supervise::attempt::next_attempt::{begin_grant, new_grant, new_session};
use crate::supervise::attempt::recover::first_attempt;
use crate::supervise::attempt::step::{has_arrived, step};
use crate::supervise::attempt::{LoopAction, TICK, Until};
use crate::supervise::connection::pause;
use crate::supervise::connection::retry::{Retries, Stage};
use crate::supervise::connection::sleep_detector::woken;
use crate::supervise::contact::reachability::{contact_lost, unattended};
use crate::supervise::contact::root::{accept_root, was_begun};
use crate::supervise::custody::fencing::{SHORT, settle};
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::record::Record;

/// How often a host that did not confirm an epoch is asked again while another host is followed.
const ASK_AGAIN: Duration = Duration::from_secs(60);

impl Driver {
    /// Follows until `until`. Returns at once if the handoff is at rest.
    pub async fn follow(&mut self, until: Until) -> Result<(), Error> {
        let Driver { record, connection, .. } = self;
        settle(record, connection, SHORT).await?;
        let Some(mut n) = first_attempt(record, connection).await? else { return Ok(()) };
        let mut retries = Retries::new(Stage::Recorded);
        let mut asked = tokio::time::Instant::now();
        loop {
            record.ledger.refresh()?;
            if has_arrived(record.handoff(), n, until) {
                break;
            }
            if asked.elapsed() > ASK_AGAIN {
                settle(record, connection, SHORT).await?;
                asked = tokio::time::Instant::now();
            }
            let turn = tokio::select! {
                biased;
                turn = step(record, connection, n, until) => turn,
                // The connection may be dead. Everything that was sent over it can be sent again.
                () = woken() => {
                    connection.drop_connection();
                    Ok(LoopAction::Again)
                }
            };
            let turn = match turn {
                Ok(LoopAction::NewSession { delay }) => new_session(record, connection, n, delay).await,
                Ok(LoopAction::Overrule { delay }) => begin_grant(record, connection, n, delay, Start::Resume).await,
                Ok(LoopAction::NewGrant(n)) => new_grant(record, connection, n).await,
                turn => turn,
            };
            let turn = match turn {
                Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
                    accept_root(record, connection).await.map(|()| LoopAction::Again)
                }
                Err(error) if error.is_refused(&RefusalClass::Begun) => {
                    was_begun(record, connection, n, &error).await.map(|()| LoopAction::Again)
                }
                turn => turn,
            };
            match turn {
                Ok(LoopAction::Again) => retries.reset(),
                Ok(LoopAction::Attempt(next)) => n = next,
                Ok(LoopAction::Left) => break,
                Ok(LoopAction::NewSession { .. } | LoopAction::Overrule { .. } | LoopAction::NewGrant(_)) => {}
                Err(error) => match connection.failed(&error, &mut retries) {
                    None => return Err(unattended(record, &connection.host.name, error)),
                    Some(delay) => {
                        contact_lost(record, connection, &error, delay)?;
                        match wait_for_host(record, delay).await? {
                            Waited::Over => {}
                            Waited::Woken => retries.reset(),
                            Waited::TakenOver => break,
                        }
                    }
                },
            }
        }
        if until == Until::Rest {
            fetch_asked(record, connection).await?;
        }
        settle(record, connection, SHORT).await?;
        record.update()?;
        Ok(())
    }
}

/// How a wait for a host ended.
enum Waited {
    Over,
    Woken,
    /// Another process took the handoff over. It needs this driver's place, and does what is left to do.
    TakenOver,
}

/// Waits before the next try to reach the host.
async fn wait_for_host(record: &mut Record, delay: Duration) -> Result<Waited, Error> {
    let was_taken_over = record.handoff().is_taken_over();
    let until = tokio::time::Instant::now() + delay;
    loop {
        let left = until.saturating_duration_since(tokio::time::Instant::now());
        if left.is_zero() {
            return Ok(Waited::Over);
        }
        if pause(left.min(TICK)).await {
            return Ok(Waited::Woken);
        }
        record.ledger.refresh()?;
        if record.handoff().is_taken_over() && !was_taken_over {
            return Ok(Waited::TakenOver);
        }
    }
}
