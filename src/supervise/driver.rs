//! The process that drives a handoff: the one that holds its lock.

use std::sync::Arc;
use std::time::Duration;

use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::state::journal::Journal;
use crate::state::lock::DriverLock;
use crate::supervise::checkout::{is_unfinished, recover};
use crate::supervise::connection::HostConnection;
use crate::supervise::custody::fencing::settle;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::Services;

/// Handoffs of which a process left a change of the user's checkout half done. Opening their driver finishes it, unless
/// another process has it.
pub fn with_unfinished_checkout(services: &Services) -> Vec<HandoffId> {
    let mut ids = services.store.ids().unwrap_or_default();
    ids.retain(|id| is_unfinished(&services.store, id));
    ids
}

/// Holds the driver's lock, the record and the connection of one handoff.
pub struct Driver {
    pub record: Record,
    /// The connection to the host that has the handoff, or gets it.
    pub connection: HostConnection,
    _lock: DriverLock,
}

impl Driver {
    /// Takes the driver's lock of an existing handoff. Fails if another process has it.
    pub fn open(services: &Arc<Services>, id: &HandoffId) -> Result<Driver, Error> {
        let lock = DriverLock::try_take(&services.store.directory(id))?;
        let Some(lock) = lock else {
            let holder = DriverLock::holder(&services.store.directory(id));
            let holder = holder.map_or("another process".to_owned(), |pid| format!("process {pid}"));
            return Err(Error::Driven { id: id.clone(), holder });
        };
        let journal = services.store.open(id)?;
        // The repository may have been moved. The index only serves `list --all`.
        if let Err(error) = crate::state::index::remember(&services.state_dir, services.repository.common_dir()) {
            services.tell(&Progress::Note { text: error.to_string() });
        }
        let mut driver = Driver::new(services, journal, lock)?;
        // The checkout of the user's has nothing to do with most commands, so they are not stopped by it.
        if let Err(error) = recover(&mut driver.record) {
            driver.tell(&Progress::Note { text: format!("a takeover into a checkout was interrupted: {error}") });
        }
        Ok(driver)
    }

    pub(super) fn new(services: &Arc<Services>, journal: Journal, lock: DriverLock) -> Result<Driver, Error> {
        let record = Record::new(services, journal)?;
        let connection = record.connection_to(record.handoff().host())?;
        Ok(Driver { record, connection, _lock: lock })
    }

    /// The state, as of the last read of the journal.
    pub fn handoff(&self) -> &Handoff {
        self.record.handoff()
    }

    /// The id of the handoff.
    pub fn id(&self) -> &HandoffId {
        self.record.id()
    }

    /// Reports progress, unless it may contain a secret that cannot be masked.
    pub fn tell(&self, progress: &Progress) {
        self.record.tell(progress);
    }

    /// Fences every host that has not confirmed the present epoch, waiting up to `patience` for each. A host that is
    /// out of reach is left as it is; the next command asks again.
    pub async fn settle(&mut self, patience: Duration) -> Result<(), Error> {
        settle(&mut self.record, &mut self.connection, patience).await
    }

    /// Points the connection at another host.
    pub fn move_to(&mut self, host: &str) -> Result<(), Error> {
        if self.connection.host.name != host {
            self.connection = self.record.connection_to(host)?;
        }
        Ok(())
    }
}
