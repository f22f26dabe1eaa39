//! Identifies the root directory of a host, so that a wiped or restored one is distinguished from the one in which an
//! attempt was started.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::attempt::AttemptNo;
use super::not_applied::Refused;

/// The identity of a host's root directory (`~/.handoff/instance`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Instance {
    /// Random hexadecimal digits, made together with the directory.
    pub id: String,
    /// Raised by each `ensure`.
    pub count: u64,
}

impl Instance {
    /// Whether a directory that showed `earlier` may show this later. A wiped directory has another id, and a restored
    /// snapshot has a lower count.
    pub fn follows(&self, earlier: &Instance) -> bool {
        self.id == earlier.id && self.count >= earlier.count
    }

    /// Parses `<id> <count>`.
    pub fn parse(text: &str) -> Option<Instance> {
        let (id, count) = text.trim().split_once(' ')?;
        let is_id = (16..=64).contains(&id.len()) && id.bytes().all(|c| c.is_ascii_hexdigit());
        Some(Instance { id: id.to_owned(), count: count.parse().ok()? }).filter(|_| is_id)
    }
}

impl std::fmt::Display for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", self.id, self.count)
    }
}

/// What the laptop knows of a host's root directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Known {
    /// No attempt of the handoff was started there, so the directory may be created.
    #[default]
    Nothing,
    /// An attempt was started there by a version without instances, so the directory must exist.
    Used,
    /// The directory must have this instance.
    Instance(Instance),
}

/// The root directories that hosts showed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Roots {
    /// The root directory that each host showed last.
    instances: BTreeMap<String, Instance>,
    /// Hosts whose root directory was replaced, with the last attempt sent before that.
    replaced: BTreeMap<String, AttemptNo>,
}

impl Roots {
    /// A host showed this root, or the user gave its root up (`None`). `latest` is the last attempt that was sent to the
    /// host. Returns whether another root is gone by that.
    pub(super) fn apply(
        &mut self,
        host: &str,
        instance: Option<&Instance>,
        latest: Option<AttemptNo>,
    ) -> Result<bool, Refused> {
        let known = self.instances.get(host);
        if known.is_some() && known == instance {
            return Err(Refused::Stale("the host's root is already known"));
        }
        let is_replaced = instance.is_none_or(|seen| known.is_some_and(|known| !seen.follows(known)));
        if is_replaced {
            self.replaced.insert(host.to_owned(), latest.unwrap_or(0));
        }
        match instance {
            Some(instance) => drop(self.instances.insert(host.to_owned(), instance.clone())),
            None => drop(self.instances.remove(host)),
        }
        Ok(is_replaced)
    }

    /// The root directory that a host showed last.
    pub fn instance(&self, host: &str) -> Option<&Instance> {
        self.instances.get(host)
    }

    /// The last attempt that was sent to a root which the host no longer shows; 0 if there was none.
    pub fn replaced_after(&self, host: &str) -> AttemptNo {
        self.replaced.get(host).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::model::attempt::{Grant, Outcome, Reason};
    use crate::model::event::{Event, Kind};
    use crate::model::handoff::Handoff;
    use crate::model::testing::created;
    use crate::model::verdict::{Class, Verdict};

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn instance(id: &str, count: u64) -> Instance {
        Instance { id: id.to_owned(), count }
    }

    fn root(instance: Option<Instance>) -> Kind {
        Kind::Root { host: "box".to_owned(), instance }
    }

    /// A handoff whose first attempt was started on a host that showed this root.
    fn started_at(instance: Option<Instance>) -> Handoff {
        let event = |kind| Event::new(Timestamp::UNIX_EPOCH, kind);
        let mut handoff = Handoff::created(&event(Kind::Created(Box::new(created("20261121-x"))))).unwrap();
        let host = "box".to_owned();
        let commit = handoff.request().base.commit.clone();
        let grant = Grant { number: 1, epoch: 1, host: host.clone(), first: 1, last: 2, active: 60 };
        let sent = [
            Kind::Granted { grant },
            Kind::Dispatched { attempt: 1, grant: 1, host: host.clone(), command: "agent".into() },
        ];
        let shown = instance.map(|instance| root(Some(instance)));
        let begun = [Kind::Shipped { host, commit }, Kind::Started { attempt: 1, command: None, session: None }];
        for kind in sent.into_iter().chain(shown).chain(begun) {
            handoff.apply(&event(kind)).unwrap();
        }
        handoff
    }

    fn started() -> Handoff {
        started_at(Some(instance(ID, 4)))
    }

    fn see(handoff: &mut Handoff, seen: Option<Instance>) -> Result<(), Refused> {
        handoff.apply(&Event::new(Timestamp::UNIX_EPOCH, root(seen)))
    }

    #[test]
    fn only_the_same_root_with_a_higher_count_follows() {
        let known = instance(ID, 4);
        assert!(instance(ID, 4).follows(&known) && instance(ID, 9).follows(&known));
        assert!(!instance(ID, 3).follows(&known), "an older snapshot");
        assert!(!instance(&ID.replace('0', "f"), 9).follows(&known), "wiped");
    }

    #[test]
    fn only_a_well_formed_line_is_an_instance() {
        assert_eq!(Instance::parse(&format!("{ID} 7")), Some(instance(ID, 7)));
        for bad in ["", "0123 7", &format!("{ID} x"), ID, "; rm -rf / 0123456789abcdef 7"] {
            assert_eq!(Instance::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_root_that_was_replaced_has_no_tree() {
        for seen in [Some(instance(ID, 3)), Some(instance(&ID.replace('0', "f"), 9)), None] {
            let mut handoff = started();
            see(&mut handoff, Some(instance(ID, 8))).unwrap();
            assert!(see(&mut handoff, Some(instance(ID, 8))).is_err(), "once");
            assert!(handoff.has_tree("box", 2) && handoff.releases().is_shipped_to("box"));
            see(&mut handoff, seen.clone()).unwrap();
            assert!(!handoff.has_tree("box", 2) && !handoff.releases().is_shipped_to("box"), "{seen:?}");
            assert_eq!((handoff.sent_before("box"), handoff.sent_before("other")), (vec![1], vec![]));
            let known = seen.map_or(Known::Nothing, Known::Instance);
            assert_eq!(handoff.root_of("box"), known);
        }
    }

    #[test]
    fn a_host_of_an_earlier_version_counts_as_used() {
        let handoff = started_at(None);
        assert_eq!((handoff.root_of("box"), handoff.root_of("other")), (Known::Used, Known::Nothing));
    }

    #[test]
    fn an_attempt_that_its_host_lost_leaves_no_tree_and_may_have_strays() {
        let mut handoff = started();
        assert!(handoff.has_tree("box", 2) && handoff.strays("box").is_empty());
        let verdict = Verdict::new(Class::Lost, "e");
        let outcome = Box::new(Outcome { reason: Reason::Gone, ..Outcome::default() });
        let ended = Kind::Ended { attempt: 1, outcome, verdict };
        handoff.apply(&Event::new(Timestamp::UNIX_EPOCH, ended)).unwrap();
        assert!(!handoff.has_tree("box", 2));
        assert_eq!((handoff.strays("box"), handoff.strays("other")), (vec![1], vec![]));
    }
}
