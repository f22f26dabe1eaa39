//! The journal of a handoff together with the reporter: what is recorded and shown goes through here, masked.

use std::sync::Arc;

use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::state::journal::Journal;
use crate::supervise::error::Error;
use crate::supervise::masking::Masking;
use crate::supervise::progress::Progress;
use crate::supervise::services::Services;

/// The journal, the secrets to mask in it, and the reporter.
pub(in crate::supervise) struct Ledger {
    services: Arc<Services>,
    journal: Journal,
    masking: Masking,
}

impl Ledger {
    pub fn new(services: &Arc<Services>, journal: Journal) -> Ledger {
        Ledger { services: services.clone(), journal, masking: Masking::new(services) }
    }

    /// The state, as of the last read.
    pub fn handoff(&self) -> &Handoff {
        self.journal.handoff()
    }

    pub fn id(&self) -> &HandoffId {
        &self.handoff().request().id
    }

    /// Reads what other processes have appended.
    pub fn refresh(&mut self) -> Result<(), Error> {
        Ok(self.journal.refresh()?)
    }

    /// Appends an event. An event that no longer applies was overtaken by another process and is no error: `false`.
    pub fn append(&mut self, kind: Kind) -> Result<bool, Error> {
        match self.journal.append(self.masking.cover(self.journal.handoff(), kind)) {
            Ok(()) => Ok(true),
            Err(error) if error.is_stale() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Appends an event that must still apply. Its words are the user's or ours, so they are not masked.
    pub fn require(&mut self, kind: Kind) -> Result<(), Error> {
        Ok(self.journal.append(kind)?)
    }

    /// Reports progress, unless it may contain a secret that cannot be masked.
    pub fn tell(&self, progress: &Progress) {
        if !self.masking.hides(self.handoff(), progress) {
            self.services.tell(progress);
        }
    }

    /// Reads the secrets of the handoff's hosts once, to mask them.
    pub async fn read_secrets(&mut self) {
        self.masking.read(self.journal.handoff()).await;
    }
}
