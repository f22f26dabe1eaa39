//! The rules of the fold, one test for each rule.

use super::*;
use crate::model::attempt::{Epoch, Next, Writer};
use crate::model::event::Owner;
use crate::model::status::Status;
use crate::model::testing::created;
use crate::model::verdict::{Class, Verdict};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn event(second: i64, kind: Kind) -> Event {
    Event::new(at(second), kind)
}

fn new() -> Handoff {
    Handoff::created(&event(0, Kind::Created(Box::new(created("20261121-fix"))))).unwrap()
}

fn grant(number: u32, epoch: Epoch, first: u32, last: u32) -> Kind {
    Kind::Granted { grant: Grant { number, epoch, host: "buildbox".into(), first, last, active: 60 } }
}

fn dispatched(attempt: u32, grant: u32) -> Kind {
    Kind::Dispatched { attempt, grant, host: "buildbox".into(), command: "agent".into() }
}

fn ended(attempt: u32, class: Class) -> Kind {
    let verdict = Verdict::new(class, "e");
    Kind::Ended { attempt, outcome: Box::default(), verdict }
}

fn run(handoff: &mut Handoff, kinds: Vec<Kind>) {
    for (second, kind) in kinds.into_iter().enumerate() {
        handoff.apply(&event(second as i64, kind)).unwrap();
    }
}

#[test]
fn a_simple_handoff_goes_through_every_status() {
    let mut h = new();
    assert_eq!(h.status(), Status::Queued);
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1)]);
    assert_eq!(h.status(), Status::Queued);
    run(&mut h, vec![Kind::Started { attempt: 1, command: None, session: None }]);
    assert_eq!(h.status(), Status::Running);
    run(&mut h, vec![ended(1, Class::Throttled)]);
    assert_eq!(h.status(), Status::Waiting);
    run(
        &mut h,
        vec![dispatched(2, 1), Kind::Started { attempt: 2, command: None, session: None }, ended(2, Class::Unchecked)],
    );
    assert_eq!(h.status(), Status::Done);
    run(&mut h, vec![Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true }]);
    assert_eq!(h.status(), Status::Interactive);
}

#[test]
fn between_two_attempts_the_status_is_waiting() {
    let mut h = new();
    let next = Kind::Decided { attempt: 1, next: Next::Resume { delay: 9 }, by: Writer::Laptop };
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1), ended(1, Class::Throttled), next, dispatched(2, 1)]);
    assert_eq!(h.status(), Status::Waiting);
    run(&mut h, vec![Kind::Started { attempt: 2, command: None, session: None }]);
    assert_eq!(h.status(), Status::Running);
}

#[test]
fn a_number_is_never_granted_twice() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 3)]);
    assert!(h.apply(&event(1, grant(2, 1, 3, 5))).is_err());
    assert!(h.apply(&event(1, grant(1, 1, 4, 5))).is_err());
    assert!(h.apply(&event(1, grant(2, 1, 4, 5))).is_ok());
}

#[test]
fn an_attempt_outside_every_grant_is_refused() {
    let mut h = new();
    assert!(h.apply(&event(1, dispatched(1, 1))).is_err());
    run(&mut h, vec![grant(1, 1, 1, 2)]);
    assert!(h.apply(&event(1, dispatched(3, 1))).is_err());
}

#[test]
fn an_old_epoch_grants_nothing() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 1), Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: false }]);
    assert!(h.apply(&event(3, grant(2, 1, 2, 3))).is_err());
    let again = Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true };
    assert!(h.apply(&event(4, again.clone())).is_ok(), "a later confirmation counts");
    assert!(h.apply(&event(5, again)).is_err(), "once");
}

#[test]
fn an_end_is_recorded_once() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 2), dispatched(1, 1), ended(1, Class::Crashed)]);
    let before = h.clone();
    assert!(h.apply(&event(9, ended(1, Class::Done))).is_err());
    assert_eq!(h, before, "a refused event leaves no trace");
}

#[test]
fn an_event_of_a_newer_program_makes_the_record_read_only() {
    let line = r#"{"v":1,"at":"2026-11-21T00:00:00Z","event":"teleported","to":"mars"}"#;
    let event: Event = serde_json::from_str(line).unwrap();
    let mut h = new();
    h.apply(&event).unwrap();
    assert!(h.is_read_only());
}

#[test]
fn used_up_attempts_fail_and_what_a_user_can_fix_pauses() {
    let park = |n| Kind::Decided { attempt: n, next: Next::Park { why: "x".into() }, by: Writer::Laptop };
    for (class, status) in [(Class::Auth, Status::Parked), (Class::Crashed, Status::Failed)] {
        let mut h = new();
        run(&mut h, vec![grant(1, 1, 1, 1), dispatched(1, 1), ended(1, class), park(1)]);
        assert_eq!(h.status(), status, "{class}");
    }
}

#[test]
fn a_wait_for_a_usage_limit_does_not_count_as_an_attempt() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1), ended(1, Class::Limited), dispatched(2, 1)]);
    assert_eq!(h.left(), 2);
    run(&mut h, vec![ended(2, Class::Crashed), dispatched(3, 1), ended(3, Class::Crashed)]);
    assert!(h.left() == 1 && h.needs_grant(3), "it has no number for the attempt that is left");
}

#[test]
fn each_grant_by_the_user_allows_the_attempts_it_says() {
    let mut h = new();
    assert_eq!(h.left(), h.request().limits.attempts, "before the first grant");
    run(&mut h, vec![grant(1, 1, 1, 2), dispatched(1, 1)]);
    assert_eq!(h.left(), 1);
    run(&mut h, vec![ended(1, Class::Crashed), dispatched(2, 1), ended(2, Class::Crashed)]);
    assert_eq!(h.left(), 0);
    run(&mut h, vec![grant(2, 1, 3, 4), dispatched(3, 2)]);
    assert_eq!(h.left(), 1, "two of two were used, and two more are allowed");
    run(&mut h, vec![ended(3, Class::Crashed), dispatched(4, 2), ended(4, Class::Crashed)]);
    assert_eq!(h.left(), 0);
}

#[test]
fn events_are_read_back_from_the_journal_unchanged() {
    let made = new().request;
    for kind in [Kind::Created(Box::new(made)), grant(1, 1, 1, 3), ended(1, Class::Done), Kind::StopRequested] {
        let line = serde_json::to_string(&event(1, kind.clone())).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap().kind, kind);
    }
}

#[test]
fn unused_numbers_are_granted_again_only_after_a_confirmed_epoch() {
    let owner = |confirmed| Kind::Owner { epoch: 2, owner: Owner::Host("buildbox".into()), confirmed };
    for (confirmed, first) in [(true, 2), (false, 4)] {
        let mut h = new();
        run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1), ended(1, Class::Stopped), owner(confirmed)]);
        assert_eq!(h.next_grant_first(), first);
        assert!(h.apply(&event(9, grant(2, 2, first, first + 1))).is_ok());
    }
}

#[test]
fn a_stop_is_carried_out_when_the_host_can_start_nothing_more() {
    let stopped = |last: u32, next: Option<Next>| {
        let mut h = new();
        run(&mut h, vec![grant(1, 1, 1, last), dispatched(1, 1), Kind::StopRequested, ended(1, Class::Lost)]);
        if let Some(next) = next {
            run(&mut h, vec![Kind::Decided { attempt: 1, next, by: "host".into() }]);
        }
        h
    };
    for next in [None, Some(Next::Resume { delay: 1 })] {
        let h = stopped(2, next.clone());
        assert!(h.may_follow(1) && h.status() == Status::Waiting, "attempt 2 may have been started alone: {next:?}");
        assert_eq!(stopped(1, next).status(), Status::Stopped);
    }
    assert_eq!(stopped(2, Some(Next::End)).status(), Status::Stopped);
    let mut told = stopped(2, None);
    run(&mut told, vec![Kind::Owner { epoch: 2, owner: Owner::Host("buildbox".into()), confirmed: true }]);
    assert_eq!(told.status(), Status::Stopped);
}

#[test]
fn a_host_that_did_not_confirm_a_move_is_not_over() {
    let owner = |epoch, owner, confirmed| Kind::Owner { epoch, owner, confirmed };
    let host = || Owner::Host("buildbox".into());
    let park = || Kind::Decided { attempt: 1, next: Next::Park { why: "moved".into() }, by: Writer::Laptop };
    let begun = || {
        let mut h = new();
        run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1), ended(1, Class::Crashed)]);
        h
    };
    let mut taken = begun();
    run(&mut taken, vec![park(), owner(2, Owner::Laptop, false)]);
    assert!(taken.is_over(), "the host has the decision");
    let mut moved = begun();
    run(&mut moved, vec![owner(2, host(), false), park(), owner(3, Owner::Laptop, false)]);
    assert!(!moved.is_over(), "the host may start attempt 2");
    let mut open = begun();
    run(&mut open, vec![owner(2, Owner::Laptop, false)]);
    assert!(!open.is_over(), "nothing was decided");
}

#[test]
fn the_parts_of_a_handoff_are_one_object_in_json() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1)]);
    let value = serde_json::to_value(&h).unwrap();
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let known = "attempts changed confirmed created epoch grants instances made messages owner read_only released \
                 replaced session shipped stop_requested told unreachable worktree";
    assert_eq!(keys.join(" "), known);
}
