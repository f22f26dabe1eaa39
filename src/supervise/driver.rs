//! The process that drives a handoff, and what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::log_analysis::LogAnalysis;
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::host::Host;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::profile::Profile;
use crate::remote::poll::{LONGEST_WAIT, Stream};
use crate::state::journal::Journal;
use crate::state::lock::DriverLock;
use crate::state::log_mirror::{self, LogMirror};
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::services::Services;

/// Holds the driver's lock, the journal, the connection and the log mirrors of one handoff.
pub struct Driver {
    pub services: Arc<Services>,
    pub journal: Journal,
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
    /// Whether the secrets of the handoff's hosts were read, or the reason was reported why not.
    pub(super) asked_for_secrets: bool,
    pub(super) logs: BTreeMap<AttemptNo, Log>,
    /// Mirrors of what setup and check print.
    pub(super) outputs: BTreeMap<(AttemptNo, Stream), LogMirror>,
    _lock: DriverLock,
}

/// The log of an attempt: its mirror and the analysis so far.
pub(super) struct Log {
    pub mirror: LogMirror,
    pub analysis: LogAnalysis,
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
        let services = services.clone();
        let (logs, outputs) = (BTreeMap::new(), BTreeMap::new());
        Ok(Driver {
            services,
            journal,
            connection,
            profile,
            name,
            sent: None,
            elsewhere: None,
            said_out_of_reach: false,
            asked_for_secrets: false,
            longest_wait: LONGEST_WAIT,
            logs,
            outputs,
            _lock: lock,
        })
    }

    pub fn handoff(&self) -> &Handoff {
        self.journal.handoff()
    }

    pub fn id(&self) -> &HandoffId {
        &self.journal.handoff().request().id
    }

    pub fn tell(&self, progress: &Progress) {
        // Without a secret's value it is unknown which of the agent's words contain it.
        let of_agent = matches!(progress, Progress::Agent { .. } | Progress::Ended { .. } | Progress::Output { .. });
        if of_agent && !self.services.unread_secrets(self.handoff()).is_empty() {
            return;
        }
        self.services.tell(progress);
    }

    /// Appends an event. An event that no longer applies was overtaken by another process and is no error.
    pub fn append(&mut self, kind: Kind) -> Result<bool, Error> {
        match self.journal.append(self.covered(kind)) {
            Ok(_) => Ok(true),
            Err(error) if error.is_stale() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Points the connection at another host.
    pub fn move_to(&mut self, host: &str) -> Result<(), Error> {
        if self.connection.host.name != host {
            self.connection = new_connection(&self.services, self.handoff(), self.services.host(host)?);
        }
        Ok(())
    }

    /// The mirror of attempt `n`'s log, with the mirrored part already analysed.
    pub(super) fn log(&mut self, n: AttemptNo) -> Result<&mut Log, Error> {
        if !self.logs.contains_key(&n) {
            let path = self.services.store.log(self.id(), n);
            let mirror = LogMirror::open(&path)?;
            let mut analysis = LogAnalysis::new(&self.profile);
            for (index, part) in log_mirror::parts(&path).iter().enumerate() {
                if index > 0 {
                    analysis.begin_part();
                }
                replay(part, &mut analysis)?;
            }
            self.logs.insert(n, Log { mirror, analysis });
        }
        self.logs.get_mut(&n).ok_or_else(|| Error::Inner("the log's mirror is gone".into()))
    }

    /// The mirror of what another step of an attempt printed, created if it is missing.
    pub(super) fn output(&mut self, n: AttemptNo, stream: Stream) -> Result<&mut LogMirror, Error> {
        let key = (n, stream);
        if !self.outputs.contains_key(&key) {
            let path = self.services.store.output(self.id(), n, stream.word());
            self.outputs.insert(key, LogMirror::open(&path)?);
        }
        self.outputs.get_mut(&key).ok_or_else(|| Error::Inner("the mirror of an output is gone".into()))
    }

    /// Whether some of that output is here.
    pub(super) fn has_output(&self, n: AttemptNo, stream: Stream) -> bool {
        self.services.store.output(self.id(), n, stream.word()).exists()
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

/// Analyses what is already mirrored, without reporting it.
fn replay(path: &std::path::Path, analysis: &mut LogAnalysis) -> Result<(), Error> {
    use std::io::Read;
    let fail = |source| Error::Read { path: path.display().to_string(), source };
    let mut file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(fail)?,
    };
    let mut buffer = vec![0u8; 256 << 10];
    loop {
        match file.read(&mut buffer).map_err(fail)? {
            0 => return Ok(()),
            length => drop(analysis.push(&buffer[..length])),
        }
    }
}
