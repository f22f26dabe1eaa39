//! The rules of the fold, one test for each rule.

use super::*;
use crate::model::adopted::RunByHand;
use crate::model::attempt::{Epoch, Next, Writer};
use crate::model::event::Owner;
use crate::model::snapshot::Snapshot;
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

/// A handoff that was taken over after an attempt whose work is here.
fn taken_over() -> Handoff {
    let mut h = new();
    let commit = h.request().base.commit.clone();
    let started = Kind::Started { attempt: 1, command: None, session: Some("s-1".into()) };
    let fetched = Kind::Fetched { attempt: 1, commit: commit.clone(), uncaptured: None };
    let shipped = Kind::Shipped { host: "buildbox".into(), commit };
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1), shipped, started, ended(1, Class::Unchecked), fetched]);
    run(&mut h, vec![Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true }]);
    run(&mut h, vec![Kind::Worktree { path: "/repo-handoff".into(), branch: None }]);
    h
}

fn given(digit: char) -> Kind {
    let commit = digit.to_string().repeat(40).parse().unwrap();
    let work = Snapshot { commit, ..created("20260407-x").base };
    Kind::Given(Box::new(Given { work, told: "changed".into(), message: None, by_hand: None }))
}

#[test]
fn what_the_user_gives_is_newer_than_every_capture_until_the_next_one() {
    let mut h = taken_over();
    assert!(h.has_tree("buildbox", 9) && h.given_before(9).is_none());
    run(&mut h, vec![given('a'), given('b')]);
    assert_eq!(h.given_before(9).unwrap().work.commit.short(), "bbbbbbbbbb", "giving again replaces it");
    assert_eq!((h.round(), h.worktree_round()), (1, 1));
    let back = Kind::Owner { epoch: 3, owner: Owner::Host("buildbox".into()), confirmed: true };
    run(&mut h, vec![back, grant(2, 3, 2, 4), dispatched(2, 2)]);
    assert_eq!(h.status(), Status::Queued);
    assert!(!h.has_tree("buildbox", 2), "the host has what the agent left, not what the user made of it");
    assert!(h.has_session("buildbox", 2) && !h.has_session("bigbox", 2));
    assert_eq!((h.round(), h.worktree_round()), (2, 1), "the next takeover has a worktree of its own");

    let commit = created("20260407-x").base.commit;
    let fetched = Kind::Fetched { attempt: 2, commit, uncaptured: None };
    run(&mut h, vec![Kind::Started { attempt: 2, command: None, session: None }, ended(2, Class::Unchecked), fetched]);
    assert!(h.has_tree("buildbox", 9) && h.given_before(9).is_none(), "the capture is newer");
    assert!(h.given_before(2).is_some(), "for a dispatch that is sent again");
}

#[test]
fn the_worktree_of_an_earlier_takeover_supersedes_nothing() {
    let mut h = taken_over();
    assert!(h.is_worktree_current());
    let owner = |epoch, owner| Kind::Owner { epoch, owner, confirmed: false };
    let back = owner(3, Owner::Host("buildbox".into()));
    run(&mut h, vec![given('a'), back, grant(2, 3, 2, 4), dispatched(2, 2), ended(2, Class::Throttled)]);
    run(&mut h, vec![owner(4, Owner::Laptop)]);
    assert!(!h.is_worktree_current(), "the second takeover has no worktree yet");
    let alone = Kind::TakenUp { attempt: 3, grant: 2, host: "buildbox".into(), command: "agent".into() };
    run(&mut h, vec![alone]);
    assert!(!h.attempt(3).unwrap().superseded, "the host began it before it heard of the takeover");
}

#[test]
fn a_give_that_was_interrupted_can_be_repeated() {
    let mut h = taken_over();
    run(&mut h, vec![given('a'), Kind::Owner { epoch: 3, owner: Owner::Host("buildbox".into()), confirmed: false }]);
    assert!(h.is_give_unfinished() && h.status() == Status::Stopped);
    run(&mut h, vec![given('b')]);
    assert_eq!(h.given_before(9).unwrap().work.commit.short(), "bbbbbbbbbb");
    run(&mut h, vec![grant(2, 3, 2, 4), dispatched(2, 2)]);
    assert!(!h.is_give_unfinished() && h.status() == Status::Queued);
    assert!(matches!(h.apply(&event(1, given('c'))), Err(Refused::Stale(_))));
}

#[test]
fn what_a_host_began_alone_does_not_replace_what_waits_to_be_given() {
    let mut h = taken_over();
    run(&mut h, vec![given('a'), Kind::Owner { epoch: 3, owner: Owner::Host("bigbox".into()), confirmed: false }]);
    let alone = Kind::TakenUp { attempt: 2, grant: 1, host: "buildbox".into(), command: "agent".into() };
    run(&mut h, vec![alone, Kind::Started { attempt: 2, command: None, session: None }]);
    assert!(h.attempt(2).unwrap().superseded && h.is_give_unfinished());
    assert!(!h.has_tree("buildbox", 9), "it has changed the tree");
    assert_eq!(h.given_before(9).unwrap().work.commit.short(), "aaaaaaaaaa");
}

#[test]
fn the_newest_capture_of_a_host_is_named_until_the_host_is_asked_to_delete_it() {
    let mut h = taken_over();
    assert!(h.capture_on("buildbox").is_some() && h.capture_on("bigbox").is_none());
    run(&mut h, vec![Kind::Released { host: "buildbox".into(), last: 1, confirmed: false }]);
    assert_eq!(h.capture_on("buildbox"), None);
}

#[test]
fn only_the_user_can_give_and_only_after_a_takeover() {
    let mut h = new();
    assert!(matches!(h.apply(&event(1, given('a'))), Err(Refused::Stale(_))));
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1)]);
    assert!(matches!(h.apply(&event(1, given('a'))), Err(Refused::Stale(_))));
}

#[test]
fn a_finished_handoff_stays_finished_and_nothing_continues_it() {
    let finish = |branch: &str| {
        let finish = crate::model::event::Finish { branch: Some(branch.into()), ..Default::default() };
        Kind::Finished(Box::new(finish))
    };
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1)]);
    assert!(h.apply(&event(1, finish("a"))).is_err(), "it runs");
    run(&mut h, vec![ended(1, Class::Unchecked), finish("a")]);
    let continuing = [
        grant(2, 1, 4, 4),
        Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: false },
        Kind::Worktree { path: "/w".into(), branch: None },
        Kind::StopRequested,
        finish("a"),
    ];
    for kind in continuing {
        assert!(h.apply(&event(9, kind.clone())).is_err(), "{kind:?}");
    }
    assert_eq!(h.status(), Status::Finished);
    let since = h.finished().unwrap().0;
    h.apply(&event(20, finish("b"))).unwrap();
    let (again, how) = h.finished().unwrap();
    assert_eq!((again, how.branch.as_deref()), (since, Some("b")));
    let released = Kind::Released { host: "buildbox".into(), last: 1, confirmed: true };
    h.apply(&event(21, released)).unwrap();
}

#[test]
fn a_host_still_confirms_a_takeover_that_was_finished() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 1), dispatched(1, 1)]);
    let owner = |confirmed| Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed };
    run(&mut h, vec![owner(false), Kind::Finished(Box::default()), owner(true)]);
    assert!(h.unfenced_hosts().is_empty() && h.status() == Status::Finished);
}

#[test]
fn another_agent_begins_a_session_of_its_own() {
    let mut h = taken_over();
    let chosen = |first| Kind::AgentChosen { first, agent: "codex".into(), model: Some("small".into()) };
    assert!(h.session().is_some() && !h.changes_agent(1, 9));
    run(&mut h, vec![chosen(2)]);
    assert_eq!((h.agent_of(1), h.agent_of(2), h.agent()), ("cursor", "codex", "codex"));
    assert_eq!((h.model_of(1), h.model_of(7)), (None, Some("small")));
    assert!(h.changes_agent(1, 2) && !h.changes_agent(2, 9) && !h.changes_agent(9, 9));
    assert_eq!(h.session(), None);
    let late = Kind::Session { session: "s-0".into(), attempt: Some(1) };
    run(&mut h, vec![late]);
    assert_eq!(h.session(), None, "the session of the agent before it does not count");
    run(&mut h, vec![given('a'), Kind::Owner { epoch: 3, owner: Owner::Host("buildbox".into()), confirmed: true }]);
    run(&mut h, vec![grant(2, 3, 2, 4), dispatched(2, 2)]);
    run(&mut h, vec![Kind::Started { attempt: 2, command: None, session: Some("s-2".into()) }]);
    assert_eq!(h.session(), Some("s-2"));
    assert!(matches!(h.apply(&event(1, chosen(2))), Err(Refused::Stale(_))), "attempt 2 has its agent");
}

#[test]
fn a_takeover_that_is_given_up_leaves_the_handoff_at_rest_on_its_host() {
    let mut h = new();
    run(&mut h, vec![grant(1, 1, 1, 3), dispatched(1, 1)]);
    let started = Kind::Started { attempt: 1, command: None, session: None };
    run(&mut h, vec![started, ended(1, Class::Throttled)]);
    assert_eq!(h.status(), Status::Waiting);
    let owner = |epoch, owner| Kind::Owner { epoch, owner, confirmed: true };
    run(&mut h, vec![owner(2, Owner::Laptop), Kind::Worktree { path: "/w".into(), branch: None }]);
    run(&mut h, vec![owner(3, Owner::Host("buildbox".into()))]);
    assert_eq!((h.status(), h.worktree(), h.unfenced_hosts().len()), (Status::Stopped, None, 0));
    run(&mut h, vec![grant(2, 3, 2, 2)]);
    assert!(!h.is_stop_requested());
}

fn here(number: u32) -> Kind {
    let base = created("20260407-x").base.commit;
    Kind::Here { number, path: "/repo".into(), worktree: String::new(), base }
}

#[test]
fn a_checkout_is_the_place_until_it_is_undone_or_given_back() {
    let mut h = taken_over();
    run(&mut h, vec![here(1)]);
    assert!(!h.is_worktree_current() && h.checkouts().current().is_some(), "the worktree is not the newest any more");
    assert!(matches!(h.apply(&event(1, here(1))), Err(Refused::Stale(_))));
    run(&mut h, vec![Kind::Undone { number: 1 }]);
    assert!(h.checkouts().place().is_none() && h.checkouts().last().unwrap().undone && h.is_taken_over());
    assert!(matches!(h.apply(&event(1, Kind::Undone { number: 1 })), Err(Refused::Stale(_))));

    run(&mut h, vec![here(2), given('a')]);
    assert_eq!(h.checkouts().base_of("").unwrap().short(), "aaaaaaaaaa", "the next merge begins with what was given");
    assert_eq!(h.checkouts().base_of("other"), None);
    let back = Kind::Owner { epoch: 3, owner: Owner::Host("buildbox".into()), confirmed: true };
    run(&mut h, vec![back, grant(2, 3, 2, 4), dispatched(2, 2)]);
    assert!(h.checkouts().current().is_none() && h.checkouts().place().is_some());
    run(&mut h, vec![Kind::Undone { number: 2 }]);
    assert_eq!(h.checkouts().base_of(""), Some(&created("20260407-x").base.commit), "undo takes the work out again");
    assert!(matches!(h.apply(&event(1, here(3))), Err(Refused::Stale(_))), "a host has it");
}

#[test]
fn an_undo_makes_the_worktree_from_which_the_work_came_the_place_again() {
    let mut h = taken_over();
    run(&mut h, vec![here(1), Kind::Undone { number: 1 }]);
    assert!(h.is_worktree_current());
    let back = |epoch| Kind::Owner { epoch, owner: Owner::Host("buildbox".into()), confirmed: true };
    run(&mut h, vec![here(2), given('a'), back(3), Kind::Undone { number: 2 }]);
    assert!(!h.is_worktree_current(), "it was given back since");
    run(&mut h, vec![grant(2, 3, 2, 4), dispatched(2, 2)]);
    run(&mut h, vec![Kind::Owner { epoch: 4, owner: Owner::Laptop, confirmed: true }, here(3)]);
    run(&mut h, vec![Kind::Undone { number: 3 }]);
    assert!(!h.is_worktree_current(), "it has older work than the one that was undone");
}

/// A handoff of which two attempts were run by hand.
fn adopted() -> Handoff {
    let run = |attempt, verdict| RunByHand {
        attempt,
        agent: Some("claude".into()),
        command: Some("claude -p x".into()),
        session: Some(format!("s{attempt}")),
        log: Some(9),
        verdict,
    };
    let attempts = vec![run(1, Some(Verdict::new(Class::Auth, "e"))), run(3, None)];
    let mut handoff = new();
    let adopted = Adopted { directory: "/w/x".into(), attempts, ..Adopted::default() };
    run_one(&mut handoff, Kind::Adopted(Box::new(adopted)));
    handoff
}

fn run_one(handoff: &mut Handoff, kind: Kind) {
    handoff.apply(&event(1, kind)).unwrap();
}

#[test]
fn an_attempt_that_was_run_by_hand_is_over_and_on_no_host() {
    let handoff = adopted();
    assert_eq!((handoff.status(), handoff.next_grant_first()), (Status::Stopped, 4));
    assert!(handoff.is_only_by_hand() && handoff.hosts().is_empty() && handoff.unfenced_hosts().is_empty());
    assert_eq!((handoff.host(), handoff.agent_of(3), handoff.agent()), ("buildbox", "claude", "cursor"));
    assert!(!handoff.has_tree("buildbox", 9) && !handoff.has_session("buildbox", 9) && !handoff.is_released());
    assert_eq!(handoff.root_of("buildbox"), crate::model::root::Known::Nothing);
    assert_eq!(handoff.session(), Some("s3"));
}

#[test]
fn a_host_continues_after_the_attempts_that_were_run_by_hand() {
    let mut handoff = adopted();
    let mut twice = handoff.clone();
    let again = Kind::Adopted(Box::default());
    assert!(matches!(twice.apply(&event(2, again)), Err(Refused::Stale(_))));
    let owner = Owner::Host("bigbox".into());
    run_one(&mut handoff, Kind::Owner { epoch: 2, owner, confirmed: true });
    let grant = Grant { number: 1, epoch: 2, host: "bigbox".into(), first: 4, last: 6, active: 60 };
    run_one(&mut handoff, Kind::Granted { grant });
    assert_eq!(handoff.host(), "bigbox", "no attempt is dispatched yet");
    run_one(&mut handoff, Kind::Dispatched { attempt: 4, grant: 1, host: "bigbox".into(), command: "agent".into() });
    assert_eq!((handoff.hosts(), handoff.agent_of(4)), (vec!["bigbox"], "cursor"));
    assert!(handoff.attempts().values().all(|attempt| !attempt.superseded));
    assert!(!handoff.is_only_by_hand());
}

#[test]
fn a_program_that_does_not_know_adoption_reads_and_does_not_write() {
    #[derive(serde::Deserialize)]
    #[serde(tag = "event", rename_all = "kebab-case")]
    enum Earlier {
        StopRequested,
        #[serde(other)]
        Unknown,
    }
    let line = serde_json::to_string(&event(1, Kind::Adopted(Box::default()))).unwrap();
    assert!(matches!(serde_json::from_str(&line).unwrap(), Earlier::Unknown), "{line}");
    let line = serde_json::to_string(&event(1, Kind::StopRequested)).unwrap();
    assert!(matches!(serde_json::from_str(&line).unwrap(), Earlier::StopRequested));
}
