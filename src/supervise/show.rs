//! `show`: reads the state of a host without changing anything.

use std::time::Duration;

use crate::model::handoff::Handoff;
use crate::model::id::RemoteName;
use crate::remote::poll::StateLine;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::services::Services;
use crate::transport::NonInteractive;

/// Longest time for a look at a host.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// What the host reports now, or why it could not be asked in time.
pub async fn host_state(services: &Services, handoff: &Handoff) -> Result<StateLine, String> {
    match tokio::time::timeout(PATIENCE, ask(services, handoff)).await {
        Ok(Ok(Some(line))) => Ok(line),
        Ok(Ok(None)) => Err("the host does not know this handoff".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask(services: &Services, handoff: &Handoff) -> Result<Option<StateLine>, Error> {
    let Some((attempt, _)) = handoff.last_attempt() else { return Ok(None) };
    let host = services.host(handoff.host())?;
    // No passphrase is asked for, because a look has only two seconds.
    let mut connection = HostConnection::new(
        host,
        services.connect.clone(),
        std::sync::Arc::new(NonInteractive),
        services.reporter.clone(),
    );
    let remote = connection.once().await?;
    let name = RemoteName::new(&handoff.request().id, &handoff.request().uid);
    let state = remote.state(&name, attempt).await?;
    // An attempt that is not due yet is known by the attempt before it.
    match (state, attempt.checked_sub(1).filter(|before| handoff.attempts().contains_key(before))) {
        (None, Some(before)) => Ok(remote.state(&name, before).await?),
        (state, _) => Ok(state),
    }
}
