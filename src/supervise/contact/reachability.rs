//! Whether a host can be reached: before it gets work, and when contact is lost and made again.

use std::time::Duration;

use crate::model::event::Kind;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::supervise::connection::{HostConnection, PATIENCE};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::transport::{TransportError, UnreachableKind};

/// Connects to the host that is to get the work before anything is recorded, so that a mistyped name, a refused login
/// or a changed key changes nothing. Returns a new connection if `host` is not the host of `connection`.
pub(in crate::supervise) async fn reach(
    record: &Record,
    connection: &mut HostConnection,
    host: Option<&str>,
) -> Result<Option<Remote>, Error> {
    match host.filter(|host| *host != connection.host.name) {
        Some(host) => {
            let services = &record.services;
            let (connect, prompter) = (services.connect.clone(), services.prompter.clone());
            let mut connection =
                HostConnection::new(services.host(host)?, connect, prompter, services.reporter.clone());
            Ok(Some(connection.patiently().await?))
        }
        // The handoff's own host was reached before and is worth waiting for, unless its name no longer resolves.
        None => match tokio::time::timeout(PATIENCE, connection.once()).await {
            Ok(Err(error @ TransportError::Unreachable { kind: UnreachableKind::Nameless, .. })) => Err(error.into()),
            _ => Ok(None),
        },
    }
}

/// The connection's host could not be reached, and is tried again after `retry`.
pub(in crate::supervise) fn contact_lost(
    record: &mut Record,
    connection: &mut HostConnection,
    error: &Error,
    retry: Duration,
) -> Result<(), Error> {
    // A retry without a delay is not reported.
    if retry.is_zero() {
        return Ok(());
    }
    if error.is_busy() {
        record.tell(&Progress::Note { text: error.to_string() });
        return Ok(());
    }
    let (host, reason) = (connection.host.name.clone(), error.reason());
    // Another process may have journaled it. Each process reports it once.
    let news = out_of_reach(record, &host, error)?;
    if std::mem::replace(&mut connection.is_loss_reported, true) && !news {
        return Ok(());
    }
    if error.is_rootless() {
        let id = record.id();
        let text = format!(
            "{error}. The attempt waits for it; nothing is created there. If it was deleted, `handoff resume {id} \
             --host {host}` starts the next attempt there, and `handoff takeover {id}` continues with the work that is here"
        );
        record.tell(&Progress::Note { text });
        return Ok(());
    }
    let begun = record.handoff().attempts().values().last().is_some_and(|attempt| attempt.started.is_some());
    record.tell(&Progress::Unreachable { host, reason, retry, begun });
    Ok(())
}

/// Journals it once, until the host is back. Returns whether it is new.
fn out_of_reach(record: &mut Record, host: &str, error: &Error) -> Result<bool, Error> {
    let news = record.append(Kind::Unreachable { host: host.to_owned(), reason: error.reason() })?;
    if news {
        record.update()?;
    }
    Ok(news)
}

/// The connection's host has answered.
pub(in crate::supervise) fn contact_made(record: &mut Record, connection: &mut HostConnection) -> Result<(), Error> {
    let host = connection.host.name.clone();
    connection.is_loss_reported = false;
    if record.handoff().unreachable().is_some() && record.append(Kind::Reachable { host: host.clone() })? {
        record.tell(&Progress::Reachable { host });
    }
    Ok(())
}

/// The error for a host that no longer lets us in while one of our attempts may be running there.
pub(in crate::supervise) fn unattended(record: &mut Record, host: &str, error: Error) -> Error {
    let way = matches!(error, Error::Transport(_) | Error::Remote(RemoteError::Transport(_)));
    if !way || !record.handoff().status().is_active() {
        return error;
    }
    // A failure to write the record is reported when the record is next written.
    let _ = out_of_reach(record, host, &error);
    Error::Unattended { id: record.id().clone(), source: Box::new(error) }
}
