//! Looks at a host without changing anything: what `show` adds to the record.

use std::time::Duration;

use super::engine::Engine;
use super::error::Error;
use super::link::Link;
use crate::model::handoff::Handoff;
use crate::model::id::HostName;
use crate::remote::poll::StateLine;
use crate::transport::NonInteractive;

/// Longest a look may take.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the host shows now, or why it could not be asked in time.
pub async fn look(engine: &Engine, handoff: &Handoff) -> Result<StateLine, String> {
    match tokio::time::timeout(PATIENCE, ask(engine, handoff)).await {
        Ok(Ok(Some(line))) => Ok(line),
        Ok(Ok(None)) => Err("the host knows nothing of it".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask(engine: &Engine, handoff: &Handoff) -> Result<Option<StateLine>, Error> {
    let Some((attempt, _)) = handoff.last_attempt() else { return Ok(None) };
    let host = engine.host(handoff.host())?;
    // A look asks nobody for a passphrase: it has two seconds.
    let mut link =
        Link::new(host, engine.connect.clone(), std::sync::Arc::new(NonInteractive), engine.reporter.clone());
    let remote = link.once().await?;
    let name = HostName::new(&handoff.made.id, &handoff.made.uid);
    let state = remote.state(&name, attempt).await?;
    // An attempt that waits for its time is known by the one before it.
    match (state, attempt.checked_sub(1).filter(|before| handoff.attempts.contains_key(before))) {
        (None, Some(before)) => Ok(remote.state(&name, before).await?),
        (state, _) => Ok(state),
    }
}
