//! How far an attempt has come. One function computes it from the journal's facts; whoever acts on an attempt matches on it.

use std::time::Duration;

use super::attempt::{AttemptNo, Next, Outcome};
use super::attempts::Attempt;
use super::handoff::Handoff;

/// How far an attempt has come, as far as the journal tells. Whether the host has the attempt and its verified tree is not
/// journaled: a poll asks the host.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Phase<'a> {
    /// The host may start this number and has not shown that it did.
    Granted,
    /// The host starts this number at `due`, in Unix seconds, even without contact.
    Waiting { due: i64 },
    /// The agent has started.
    Running,
    /// The end is recorded. The capture is still missing here.
    Ended(&'a Outcome),
    /// The capture is complete here, or there is none. What follows is not decided.
    Collected(&'a Outcome),
    /// The verdict and what follows are recorded.
    Judged(&'a Next),
    /// The handoff has moved on without this attempt: its work is kept and never applied.
    Superseded(Remainder),
}

/// What is still to come from the host of a superseded attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remainder {
    /// Its end.
    End,
    /// Its capture.
    Capture,
    Nothing,
}

impl Phase<'_> {
    /// Whether no end is recorded.
    pub fn is_open(&self) -> bool {
        match self {
            Phase::Granted | Phase::Waiting { .. } | Phase::Running | Phase::Superseded(Remainder::End) => true,
            Phase::Ended(_) | Phase::Collected(_) | Phase::Judged(_) | Phase::Superseded(_) => false,
        }
    }

    /// Whether its host has nothing more that belongs here.
    pub fn is_collected(&self) -> bool {
        matches!(self, Phase::Collected(_) | Phase::Judged(_) | Phase::Superseded(Remainder::Nothing))
    }
}

impl Attempt {
    /// Whether nothing of it is left to come from its host.
    pub fn is_collected(&self) -> bool {
        let has_no_capture = self.outcome.as_ref().is_none_or(|outcome| outcome.capture.is_none());
        // A capture that git refuses comes only after the user accepts it.
        self.ended.is_some() && (self.fetched.is_some() || has_no_capture || self.is_refused())
    }

    /// When the attempt after this one may start, in Unix seconds. `None`: none follows by itself.
    pub fn next_due(&self) -> Option<i64> {
        match self.next.as_ref()? {
            Next::Resume { delay } | Next::ResumeWithCheck { delay } => {
                Some(self.ended.map_or(0, |at| at.as_second()).saturating_add_unsigned(*delay))
            }
            Next::WaitUntil { at } => Some(*at),
            Next::End | Next::Park { .. } => None,
        }
    }
}

impl Handoff {
    /// The phase of attempt `n`. `None`: it was never dispatched.
    pub fn phase(&self, n: AttemptNo) -> Option<Phase<'_>> {
        let attempt = self.attempt(n)?;
        Some(match (&attempt.outcome, &attempt.next) {
            (None, _) if attempt.superseded => Phase::Superseded(Remainder::End),
            (Some(_), _) if attempt.superseded && !attempt.is_collected() => Phase::Superseded(Remainder::Capture),
            (Some(_), _) if attempt.superseded => Phase::Superseded(Remainder::Nothing),
            (None, _) if attempt.started.is_some() => Phase::Running,
            (None, _) => self.due(n).map_or(Phase::Granted, |due| Phase::Waiting { due }),
            (Some(outcome), _) if !attempt.is_collected() => Phase::Ended(outcome),
            (Some(outcome), None) => Phase::Collected(outcome),
            (Some(_), Some(next)) => Phase::Judged(next),
        })
    }

    /// When attempt `n` is due, in Unix seconds: it follows the attempt before it in the lineage by itself.
    fn due(&self, n: AttemptNo) -> Option<i64> {
        self.lineage().rev().find(|(before, _)| *before < n).and_then(|(_, attempt)| attempt.next_due())
    }

    /// How long attempt `n` still waits for its time at `now`, in Unix seconds. `None`: it does not wait.
    pub fn time_left(&self, n: AttemptNo, now: i64) -> Option<Duration> {
        let Some(Phase::Waiting { due }) = self.phase(n) else { return None };
        u64::try_from(due - now).ok().map(Duration::from_secs)
    }

    /// Whether the start of attempt `n` is recorded.
    pub fn has_started(&self, n: AttemptNo) -> bool {
        self.attempt(n).is_some_and(|attempt| attempt.started.is_some())
    }
}

#[cfg(test)]
mod tests;
