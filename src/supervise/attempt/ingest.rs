//! Processes what a poll reports: state goes to the journal, bytes to the mirrors, an end becomes a verdict.

use crate::model::attempt::{AttemptNo, Outcome, Reason, log_name};
use crate::model::event::Kind;
use crate::model::id::RemoteName;
use crate::remote::poll::{StateLine, Stream, Want};
use crate::state::log_mirror::{Appended, LogMirror};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

/// The request for a stream, given what is already mirrored.
pub(in crate::supervise) fn want(
    name: &RemoteName,
    attempt: AttemptNo,
    stream: Stream,
    mirror: Option<&LogMirror>,
) -> Result<Want, Error> {
    let (inode, offset, end) = match mirror {
        Some(mirror) => (mirror.inode(), mirror.len(), mirror.end_sum()?),
        None => (0, 0, None),
    };
    Ok(Want { name: name.clone(), attempt, stream, inode, offset, end })
}

impl Driver {
    pub(in crate::supervise) fn wants(&mut self, n: AttemptNo) -> Result<Vec<Want>, Error> {
        let name = self.name.clone();
        let mut wants = Vec::new();
        for stream in Stream::ALL {
            let mirror = match stream {
                Stream::Log => Some(&self.log(n)?.mirror),
                stream if self.has_output(n, stream) => Some(&*self.output(n, stream)?),
                _ => None,
            };
            wants.push(want(&name, n, stream, mirror)?);
        }
        Ok(wants)
    }

    pub(in crate::supervise) fn on_state(&mut self, line: &StateLine) -> Result<(), Error> {
        let n = line.attempt;
        let log = self.log(n)?;
        if line.log == Some(0) && log.mirror.inode() != 0 {
            self.next_part(n)?;
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

    pub(in crate::supervise) fn on_bytes(
        &mut self,
        n: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: bytes::Bytes,
    ) -> Result<(), Error> {
        if stream != Stream::Log {
            let output = self.output(n, stream)?;
            if output.starts_again(inode, offset) {
                output.begin_part()?;
            }
            output.append(inode, offset, &bytes)?;
            return Ok(());
        }
        if self.log(n)?.mirror.starts_again(inode, offset) {
            self.next_part(n)?;
        }
        let log = self.log(n)?;
        let Appended::New(length) = log.mirror.append(inode, offset, &bytes)? else { return Ok(()) };
        let bytes = bytes.slice(bytes.len() - length..);
        let events = log.analysis.push(&bytes);
        self.tell(&Progress::Log { attempt: n, bytes });
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        Ok(())
    }

    /// The host's log was replaced. What was mirrored stays, and new bytes go to a part of their own.
    fn next_part(&mut self, n: AttemptNo) -> Result<(), Error> {
        let part = self.log(n)?.mirror.part() + 1;
        self.append(Kind::LogReplaced { attempt: n, part })?;
        let log = self.log(n)?;
        log.mirror.begin_part()?;
        let events = log.analysis.begin_part();
        let text = format!(
            "the log of attempt {n} was truncated, replaced or deleted on {}; what was read is kept, and new output goes to {}",
            self.connection.host.name,
            log_name(n, part)
        );
        self.tell(&Progress::Note { text });
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        Ok(())
    }

    /// The log is complete: judges the attempt and journals its end.
    pub(in crate::supervise) fn on_result(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
        for ((_, _), output) in self.outputs.iter().filter(|((of, _), _)| *of == n) {
            output.sync()?;
        }
        let log = self.log(n)?;
        log.mirror.sync()?;
        let events = log.analysis.finish();
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        if outcome.reason == Reason::Ship {
            // The objects that were sent are missing on the host.
            self.sent = None;
        }
        let profile = self.profile.clone();
        let verdict = self.log(n)?.analysis.classify(&profile, outcome);
        if self.handoff().has_started(n) {
            self.learn_session(n, outcome.session.as_ref())?;
        }
        let active = outcome.active;
        let ended = Kind::Ended { attempt: n, outcome: Box::new(outcome.clone()), verdict: verdict.clone() };
        if self.append(ended)? {
            self.tell(&Progress::Ended { attempt: n, verdict, active });
            if let Some(output) =
                crate::supervise::record::record_files::failed_output(&self.services, self.handoff(), n)?
            {
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
