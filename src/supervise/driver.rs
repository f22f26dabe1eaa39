//! The process that drives a handoff, and what it holds.

use std::sync::Arc;

use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::host::Host;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::profile::Profile;
use crate::remote::poll::LONGEST_WAIT;
use crate::state::journal::Journal;
use crate::state::lock::DriverLock;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::ledger::Ledger;
use crate::supervise::logs::AttemptLogs;
use crate::supervise::progress::Progress;
use crate::supervise::services::Services;

/// Holds the driver's lock, the journal, the connection and the log mirrors of one handoff.
pub struct Driver {
    pub services: Arc<Services>,
    pub(super) ledger: Ledger,
    pub connection: HostConnection,
    pub profile: Profile,
    pub name: RemoteName,
    /// The grant that this process has sent completely: objects and spec.
    pub(super) sent: Option<u32>,
    /// Milliseconds after which a poll ends by itself.
    pub(super) longest_wait: u64,
    /// The attempt for which it was already reported that another machine started it.
    pub(super) elsewhere: Option<AttemptNo>,
    /// Whether this process has reported that the host is out of reach.
    pub(super) said_out_of_reach: bool,
    pub(super) logs: AttemptLogs,
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
        Driver::new(services, journal, lock)
    }

    pub(super) fn new(services: &Arc<Services>, journal: Journal, lock: DriverLock) -> Result<Driver, Error> {
        let handoff = journal.handoff();
        let host = services.host(handoff.host())?;
        let profile = services.profile(&handoff.request().agent)?.clone();
        let name = RemoteName::new(&handoff.request().id, &handoff.request().uid);
        let connection = new_connection(services, handoff, host);
        let logs = AttemptLogs::new(&services.store, &handoff.request().id, &profile);
        let ledger = Ledger::new(services, journal);
        let services = services.clone();
        Ok(Driver {
            services,
            ledger,
            connection,
            profile,
            name,
            sent: None,
            elsewhere: None,
            said_out_of_reach: false,
            longest_wait: LONGEST_WAIT,
            logs,
            _lock: lock,
        })
    }

    pub fn handoff(&self) -> &Handoff {
        self.ledger.handoff()
    }

    pub fn id(&self) -> &HandoffId {
        self.ledger.id()
    }

    pub fn tell(&self, progress: &Progress) {
        self.ledger.tell(progress);
    }

    /// Appends an event. An event that no longer applies was overtaken by another process and is no error.
    pub fn append(&mut self, kind: Kind) -> Result<bool, Error> {
        self.ledger.append(kind)
    }

    /// Points the connection at another host.
    pub fn move_to(&mut self, host: &str) -> Result<(), Error> {
        if self.connection.host.name != host {
            self.connection = new_connection(&self.services, self.handoff(), self.services.host(host)?);
        }
        Ok(())
    }
}

/// A connection to a host of the handoff, with what is known of its root.
pub(super) fn new_connection(services: &Services, handoff: &Handoff, host: Host) -> HostConnection {
    let known = handoff.root_of(&host.name);
    let mut connection =
        HostConnection::new(host, services.connect.clone(), services.prompter.clone(), services.reporter.clone());
    connection.know(known);
    connection
}
