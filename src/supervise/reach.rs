//! What is journaled and told of a host that is out of reach, and the wait for it.

use std::time::Duration;

use super::driver::Driver;
use super::error::Error;
use super::progress::Progress;
use super::wake::Wake;
use crate::model::event::Kind;

/// How often the clocks are compared.
const TICK: Duration = Duration::from_millis(500);

impl Driver {
    pub(super) fn unreachable(&mut self, error: &Error, retry: Duration) -> Result<(), Error> {
        let (host, reason) = (self.link.host.name.clone(), error.to_string());
        if error.is_busy() {
            self.tell(&Progress::Note { text: reason });
            return Ok(());
        }
        // The first retry comes at once and is nobody's business.
        if retry > Duration::ZERO && self.append(Kind::Unreachable { host: host.clone(), reason: reason.clone() })? {
            self.tell(&Progress::Unreachable { host, reason, retry });
            self.update_record()?;
        }
        Ok(())
    }

    pub(super) fn reachable(&mut self) -> Result<(), Error> {
        let host = self.link.host.name.clone();
        if self.handoff().unreachable.is_some() && self.append(Kind::Reachable { host: host.clone() })? {
            self.tell(&Progress::Reachable { host });
        }
        Ok(())
    }

    /// Sleeps, but not past a wake-up of the machine.
    pub(super) async fn sleep_unless_woken(&self, delay: Duration) {
        let mut wake = Wake::new();
        let until = tokio::time::Instant::now() + delay;
        while tokio::time::Instant::now() < until && !wake.slept() {
            tokio::time::sleep(TICK.min(until - tokio::time::Instant::now())).await;
        }
    }
}
