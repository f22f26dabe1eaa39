//! The state of a handoff: a fold over its events, and nothing else.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{AttemptNo, Epoch, Grant, Next, Outcome};
use super::event::{Created, Event, FORMAT, Kind, Owner};
use super::release::Release;
use super::snapshot::Oid;
use super::verdict::{Class, Verdict};

/// Where a handoff stands; the word is the `Status` of `handoff.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Made, and not yet known to have started on a host.
    Queued,
    Running,
    /// Between two attempts.
    Waiting,
    /// A person must act.
    Parked,
    Done,
    Failed,
    Stopped,
    /// Taken over.
    Interactive,
    Finished,
}

impl Status {
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

    /// Whether something may still happen on a host without anybody's doing.
    pub fn is_active(self) -> bool {
        matches!(self, Status::Queued | Status::Running | Status::Waiting)
    }
}

/// One attempt, as far as the laptop knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub host: String,
    pub grant: u32,
    /// The exact command, for people.
    pub command: String,
    pub dispatched: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub verdict: Option<Verdict>,
    pub next: Option<Next>,
    /// Files its log is mirrored in: more than one where the host's was truncated, replaced or deleted.
    pub log_parts: u32,
    /// Its capture, once it lies in this repository.
    pub fetched: Option<Oid>,
}

/// A handoff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    pub made: Created,
    pub created: Timestamp,
    /// The last event's time.
    pub changed: Timestamp,
    pub epoch: Epoch,
    pub owner: Owner,
    /// Whether the last change of owner was confirmed by the host that lost it.
    pub confirmed: bool,
    pub session: Option<String>,
    pub grants: Vec<Grant>,
    pub attempts: BTreeMap<AttemptNo, Attempt>,
    /// Since when, and why.
    pub unreachable: Option<(Timestamp, String)>,
    pub stop_requested: bool,
    pub worktree: Option<String>,
    /// Hosts that have proved the base.
    pub shipped: Vec<String>,
    /// Hosts that were told to let go of what they had.
    #[serde(default)]
    pub released: BTreeMap<String, Release>,
    /// An event of a newer program was seen: nothing may be appended.
    pub read_only: bool,
}

/// Why an event changes nothing: what it says is already so, or can no longer be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("the journal does not begin with the handoff's creation")]
    NotCreated,
    #[error("the handoff was created twice")]
    CreatedTwice,
    #[error("this record was written by a newer handoff: upgrade handoff to change it")]
    ReadOnly,
    #[error("{0}")]
    Stale(&'static str),
}

impl Handoff {
    /// The state after the first event.
    pub fn created(event: &Event) -> Result<Handoff, Refused> {
        let Kind::Created(made) = &event.kind else { return Err(Refused::NotCreated) };
        Ok(Handoff {
            made: (**made).clone(),
            created: event.at,
            changed: event.at,
            epoch: 1,
            owner: Owner::Host(made.host.clone()),
            confirmed: true,
            session: None,
            grants: Vec::new(),
            attempts: BTreeMap::new(),
            unreachable: None,
            stop_requested: false,
            worktree: None,
            shipped: Vec::new(),
            released: BTreeMap::new(),
            read_only: event.v > FORMAT,
        })
    }

    /// The only way a state changes. A refused event leaves it as it was.
    pub fn apply(&mut self, event: &Event) -> Result<(), Refused> {
        if event.v > FORMAT || event.kind == Kind::Unknown {
            self.read_only = true;
            return Ok(());
        }
        self.apply_kind(event)?;
        self.changed = event.at;
        Ok(())
    }

    fn apply_kind(&mut self, event: &Event) -> Result<(), Refused> {
        let at = event.at;
        match &event.kind {
            Kind::Created(_) => return Err(Refused::CreatedTwice),
            Kind::Unknown => {}
            Kind::Granted { grant } => self.grant(grant)?,
            Kind::Dispatched { attempt, grant, host, command } | Kind::TakenUp { attempt, grant, host, command } => {
                self.dispatch(*attempt, *grant, host, command, at)?;
            }
            Kind::Started { attempt } => {
                let attempt = self.open_attempt(*attempt)?;
                unset(&attempt.started, "the attempt is already known to have started")?;
                attempt.started = Some(at);
            }
            Kind::Session { session } => {
                if self.session.as_ref() == Some(session) {
                    return Err(Refused::Stale("the session is already known"));
                }
                self.session = Some(session.clone());
            }
            Kind::Ended { attempt, outcome, verdict } => {
                let attempt = self.open_attempt(*attempt)?;
                attempt.ended = Some(at);
                attempt.outcome = Some((**outcome).clone());
                attempt.verdict = Some(verdict.clone());
            }
            Kind::LogReplaced { attempt, part } => {
                let attempt = self.attempt_mut(*attempt)?;
                if *part <= attempt.log_parts {
                    return Err(Refused::Stale("the log is already known to go on in that part"));
                }
                attempt.log_parts = *part;
            }
            Kind::Decided { attempt, next, .. } => {
                let attempt = self.attempt_mut(*attempt)?;
                unset(&attempt.next, "what follows the attempt is already decided")?;
                attempt.next = Some(next.clone());
            }
            Kind::Fetched { attempt, commit } => {
                let attempt = self.attempt_mut(*attempt)?;
                if attempt.fetched.as_ref() == Some(commit) {
                    return Err(Refused::Stale("the capture is already fetched"));
                }
                attempt.fetched = Some(commit.clone());
            }
            Kind::Unreachable { reason, .. } => {
                unset(&self.unreachable, "the host is already known to be out of reach")?;
                self.unreachable = Some((at, reason.clone()));
            }
            Kind::Reachable { .. } => {
                self.unreachable.take().ok_or(Refused::Stale("the host was never out of reach"))?;
            }
            Kind::StopRequested => {
                if self.stop_requested || !self.status().is_active() {
                    return Err(Refused::Stale("nothing is left to stop"));
                }
                self.stop_requested = true;
            }
            Kind::Owner { epoch, owner, confirmed } => self.change_owner(*epoch, owner, *confirmed)?,
            Kind::Worktree { path } => self.worktree = Some(path.clone()),
            Kind::Shipped { host, .. } => {
                if self.shipped.contains(host) {
                    return Err(Refused::Stale("the ship is already proved"));
                }
                self.shipped.push(host.clone());
            }
            Kind::Released { host, last, confirmed } => self.release(host, *last, *confirmed, at)?,
        }
        Ok(())
    }

    fn grant(&mut self, grant: &Grant) -> Result<(), Refused> {
        if grant.epoch != self.epoch {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        let next_number = self.grants.last().map_or(1, |last| last.number + 1);
        if grant.number != next_number || grant.first < self.next_grant_first() || grant.last < grant.first {
            return Err(Refused::Stale("another process has granted these attempts"));
        }
        self.stop_requested = false;
        self.grants.push(grant.clone());
        Ok(())
    }

    fn dispatch(&mut self, n: AttemptNo, grant: u32, host: &str, command: &str, at: Timestamp) -> Result<(), Refused> {
        let granted = self.grants.iter().any(|g| g.number == grant && g.first <= n && n <= g.last);
        if !granted {
            return Err(Refused::Stale("no grant covers the attempt"));
        }
        if self.attempts.last_key_value().is_some_and(|(last, _)| *last >= n) {
            return Err(Refused::Stale("the attempt is already dispatched"));
        }
        let attempt = Attempt {
            host: host.to_owned(),
            grant,
            command: command.to_owned(),
            dispatched: at,
            started: None,
            ended: None,
            outcome: None,
            verdict: None,
            next: None,
            log_parts: 1,
            fetched: None,
        };
        self.attempts.insert(n, attempt);
        Ok(())
    }

    fn change_owner(&mut self, epoch: Epoch, owner: &Owner, confirmed: bool) -> Result<(), Refused> {
        let confirms = epoch == self.epoch && *owner == self.owner && confirmed && !self.confirmed;
        if epoch != self.epoch + 1 && !confirms {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        self.epoch = epoch;
        self.owner = owner.clone();
        self.confirmed = confirmed;
        Ok(())
    }

    fn attempt_mut(&mut self, n: AttemptNo) -> Result<&mut Attempt, Refused> {
        self.attempts.get_mut(&n).ok_or(Refused::Stale("the attempt was never dispatched"))
    }

    fn open_attempt(&mut self, n: AttemptNo) -> Result<&mut Attempt, Refused> {
        let attempt = self.attempt_mut(n)?;
        unset(&attempt.ended, "the attempt has already ended")?;
        Ok(attempt)
    }

    /// The lowest attempt number a new grant may begin with: a number is never granted twice, and unused ones return
    /// only when the host has confirmed a higher epoch.
    pub fn next_grant_first(&self) -> AttemptNo {
        let used = self.attempts.last_key_value().map_or(0, |(n, _)| *n);
        match self.grants.last() {
            Some(last) if last.epoch < self.epoch && self.confirmed => used + 1,
            Some(last) => last.last + 1,
            None => 1,
        }
    }

    /// The attempt with the highest number.
    pub fn last_attempt(&self) -> Option<(AttemptNo, &Attempt)> {
        self.attempts.last_key_value().map(|(n, attempt)| (*n, attempt))
    }

    /// The host that runs it or ran it last.
    pub fn host(&self) -> &str {
        self.last_attempt().map_or(&self.made.host, |(_, attempt)| &attempt.host)
    }

    /// Classes of the attempts that have ended, in order.
    pub fn history(&self) -> Vec<Class> {
        self.attempts.values().filter_map(|a| a.verdict.as_ref()).map(|v| v.class).collect()
    }

    /// Attempts that count against the limit: all but those that only met a usage window.
    pub fn charged(&self) -> u32 {
        let free = self.history().iter().filter(|class| **class == Class::Limited).count();
        u32::try_from(self.attempts.len().saturating_sub(free)).unwrap_or(u32::MAX)
    }

    /// Whether the last attempt follows the one before it by itself, after a while.
    fn awaits_its_time(&self) -> bool {
        let before = self.attempts.values().rev().nth(1).and_then(|attempt| attempt.next.as_ref());
        matches!(before, Some(Next::Resume { .. } | Next::ResumeWithCheck { .. } | Next::WaitUntil { .. }))
    }

    /// Where it stands.
    pub fn status(&self) -> Status {
        if self.owner == Owner::Laptop {
            return Status::Interactive;
        }
        let Some((_, last)) = self.last_attempt() else {
            return if self.stop_requested { Status::Stopped } else { Status::Queued };
        };
        let Some(verdict) = &last.verdict else {
            return match last.started {
                Some(_) => Status::Running,
                None if self.awaits_its_time() => Status::Waiting,
                None => Status::Queued,
            };
        };
        match (&last.next, verdict.class) {
            (_, Class::Stopped) => Status::Stopped,
            (None | Some(Next::End), Class::Done | Class::Unchecked) => Status::Done,
            (Some(Next::Park { .. }), class) if needs_person(class) => Status::Parked,
            (Some(Next::Park { .. } | Next::End), _) => Status::Failed,
            _ if self.stop_requested => Status::Stopped,
            _ => Status::Waiting,
        }
    }
}

/// Whether a person can mend it, so that the handoff is parked rather than failed.
fn needs_person(class: Class) -> bool {
    use Class::{Auth, Billing, Blocked, Config, DiskFull, Limited, Oom, Session};
    matches!(class, Auth | Billing | Blocked | Config | Limited | Oom | DiskFull | Session)
}

fn unset<T>(slot: &Option<T>, why: &'static str) -> Result<(), Refused> {
    if slot.is_some() { Err(Refused::Stale(why)) } else { Ok(()) }
}

#[cfg(test)]
#[path = "handoff_tests.rs"]
mod tests;
