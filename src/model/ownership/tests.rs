//! Grants and epochs under events in any order, including orders that no program writes.

use proptest::prelude::*;

use crate::model::attempt::{Grant, Outcome};
use crate::model::event::{Event, Kind, Owner};
use crate::model::handoff::Handoff;
use crate::model::testing::created;
use crate::model::verdict::{Class, Verdict};

const HOSTS: [&str; 3] = ["buildbox", "bigbox", "other"];

fn event(kind: Kind) -> Event {
    Event::new(jiff::Timestamp::UNIX_EPOCH, kind)
}

fn new() -> Handoff {
    Handoff::created(&event(Kind::Created(Box::new(created("20261121-x"))))).unwrap()
}

/// The next event. Numbers are chosen near current ones, so that most events apply.
#[derive(Clone, Debug)]
enum Step {
    Grant { host: usize, back: u32, count: u32 },
    Dispatch,
    TakeUp,
    Surface { n: u32, grant: usize },
    End { n: u32, captured: bool },
    Fetch { n: u32 },
    Owner { laptop: bool, host: usize, confirmed: bool },
    Confirm,
    Told { host: usize, behind: u32 },
    Worktree,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let host = 0..HOSTS.len();
    let step = prop_oneof![
        4 => (host.clone(), 0u32..4, 1u32..4).prop_map(|(host, back, count)| Step::Grant { host, back, count }),
        4 => Just(Step::Dispatch),
        2 => Just(Step::TakeUp),
        2 => (1u32..12, 0usize..6).prop_map(|(n, grant)| Step::Surface { n, grant }),
        3 => (1u32..12, any::<bool>()).prop_map(|(n, captured)| Step::End { n, captured }),
        2 => (1u32..12).prop_map(|n| Step::Fetch { n }),
        3 => (any::<bool>(), host.clone(), any::<bool>())
            .prop_map(|(laptop, host, confirmed)| Step::Owner { laptop, host, confirmed }),
        1 => Just(Step::Confirm),
        2 => (host, 0u32..2).prop_map(|(host, behind)| Step::Told { host, behind }),
        1 => Just(Step::Worktree),
    ];
    proptest::collection::vec(step, 0..40)
}

fn kind(h: &Handoff, step: &Step) -> Option<Kind> {
    let command = || "agent".to_owned();
    Some(match step {
        Step::Grant { host, back, count } => {
            let first = (h.next_grant_first() + 1).saturating_sub(*back).max(1);
            let number = h.grants().last().map_or(1, |grant| grant.number + 1);
            let (host, last) = (HOSTS[*host].into(), first + count - 1);
            Kind::Granted { grant: Grant { number, epoch: h.epoch(), host, first, last, active: 60 } }
        }
        Step::Dispatch => {
            let grant = h.grants().last()?;
            Kind::Dispatched { attempt: grant.first, grant: grant.number, host: grant.host.clone(), command: command() }
        }
        Step::TakeUp => {
            let (n, attempt) = h.attempts().last_key_value()?;
            Kind::TakenUp { attempt: n + 1, grant: attempt.grant, host: attempt.host.clone(), command: command() }
        }
        Step::Surface { n, grant } => {
            let grant = h.grants().get(*grant)?;
            Kind::Surfaced { attempt: *n, grant: grant.number, host: grant.host.clone(), command: command() }
        }
        Step::End { n, captured } => {
            let verdict = Verdict::new(Class::Unchecked, "e");
            let outcome = Outcome { capture: captured.then(|| "1".repeat(40)), ..Outcome::default() };
            Kind::Ended { attempt: *n, outcome: Box::new(outcome), verdict }
        }
        Step::Fetch { n } => Kind::Fetched { attempt: *n, commit: "1".repeat(40).parse().unwrap(), uncaptured: None },
        Step::Owner { laptop, host, confirmed } => {
            let owner = if *laptop { Owner::Laptop } else { Owner::Host(HOSTS[*host].into()) };
            Kind::Owner { epoch: h.epoch() + 1, owner, confirmed: *confirmed }
        }
        Step::Confirm => Kind::Owner { epoch: h.epoch(), owner: h.owner().clone(), confirmed: true },
        Step::Told { host, behind } => {
            Kind::Told { host: HOSTS[*host].into(), epoch: h.epoch().saturating_sub(*behind) }
        }
        Step::Worktree => Kind::Worktree { path: "/w".into(), branch: None },
    })
}

/// Checks the conditions of a grant at the moment it is made.
fn sound(h: &Handoff, made: &Grant) {
    for earlier in h.grants().iter().filter(|grant| grant.number < made.number && grant.last >= made.first) {
        let told = h.ownership().confirmed_epoch(&earlier.host);
        assert!(told > earlier.epoch, "{made:?} takes numbers of {earlier:?}, whose host knows of epoch {told}");
    }
    assert!(h.attempts().keys().all(|n| *n < made.first), "{made:?} grants a number that was used");
    assert_eq!(made.epoch, h.epoch());
}

proptest! {
    #[test]
    fn a_number_is_never_granted_twice(steps in steps()) {
        let mut h = new();
        for step in steps {
            let (before, Some(kind)) = (h.clone(), kind(&h, &step)) else { continue };
            let granted = match &kind { Kind::Granted { grant } => Some(grant.clone()), _ => None };
            if h.apply(&event(kind)).is_err() {
                prop_assert_eq!(&h, &before, "a refused event leaves no trace");
                continue;
            }
            if let Some(grant) = granted {
                sound(&h, &grant);
            }
            prop_assert!(h.epoch() >= before.epoch());
            prop_assert!(HOSTS.iter().all(|host| h.ownership().confirmed_epoch(host) <= h.epoch()));
            // A superseded attempt stays superseded and is never built on.
            for (n, _) in before.superseded() {
                prop_assert!(h.attempts()[&n].superseded);
            }
            prop_assert!(h.last_attempt().is_none_or(|(_, attempt)| !attempt.superseded));
        }
    }
}

/// A handoff whose first of three granted attempts runs on `buildbox` when the epoch rises.
fn moved(confirmed: bool) -> Handoff {
    let mut h = new();
    let grant = Grant { number: 1, epoch: 1, host: "buildbox".into(), first: 1, last: 3, active: 60 };
    for kind in [
        Kind::Granted { grant },
        Kind::Dispatched { attempt: 1, grant: 1, host: "buildbox".into(), command: "agent".into() },
        Kind::Started { attempt: 1, command: None, session: None },
        Kind::Owner { epoch: 2, owner: Owner::Host("other".into()), confirmed },
    ] {
        h.apply(&event(kind)).unwrap();
    }
    h
}

fn to_other(h: &mut Handoff) {
    let first = h.next_grant_first();
    let grant = Grant { number: 2, epoch: 2, host: "other".into(), first, last: first + 2, active: 60 };
    h.apply(&event(Kind::Granted { grant })).unwrap();
    let host = "other".to_owned();
    h.apply(&event(Kind::Dispatched { attempt: first, grant: 2, host, command: "agent".into() })).unwrap();
}

#[test]
fn an_unconfirmed_host_is_unfenced_and_keeps_its_numbers() {
    let mut h = moved(false);
    to_other(&mut h);
    assert_eq!((h.unfenced_hosts(), h.last_attempt().unwrap().0), (vec!["buildbox".to_owned()], 4));
    // Another change of owner that the second host confirms does not count for the first host.
    h.apply(&event(Kind::Owner { epoch: 3, owner: Owner::Laptop, confirmed: true })).unwrap();
    assert_eq!((h.unfenced_hosts(), h.next_grant_first()), (vec!["buildbox".to_owned()], 5));
    h.apply(&event(Kind::Told { host: "buildbox".into(), epoch: 3 })).unwrap();
    assert!(h.unfenced_hosts().is_empty());
    assert!(h.apply(&event(Kind::Told { host: "buildbox".into(), epoch: 3 })).is_err(), "once");
}

#[test]
fn an_attempt_discovered_after_a_move_is_superseded() {
    let mut h = moved(false);
    to_other(&mut h);
    let (host, status) = (h.host().to_owned(), h.status());
    let surfaced = Kind::Surfaced { attempt: 2, grant: 1, host: "buildbox".into(), command: "agent".into() };
    h.apply(&event(surfaced.clone())).unwrap();
    assert!(h.apply(&event(surfaced)).is_err(), "once");
    assert_eq!(h.superseded().map(|(n, _)| n).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((h.host(), h.status()), (host.as_str(), status));
    assert!(h.history().is_empty());
}

#[test]
fn an_attempt_collected_before_the_worktree_is_part_of_the_work() {
    let mut h = moved(true);
    let verdict = Verdict::new(Class::Stopped, "e");
    h.apply(&event(Kind::Owner { epoch: 3, owner: Owner::Laptop, confirmed: false })).unwrap();
    h.apply(&event(Kind::Ended { attempt: 1, outcome: Box::default(), verdict })).unwrap();
    h.apply(&event(Kind::Worktree { path: "/w".into(), branch: None })).unwrap();
    assert_eq!(h.superseded().count(), 0);
    let late = Kind::TakenUp { attempt: 2, grant: 1, host: "buildbox".into(), command: "agent".into() };
    h.apply(&event(late)).unwrap();
    assert_eq!(h.superseded().map(|(n, _)| n).collect::<Vec<_>>(), [2], "the worktree was made without it");
}
