//! The root directory of a host: what the journal knows of it, and what happens when the host no longer has an attempt.
//!
//! An attempt that may have started is never sent again. While its root is missing, the laptop waits. If its host
//! answers from a root without the attempt, the attempt ends as lost, and only a new number may start.

use crate::model::attempt::{AttemptNo, CancelReason, Outcome, Reason};
use crate::model::event::Kind;
use crate::model::root::{Instance, Known};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::supervise::connection::HostConnection;
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// Journals which root the connection's host showed. `None`: the user gave the old root up.
pub(in crate::supervise) fn learn_root(
    record: &mut Record,
    connection: &mut HostConnection,
    instance: Option<Instance>,
) -> Result<(), Error> {
    let host = connection.host.name.clone();
    record.append(Kind::Root { host: host.clone(), instance })?;
    connection.know(record.handoff().root_of(&host));
    Ok(())
}

/// The host shows another root than the journal knows. Open attempts that are missing there end as lost. All of them
/// are journaled before the new root, so that no later request sends one of them to it.
pub(in crate::supervise) async fn accept_root(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<(), Error> {
    let remote = connection.once().await?;
    let seen = remote.instance().await?;
    let host = connection.host.name.clone();
    let why = match record.handoff().root_of(&host) {
        Known::Instance(known) if known.id == seen.id => "was restored from an older snapshot",
        _ => "was reinstalled, or another machine answers under its name",
    };
    let before = record.handoff().root_of(&host);
    connection.know(Known::Instance(seen.clone()));
    let lost = find_lost(record, &remote).await;
    if lost.is_err() {
        connection.know(before);
    }
    for n in lost? {
        end_as_lost(record, n, format!("{host} {why}; it has nothing of attempt {n}"))?;
    }
    record.tell(&Progress::Note { text: format!("{host} {why}") });
    learn_root(record, connection, Some(seen))?;
    record.update()
}

/// The attempts of a host without a recorded end that are not there as they must be.
async fn find_lost(record: &Record, remote: &Remote) -> Result<Vec<AttemptNo>, Error> {
    let mut lost = Vec::new();
    let open = record
        .handoff()
        .attempts()
        .iter()
        .filter(|(_, attempt)| attempt.host == remote.host() && attempt.ended.is_none());
    for (n, attempt) in open {
        let state = remote.state(&record.name, *n).await?;
        if state.is_none_or(|line| attempt.started.is_some() && !line.intent) {
            lost.push(*n);
        }
    }
    Ok(lost)
}

/// Ends an attempt that its host no longer has. The host is first asked to stop what may still run of it.
pub(in crate::supervise) async fn lose(
    record: &mut Record,
    remote: &Remote,
    n: AttemptNo,
    why: &str,
) -> Result<(), Error> {
    match remote.cancel(&record.name, n, &CancelReason::Lost, KILL_GRACE).await {
        Ok(_) | Err(RemoteError::Refused { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    end_as_lost(record, n, format!("{}: {why}", remote.host()))?;
    record.update()
}

/// The host refused to start an attempt that was started before.
pub(in crate::supervise) async fn was_begun(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
    refusal: &Error,
) -> Result<(), Error> {
    let remote = connection.once().await?;
    // The newest attempt was sent, which may belong to a new grant.
    let n = record.handoff().last_attempt().map_or(n, |(last, _)| last);
    let why = match refusal {
        Error::Remote(RemoteError::Refused { text, .. }) => text.clone(),
        other => other.to_string(),
    };
    lose(record, &remote, n, &why).await
}

fn end_as_lost(record: &mut Record, n: AttemptNo, evidence: String) -> Result<(), Error> {
    let verdict = Verdict::new(Class::Lost, evidence.clone());
    let class = Class::Lost.into();
    let outcome = Outcome { class, reason: Reason::Gone, detail: Some(evidence), ..Outcome::default() };
    if record.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict: verdict.clone() })? {
        record.tell(&Progress::Ended { attempt: n, verdict, active: 0 });
    }
    Ok(())
}

/// The user says that the root of the connection's host will not come back: open attempts there end as lost.
pub(in crate::supervise) fn give_up_root(record: &mut Record, connection: &mut HostConnection) -> Result<(), Error> {
    let host = connection.host.name.clone();
    let open =
        record.handoff().attempts().iter().filter(|(_, attempt)| attempt.host == host && attempt.ended.is_none());
    for n in open.map(|(n, _)| *n).collect::<Vec<_>>() {
        end_as_lost(record, n, format!("{host} has lost its directory"))?;
    }
    learn_root(record, connection, None)
}

/// Whether the connection's host answers and has no root directory.
pub(in crate::supervise) async fn is_rootless(record: &Record, connection: &mut HostConnection) -> Result<bool, Error> {
    let n = record.handoff().last_on(&connection.host.name).unwrap_or(1);
    let remote = connection.once().await?;
    match remote.state(&record.name, n).await {
        Err(RemoteError::Rootless { .. }) => Ok(true),
        _ => Ok(false),
    }
}
