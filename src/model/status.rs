//! The status of a handoff, as a person sees it.

use serde::{Deserialize, Serialize};

use super::attempt::Next;
use super::handoff::Handoff;
use super::phase::Phase;
use super::verdict::Class;

/// The status of a handoff; the word is the `Status` of `handoff.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Created, and not yet known to have started on a host.
    Queued,
    Running,
    /// Between two attempts.
    Waiting,
    /// The user must act.
    Parked,
    Done,
    Failed,
    Stopped,
    /// Taken over.
    Interactive,
    /// Ended for good by the user.
    Finished,
}

impl Status {
    /// The word on disk.
    pub fn word(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Waiting => "waiting",
            Status::Parked => "parked",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Stopped => "stopped",
            Status::Interactive => "interactive",
            Status::Finished => "finished",
        }
    }

    /// The text that users see: the word, except for `parked`.
    pub fn label(self) -> &'static str {
        match self {
            Status::Parked => "needs you",
            status => status.word(),
        }
    }

    /// Whether something may still happen on a host by itself.
    pub fn is_active(self) -> bool {
        matches!(self, Status::Queued | Status::Running | Status::Waiting)
    }
}

impl Handoff {
    /// The status of the handoff.
    pub fn status(&self) -> Status {
        if self.is_finished() {
            return Status::Finished;
        }
        if self.is_taken_over() {
            return Status::Interactive;
        }
        if self.is_give_unfinished() {
            return Status::Stopped;
        }
        let Some((n, last)) = self.last_attempt() else {
            let is_at_rest = self.is_stop_requested() || self.is_only_by_hand();
            return if is_at_rest { Status::Stopped } else { Status::Queued };
        };
        let Some(verdict) = &last.verdict else {
            if last.by_hand {
                return Status::Stopped;
            }
            return match self.phase(n) {
                Some(Phase::Running) => Status::Running,
                Some(Phase::Waiting { .. }) => Status::Waiting,
                _ => Status::Queued,
            };
        };
        match (&last.next, verdict.class) {
            (_, Class::Stopped) => Status::Stopped,
            (None | Some(Next::End), Class::Done | Class::Unchecked) => Status::Done,
            (Some(Next::Park { .. }), class) if needs_person(class) => Status::Parked,
            (Some(Next::End), _) if self.is_stop_requested() => Status::Stopped,
            (Some(Next::Park { .. } | Next::End), _) => Status::Failed,
            // A host that has confirmed a higher epoch starts nothing.
            _ if self.is_stop_requested() && (self.is_outdated(n) || !self.may_follow(n)) => Status::Stopped,
            _ => Status::Waiting,
        }
    }
}

/// Whether the user can fix the cause, so that the handoff pauses instead of failing.
fn needs_person(class: Class) -> bool {
    use Class::{Auth, Billing, Blocked, Config, DiskFull, Limited, Oom, Session};
    matches!(class, Auth | Billing | Blocked | Config | Limited | Oom | DiskFull | Session)
}
