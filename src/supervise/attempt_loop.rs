//! The loop that follows an attempt to its end, whoever started it: poll, mirror, judge, decide, repeat.

#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::remote::refusal::RefusalClass;
use crate::supervise::attempt::step::{LoopAction, Until};
use crate::supervise::connection::pause;
use crate::supervise::connection::retry::{Retries, Stage};
use crate::supervise::connection::sleep_detector::woken;
use crate::supervise::custody::fencing::SHORT;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;

/// How often a host that did not confirm an epoch is asked again while another host is followed.
const ASK_AGAIN: Duration = Duration::from_secs(60);

impl Driver {
    /// Follows until `until`. Returns at once if the handoff is at rest.
    pub async fn follow(&mut self, until: Until) -> Result<(), Error> {
        self.settle(SHORT).await?;
        let Some(mut n) = self.first_attempt().await? else { return Ok(()) };
        let mut retries = Retries::new(Stage::Recorded);
        let mut asked = tokio::time::Instant::now();
        loop {
            self.ledger.refresh()?;
            if self.arrived(n, until) {
                break;
            }
            if asked.elapsed() > ASK_AGAIN {
                self.settle(SHORT).await?;
                asked = tokio::time::Instant::now();
            }
            let turn = tokio::select! {
                biased;
                turn = self.step(n, until) => turn,
                // The connection may be dead. Everything that was sent over it can be sent again.
                () = woken() => {
                    self.connection.drop_connection();
                    Ok(LoopAction::Again)
                }
            };
            let turn = match turn {
                Ok(LoopAction::NewSession { delay }) => self.new_session(n, delay).await,
                Ok(LoopAction::Overrule { delay }) => self.begin_grant(n, delay, Start::Resume).await,
                Ok(LoopAction::NewGrant(n)) => self.new_grant(n).await,
                turn => turn,
            };
            let turn = match turn {
                Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
                    self.accept_root().await.map(|()| LoopAction::Again)
                }
                Err(error) if error.is_refused(&RefusalClass::Begun) => {
                    self.was_begun(n, &error).await.map(|()| LoopAction::Again)
                }
                turn => turn,
            };
            match turn {
                Ok(LoopAction::Again) => retries.reset(),
                Ok(LoopAction::Attempt(next)) => n = next,
                Ok(LoopAction::Left) => break,
                Ok(LoopAction::NewSession { .. } | LoopAction::Overrule { .. } | LoopAction::NewGrant(_)) => {}
                Err(error) => match self.connection.failed(&error, &mut retries) {
                    None => return Err(self.left_alone(error)),
                    Some(delay) => {
                        self.unreachable(&error, delay)?;
                        if pause(delay).await {
                            retries.reset();
                        }
                    }
                },
            }
        }
        self.settle(SHORT).await?;
        self.update_record()?;
        Ok(())
    }
}
