//! Which hosts have the shipped base, what hosts were asked to delete because the laptop has it, and which trees other
//! handoffs took.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::attempt::AttemptNo;
use super::not_applied::Refused;

/// The release of one host's part of a handoff.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Release {
    pub at: Timestamp,
    /// The last attempt on the host.
    pub last: AttemptNo,
    /// `false` if the host has not answered.
    pub confirmed: bool,
}

/// What hosts verified, and what they were asked to delete.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Releases {
    /// Hosts that verified the base and have it.
    shipped: Vec<String>,
    /// Hosts that were asked to delete what they have.
    released: BTreeMap<String, Release>,
    /// Hosts on which another handoff took the tree, with the last attempt before that.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    taken: BTreeMap<String, AttemptNo>,
}

/// An event about what a host has of a handoff.
pub(super) enum ReleaseEvent<'a> {
    Shipped {
        host: &'a str,
    },
    /// `has_more`: the handoff is running, or the host was given attempts after the released ones.
    Released {
        host: &'a str,
        release: Release,
        has_more: bool,
    },
    /// Another handoff took the tree that attempts up to `last` had on the host.
    TreeTaken {
        host: &'a str,
        last: AttemptNo,
    },
    /// The host's root directory was replaced or given up.
    RootReplaced {
        host: &'a str,
    },
}

impl Releases {
    /// The only way to change it. A refused event leaves it unchanged.
    pub(super) fn apply(&mut self, event: ReleaseEvent<'_>) -> Result<(), Refused> {
        match event {
            ReleaseEvent::Shipped { host } => {
                if self.is_shipped_to(host) {
                    return Err(Refused::Stale("the ship is already proved"));
                }
                self.shipped.push(host.to_owned());
            }
            ReleaseEvent::Released { host, release, has_more } => self.release(host, release, has_more)?,
            ReleaseEvent::TreeTaken { host, last } => {
                if self.taken.get(host).is_some_and(|known| *known >= last) {
                    return Err(Refused::Stale("the tree is already known to be taken"));
                }
                self.taken.insert(host.to_owned(), last);
                self.shipped.retain(|shipped| shipped != host);
            }
            ReleaseEvent::RootReplaced { host } => self.shipped.retain(|shipped| shipped != host),
        }
        Ok(())
    }

    fn release(&mut self, host: &str, release: Release, has_more: bool) -> Result<(), Refused> {
        let Release { last, confirmed, .. } = release;
        let known = self.released.get(host);
        if known.is_some_and(|known| known.last > last || (known.last == last && (known.confirmed || !confirmed))) {
            return Err(Refused::Stale("the host's part is already released"));
        }
        if has_more {
            return Err(Refused::Stale("the host has been given more to do"));
        }
        self.released.insert(host.to_owned(), release);
        self.shipped.retain(|shipped| shipped != host);
        Ok(())
    }

    /// Whether the host has the base, verified.
    pub fn is_shipped_to(&self, host: &str) -> bool {
        self.shipped.iter().any(|shipped| shipped == host)
    }

    /// The last attempt before another handoff took the tree on a host; 0 if none did.
    pub fn taken_after(&self, host: &str) -> AttemptNo {
        self.taken.get(host).copied().unwrap_or(0)
    }

    /// The last release of a host, whatever was sent to it later.
    pub fn last_of(&self, host: &str) -> Option<&Release> {
        self.released.get(host)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::{Grant, Next, Writer};
    use crate::model::event::{Event, Kind, Owner};
    use crate::model::handoff::Handoff;
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
    fn a_tree_that_another_handoff_took_is_not_relied_on() {
        let mut h = new();
        attempt(&mut h, 1, "box");
        let taken = || Kind::TreeTaken { host: "box".into(), last: 1 };
        apply(&mut h, taken()).unwrap();
        assert!(!h.has_tree("box", 2) && !h.is_released() && h.release_of("box").is_none());
        assert!(apply(&mut h, taken()).is_err(), "once is enough");
        attempt(&mut h, 2, "box");
        assert!(h.has_tree("box", 3));
    }

    #[test]
    fn a_handoff_at_rest_leaves_its_tree_unless_it_will_probably_continue() {
        use crate::model::attempt::Outcome;
        let ended = |class, next| {
            let mut h = new();
            let grant = Grant { number: 1, epoch: 1, host: "box".into(), first: 1, last: 2, active: 60 };
            apply(&mut h, Kind::Granted { grant }).unwrap();
            let sent = Kind::Dispatched { attempt: 1, grant: 1, host: "box".into(), command: "agent".into() };
            apply(&mut h, sent).unwrap();
            apply(&mut h, Kind::Started { attempt: 1, command: None, session: None }).unwrap();
            assert!(!h.leaves_tree("box"), "it runs");
            let outcome = Box::new(Outcome { capture: Some("c".repeat(40)), ..Outcome::default() });
            let verdict = Verdict::new(class, "e");
            apply(&mut h, Kind::Ended { attempt: 1, outcome, verdict }).unwrap();
            apply(&mut h, Kind::Decided { attempt: 1, next, by: Writer::Laptop }).unwrap();
            assert!(!h.leaves_tree("box"), "its work is not here");
            let commit = "c".repeat(40).parse().unwrap();
            apply(&mut h, Kind::Fetched { attempt: 1, commit, uncaptured: None }).unwrap();
            h
        };
        let park = || Next::Park { why: String::new() };
        for class in [Class::Done, Class::Unchecked, Class::Stopped] {
            let mut h = ended(class, Next::End);
            assert!(h.leaves_tree("box") && !h.leaves_tree("other"), "{class}");
            apply(&mut h, Kind::TreeTaken { host: "box".into(), last: 1 }).unwrap();
            assert!(!h.leaves_tree("box"));
        }
        for (class, next) in [
            (Class::Throttled, Next::Resume { delay: 9 }),
            (Class::Auth, park()),
            (Class::Crashed, park()),
            (Class::Done, Next::Resume { delay: 1 }),
        ] {
            assert!(!ended(class, next).leaves_tree("box"), "{class}");
        }
        let mut h = ended(Class::Done, Next::End);
        apply(&mut h, Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: false }).unwrap();
        assert!(!h.leaves_tree("box"), "the host has not confirmed the takeover");
        apply(&mut h, Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true }).unwrap();
        assert!(h.leaves_tree("box"));
        apply(&mut h, released("box", 1, false)).unwrap();
        assert!(!h.leaves_tree("box"));
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
