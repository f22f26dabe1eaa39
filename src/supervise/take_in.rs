//! What a poll tells of an attempt, taken in: state into the journal, bytes into the mirrors, an end into a verdict.

use super::driver::Driver;
use super::error::Error;
use super::progress::Progress;
use crate::model::attempt::{AttemptNo, Outcome, log_name};
use crate::model::event::Kind;
use crate::remote::poll::{StateLine, Stream, Want};
use crate::state::log_mirror::{Appended, LogMirror};

impl Driver {
    pub(super) fn wants(&mut self, n: AttemptNo) -> Result<Vec<Want>, Error> {
        let name = self.name.clone();
        let want = |stream, mirror: &LogMirror| -> Result<Want, Error> {
            let (inode, offset, end) = (mirror.inode(), mirror.len(), mirror.end_sum()?);
            Ok(Want { name: name.clone(), attempt: n, stream, inode, offset, end })
        };
        let mut wants = vec![want(Stream::Log, &self.log(n)?.mirror)?];
        if self.handoff().made.check.is_some() {
            wants.push(want(Stream::Check, self.check_log(n)?)?);
        }
        Ok(wants)
    }

    pub(super) fn on_state(&mut self, line: &StateLine) -> Result<(), Error> {
        let n = line.attempt;
        self.learn_session(n, line.session.as_ref())?;
        let log = self.log(n)?;
        if line.log == Some(0) && log.mirror.inode() != 0 {
            self.next_part(n)?;
        }
        if line.intent {
            let host = self.link.host.name.clone();
            let commit = self.handoff().made.base.commit.clone();
            if self.append(Kind::Shipped { host: host.clone(), commit })? {
                self.tell(&Progress::Shipped { host: host.clone() });
            }
            if self.append(Kind::Started { attempt: n })? {
                self.tell(&Progress::Started { attempt: n, host });
                self.update_record()?;
            }
        }
        Ok(())
    }

    /// The session of an attempt is the handoff's, unless the work goes on in another.
    fn learn_session(&mut self, n: AttemptNo, session: Option<&String>) -> Result<(), Error> {
        let superseded = self.handoff().attempts.get(&n).is_some_and(|attempt| attempt.superseded);
        if let (Some(session), false) = (session, superseded) {
            self.append(Kind::Session { session: session.clone() })?;
        }
        Ok(())
    }

    pub(super) fn on_bytes(
        &mut self,
        n: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: bytes::Bytes,
    ) -> Result<(), Error> {
        if stream == Stream::Check {
            let check = self.check_log(n)?;
            if check.starts_again(inode, offset) {
                check.begin_part()?;
            }
            check.append(inode, offset, &bytes)?;
            return Ok(());
        }
        if self.log(n)?.mirror.starts_again(inode, offset) {
            self.next_part(n)?;
        }
        let log = self.log(n)?;
        let Appended::New(length) = log.mirror.append(inode, offset, &bytes)? else { return Ok(()) };
        let bytes = bytes.slice(bytes.len() - length..);
        let events = log.study.push(&bytes);
        self.tell(&Progress::Log { attempt: n, bytes });
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        Ok(())
    }

    /// The host's log is not what it was: what was mirrored of it stays, and what comes goes into a part of its own.
    fn next_part(&mut self, n: AttemptNo) -> Result<(), Error> {
        let part = self.log(n)?.mirror.part() + 1;
        self.append(Kind::LogReplaced { attempt: n, part })?;
        let log = self.log(n)?;
        log.mirror.begin_part()?;
        let events = log.study.begin_part();
        let text = format!(
            "the log of attempt {n} was truncated, replaced or deleted on {}: what was read is kept, and what comes goes \
             into {}",
            self.link.host.name,
            log_name(n, part)
        );
        self.tell(&Progress::Note { text });
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        Ok(())
    }

    /// The log is whole: the attempt is judged and its end journaled.
    pub(super) fn on_result(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
        let log = self.log(n)?;
        log.mirror.sync()?;
        let events = log.study.finish();
        for (line, event) in events {
            self.tell(&Progress::Agent { attempt: n, line, event });
        }
        if outcome.reason == "ship" {
            // What was sent is not there.
            self.sent = None;
        }
        let profile = self.profile.clone();
        let verdict = self.log(n)?.study.judge(&profile, outcome);
        self.learn_session(n, outcome.session.as_ref())?;
        let active = outcome.active;
        let ended = Kind::Ended { attempt: n, outcome: Box::new(outcome.clone()), verdict: verdict.clone() };
        if self.append(ended)? {
            self.tell(&Progress::Ended { attempt: n, verdict, active });
            if let Some(uncaptured) = outcome.uncaptured.clone() {
                let host = self.handoff().attempts.get(&n).map_or(String::new(), |attempt| attempt.host.clone());
                self.tell(&Progress::Uncaptured { attempt: n, host, uncaptured });
            }
        }
        self.update_record()
    }
}
