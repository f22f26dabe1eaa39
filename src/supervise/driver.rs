//! One process drives a handoff; this is what it holds while it does.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::engine::Engine;
use super::error::Error;
use super::link::Link;
use super::progress::Progress;
use crate::agent::study::Study;
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, HostName};
use crate::model::profile::Profile;
use crate::remote::poll::LONGEST_WAIT;
use crate::state::journal::Journal;
use crate::state::lock::DriverLock;
use crate::state::log_mirror::{self, LogMirror};

/// Holds the driver's lock, the journal, the connection and the mirrors of one handoff.
pub struct Driver {
    pub engine: Arc<Engine>,
    pub journal: Journal,
    pub link: Link,
    pub profile: Profile,
    pub name: HostName,
    /// The grant that this process has sent whole: objects and spec.
    pub(super) sent: Option<u32>,
    /// Milliseconds after which a poll ends by itself.
    pub(super) longest_wait: u64,
    /// The attempt of which it was told that another machine began it.
    pub(super) elsewhere: Option<AttemptNo>,
    pub(super) logs: BTreeMap<AttemptNo, Log>,
    pub(super) checks: BTreeMap<AttemptNo, LogMirror>,
    _lock: DriverLock,
}

/// The log of an attempt: its mirror, and what was read of it.
pub(super) struct Log {
    pub mirror: LogMirror,
    pub study: Study,
}

impl Driver {
    /// Takes the driver's lock of an existing handoff; refused when another process has it.
    pub fn open(engine: &Arc<Engine>, id: &HandoffId) -> Result<Driver, Error> {
        let lock = DriverLock::try_take(&engine.store.directory(id))?;
        let Some(lock) = lock else {
            let holder = DriverLock::holder(&engine.store.directory(id));
            let holder = holder.map_or(String::new(), |pid| format!(" (process {pid})"));
            return Err(Error::Driven { id: id.clone(), holder });
        };
        let journal = engine.store.open(id)?;
        Driver::new(engine, journal, lock)
    }

    pub(super) fn new(engine: &Arc<Engine>, journal: Journal, lock: DriverLock) -> Result<Driver, Error> {
        let handoff = journal.handoff();
        let host = engine.host(handoff.host())?;
        let profile = engine.profile(&handoff.made.agent)?.clone();
        let name = HostName::new(&handoff.made.id, &handoff.made.uid);
        let link = Link::new(host, engine.connect.clone(), engine.asker.clone(), engine.reporter.clone());
        let engine = engine.clone();
        let (logs, checks) = (BTreeMap::new(), BTreeMap::new());
        Ok(Driver {
            engine,
            journal,
            link,
            profile,
            name,
            sent: None,
            elsewhere: None,
            longest_wait: LONGEST_WAIT,
            logs,
            checks,
            _lock: lock,
        })
    }

    pub fn handoff(&self) -> &Handoff {
        self.journal.handoff()
    }

    pub fn id(&self) -> &HandoffId {
        &self.journal.handoff().made.id
    }

    pub fn tell(&self, progress: &Progress) {
        self.engine.tell(progress);
    }

    /// Appends an event; one that no longer applies is somebody else's doing and no error.
    pub fn append(&mut self, kind: Kind) -> Result<bool, Error> {
        match self.journal.append(kind) {
            Ok(_) => Ok(true),
            Err(error) if error.is_stale() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Points the link at another host.
    pub fn move_to(&mut self, host: &str) -> Result<(), Error> {
        if self.link.host.name != host {
            let host = self.engine.host(host)?;
            let engine = &self.engine;
            self.link = Link::new(host, engine.connect.clone(), engine.asker.clone(), engine.reporter.clone());
        }
        Ok(())
    }

    /// The mirror of attempt `n`'s log, with what is there read already.
    pub(super) fn log(&mut self, n: AttemptNo) -> Result<&mut Log, Error> {
        if !self.logs.contains_key(&n) {
            let path = self.engine.store.log(self.id(), n);
            let mirror = LogMirror::open(&path)?;
            let mut study = Study::new(&self.profile);
            for (index, part) in log_mirror::parts(&path).iter().enumerate() {
                if index > 0 {
                    study.begin_part();
                }
                replay(part, &mut study)?;
            }
            self.logs.insert(n, Log { mirror, study });
        }
        self.logs.get_mut(&n).ok_or_else(|| Error::Inner("the log's mirror is gone".into()))
    }

    pub(super) fn check_log(&mut self, n: AttemptNo) -> Result<&mut LogMirror, Error> {
        if !self.checks.contains_key(&n) {
            let path = self.engine.store.check_log(self.id(), n);
            self.checks.insert(n, LogMirror::open(&path)?);
        }
        self.checks.get_mut(&n).ok_or_else(|| Error::Inner("the check's mirror is gone".into()))
    }
}

/// Reads what is mirrored already, telling nobody.
fn replay(path: &std::path::Path, study: &mut Study) -> Result<(), Error> {
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
            length => drop(study.push(&buffer[..length])),
        }
    }
}
