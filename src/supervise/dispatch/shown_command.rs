//! The command of an attempt as a person would type it.

use crate::agent::command;
use crate::model::attempt::AttemptNo;
use crate::model::profile::SessionMode;
use crate::remote::poll::Launched;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::record::Record;

/// The command of an attempt as a person would type it.
pub(in crate::supervise) fn shown_command(record: &Record, start: Start, n: AttemptNo) -> Result<String, Error> {
    // A fresh start gets a session of its own. The known session belongs to an earlier attempt unless it was
    // created for this one.
    let is_its_own = start == Start::Resume || record.profile.session == SessionMode::Preset;
    command_line(record, start, record.handoff().session().filter(|_| is_its_own), n)
}

/// The command that a host reports that it ran.
pub(in crate::supervise) fn reported_command(
    record: &Record,
    launch: &Launched,
    n: AttemptNo,
) -> Result<String, Error> {
    let start = if launch.resumed { Start::Resume } else { Start::Fresh };
    command_line(record, start, launch.session.as_deref(), n)
}

fn command_line(record: &Record, start: Start, session: Option<&str>, n: AttemptNo) -> Result<String, Error> {
    let handoff = record.handoff();
    let launch = match start {
        Start::Fresh => command::Launch::Fresh,
        Start::Resume => command::Launch::Resume,
    };
    let binary = record.profile.binary.last().map_or("agent", String::as_str);
    let place = command::Place { binary, session, workspace: ".", attempt: n };
    let line = command::display(&record.profile, launch, handoff.model_of(n), place);
    line.map_err(|source| Error::Profile { agent: handoff.agent_of(n).to_owned(), source })
}
