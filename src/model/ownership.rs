//! Who may start attempts: epochs, grants, hosts that confirmed them, and superseded attempts.

use std::collections::BTreeMap;

use super::attempt::{AttemptNo, Epoch, Grant, Next};
use super::event::Owner;
use super::handoff::{Attempt, Handoff, Refused};
use super::phase::Phase;

impl Handoff {
    pub(super) fn grant(&mut self, grant: &Grant) -> Result<(), Refused> {
        if grant.epoch != self.epoch {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        let next_number = self.grants.last().map_or(1, |last| last.number + 1);
        if grant.number != next_number || grant.first < self.next_grant_first() || grant.last < grant.first {
            return Err(Refused::Stale("another process has granted these attempts"));
        }
        self.stop_requested = false;
        self.leave_behind();
        self.grants.push(grant.clone());
        Ok(())
    }

    pub(super) fn change_owner(&mut self, epoch: Epoch, owner: &Owner, confirmed: bool) -> Result<(), Refused> {
        let confirms = epoch == self.epoch && *owner == self.owner && confirmed && !self.confirmed;
        if epoch != self.epoch + 1 && !confirms {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        let loser = self.host().to_owned();
        self.epoch = epoch;
        self.owner = owner.clone();
        self.confirmed = confirmed;
        if confirmed {
            self.confirmed_epochs.insert(loser, epoch);
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, host: &str, epoch: Epoch) -> Result<(), Refused> {
        if epoch > self.epoch || self.confirmed_epochs.get(host).is_some_and(|told| *told >= epoch) {
            return Err(Refused::Stale("the host is already known to be told"));
        }
        self.confirmed_epochs.insert(host.to_owned(), epoch);
        self.confirmed |= self.unfenced_hosts().is_empty();
        Ok(())
    }

    /// Supersedes the attempts that have not been fetched, because a later grant or a worktree on the laptop continues
    /// the work.
    pub(super) fn leave_behind(&mut self) {
        for attempt in self.attempts.values_mut().filter(|attempt| !attempt.is_collected()) {
            attempt.superseded = true;
        }
    }

    /// Whether an attempt of this grant that is discovered now is already superseded.
    pub(super) fn is_left_behind(&self, grant: &Grant) -> bool {
        let later = self.grants.iter().any(|other| other.epoch > grant.epoch);
        later || self.owner == Owner::Laptop && self.worktree.is_some() && grant.epoch < self.epoch
    }

    /// The grant that allows an attempt. If two grants have its number, the earlier one returned it.
    pub fn grant_of(&self, n: AttemptNo) -> Option<&Grant> {
        let known = self.attempts.get(&n).map(|attempt| attempt.grant);
        let allows = |grant: &&Grant| grant.first <= n && n <= grant.last && known.is_none_or(|k| k == grant.number);
        self.grants.iter().rev().find(allows)
    }

    /// Whether the attempt's grant is of a past epoch, so that it may not continue.
    pub fn is_outdated(&self, n: AttemptNo) -> bool {
        self.grant_of(n).is_some_and(|grant| grant.epoch < self.epoch)
    }

    /// The hosts that may continue under a past epoch, because they have not confirmed a higher one.
    pub fn unfenced_hosts(&self) -> Vec<String> {
        let mut latest: BTreeMap<&str, Epoch> = BTreeMap::new();
        for attempt in self.attempts.values() {
            if let Some(grant) = self.grants.iter().find(|grant| grant.number == attempt.grant) {
                let epoch = latest.entry(&attempt.host).or_default();
                *epoch = grant.epoch.max(*epoch);
            }
        }
        let told = |host: &str| self.confirmed_epochs.get(host).copied().unwrap_or(0);
        let behind = latest.into_iter().filter(|(host, epoch)| *epoch < self.epoch && told(host) <= *epoch);
        behind.map(|(host, _)| host.to_owned()).collect()
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
        let is_decided_there = self.grant_of(n).is_some_and(|grant| grant.epoch + 1 >= self.epoch);
        is_decided_there && matches!(self.phase(n), Some(Phase::Judged(Next::End | Next::Park { .. })))
    }

    /// The lowest attempt number for a new grant. A number is never granted twice; unused ones are available again only
    /// when their host has confirmed a higher epoch.
    pub fn next_grant_first(&self) -> AttemptNo {
        let used = self.attempts.last_key_value().map_or(0, |(n, _)| *n);
        let told = |grant: &Grant| self.confirmed_epochs.get(&grant.host).is_some_and(|epoch| *epoch > grant.epoch);
        let held = self.grants.iter().filter(|grant| !told(grant)).map(|grant| grant.last).max();
        used.max(held.unwrap_or(0)) + 1
    }

    /// The attempts that the work is based on, in order: all except superseded ones.
    pub fn lineage(&self) -> impl DoubleEndedIterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| !attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }

    /// The attempts that a host made, or may still make, after the handoff moved on without them.
    pub fn superseded(&self) -> impl Iterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }
}

#[cfg(test)]
mod tests;
