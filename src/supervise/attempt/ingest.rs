//! Processes what a poll reports: state goes to the journal, and an end becomes a verdict.

use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::event::Kind;
use crate::remote::poll::StateLine;
use crate::supervise::dispatch::shown_command::reported_command;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::{Record, failed_output};

/// Journals and reports what a host shows of an attempt.
pub(in crate::supervise) fn on_state(record: &mut Record, host: &str, line: &StateLine) -> Result<(), Error> {
    let n = line.attempt;
    if line.log == Some(0) {
        record.logs.missing(&mut record.ledger, host, n)?;
    }
    if line.intent {
        let host = host.to_owned();
        let commit = record.handoff().request().base.commit.clone();
        if record.append(Kind::Shipped { host: host.clone(), commit })? {
            record.tell(&Progress::Shipped { host: host.clone() });
        }
        let (command, session) = match &line.launch {
            Some(launch) => (Some(reported_command(record, launch, n)?), launch.session.clone()),
            None => (None, None),
        };
        if record.append(Kind::Started { attempt: n, command, session })? {
            record.tell(&Progress::Started { attempt: n, host });
            record.update()?;
        }
        // Before the start, or after a later attempt exists, the host's session may belong to another attempt.
        if line.last == n {
            learn_session(record, n, line.session.as_ref())?;
        }
    }
    Ok(())
}

fn learn_session(record: &mut Record, n: AttemptNo, session: Option<&String>) -> Result<(), Error> {
    if let Some(session) = session {
        record.append(Kind::Session { session: session.clone(), attempt: Some(n) })?;
    }
    Ok(())
}

/// The log is complete: judges the attempt and journals its end.
pub(in crate::supervise) fn on_result(record: &mut Record, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
    let (events, verdict) = record.logs.finish(n, outcome)?;
    events.tell(&record.ledger, n);
    if record.handoff().has_started(n) {
        learn_session(record, n, outcome.session.as_ref())?;
    }
    let active = outcome.active;
    let ended = Kind::Ended { attempt: n, outcome: Box::new(outcome.clone()), verdict: verdict.clone() };
    if record.append(ended)? {
        record.tell(&Progress::Ended { attempt: n, verdict, active });
        if let Some(output) = failed_output(&record.services, record.handoff(), n)? {
            record.tell(&Progress::Output { attempt: n, output });
        }
        if let Some(uncaptured) = outcome.uncaptured.clone() {
            let host = record.handoff().attempt(n).map_or(String::new(), |attempt| attempt.host.clone());
            record.tell(&Progress::Uncaptured { attempt: n, host, uncaptured });
        }
    }
    record.update()
}
