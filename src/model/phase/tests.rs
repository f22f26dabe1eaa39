//! Every phase, and what moves an attempt to the next one.

use jiff::Timestamp;

use super::*;
use crate::model::attempt::{Grant, Writer};
use crate::model::event::{Created, Event, Kind, Owner};
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::model::testing::created;
use crate::model::verdict::{Class, Verdict};

const BEGIN: i64 = 1_795_000_000;

/// A handoff with one grant for attempts 1 to 3, all of whose events happen at `BEGIN`.
fn new() -> Handoff {
    let request: Created = created("20261121-fix");
    let event = Event::new(Timestamp::from_second(BEGIN).unwrap(), Kind::Created(Box::new(request)));
    let mut handoff = Handoff::created(&event).unwrap();
    apply(&mut handoff, grant(1, 1, 1));
    handoff
}

fn apply(handoff: &mut Handoff, kind: Kind) {
    handoff.apply(&Event::new(Timestamp::from_second(BEGIN).unwrap(), kind)).unwrap();
}

fn grant(number: u32, epoch: u32, first: AttemptNo) -> Kind {
    let grant = Grant { number, epoch, host: "buildbox".into(), first, last: first + 2, active: 60 };
    Kind::Granted { grant }
}

fn dispatched(attempt: AttemptNo, grant: u32) -> Kind {
    Kind::Dispatched { attempt, grant, host: "buildbox".into(), command: "agent".into() }
}

fn started(attempt: AttemptNo) -> Kind {
    Kind::Started { attempt, command: None, session: None }
}

fn capture() -> Oid {
    "5".repeat(40).parse().unwrap()
}

fn ended(attempt: AttemptNo, capture: Option<Oid>) -> Kind {
    let outcome = Outcome { capture: capture.map(|oid| oid.to_string()), ..Outcome::default() };
    Kind::Ended { attempt, outcome: Box::new(outcome), verdict: Verdict::new(Class::Throttled, "429") }
}

fn fetched(attempt: AttemptNo) -> Kind {
    Kind::Fetched { attempt, commit: capture(), uncaptured: None }
}

fn decided(attempt: AttemptNo, next: Next) -> Kind {
    Kind::Decided { attempt, next, by: Writer::Laptop }
}

#[test]
fn an_attempt_goes_through_its_phases_in_order() {
    let mut h = new();
    assert_eq!(h.phase(1), None);
    apply(&mut h, dispatched(1, 1));
    assert_eq!(h.phase(1), Some(Phase::Granted));
    apply(&mut h, started(1));
    assert_eq!(h.phase(1), Some(Phase::Running));
    apply(&mut h, ended(1, Some(capture())));
    assert!(matches!(h.phase(1), Some(Phase::Ended(_))));
    apply(&mut h, fetched(1));
    assert!(matches!(h.phase(1), Some(Phase::Collected(_))));
    apply(&mut h, decided(1, Next::Resume { delay: 9 }));
    assert_eq!(h.phase(1), Some(Phase::Judged(&Next::Resume { delay: 9 })));
    assert_eq!(h.phase(2), None);
    apply(&mut h, dispatched(2, 1));
    assert_eq!(h.phase(2), Some(Phase::Waiting { due: BEGIN + 9 }));
    apply(&mut h, started(2));
    assert_eq!(h.phase(2), Some(Phase::Running));
}

#[test]
fn an_attempt_without_a_capture_is_collected_when_it_ends() {
    let mut h = new();
    apply(&mut h, dispatched(1, 1));
    apply(&mut h, ended(1, None));
    assert!(matches!(h.phase(1), Some(Phase::Collected(_))));
}

#[test]
fn only_an_attempt_that_follows_by_itself_waits() {
    for (next, due) in [
        (Next::Resume { delay: 5 }, Some(BEGIN + 5)),
        (Next::ResumeWithCheck { delay: 6 }, Some(BEGIN + 6)),
        (Next::WaitUntil { at: BEGIN + 100 }, Some(BEGIN + 100)),
        (Next::End, None),
        (Next::Park { why: "log in".into() }, None),
    ] {
        let mut h = new();
        apply(&mut h, dispatched(1, 1));
        apply(&mut h, ended(1, None));
        apply(&mut h, decided(1, next.clone()));
        apply(&mut h, dispatched(2, 1));
        assert_eq!(h.phase(2), Some(due.map_or(Phase::Granted, |due| Phase::Waiting { due })), "{next:?}");
        let left = due.map(|due| Duration::from_secs(u64::try_from(due - BEGIN - 1).unwrap()));
        assert_eq!(h.time_left(2, BEGIN + 1), left);
        assert_eq!(h.time_left(2, BEGIN + 101), None, "its time has come");
        let status = if due.is_some() { Status::Waiting } else { Status::Queued };
        assert_eq!(h.status(), status, "{next:?}");
    }
}

#[test]
fn an_attempt_that_the_handoff_left_is_superseded_until_it_is_collected() {
    let mut h = new();
    apply(&mut h, dispatched(1, 1));
    apply(&mut h, started(1));
    apply(&mut h, Kind::Owner { epoch: 2, owner: Owner::Host("other".into()), confirmed: false });
    apply(&mut h, grant(2, 2, 4));
    assert_eq!(h.phase(1), Some(Phase::Superseded(Remainder::End)));
    apply(&mut h, ended(1, Some(capture())));
    assert_eq!(h.phase(1), Some(Phase::Superseded(Remainder::Capture)));
    apply(&mut h, fetched(1));
    assert_eq!(h.phase(1), Some(Phase::Superseded(Remainder::Nothing)));
    // It is no predecessor: the attempt of the new grant does not wait for it.
    apply(&mut h, dispatched(4, 2));
    assert_eq!(h.phase(4), Some(Phase::Granted));
}

#[test]
fn what_was_collected_before_a_move_keeps_its_phase() {
    let mut h = new();
    apply(&mut h, dispatched(1, 1));
    apply(&mut h, ended(1, None));
    apply(&mut h, decided(1, Next::End));
    apply(&mut h, Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true });
    assert_eq!(h.phase(1), Some(Phase::Judged(&Next::End)));
}

#[test]
fn an_open_attempt_is_never_collected() {
    let outcome = Outcome::default();
    let (open, not) = ([true, false], [false, false]);
    for (phase, [is_open, is_collected]) in [
        (Phase::Granted, open),
        (Phase::Waiting { due: 0 }, open),
        (Phase::Running, open),
        (Phase::Superseded(Remainder::End), open),
        (Phase::Ended(&outcome), not),
        (Phase::Superseded(Remainder::Capture), not),
        (Phase::Collected(&outcome), [false, true]),
        (Phase::Judged(&Next::End), [false, true]),
        (Phase::Superseded(Remainder::Nothing), [false, true]),
    ] {
        assert_eq!([phase.is_open(), phase.is_collected()], [is_open, is_collected], "{phase:?}");
    }
}
