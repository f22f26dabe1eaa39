//! Processes what a poll reports: state goes to the journal, bytes to the mirrors, an end becomes a verdict.

use crate::model::attempt::{AttemptNo, Outcome, Reason};
use crate::model::event::Kind;
use crate::remote::poll::StateLine;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::logs::Piece;
use crate::supervise::progress::Progress;

impl Driver {
    /// Mirrors and reports bytes of a poll.
    pub(in crate::supervise) fn on_bytes(&mut self, piece: &Piece) -> Result<(), Error> {
        self.logs.receive(&mut self.ledger, &self.connection.host.name, piece)
    }

    pub(in crate::supervise) fn on_state(&mut self, line: &StateLine) -> Result<(), Error> {
        let n = line.attempt;
        if line.log == Some(0) {
            self.logs.missing(&mut self.ledger, &self.connection.host.name, n)?;
        }
        if line.intent {
            let host = self.connection.host.name.clone();
            let commit = self.handoff().request().base.commit.clone();
            if self.append(Kind::Shipped { host: host.clone(), commit })? {
                self.tell(&Progress::Shipped { host: host.clone() });
            }
            let (command, session) = match &line.launch {
                Some(launch) => (Some(self.command_as(launch, n)?), launch.session.clone()),
                None => (None, None),
            };
            if self.append(Kind::Started { attempt: n, command, session })? {
                self.tell(&Progress::Started { attempt: n, host });
                self.update_record()?;
            }
            // Before the start, or after a later attempt exists, the host's session may belong to another attempt.
            if line.last == n {
                self.learn_session(n, line.session.as_ref())?;
            }
        }
        Ok(())
    }

    fn learn_session(&mut self, n: AttemptNo, session: Option<&String>) -> Result<(), Error> {
        if let Some(session) = session {
            self.append(Kind::Session { session: session.clone(), attempt: Some(n) })?;
        }
        Ok(())
    }

    /// The log is complete: judges the attempt and journals its end.
    pub(in crate::supervise) fn on_result(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
        let (events, verdict) = self.logs.finish(n, outcome)?;
        events.tell(&self.ledger, n);
        if outcome.reason == Reason::Ship {
            // The objects that were sent are missing on the host.
            self.sent = None;
        }
        if self.handoff().has_started(n) {
            self.learn_session(n, outcome.session.as_ref())?;
        }
        let active = outcome.active;
        let ended = Kind::Ended { attempt: n, outcome: Box::new(outcome.clone()), verdict: verdict.clone() };
        if self.append(ended)? {
            self.tell(&Progress::Ended { attempt: n, verdict, active });
            if let Some(output) = crate::supervise::record::failed_output(&self.services, self.handoff(), n)? {
                self.tell(&Progress::Output { attempt: n, output });
            }
            if let Some(uncaptured) = outcome.uncaptured.clone() {
                let host = self.handoff().attempt(n).map_or(String::new(), |attempt| attempt.host.clone());
                self.tell(&Progress::Uncaptured { attempt: n, host, uncaptured });
            }
        }
        self.update_record()
    }
}
