//! What follows from the state of a handoff: its lineage, its hosts, and what may come next.

use super::Handoff;
use crate::model::attempt::{AttemptNo, Epoch, Grant, Next};
use crate::model::attempts::{Attempt, last_on};
use crate::model::event::Owner;
use crate::model::phase::Phase;
use crate::model::release::Release;
use crate::model::root::Known;
use crate::model::verdict::Class;

impl Handoff {
    /// The number of the last change of owner, from 1.
    pub fn epoch(&self) -> Epoch {
        self.ownership.epoch()
    }

    pub fn owner(&self) -> &Owner {
        self.ownership.owner()
    }

    /// Whether the laptop is the owner.
    pub fn is_taken_over(&self) -> bool {
        *self.owner() == Owner::Laptop
    }

    /// Every grant, in order.
    pub fn grants(&self) -> &[Grant] {
        self.ownership.grants()
    }

    /// The grant that allows an attempt. If two grants have its number, the earlier one returned it.
    pub fn grant_of(&self, n: AttemptNo) -> Option<&Grant> {
        self.ownership.grant_of(n, self.attempt(n).map(|attempt| attempt.grant))
    }

    /// Whether the attempt's grant is of a past epoch, so that it may not continue.
    pub fn is_outdated(&self, n: AttemptNo) -> bool {
        self.grant_of(n).is_some_and(|grant| grant.epoch < self.epoch())
    }

    /// The hosts that may continue under a past epoch, because they have not confirmed a higher one.
    pub fn unfenced_hosts(&self) -> Vec<String> {
        self.ownership.unfenced_hosts(&self.attempts)
    }

    /// The lowest attempt number for a new grant. A number is never granted twice; unused ones are available again only
    /// when their host has confirmed a higher epoch.
    pub fn next_grant_first(&self) -> AttemptNo {
        self.ownership.next_first(&self.attempts)
    }

    /// Whether the last host has nothing left to do, so that a takeover needs no answer of it: it deleted its copy, or the
    /// `next` of its last attempt is an end there, which no later writer can change. After a move that the host did not
    /// confirm, that end was decided here and may be unknown to it.
    pub fn is_over(&self) -> bool {
        if self.release_of(self.host()).is_some_and(|release| release.confirmed) {
            return true;
        }
        let Some((n, _)) = self.last_attempt() else { return false };
        // The takeover itself has raised the epoch once.
        let is_decided_there = self.grant_of(n).is_some_and(|grant| grant.epoch + 1 >= self.epoch());
        is_decided_there && matches!(self.phase(n), Some(Phase::Judged(Next::End | Next::Park { .. })))
    }

    /// The attempts that the work is based on, in order: all except superseded ones.
    pub fn lineage(&self) -> impl DoubleEndedIterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| !attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }

    /// The attempts that a host made, or may still make, after the handoff moved on without them.
    pub fn superseded(&self) -> impl Iterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }

    /// The attempt with the highest number that was not superseded.
    pub fn last_attempt(&self) -> Option<(AttemptNo, &Attempt)> {
        self.lineage().next_back()
    }

    /// The host that runs the handoff or ran it last.
    pub fn host(&self) -> &str {
        match (self.last_attempt(), self.grants().last()) {
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
        let Some(grant) = self.grants().last() else { return self.request.limits.attempts };
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
        let next = self.attempt(n).and_then(|attempt| attempt.next.as_ref());
        !matches!(next, Some(Next::End | Next::Park { .. })) && !self.needs_grant(n)
    }

    /// Whether the attempt ended because its host no longer had it.
    pub fn is_gone(&self, n: AttemptNo) -> bool {
        self.attempt(n).is_some_and(Attempt::is_gone)
    }

    /// The hosts that have had attempts, in the order of their first.
    pub fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for attempt in self.attempts.values() {
            if !hosts.contains(&attempt.host.as_str()) {
                hosts.push(&attempt.host);
            }
        }
        hosts
    }

    /// The last attempt that was sent to a host.
    pub fn last_on(&self, host: &str) -> Option<AttemptNo> {
        last_on(&self.attempts, host)
    }

    /// The release of everything that a host had; `None` if it may still have something.
    pub fn release_of(&self, host: &str) -> Option<&Release> {
        self.releases.last_of(host).filter(|release| self.last_on(host).is_none_or(|last| last <= release.last))
    }

    /// Whether every host that had something has confirmed its release.
    pub fn is_released(&self) -> bool {
        let hosts = self.hosts();
        let is_gone = |host: &&str| self.release_of(host).is_some_and(|release| release.confirmed);
        !hosts.is_empty() && hosts.iter().all(is_gone)
    }

    /// Whether a host has the newest work in a tree of this handoff, as far as the attempts before `n` show.
    pub fn has_tree(&self, host: &str, n: AttemptNo) -> bool {
        let released = self.releases.last_of(host).map_or(0, |release| release.last);
        let gone = released.max(self.roots.replaced_after(host));
        let before = self.attempts.range(gone + 1..n.max(gone + 1)).rev();
        let mut here = before.take_while(|(_, attempt)| attempt.host == host && !attempt.is_gone());
        here.any(|(_, attempt)| attempt.started.is_some())
    }

    /// What is known of a host's root.
    pub fn root_of(&self, host: &str) -> Known {
        if let Some(instance) = self.roots.instance(host) {
            return Known::Instance(instance.clone());
        }
        let mut later = self.attempts.range(self.roots.replaced_after(host) + 1..);
        let is_used = later.any(|(_, attempt)| attempt.host == host && attempt.started.is_some());
        if is_used { Known::Used } else { Known::Nothing }
    }

    /// The attempts that were sent to a root which the host no longer shows.
    pub fn sent_before(&self, host: &str) -> Vec<AttemptNo> {
        let replaced = self.roots.replaced_after(host);
        self.attempts.iter().filter(|(n, attempt)| **n <= replaced && attempt.host == host).map(|(n, _)| *n).collect()
    }

    /// The attempts whose processes may still run on a host that no longer has their directories.
    pub fn strays(&self, host: &str) -> Vec<AttemptNo> {
        let there = self.attempts.iter().filter(|(_, attempt)| attempt.host == host);
        let stray = there.filter(|(_, attempt)| attempt.is_gone() || attempt.ended.is_none() && attempt.superseded);
        stray.map(|(n, _)| *n).collect()
    }
}
