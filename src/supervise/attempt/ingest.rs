//! Processes what a poll reports: state goes to the journal, bytes to the mirrors, an end becomes a verdict.

use bytes::Bytes;

use crate::model::attempt::{AttemptNo, Outcome, Reason, log_name};
use crate::model::event::Kind;
use crate::remote::poll::{StateLine, Stream};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::logs::Events;
use crate::supervise::progress::Progress;

/// What came of the bytes of a poll.
pub(in crate::supervise) struct Received {
    /// The last events of the part before, if these bytes began a new part.
    last_events: Option<Events>,
    /// The bytes that were not mirrored before.
    pub bytes: Bytes,
    events: Events,
}

impl Driver {
    pub(in crate::supervise) fn on_state(&mut self, line: &StateLine) -> Result<(), Error> {
        let n = line.attempt;
        self.logs.analyse(n)?;
        if line.log == Some(0) && self.logs.is_begun(n)? {
            let events = self.begin_part(n)?;
            self.tell_replaced(n, events)?;
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

    /// Mirrors and reports bytes of a poll.
    pub(in crate::supervise) fn on_bytes(
        &mut self,
        n: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        self.logs.analyse(n)?;
        let Received { last_events, bytes, events } = self.mirror(n, stream, inode, offset, bytes)?;
        if let Some(last_events) = last_events {
            self.tell_replaced(n, last_events)?;
        }
        if stream == Stream::Log && !bytes.is_empty() {
            self.tell(&Progress::Log { attempt: n, bytes });
            self.tell_events(n, events);
        }
        Ok(())
    }

    /// Mirrors bytes of a poll without a report. What was mirrored of a log stays if the host's file is another one: the
    /// bytes then go to a part of their own, which is journaled first.
    pub(in crate::supervise) fn mirror(
        &mut self,
        n: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<Received, Error> {
        let is_other = stream == Stream::Log && self.logs.starts_again(n, inode, offset)?;
        let last_events = if is_other { Some(self.begin_part(n)?) } else { None };
        let (bytes, events) = self.logs.append(n, stream, inode, offset, bytes)?;
        Ok(Received { last_events, bytes, events })
    }

    fn begin_part(&mut self, n: AttemptNo) -> Result<Events, Error> {
        let part = self.logs.part(n)? + 1;
        self.append(Kind::LogReplaced { attempt: n, part })?;
        self.logs.begin_part(n)
    }

    /// Reports that the host's log was replaced; `events` are the last ones of the part before.
    fn tell_replaced(&mut self, n: AttemptNo, events: Events) -> Result<(), Error> {
        let text = format!(
            "the log of attempt {n} was truncated, replaced or deleted on {}; what was read is kept, and new output goes to {}",
            self.connection.host.name,
            log_name(n, self.logs.part(n)?)
        );
        self.tell(&Progress::Note { text });
        self.tell_events(n, events);
        Ok(())
    }

    fn tell_events(&self, n: AttemptNo, events: Events) {
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
    }

    /// The log is complete: judges the attempt and journals its end.
    pub(in crate::supervise) fn on_result(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
        let (events, verdict) = self.logs.finish(n, outcome)?;
        self.tell_events(n, events);
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
