//! The state of a handoff, which is a fold over its events.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::{AttemptNo, Epoch, Grant, Next, Outcome};
use super::event::{Created, Event, FORMAT, Kind, Owner};
use super::refusal::RefusedRef;
use super::release::Release;
use super::root::Instance;
use super::snapshot::Oid;
use super::uncaptured::Uncaptured;
use super::verdict::{Class, Verdict};

/// One attempt, as far as the laptop knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub host: String,
    pub grant: u32,
    /// The exact command, for people: first as planned, and as run after the host has shown the start.
    pub command: String,
    /// The session that it was given or opened.
    #[serde(default)]
    pub session: Option<String>,
    pub dispatched: Timestamp,
    pub started: Option<Timestamp>,
    pub ended: Option<Timestamp>,
    pub outcome: Option<Outcome>,
    pub verdict: Option<Verdict>,
    pub next: Option<Next>,
    /// Number of files with its mirrored log: more than one if the host's log was truncated, replaced or deleted.
    pub log_parts: u32,
    /// Its capture, once it is in this repository.
    pub fetched: Option<Oid>,
    /// What the capture lacks, which is only on the host.
    #[serde(default)]
    pub uncaptured: Option<Uncaptured>,
    /// Refs of its capture that git refused here. The host keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRef>,
    /// The handoff moved on without it: it is kept under its own number and never built on.
    pub superseded: bool,
}

/// A handoff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Handoff {
    #[serde(rename = "made")]
    pub request: Created,
    pub created: Timestamp,
    /// The last event's time.
    pub changed: Timestamp,
    pub epoch: Epoch,
    pub owner: Owner,
    /// Whether the previous owner confirmed the last change of owner.
    pub confirmed: bool,
    /// The highest epoch that each host has confirmed, with nothing of an older one left there.
    #[serde(rename = "told")]
    pub confirmed_epochs: BTreeMap<String, Epoch>,
    pub session: Option<String>,
    pub grants: Vec<Grant>,
    /// The user's additions to prompts, by number of the grant.
    pub messages: BTreeMap<u32, String>,
    pub attempts: BTreeMap<AttemptNo, Attempt>,
    /// Since when the host is unreachable, and why.
    pub unreachable: Option<(Timestamp, String)>,
    pub stop_requested: bool,
    pub worktree: Option<String>,
    /// Hosts that verified the base.
    pub shipped: Vec<String>,
    /// Hosts that were asked to delete what they have.
    #[serde(default)]
    pub released: BTreeMap<String, Release>,
    /// The root directory that each host showed last.
    #[serde(default)]
    pub instances: BTreeMap<String, Instance>,
    /// Hosts whose root directory was replaced, with the last attempt sent before that.
    #[serde(default)]
    pub replaced: BTreeMap<String, AttemptNo>,
    /// An event of a newer program was read, so nothing may be appended.
    pub read_only: bool,
}

/// Why an event is not applied: its content is already so, or is no longer possible.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refused {
    #[error("the journal does not begin with the handoff's creation")]
    NotCreated,
    #[error("the journal creates the handoff twice")]
    CreatedTwice,
    #[error("this record was written by a newer version; upgrade handoff to change it")]
    ReadOnly,
    #[error("{0}")]
    Stale(&'static str),
}

impl Handoff {
    /// The state after the first event.
    pub fn created(event: &Event) -> Result<Handoff, Refused> {
        let Kind::Created(made) = &event.kind else { return Err(Refused::NotCreated) };
        Ok(Handoff {
            request: (**made).clone(),
            created: event.at,
            changed: event.at,
            epoch: 1,
            owner: Owner::Host(made.host.clone()),
            confirmed: true,
            confirmed_epochs: BTreeMap::new(),
            session: None,
            grants: Vec::new(),
            messages: BTreeMap::new(),
            attempts: BTreeMap::new(),
            unreachable: None,
            stop_requested: false,
            worktree: None,
            shipped: Vec::new(),
            released: BTreeMap::new(),
            instances: BTreeMap::new(),
            replaced: BTreeMap::new(),
            read_only: event.v > FORMAT,
        })
    }

    /// The only way to change a state. A refused event leaves it unchanged.
    pub fn apply(&mut self, event: &Event) -> Result<(), Refused> {
        if event.v > FORMAT || event.kind == Kind::Unknown {
            self.read_only = true;
            return Ok(());
        }
        self.apply_kind(event)?;
        // What is deleted on a host says nothing new about the work.
        if !matches!(event.kind, Kind::Released { .. }) {
            self.changed = event.at;
        }
        Ok(())
    }

    fn apply_kind(&mut self, event: &Event) -> Result<(), Refused> {
        let at = event.at;
        match &event.kind {
            Kind::Created(_) => return Err(Refused::CreatedTwice),
            Kind::Unknown => {}
            Kind::Granted { grant } => self.grant(grant)?,
            Kind::Message { grant, text } => _ = self.messages.insert(*grant, text.clone()),
            Kind::Dispatched { attempt, grant, host, command } => {
                self.dispatch(*attempt, *grant, host, command, at)?;
            }
            Kind::TakenUp { attempt, grant, host, command } => self.dispatch(*attempt, *grant, host, command, at)?,
            Kind::Surfaced { attempt, grant, host, command } => self.surface(*attempt, *grant, host, command, at)?,
            Kind::Told { host, epoch } => self.tell(host, *epoch)?,
            Kind::Started { attempt, command, session } => {
                let started = self.open_attempt(*attempt)?;
                unset(&started.started, "the attempt is already known to have started")?;
                started.started = Some(at);
                if let Some(command) = command {
                    started.command.clone_from(command);
                }
                if let Some(session) = session {
                    self.use_session(*attempt, session);
                }
            }
            Kind::Session { session, attempt } => {
                let n = attempt.or_else(|| self.newest_of_last_grant());
                let of_attempt = n.and_then(|n| self.attempts.get(&n)).map(|attempt| &attempt.session);
                let known = of_attempt.is_none_or(|known| known.as_ref() == Some(session));
                if known && self.session.as_ref() == Some(session) {
                    return Err(Refused::Stale("the session is already known"));
                }
                match n {
                    Some(n) if self.attempts.contains_key(&n) => self.use_session(n, session),
                    _ => self.session = Some(session.clone()),
                }
            }
            Kind::Ended { attempt, outcome, verdict } => {
                let attempt = self.open_attempt(*attempt)?;
                attempt.ended = Some(at);
                attempt.uncaptured = outcome.uncaptured.clone();
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
            Kind::Fetched { attempt, commit, uncaptured } => {
                let attempt = self.attempt_mut(*attempt)?;
                if attempt.fetched.as_ref() == Some(commit) {
                    return Err(Refused::Stale("the capture is already fetched"));
                }
                attempt.fetched = Some(commit.clone());
                if uncaptured.is_some() {
                    attempt.uncaptured = uncaptured.clone();
                }
            }
            Kind::RefsRefused { attempt, refused } => {
                let attempt = self.attempt_mut(*attempt)?;
                if attempt.refused == *refused {
                    return Err(Refused::Stale("the refs are already known to be refused"));
                }
                attempt.refused = refused.clone();
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
            Kind::Worktree { path } => {
                if self.owner == Owner::Laptop {
                    self.leave_behind();
                }
                self.worktree = Some(path.clone());
            }
            Kind::Shipped { host, .. } => {
                if self.shipped.contains(host) {
                    return Err(Refused::Stale("the ship is already proved"));
                }
                self.shipped.push(host.clone());
            }
            Kind::Root { host, instance } => self.see_root(host, instance.as_ref())?,
            Kind::Released { host, last, confirmed } => self.release(host, *last, *confirmed, at)?,
        }
        Ok(())
    }

    fn dispatch(&mut self, n: AttemptNo, grant: u32, host: &str, command: &str, at: Timestamp) -> Result<(), Refused> {
        if self.attempts.last_key_value().is_some_and(|(last, _)| *last >= n) {
            return Err(Refused::Stale("the attempt is already dispatched"));
        }
        self.insert(n, grant, host, command, at)
    }

    /// An attempt that a host made by itself is discovered, perhaps after later numbers were used elsewhere.
    fn surface(&mut self, n: AttemptNo, grant: u32, host: &str, command: &str, at: Timestamp) -> Result<(), Refused> {
        if self.attempts.contains_key(&n) {
            return Err(Refused::Stale("the attempt is already known"));
        }
        self.insert(n, grant, host, command, at)
    }

    fn insert(&mut self, n: AttemptNo, grant: u32, host: &str, command: &str, at: Timestamp) -> Result<(), Refused> {
        let granted = self.grants.iter().find(|g| g.number == grant && g.first <= n && n <= g.last);
        let granted = granted.ok_or(Refused::Stale("no grant covers the attempt"))?;
        let superseded = self.is_left_behind(granted);
        let attempt = Attempt {
            host: host.to_owned(),
            grant,
            command: command.to_owned(),
            session: None,
            dispatched: at,
            started: None,
            ended: None,
            outcome: None,
            verdict: None,
            next: None,
            log_parts: 1,
            fetched: None,
            uncaptured: None,
            refused: Vec::new(),
            superseded,
        };
        self.attempts.insert(n, attempt);
        Ok(())
    }

    /// The session of an attempt becomes the handoff's, unless the attempt is superseded.
    fn use_session(&mut self, n: AttemptNo, session: &str) {
        let Some(attempt) = self.attempts.get_mut(&n) else { return };
        attempt.session = Some(session.to_owned());
        if !attempt.superseded {
            self.session = Some(session.to_owned());
        }
    }

    /// The attempt that an event without a number is about: the newest, unless the last grant has none yet.
    fn newest_of_last_grant(&self) -> Option<AttemptNo> {
        let (n, attempt) = self.attempts.last_key_value()?;
        (self.grants.last()?.number == attempt.grant).then_some(*n)
    }

    fn attempt_mut(&mut self, n: AttemptNo) -> Result<&mut Attempt, Refused> {
        self.attempts.get_mut(&n).ok_or(Refused::Stale("the attempt was never dispatched"))
    }

    fn open_attempt(&mut self, n: AttemptNo) -> Result<&mut Attempt, Refused> {
        let attempt = self.attempt_mut(n)?;
        unset(&attempt.ended, "the attempt has already ended")?;
        Ok(attempt)
    }

    /// The attempt with the highest number that was not superseded.
    pub fn last_attempt(&self) -> Option<(AttemptNo, &Attempt)> {
        self.lineage().next_back()
    }

    /// The host that runs the handoff or ran it last.
    pub fn host(&self) -> &str {
        match (self.last_attempt(), self.grants.last()) {
            (Some((_, attempt)), _) => &attempt.host,
            (None, Some(grant)) => &grant.host,
            (None, None) => &self.request.host,
        }
    }

    /// Classes of the ended attempts that were not superseded, in order.
    pub fn history(&self) -> Vec<Class> {
        self.lineage().filter_map(|(_, attempt)| attempt.verdict.as_ref()).map(|v| v.class).collect()
    }

    /// How many more attempts the newest grant allows. An attempt that only met a usage limit does not count, so this
    /// may be more than the grant has numbers for.
    pub fn left(&self) -> u32 {
        let Some(grant) = self.grants.last() else { return self.request.limits.attempts };
        let is_charged =
            |attempt: &Attempt| attempt.verdict.as_ref().is_none_or(|verdict| verdict.class != Class::Limited);
        let used = self.lineage().filter(|(_, attempt)| attempt.grant == grant.number && is_charged(attempt)).count();
        (grant.last - grant.first + 1).saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// Whether the attempt after `n` needs a new grant: the grant has no further number, or its host lost what it had.
    pub fn needs_grant(&self, n: AttemptNo) -> bool {
        self.is_gone(n) || self.grant_of(n).is_none_or(|grant| n >= grant.last)
    }

    /// Whether the host may start an attempt after `n` by itself: its grant has another number, and nothing that was decided
    /// ends it.
    pub fn may_follow(&self, n: AttemptNo) -> bool {
        let next = self.attempts.get(&n).and_then(|attempt| attempt.next.as_ref());
        !matches!(next, Some(Next::End | Next::Park { .. })) && !self.needs_grant(n)
    }
}

fn unset<T>(slot: &Option<T>, why: &'static str) -> Result<(), Refused> {
    if slot.is_some() { Err(Refused::Stale(why)) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
