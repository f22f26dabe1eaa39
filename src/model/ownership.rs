//! Who may start attempts: epochs, grants, and the hosts that confirmed them.

use std::collections::BTreeMap;

use serde::Serialize;

use super::attempt::{AttemptNo, Epoch, Grant};
use super::attempts::Attempts;
use super::event::Owner;
use super::not_applied::Refused;

/// The owner of a handoff, and what each host was allowed and has confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Ownership {
    epoch: Epoch,
    owner: Owner,
    /// Whether the previous owner confirmed the last change of owner.
    confirmed: bool,
    /// The highest epoch that each host has confirmed, with nothing of an older one left there.
    #[serde(rename = "told")]
    confirmed_epochs: BTreeMap<String, Epoch>,
    grants: Vec<Grant>,
}

/// An event that changes who may start attempts.
pub(super) enum OwnershipEvent<'a> {
    Granted(&'a Grant),
    /// The owner changed, or the host `from`, which had the handoff, confirmed the last change.
    Owner {
        epoch: Epoch,
        owner: &'a Owner,
        confirmed: bool,
        from: &'a str,
    },
    Told {
        host: &'a str,
        epoch: Epoch,
    },
}

impl Ownership {
    /// The ownership of a new handoff.
    pub(super) fn of(host: &str) -> Ownership {
        Ownership {
            epoch: 1,
            owner: Owner::Host(host.to_owned()),
            confirmed: true,
            confirmed_epochs: BTreeMap::new(),
            grants: Vec::new(),
        }
    }

    /// The only way to change it. A refused event leaves it unchanged.
    pub(super) fn apply(&mut self, event: OwnershipEvent<'_>, attempts: &Attempts) -> Result<(), Refused> {
        match event {
            OwnershipEvent::Granted(grant) => self.grant(grant, attempts),
            OwnershipEvent::Owner { epoch, owner, confirmed, from } => self.change_owner(epoch, owner, confirmed, from),
            OwnershipEvent::Told { host, epoch } => self.tell(host, epoch, attempts),
        }
    }

    fn grant(&mut self, grant: &Grant, attempts: &Attempts) -> Result<(), Refused> {
        if grant.epoch != self.epoch {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        let next_number = self.grants.last().map_or(1, |last| last.number + 1);
        if grant.number != next_number || grant.first < self.next_first(attempts) || grant.last < grant.first {
            return Err(Refused::Stale("another process has granted these attempts"));
        }
        self.grants.push(grant.clone());
        Ok(())
    }

    fn change_owner(&mut self, epoch: Epoch, owner: &Owner, confirmed: bool, from: &str) -> Result<(), Refused> {
        let confirms = epoch == self.epoch && *owner == self.owner && confirmed && !self.confirmed;
        if epoch != self.epoch + 1 && !confirms {
            return Err(Refused::Stale("the handoff has changed hands since"));
        }
        self.epoch = epoch;
        self.owner = owner.clone();
        self.confirmed = confirmed;
        if confirmed {
            self.confirmed_epochs.insert(from.to_owned(), epoch);
        }
        Ok(())
    }

    fn tell(&mut self, host: &str, epoch: Epoch, attempts: &Attempts) -> Result<(), Refused> {
        if epoch > self.epoch || self.confirmed_epochs.get(host).is_some_and(|told| *told >= epoch) {
            return Err(Refused::Stale("the host is already known to be told"));
        }
        self.confirmed_epochs.insert(host.to_owned(), epoch);
        self.confirmed |= self.unfenced_hosts(attempts).is_empty();
        Ok(())
    }

    /// The number of the last change of owner, from 1.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether the previous owner confirmed the last change of owner.
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The highest epoch that a host has confirmed; 0 if it has confirmed none.
    pub fn confirmed_epoch(&self, host: &str) -> Epoch {
        self.confirmed_epochs.get(host).copied().unwrap_or(0)
    }

    /// Every grant, in order.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The grant with this number.
    pub fn grant_with(&self, number: u32) -> Option<&Grant> {
        self.grants.iter().find(|grant| grant.number == number)
    }

    /// The grant that allows an attempt, which was dispatched under grant number `known`. If two grants have the
    /// attempt's number, the earlier one returned it.
    pub(super) fn grant_of(&self, n: AttemptNo, known: Option<u32>) -> Option<&Grant> {
        let allows = |grant: &&Grant| grant.covers(n) && known.is_none_or(|known| known == grant.number);
        self.grants.iter().rev().find(allows)
    }

    /// Whether an attempt of this grant that is discovered now is already superseded: by a later grant, or, with
    /// `has_moved_on`, by what the user has in the worktree of the present takeover or has given back.
    pub(super) fn has_left_behind(&self, grant: &Grant, has_moved_on: bool) -> bool {
        let later = self.grants.iter().any(|other| other.epoch > grant.epoch);
        later || has_moved_on && grant.epoch < self.epoch
    }

    /// The hosts that may continue under a past epoch, because they have not confirmed a higher one.
    pub(super) fn unfenced_hosts(&self, attempts: &Attempts) -> Vec<String> {
        let mut latest: BTreeMap<&str, Epoch> = BTreeMap::new();
        for attempt in attempts.values() {
            if let Some(grant) = self.grant_with(attempt.grant) {
                let epoch = latest.entry(&attempt.host).or_default();
                *epoch = grant.epoch.max(*epoch);
            }
        }
        let behind =
            latest.into_iter().filter(|(host, epoch)| *epoch < self.epoch && self.confirmed_epoch(host) <= *epoch);
        behind.map(|(host, _)| host.to_owned()).collect()
    }

    /// The lowest attempt number for a new grant. A number is never granted twice; unused ones are available again only
    /// when their host has confirmed a higher epoch.
    pub(super) fn next_first(&self, attempts: &Attempts) -> AttemptNo {
        let used = attempts.last_key_value().map_or(0, |(n, _)| *n);
        let told = |grant: &Grant| self.confirmed_epochs.get(&grant.host).is_some_and(|epoch| *epoch > grant.epoch);
        let held = self.grants.iter().filter(|grant| !told(grant)).map(|grant| grant.last).max();
        used.max(held.unwrap_or(0)) + 1
    }
}

#[cfg(test)]
mod tests;
