//! Recovery of a dispatch that another process began and did not finish, after Ctrl-C, a crash or a power loss.

use crate::model::attempt::AttemptNo;
use crate::supervise::attempt::relaunch::{dispatch_spec_of, relaunch};
use crate::supervise::attempt::watcher::ensure_again;
use crate::supervise::connection::HostConnection;
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::grant::record_dispatch;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::record::Record;

/// The newest attempt. One is made if the process that recorded the handoff ended before it could.
pub(in crate::supervise) async fn first_attempt(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<Option<AttemptNo>, Error> {
    let handoff = record.handoff();
    if let Some((n, _)) = handoff.last_attempt() {
        return Ok(Some(n));
    }
    if !handoff.status().is_active() || handoff.is_taken_over() || handoff.is_stop_requested() {
        return Ok(None);
    }
    // A grant was journaled and not used. The host never heard of it, so it is used now.
    if let Some(grant) = handoff.grants().last().filter(|grant| grant.epoch == handoff.epoch()).cloned() {
        let launch = dispatch_spec_of(record, &grant)?;
        record_dispatch(record, &grant, launch.start)?;
        ensure_again(record, connection, grant.first).await?;
        return Ok(Some(grant.first));
    }
    let (ship, attempts) = (handoff.request().base.clone(), handoff.request().limits.attempts);
    let launch = DispatchSpec { ship, checkout: true, start: Start::Fresh, message: None, attempts };
    relaunch(record, connection, &launch).await.map(Some)
}
