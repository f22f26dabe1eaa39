//! What git shows that the attempts changed.

use crate::git::diff::Changes;
use crate::model::attempt::AttemptNo;
use crate::model::snapshot::Oid;
use crate::supervise::masking::covered_changes;
use crate::supervise::record::Record;

impl Record {
    /// The files that an attempt changed. `None`: its work was not fetched.
    pub(super) fn changes(&self, n: AttemptNo) -> Option<Changes> {
        let work = self.handoff().attempt(n)?.fetched.as_ref()?;
        self.changes_between(self.handoff().work_before(n), work)
    }

    /// What all attempts and the user changed since the base, as far as it is here.
    pub(super) fn total_changes(&self) -> Option<Changes> {
        let base = &self.handoff().request().base.commit;
        let work = self.handoff().work_before(AttemptNo::MAX);
        if work == base {
            return None;
        }
        self.changes_between(base, work)
    }

    fn changes_between(&self, from: &Oid, to: &Oid) -> Option<Changes> {
        self.services.summaries.changes(&self.services.repository, from, to).map(covered_changes)
    }
}
