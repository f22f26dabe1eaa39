//! The state of a handoff, which is a fold over its events.
//!
//! Its parts are in files of their own: [`Ownership`], [`Releases`], [`Roots`] and [`Attempt`]. Each has an `apply` for
//! its events, and [`Handoff::apply`] dispatches to them.

mod handover;
mod queries;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::adopted::Adopted;
use super::attempt::{AttemptNo, Grant};
use super::attempts::{Attempt, AttemptEvent, Attempts, FetchedArtifacts, last_on, unset};
use super::checkouts::Checkouts;
use super::event::{Created, Event, FORMAT, Finish, Given, Kind, Owner};
use super::not_applied::Refused;
use super::ownership::{Ownership, OwnershipEvent};
use super::release::{Release, ReleaseEvent, Releases};
use super::root::Roots;

/// An agent that the user chose after the handoff had begun.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
struct ChosenAgent {
    /// Name of its profile.
    agent: String,
    /// Its model, if the user named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// A handoff.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Handoff {
    /// What the user asked for.
    #[serde(rename = "made")]
    request: Created,
    #[serde(rename = "created")]
    created_at: Timestamp,
    /// The last event's time.
    #[serde(rename = "changed")]
    changed_at: Timestamp,
    /// The directory that was made by hand, if the handoff began with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    adopted: Option<Adopted>,
    #[serde(flatten)]
    ownership: Ownership,
    session: Option<String>,
    /// The agents that the user chose later, by the first attempt that they run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    agents: BTreeMap<AttemptNo, ChosenAgent>,
    /// The user's additions to prompts, by number of the grant.
    messages: BTreeMap<u32, String>,
    attempts: Attempts,
    /// Since when the host is unreachable, and why.
    unreachable: Option<(Timestamp, String)>,
    stop_requested: bool,
    worktree: Option<String>,
    /// The branch that the worktree was made on, if that is known.
    #[serde(skip)]
    worktree_branch: Option<String>,
    /// The takeover that the worktree was made for.
    #[serde(skip)]
    worktree_round: usize,
    /// Whether the worktree has the newest work: the handoff was not given back since.
    #[serde(skip)]
    worktree_is_current: bool,
    #[serde(flatten)]
    checkouts: Checkouts,
    /// What the user gave back, by the number of the last attempt before it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    given: BTreeMap<AttemptNo, Given>,
    /// Whether no attempt was dispatched since.
    #[serde(skip)]
    give_unfinished: bool,
    /// How the user ended the handoff for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<Finish>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<Timestamp>,
    #[serde(flatten)]
    releases: Releases,
    #[serde(flatten)]
    roots: Roots,
    /// An event of a newer program was read, so nothing may be appended.
    read_only: bool,
}

impl Handoff {
    /// The state after the first event.
    pub fn created(event: &Event) -> Result<Handoff, Refused> {
        let Kind::Created(request) = &event.kind else { return Err(Refused::NotCreated) };
        Ok(Handoff {
            request: (**request).clone(),
            created_at: event.at,
            changed_at: event.at,
            adopted: None,
            ownership: Ownership::of(&request.host),
            session: None,
            agents: BTreeMap::new(),
            messages: BTreeMap::new(),
            attempts: Attempts::new(),
            unreachable: None,
            stop_requested: false,
            worktree: None,
            worktree_branch: None,
            worktree_round: 1,
            worktree_is_current: false,
            checkouts: Checkouts::default(),
            given: BTreeMap::new(),
            give_unfinished: false,
            finished: None,
            finished_at: None,
            releases: Releases::default(),
            roots: Roots::default(),
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
            self.changed_at = event.at;
        }
        Ok(())
    }

    /// Every kind is named here, so that a new one cannot be forgotten.
    fn apply_kind(&mut self, event: &Event) -> Result<(), Refused> {
        let at = event.at;
        if self.is_finished() && self.would_continue(&event.kind) {
            return Err(Refused::Stale("the handoff is finished"));
        }
        match &event.kind {
            Kind::Created(_) => Err(Refused::CreatedTwice),
            Kind::Unknown => Ok(()),
            Kind::Adopted(adopted) => self.adopt(adopted, at),
            Kind::Granted { grant } => self.grant(grant),
            Kind::Owner { epoch, owner, confirmed } => {
                let from = self.host().to_owned();
                let change = OwnershipEvent::Owner { epoch: *epoch, owner, confirmed: *confirmed, from: &from };
                let is_returned = self.is_taken_over() && *owner != Owner::Laptop && !self.give_unfinished;
                self.ownership.apply(change, &self.attempts)?;
                self.worktree_is_current &= self.is_taken_over();
                self.checkouts.is_current &= self.is_taken_over();
                if is_returned {
                    self.give_up_takeover();
                }
                Ok(())
            }
            Kind::Told { host, epoch } => {
                self.ownership.apply(OwnershipEvent::Told { host, epoch: *epoch }, &self.attempts)
            }
            Kind::Dispatched { attempt, grant, host, command } => {
                self.dispatch(*attempt, *grant, host, command, at)?;
                self.give_unfinished = false;
                Ok(())
            }
            Kind::TakenUp { attempt, grant, host, command } => self.dispatch(*attempt, *grant, host, command, at),
            Kind::Surfaced { attempt, grant, host, command } => self.surface(*attempt, *grant, host, command, at),
            Kind::Started { attempt, command, session } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::Started { command: command.as_ref() }, at)?;
                if let Some(session) = session {
                    self.use_session(*attempt, session);
                }
                Ok(())
            }
            Kind::Ended { attempt, outcome, verdict } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::Ended { outcome, verdict }, at)
            }
            Kind::LogReplaced { attempt, part } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::LogReplaced { part: *part }, at)
            }
            Kind::Decided { attempt, next, by: _ } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::Decided { next }, at)
            }
            Kind::Fetched { attempt, commit, uncaptured } => {
                let uncaptured = uncaptured.as_ref();
                self.attempt_mut(*attempt)?.apply(AttemptEvent::Fetched { commit, uncaptured }, at)
            }
            Kind::CompanionsFetched { attempt, companions } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::CompanionsFetched { companions }, at)
            }
            Kind::RefsRefused { attempt, refused } => {
                self.attempt_mut(*attempt)?.apply(AttemptEvent::RefsRefused { refused }, at)
            }
            Kind::ArtifactsFetched { attempt, files, bytes } => {
                let artifacts = FetchedArtifacts { files: *files, bytes: *bytes };
                self.attempt_mut(*attempt)?.apply(AttemptEvent::ArtifactsFetched(artifacts), at)
            }
            Kind::Shipped { host, commit: _ } => self.releases.apply(ReleaseEvent::Shipped { host }),
            Kind::Released { host, last, confirmed } => {
                let has_more = self.status().is_active() || self.last_on(host).is_some_and(|n| n > *last);
                let release = Release { at, last: *last, confirmed: *confirmed };
                self.releases.apply(ReleaseEvent::Released { host, release, has_more })
            }
            Kind::TreeTaken { host, last } => self.releases.apply(ReleaseEvent::TreeTaken { host, last: *last }),
            Kind::Root { host, instance } => {
                if self.roots.apply(host, instance.as_ref(), last_on(&self.attempts, host))? {
                    self.releases.apply(ReleaseEvent::RootReplaced { host })?;
                }
                Ok(())
            }
            Kind::Message { grant, text } => {
                self.messages.insert(*grant, text.clone());
                Ok(())
            }
            Kind::Session { session, attempt } => self.learn_session(session, *attempt),
            Kind::Unreachable { host: _, reason } => {
                unset(&self.unreachable, "the host is already known to be out of reach")?;
                self.unreachable = Some((at, reason.clone()));
                Ok(())
            }
            Kind::Reachable { host: _ } => {
                self.unreachable.take().map(drop).ok_or(Refused::Stale("the host was never out of reach"))
            }
            Kind::StopRequested => {
                if self.stop_requested || !self.status().is_active() {
                    return Err(Refused::Stale("nothing is left to stop"));
                }
                self.stop_requested = true;
                Ok(())
            }
            Kind::Worktree { path, branch } => {
                if self.is_taken_over() {
                    self.leave_behind();
                }
                self.worktree = Some(path.clone());
                self.worktree_branch = branch.clone();
                self.worktree_round = self.round();
                self.worktree_is_current = true;
                self.checkouts.leave();
                Ok(())
            }
            Kind::Here { number, path, worktree, base } => {
                if !self.is_taken_over() {
                    return Err(Refused::Stale("the handoff is not taken over"));
                }
                self.checkouts.bring(*number, path, worktree, base, self.worktree_is_current)?;
                self.leave_behind();
                self.worktree_is_current = false;
                Ok(())
            }
            Kind::Undone { number } => {
                self.worktree_is_current |= self.checkouts.undo(*number)?;
                Ok(())
            }
            Kind::Given(given) => self.give(given),
            Kind::Finished(finish) => self.finish(finish, at),
            Kind::AgentChosen { first, agent, model } => self.choose_agent(*first, agent, model.as_deref()),
        }
    }

    fn grant(&mut self, grant: &Grant) -> Result<(), Refused> {
        self.ownership.apply(OwnershipEvent::Granted(grant), &self.attempts)?;
        self.stop_requested = false;
        self.leave_behind();
        Ok(())
    }

    /// Another agent cannot continue the session of the one before it.
    fn choose_agent(&mut self, first: AttemptNo, agent: &str, model: Option<&str>) -> Result<(), Refused> {
        if self.attempts.range(first..).next().is_some() {
            return Err(Refused::Stale("the attempt is already dispatched"));
        }
        self.agents.insert(first, ChosenAgent { agent: agent.to_owned(), model: model.map(str::to_owned) });
        self.session = None;
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
        let granted = self.ownership.grant_with(grant).filter(|granted| granted.covers(n));
        let granted = granted.ok_or(Refused::Stale("no grant covers the attempt"))?;
        let has_moved_on = self.worktree_is_current || self.checkouts.is_current || self.give_unfinished;
        let superseded = self.ownership.has_left_behind(granted, has_moved_on);
        self.attempts.insert(n, Attempt::new(host, grant, command, at, superseded));
        Ok(())
    }

    fn learn_session(&mut self, session: &String, attempt: Option<AttemptNo>) -> Result<(), Refused> {
        let n = attempt.or_else(|| self.newest_of_last_grant());
        let of_attempt = n.and_then(|n| self.attempt(n)).map(|attempt| &attempt.session);
        let known = of_attempt.is_none_or(|known| known.as_ref() == Some(session));
        if known && self.session.as_ref() == Some(session) {
            return Err(Refused::Stale("the session is already known"));
        }
        match n {
            Some(n) if self.attempts.contains_key(&n) => self.use_session(n, session),
            _ => self.session = Some(session.clone()),
        }
        Ok(())
    }

    /// The session of an attempt becomes the handoff's, unless the attempt is superseded.
    fn use_session(&mut self, n: AttemptNo, session: &str) {
        let Some(attempt) = self.attempts.get_mut(&n) else { return };
        attempt.session = Some(session.to_owned());
        let superseded = attempt.superseded;
        if !superseded && !self.changes_agent(n, AttemptNo::MAX) {
            self.session = Some(session.to_owned());
        }
    }

    /// The attempt that an event without a number is about: the newest, unless the last grant has none yet.
    fn newest_of_last_grant(&self) -> Option<AttemptNo> {
        let (n, attempt) = self.attempts.last_key_value()?;
        (self.grants().last()?.number == attempt.grant).then_some(*n)
    }

    fn attempt_mut(&mut self, n: AttemptNo) -> Result<&mut Attempt, Refused> {
        self.attempts.get_mut(&n).ok_or(Refused::Stale("the attempt was never dispatched"))
    }

    /// What was taken over from a directory that was made by hand.
    pub fn adopted(&self) -> Option<&Adopted> {
        self.adopted.as_ref()
    }

    /// What the user asked for.
    pub fn request(&self) -> &Created {
        &self.request
    }

    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// The time of the last event that says something about the work.
    pub fn changed_at(&self) -> Timestamp {
        self.changed_at
    }

    /// Who may start attempts, and under which grants.
    pub fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    /// Which hosts have the base, and which were asked to delete it.
    pub fn releases(&self) -> &Releases {
        &self.releases
    }

    /// The root directories that hosts showed.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// The newest session of the agent, as far as it was not superseded.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The user's addition to the prompts of a grant.
    pub fn message(&self, grant: u32) -> Option<&str> {
        self.messages.get(&grant).map(String::as_str)
    }

    /// Every attempt, superseded ones too.
    pub fn attempts(&self) -> &Attempts {
        &self.attempts
    }

    /// The attempt with this number.
    pub fn attempt(&self, n: AttemptNo) -> Option<&Attempt> {
        self.attempts.get(&n)
    }

    /// Since when the host is unreachable, and why.
    pub fn unreachable(&self) -> Option<(Timestamp, &str)> {
        self.unreachable.as_ref().map(|(since, why)| (*since, why.as_str()))
    }

    /// Whether the user asked to stop it since the last grant.
    pub fn is_stop_requested(&self) -> bool {
        self.stop_requested
    }

    /// The stored path of a takeover's worktree.
    pub fn worktree(&self) -> Option<&str> {
        self.worktree.as_deref()
    }

    /// The branch on which a takeover's worktree was made. `None`: it was made on none, or by an earlier version.
    pub fn worktree_branch(&self) -> Option<&str> {
        self.worktree_branch.as_deref()
    }

    /// The number of the takeover that the stored worktree was made for.
    pub fn worktree_round(&self) -> usize {
        self.worktree_round
    }

    /// Whether the worktree has the newest work.
    pub fn is_worktree_current(&self) -> bool {
        self.worktree_is_current
    }

    /// The checkouts of the user's into which takeovers merged the work.
    pub fn checkouts(&self) -> &Checkouts {
        &self.checkouts
    }

    /// What the user gave back after each takeover, by the number of the last attempt before it.
    pub fn given(&self) -> &BTreeMap<AttemptNo, Given> {
        &self.given
    }

    /// Whether an event of a newer program was read, so that nothing may be appended.
    pub fn is_read_only(&self) -> bool {
        self.read_only
    }
}

#[cfg(test)]
mod tests;
