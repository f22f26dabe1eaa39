//! What hosts were asked to delete, because the laptop has it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attempt::AttemptNo;
use super::handoff::{Handoff, Refused};

/// The release of one host's part of a handoff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    pub at: Timestamp,
    /// The last attempt on the host.
    pub last: AttemptNo,
    /// `false` if the host has not answered.
    pub confirmed: bool,
}

impl Handoff {
    pub(super) fn release(
        &mut self,
        host: &str,
        last: AttemptNo,
        confirmed: bool,
        at: Timestamp,
    ) -> Result<(), Refused> {
        let known = self.released.get(host);
        if known.is_some_and(|known| known.last > last || (known.last == last && (known.confirmed || !confirmed))) {
            return Err(Refused::Stale("the host's part is already released"));
        }
        if self.status().is_active() || self.last_on(host).is_some_and(|n| n > last) {
            return Err(Refused::Stale("the host has been given more to do"));
        }
        self.released.insert(host.to_owned(), Release { at, last, confirmed });
        self.shipped.retain(|shipped| shipped != host);
        Ok(())
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
        self.attempts.iter().rev().find(|(_, attempt)| attempt.host == host).map(|(n, _)| *n)
    }

    /// The release of everything that a host had; `None` if it may still have something.
    pub fn release_of(&self, host: &str) -> Option<&Release> {
        self.released.get(host).filter(|release| self.last_on(host).is_none_or(|last| last <= release.last))
    }

    /// Whether every host that had something has confirmed its release.
    pub fn is_released(&self) -> bool {
        let hosts = self.hosts();
        let is_gone = |host: &&str| self.release_of(host).is_some_and(|release| release.confirmed);
        !hosts.is_empty() && hosts.iter().all(is_gone)
    }

    /// Whether a host has the newest work in a tree of this handoff, as far as the attempts before `n` show.
    pub fn has_tree(&self, host: &str, n: AttemptNo) -> bool {
        let released = self.released.get(host).map_or(0, |release| release.last);
        let gone = released.max(self.replaced.get(host).copied().unwrap_or(0));
        let before = self.attempts.range(gone + 1..n.max(gone + 1)).rev();
        let mut here = before.take_while(|(n, attempt)| attempt.host == host && !self.is_gone(**n));
        here.any(|(_, attempt)| attempt.started.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::{Grant, Next, Writer};
    use crate::model::event::{Event, Kind};
    use crate::model::testing::created;
    use crate::model::verdict::{Class, Verdict};

    fn apply(handoff: &mut Handoff, kind: Kind) -> Result<(), Refused> {
        handoff.apply(&Event::new(Timestamp::UNIX_EPOCH, kind))
    }

    /// One attempt that was granted, started and ended.
    fn attempt(handoff: &mut Handoff, n: AttemptNo, host: &str) {
        let (host, evidence) = (host.to_owned(), "e".to_owned());
        let verdict = Verdict::new(Class::Unchecked, evidence);
        for kind in [
            Kind::Granted { grant: Grant { number: n, epoch: 1, host: host.clone(), first: n, last: n, active: 60 } },
            Kind::Dispatched { attempt: n, grant: n, host, command: "agent".into() },
            Kind::Started { attempt: n, command: None, session: None },
            Kind::Ended { attempt: n, outcome: Box::default(), verdict },
            Kind::Decided { attempt: n, next: Next::End, by: Writer::Laptop },
        ] {
            apply(handoff, kind).unwrap();
        }
    }

    fn new() -> Handoff {
        let event = Event::new(Timestamp::UNIX_EPOCH, Kind::Created(Box::new(created("20261121-fix"))));
        Handoff::created(&event).unwrap()
    }

    fn released(host: &str, last: AttemptNo, confirmed: bool) -> Kind {
        Kind::Released { host: host.to_owned(), last, confirmed }
    }

    #[test]
    fn a_host_that_was_asked_to_release_has_no_tree_even_without_an_answer() {
        let mut h = new();
        attempt(&mut h, 1, "box");
        assert!(h.has_tree("box", 2) && !h.has_tree("other", 2) && !h.has_tree("box", 1));
        apply(&mut h, released("box", 1, false)).unwrap();
        assert!(!h.has_tree("box", 2) && !h.is_released());
        apply(&mut h, released("box", 1, true)).unwrap();
        assert!(h.is_released());
        assert!(apply(&mut h, released("box", 1, true)).is_err(), "once is enough");
        attempt(&mut h, 2, "box");
        assert!(h.has_tree("box", 3) && !h.is_released() && h.release_of("box").is_none());
        assert!(apply(&mut h, released("box", 1, true)).is_err(), "of an older request");
    }

    #[test]
    fn a_handoff_is_released_when_every_host_has_released_it() {
        let mut h = new();
        attempt(&mut h, 1, "box");
        attempt(&mut h, 2, "other");
        assert_eq!(h.hosts(), ["box", "other"]);
        assert!(!h.has_tree("box", 3), "the work went on elsewhere");
        apply(&mut h, released("other", 2, true)).unwrap();
        assert!(!h.is_released());
        apply(&mut h, released("box", 1, true)).unwrap();
        assert!(h.is_released());
    }

    #[test]
    fn a_running_handoff_is_not_released() {
        let mut h = new();
        attempt(&mut h, 1, "box");
        let grant = Grant { number: 2, epoch: 1, host: "box".into(), first: 2, last: 2, active: 60 };
        apply(&mut h, Kind::Granted { grant }).unwrap();
        let sent = Kind::Dispatched { attempt: 2, grant: 2, host: "box".into(), command: "agent".into() };
        apply(&mut h, sent).unwrap();
        assert!(apply(&mut h, released("box", 1, false)).is_err());
        assert!(apply(&mut h, released("box", 2, false)).is_err());
    }
}
