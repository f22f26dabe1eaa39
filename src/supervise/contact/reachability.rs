//! Journals and reports that a host is out of reach.

use std::time::Duration;

use crate::model::event::Kind;
use crate::remote::error::RemoteError;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

impl Driver {
    pub(in crate::supervise) fn unreachable(&mut self, error: &Error, retry: Duration) -> Result<(), Error> {
        // A retry without a delay is not reported.
        if retry.is_zero() {
            return Ok(());
        }
        if error.is_busy() {
            self.tell(&Progress::Note { text: error.to_string() });
            return Ok(());
        }
        let news = self.out_of_reach(error)?;
        // Another process may have journaled it. Each process reports it once.
        if !news && self.said_out_of_reach {
            return Ok(());
        }
        self.said_out_of_reach = true;
        let (host, reason) = (self.connection.host.name.clone(), error.reason());
        if error.is_rootless() {
            let id = self.id();
            let text = format!(
                "{error}. The attempt waits for it; nothing is created there. If it was deleted, `handoff resume {id} \
                 --host {host}` starts the next attempt there, and `handoff takeover {id}` continues with the work that is here"
            );
            self.tell(&Progress::Note { text });
            return Ok(());
        }
        let begun = self.handoff().attempts().values().last().is_some_and(|attempt| attempt.started.is_some());
        self.tell(&Progress::Unreachable { host, reason, retry, begun });
        Ok(())
    }

    /// Journals it once, until the host is back.
    fn out_of_reach(&mut self, error: &Error) -> Result<bool, Error> {
        let (host, reason) = (self.connection.host.name.clone(), error.reason());
        let news = self.append(Kind::Unreachable { host, reason })?;
        if news {
            self.update_record()?;
        }
        Ok(news)
    }

    pub(in crate::supervise) fn reachable(&mut self) -> Result<(), Error> {
        let host = self.connection.host.name.clone();
        self.said_out_of_reach = false;
        if self.handoff().unreachable().is_some() && self.append(Kind::Reachable { host: host.clone() })? {
            self.tell(&Progress::Reachable { host });
        }
        Ok(())
    }

    /// The error for a host that no longer lets us in while one of our attempts may be running there.
    pub(in crate::supervise) fn left_alone(&mut self, error: Error) -> Error {
        let way = matches!(error, Error::Transport(_) | Error::Remote(RemoteError::Transport(_)));
        if !way || !self.handoff().status().is_active() {
            return error;
        }
        // A failure to write the record is reported when the record is next written.
        let _ = self.out_of_reach(&error);
        Error::Unattended { id: self.id().clone(), source: Box::new(error) }
    }
}
