//! Whether a host still has the tree that a handoff worked in last.

use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::supervise::connection::{HostConnection, PATIENCE};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// Asks the connection's host whether the handoff still has its tree there, and journals it if another one took it. If
/// the host cannot answer now and the tree is gone, the host ends the next attempt before it starts.
pub(in crate::supervise) async fn find_tree(record: &mut Record, connection: &mut HostConnection) -> Result<(), Error> {
    let (handoff, host) = (record.handoff(), connection.host.name.clone());
    let Some(last) = handoff.last_on(&host).filter(|_| handoff.has_tree(&host, AttemptNo::MAX)) else {
        return Ok(());
    };
    let name = record.name.clone();
    let ask = async { Ok::<_, Error>(connection.once().await?.has_tree(&name).await?) };
    if let Ok(Ok(false)) = tokio::time::timeout(PATIENCE, ask).await
        && record.append(Kind::TreeTaken { host: host.clone(), last })?
    {
        let text = format!("the checkout on {host} is not this handoff's any more; the work is sent again");
        record.tell(&Progress::Note { text });
    }
    Ok(())
}
