//! What changes when the user brings a handoff that was made by hand, gives the work back, gives a takeover up, or ends
//! the handoff.

use jiff::Timestamp;

use super::Handoff;
use crate::model::adopted::Adopted;
use crate::model::event::{Finish, Given};
use crate::model::not_applied::Refused;

impl Handoff {
    /// The attempts that were run by hand come before all others.
    pub(super) fn adopt(&mut self, adopted: &Adopted, at: Timestamp) -> Result<(), Refused> {
        if self.adopted.is_some() || !self.attempts.is_empty() || !self.grants().is_empty() {
            return Err(Refused::Stale("the handoff has begun"));
        }
        let last = adopted.attempts.last().map(|run| run.attempt);
        for run in &adopted.attempts {
            let work = adopted.work.clone().filter(|_| Some(run.attempt) == last);
            self.attempts.insert(run.attempt, run.to_attempt(at, work));
        }
        self.session = adopted.attempts.last().and_then(|run| run.session.clone());
        self.adopted = Some(adopted.clone());
        Ok(())
    }

    /// The worktree's state becomes the newest work. Until an attempt continues it, giving again replaces it.
    pub(super) fn give(&mut self, given: &Given) -> Result<(), Refused> {
        let may_give = self.is_taken_over() || self.is_give_unfinished();
        let Some((last, _)) = self.attempts.last_key_value().filter(|_| may_give) else {
            return Err(Refused::Stale("the handoff is not taken over"));
        };
        self.given.insert(*last, given.clone());
        self.checkouts.give(&given.work.commit);
        self.give_unfinished = true;
        Ok(())
    }

    /// The takeover was given up. Nothing is started before the next grant.
    pub(super) fn give_up_takeover(&mut self) {
        self.worktree = None;
        self.checkouts.leave();
        self.stop_requested = true;
    }

    pub(super) fn finish(&mut self, finish: &Finish, at: Timestamp) -> Result<(), Refused> {
        if self.status().is_active() {
            return Err(Refused::Stale("the handoff is still running"));
        }
        if self.finished.as_ref() == Some(finish) {
            return Err(Refused::Stale("the handoff is already finished"));
        }
        self.finished = Some(finish.clone());
        self.finished_at.get_or_insert(at);
        Ok(())
    }

    /// Supersedes the attempts that have not been fetched, because a later grant or a worktree on the laptop continues
    /// the work.
    pub(super) fn leave_behind(&mut self) {
        for attempt in self.attempts.values_mut().filter(|attempt| !attempt.is_collected()) {
            attempt.superseded = true;
        }
    }
}
