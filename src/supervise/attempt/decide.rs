//! From a verdict to what follows: the policy's table, the limits, and the words for the user.

use crate::model::attempt::{AttemptNo, Next, Reason};
use crate::model::handoff::Handoff;
use crate::model::policy::{Decision, decide};
use crate::model::profile::Profile;
use crate::model::verdict::{Class, Verdict};

/// First wait for a usage window whose reset time is unknown, in seconds.
const UNKNOWN_WINDOW: i64 = 30 * 60;

/// What follows an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FollowUp {
    /// Written to the host as `next`.
    Next(Next),
    /// Parked on the host; a new grant starts a new session after `delay` seconds.
    NewSession { delay: u64 },
}

/// Decides for attempt `n`, whose verdict is the last of the handoff's history. `delay` is the next delay of the
/// backoff.
pub fn follow_up(
    handoff: &Handoff,
    n: AttemptNo,
    verdict: &Verdict,
    profile: &Profile,
    delay: u64,
    now: i64,
) -> FollowUp {
    let history = handoff.history_on_hosts();
    let before = &history[..history.len().saturating_sub(1)];
    let decision = decide(verdict.class, before);
    // After a stop nothing follows, whatever the end was called.
    if decision == Decision::End || handoff.is_stop_requested() {
        return FollowUp::Next(Next::End);
    }
    if decision == Decision::WaitReset {
        let at = verdict.until.map_or(now + UNKNOWN_WINDOW, |until| until + 60);
        return FollowUp::Next(Next::WaitUntil { at });
    }
    let park = |why: String| FollowUp::Next(Next::Park { why });
    let id = &handoff.request().id;
    match decision {
        Decision::Park => park(repair(handoff, n, verdict, profile)),
        Decision::Climb if verdict.standing.is_some_and(is_of_the_service) => park(format!(
            "the agent's service reported an error ({}); another host does not help: `handoff resume {id}` tries again",
            verdict.standing.map_or("", Class::word)
        )),
        Decision::Climb if verdict.class == Class::DiskFull => park(format!(
            "the disk of {0} is full: free some space there and run `handoff resume {id}`, or continue on another host \
             with `handoff resume {id} --host OTHER`; `handoff hosts check {0}` shows the free space",
            handoff.host()
        )),
        Decision::Climb => park(match verdict.class {
            Class::Oom => format!(
                "the agent ran out of memory on {0}: `handoff resume {id} --host OTHER` continues on a larger host",
                handoff.host()
            ),
            class => format!(
                "the last attempt on {} ended with {class}: `handoff resume {id}` retries here, `handoff resume {id} --host OTHER` on another host",
                handoff.host()
            ),
        }),
        _ if handoff.left() == 0 => park(format!(
            "all attempts are used: `handoff resume {id}` allows {} more, `handoff takeover {id}` continues by hand",
            handoff.request().limits.attempts
        )),
        Decision::NewSession => FollowUp::NewSession { delay },
        Decision::ResumeWithEvidence if verdict.class == Class::CheckFailed => {
            FollowUp::Next(Next::ResumeWithCheck { delay })
        }
        _ => FollowUp::Next(Next::Resume { delay }),
    }
}

/// Errors that occur on every host alike.
fn is_of_the_service(class: Class) -> bool {
    use Class::{Auth, Billing, Config, Context, Limited, Network, Overloaded, Session, Throttled};
    matches!(class, Auth | Billing | Config | Context | Limited | Network | Overloaded | Session | Throttled)
}

/// Whether the laptop overrules what a host decided alone: the host ended or parked what may continue.
pub fn overrules(stands: &Next, ours: &Next) -> bool {
    matches!(stands, Next::End | Next::Park { .. })
        && matches!(ours, Next::Resume { .. } | Next::ResumeWithCheck { .. } | Next::WaitUntil { .. })
}

/// What a host decided alone (`stands`), with a reason, which the host has no words for: that of `ours` if it is the
/// same decision.
pub fn in_words(stands: Next, ours: Next, handoff: &Handoff, n: AttemptNo, profile: &Profile) -> Next {
    match (stands, ours) {
        (Next::Park { .. }, ours @ Next::Park { .. }) => ours,
        (Next::Park { .. }, _) => match handoff.attempt(n).and_then(|attempt| attempt.verdict.as_ref()) {
            Some(verdict) => Next::Park { why: repair(handoff, n, verdict, profile) },
            None => Next::Park { why: String::new() },
        },
        (stands, _) => stands,
    }
}

/// The exact command that fixes what the user must fix. `profile.login` is the whole line that is typed here.
fn repair(handoff: &Handoff, n: AttemptNo, verdict: &Verdict, profile: &Profile) -> String {
    let (id, host, agent) = (&handoff.request().id, handoff.host(), handoff.agent_of(n));
    let resume = format!("then `handoff resume {id}`");
    match verdict.class {
        Class::Auth => match &profile.login {
            Some(login) => format!("{agent} is not logged in on {host}: run `{login}`, {resume}"),
            None => format!("{agent} is not logged in on {host}: log in there, {resume}"),
        },
        Class::Billing => format!("{agent}'s account has a billing problem: fix it with its vendor, {resume}"),
        Class::Blocked => {
            format!(
                "a tool was refused: `handoff logs {id} --attempt {n}` shows it, `handoff takeover {id}` continues by hand"
            )
        }
        Class::Limited => format!(
            "{agent}'s usage limit was still in force after {} waits: run `handoff resume {id}` when it has reset",
            crate::model::policy::MOST_WAITS
        ),
        Class::Config => match (&profile.install, is_missing(handoff, n)) {
            (Some(install), true) => {
                format!("{agent} was not found on {host}: install it there with `{install}`, {resume}")
            }
            _ => format!("{} (on {host}): fix it, {resume}", verdict.evidence),
        },
        _ => format!("{}: `handoff show {id}` shows more, `handoff resume {id}` continues", verdict.evidence),
    }
}

fn is_missing(handoff: &Handoff, n: AttemptNo) -> bool {
    let outcome = handoff.attempt(n).and_then(|attempt| attempt.outcome.as_ref());
    outcome.is_some_and(|outcome| outcome.reason == Reason::AgentMissing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;
    use crate::model::adopted::{Adopted, RunByHand};
    use crate::model::attempt::{Grant, Outcome};
    use crate::model::event::{Event, Kind};
    use crate::model::testing::{created, match_file};

    #[test]
    fn a_provisional_end_is_overruled_where_the_work_may_continue() {
        let park = || Next::Park { why: String::new() };
        for ours in [Next::Resume { delay: 1 }, Next::ResumeWithCheck { delay: 1 }, Next::WaitUntil { at: 1 }] {
            assert!(overrules(&park(), &ours) && overrules(&Next::End, &ours));
            assert!(!overrules(&Next::Resume { delay: 9 }, &ours));
        }
        assert!(!overrules(&park(), &park()) && !overrules(&park(), &Next::End));
    }

    #[test]
    fn no_larger_host_is_advised_while_an_error_of_the_service_stands() {
        let profile = &profiles::built_in().unwrap()["claude"];
        let mut verdict = Verdict::new(Class::Timeout, "timed out after 4 h");
        let event = Event::new(jiff::Timestamp::UNIX_EPOCH, Kind::Created(Box::new(created("20261121-x"))));
        let handoff = Handoff::created(&event).unwrap();
        let why = |verdict: &Verdict| match follow_up(&handoff, 1, verdict, profile, 1, 0) {
            FollowUp::Next(Next::Park { why }) => why,
            other => panic!("{other:?}"),
        };
        assert!(why(&verdict).contains("--host OTHER"), "{}", why(&verdict));
        verdict.standing = Some(Class::Overloaded);
        assert!(why(&verdict).contains("overloaded") && !why(&verdict).contains("--host"), "{}", why(&verdict));
    }

    #[test]
    fn a_crash_of_an_attempt_that_was_run_by_hand_is_not_the_first_of_two() {
        let profile = &profiles::built_in().unwrap()["claude"];
        let verdict = Verdict::new(Class::Crashed, "EVIDENCE");
        let run = |attempt| RunByHand {
            attempt,
            agent: None,
            command: None,
            session: None,
            log: Some(1),
            verdict: Some(verdict.clone()),
        };
        let event = |kind| Event::new(jiff::Timestamp::UNIX_EPOCH, kind);
        let mut handoff = Handoff::created(&event(Kind::Created(Box::new(created("20261121-x"))))).unwrap();
        let adopted = Adopted { attempts: vec![run(1), run(2)], ..Adopted::default() };
        let host = "buildbox".to_owned();
        let grant = Grant { number: 1, epoch: 1, host: host.clone(), first: 3, last: 5, active: 60 };
        for kind in [
            Kind::Adopted(Box::new(adopted)),
            Kind::Granted { grant },
            Kind::Dispatched { attempt: 3, grant: 1, host, command: "agent".into() },
            Kind::Started { attempt: 3, command: None, session: None },
            Kind::Ended { attempt: 3, outcome: Box::default(), verdict: verdict.clone() },
        ] {
            handoff.apply(&event(kind)).unwrap();
        }
        let follows = follow_up(&handoff, 3, &verdict, profile, 7, 0);
        assert_eq!(follows, FollowUp::Next(Next::Resume { delay: 7 }));
    }

    /// A handoff of `attempts` whose only attempt ended with this verdict.
    fn ended(verdict: &Verdict, reason: &str, attempts: u32) -> Handoff {
        let event = |kind| Event::new(jiff::Timestamp::UNIX_EPOCH, kind);
        let mut request = created("20260407-fix-the-till");
        request.limits.attempts = attempts;
        let (host, commit) = (request.host.clone(), request.base.commit.clone());
        let mut handoff = Handoff::created(&event(Kind::Created(Box::new(request)))).unwrap();
        let grant = Grant { number: 1, epoch: 1, host: host.clone(), first: 1, last: attempts, active: 60 };
        let outcome = Outcome { reason: reason.into(), ..Outcome::default() };
        for kind in [
            Kind::Granted { grant },
            Kind::Dispatched { attempt: 1, grant: 1, host: host.clone(), command: "agent".into() },
            Kind::Shipped { host, commit },
            Kind::Started { attempt: 1, command: None, session: None },
            Kind::Ended { attempt: 1, outcome: Box::new(outcome), verdict: verdict.clone() },
        ] {
            handoff.apply(&event(kind)).unwrap();
        }
        handoff
    }

    #[test]
    fn every_pause_says_what_helps() {
        let mut profile = profiles::built_in().unwrap()["cursor"].clone();
        profile.login = Some("ssh -t buildbox agent login".into());
        let mut text = String::new();
        let mut add = |what: String, verdict: &Verdict, reason: &str, attempts| {
            let handoff = ended(verdict, reason, attempts);
            let follows = match follow_up(&handoff, 1, verdict, &profile, 15, 0) {
                FollowUp::Next(Next::Park { why }) => format!("paused: {why}"),
                other => format!("{other:?}"),
            };
            let stands = in_words(Next::Park { why: String::new() }, Next::End, &handoff, 1, &profile);
            let Next::Park { why: alone } = stands else { panic!("{stands:?}") };
            let alone = format!("paused: {alone}");
            let differs = if follows == alone { String::new() } else { format!("by the host: {alone}\n") };
            text += &format!("# {what}\n{follows}\n{differs}\n");
        };
        for class in Class::ALL {
            let verdict = Verdict::new(class, "EVIDENCE");
            add(class.word().into(), &verdict, "exit", 3);
        }
        let verdict = Verdict::new(Class::Crashed, "EVIDENCE");
        add("crashed, and no attempt is left".into(), &verdict, "exit", 1);
        add(
            "config, because the agent is missing".into(),
            &Verdict::new(Class::Config, "EVIDENCE"),
            "agent-missing",
            3,
        );
        let standing = Verdict { standing: Some(Class::Overloaded), ..Verdict::new(Class::Timeout, "EVIDENCE") };
        add("timeout, while an error of the service stands".into(), &standing, "timeout", 3);
        match_file("pauses", &text);
    }
}
