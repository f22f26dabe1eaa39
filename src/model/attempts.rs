//! What the laptop knows of each attempt, and how an event changes it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::attempt::{AttemptNo, Next, Outcome};
use super::companion::CapturedCompanion;
use super::not_applied::Refused;
use super::refusal::{RefusedRef, WORK};
use super::snapshot::Oid;
use super::uncaptured::Uncaptured;
use super::verdict::Verdict;

/// The attempts of a handoff, by number.
pub type Attempts = BTreeMap<AttemptNo, Attempt>;

/// One attempt, as far as the laptop knows.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Attempt {
    /// Empty if it was run by hand.
    pub host: String,
    /// It was run by hand, before the handoff was adopted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub by_hand: bool,
    pub grant: u32,
    /// The exact command, for people: first as planned, and as run after the host has shown the start.
    pub command: String,
    /// The session that it was given or opened.
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
    /// What it left in the companions, once that is here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<CapturedCompanion>,
    /// What the capture lacks, which is only on the host.
    pub uncaptured: Option<Uncaptured>,
    /// Refs of its capture that git refused here. The host keeps them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedRef>,
    /// The build results that the run asked for, once they were fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub artifacts: Option<FetchedArtifacts>,
    /// The handoff moved on without it: it is kept under its own number and never built on.
    pub superseded: bool,
}

/// How many build results of an attempt were fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct FetchedArtifacts {
    pub files: u64,
    pub bytes: u64,
}

/// An event about an attempt that is known.
pub(super) enum AttemptEvent<'a> {
    Started { command: Option<&'a String> },
    Ended { outcome: &'a Outcome, verdict: &'a Verdict },
    LogReplaced { part: u32 },
    Decided { next: &'a Next },
    Fetched { commit: &'a Oid, uncaptured: Option<&'a Uncaptured> },
    CompanionsFetched { companions: &'a [CapturedCompanion] },
    RefsRefused { refused: &'a [RefusedRef] },
    ArtifactsFetched(FetchedArtifacts),
}

impl Attempt {
    /// An attempt of which only the dispatch is known.
    pub(super) fn new(host: &str, grant: u32, command: &str, dispatched: Timestamp, superseded: bool) -> Attempt {
        Attempt {
            host: host.to_owned(),
            by_hand: false,
            grant,
            command: command.to_owned(),
            session: None,
            dispatched,
            started: None,
            ended: None,
            outcome: None,
            verdict: None,
            next: None,
            log_parts: 1,
            fetched: None,
            companions: Vec::new(),
            uncaptured: None,
            refused: Vec::new(),
            artifacts: None,
            superseded,
        }
    }

    /// The only way to change an attempt, apart from its session and its being superseded, which concern the handoff
    /// too. A refused event leaves it unchanged.
    pub(super) fn apply(&mut self, event: AttemptEvent<'_>, at: Timestamp) -> Result<(), Refused> {
        match event {
            AttemptEvent::Started { command } => {
                unset(&self.ended, "the attempt has already ended")?;
                unset(&self.started, "the attempt is already known to have started")?;
                self.started = Some(at);
                if let Some(command) = command {
                    self.command.clone_from(command);
                }
            }
            AttemptEvent::Ended { outcome, verdict } => {
                unset(&self.ended, "the attempt has already ended")?;
                self.ended = Some(at);
                self.uncaptured.clone_from(&outcome.uncaptured);
                self.outcome = Some(outcome.clone());
                self.verdict = Some(verdict.clone());
            }
            AttemptEvent::LogReplaced { part } => {
                if part <= self.log_parts {
                    return Err(Refused::Stale("the log is already known to go on in that part"));
                }
                self.log_parts = part;
            }
            AttemptEvent::Decided { next } => {
                unset(&self.next, "what follows the attempt is already decided")?;
                self.next = Some(next.clone());
            }
            AttemptEvent::Fetched { commit, uncaptured } => {
                if self.fetched.as_ref() == Some(commit) {
                    return Err(Refused::Stale("the capture is already fetched"));
                }
                self.fetched = Some(commit.clone());
                if uncaptured.is_some() {
                    self.uncaptured = uncaptured.cloned();
                }
            }
            AttemptEvent::CompanionsFetched { companions } => {
                if self.companions == companions {
                    return Err(Refused::Stale("the captures of the other repositories are already fetched"));
                }
                self.companions = companions.to_vec();
            }
            AttemptEvent::RefsRefused { refused } => {
                if self.refused == refused {
                    return Err(Refused::Stale("the refs are already known to be refused"));
                }
                self.refused = refused.to_vec();
            }
            AttemptEvent::ArtifactsFetched(artifacts) => {
                unset(&self.artifacts, "the artifacts are already fetched")?;
                self.artifacts = Some(artifacts);
            }
        }
        Ok(())
    }

    /// Whether the attempt ended because its host no longer had it.
    pub fn is_gone(&self) -> bool {
        self.outcome.as_ref().is_some_and(Outcome::is_gone)
    }

    /// Whether the work itself was refused, so that it is not in this repository.
    pub fn is_refused(&self) -> bool {
        self.fetched.is_none() && self.refused.iter().any(|refused| refused.name == WORK)
    }
}

/// The last attempt that was sent to a host.
pub(super) fn last_on(attempts: &Attempts, host: &str) -> Option<AttemptNo> {
    attempts.iter().rev().find(|(_, attempt)| attempt.host == host).map(|(n, _)| *n)
}

/// Refuses an event whose content is already known.
pub(super) fn unset<T>(slot: &Option<T>, why: &'static str) -> Result<(), Refused> {
    if slot.is_some() { Err(Refused::Stale(why)) } else { Ok(()) }
}
