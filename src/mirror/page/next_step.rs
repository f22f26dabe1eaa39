//! The one next step, which follows from the status and the verdict.

use crate::mirror::page::last_verdict;
use crate::model::attempt::Next;
use crate::model::handoff::Handoff;
use crate::model::status::Status;
use crate::model::verdict::Class;

/// The next step for the user.
pub fn next_step(handoff: &Handoff) -> String {
    let id = &handoff.request().id;
    match handoff.status() {
        Status::Queued => format!("Wait until attempt 1 starts; follow it with `handoff watch {id}`."),
        Status::Running => {
            let n = handoff.last_attempt().map_or(1, |(n, _)| n);
            format!(
                "Wait for the end of attempt {n} (`handoff watch {id}`), or take it over now (`handoff takeover {id}`)."
            )
        }
        Status::Waiting => "Wait: the next attempt starts by itself.".to_owned(),
        Status::Done => after_a_good_end(handoff),
        Status::Interactive => format!(
            "Review the change in this worktree against the task, then do what is left, and end it (`handoff finish \
             {id}`) or give it back (`handoff give {id}`)."
        ),
        Status::Stopped => {
            let resume = resume(handoff);
            match handoff.attempts().is_empty() {
                true => format!("Start it with `{resume}`."),
                false => format!("Continue with `{resume}`, or take it over with `handoff takeover {id}`."),
            }
        }
        Status::Parked | Status::Failed => {
            match handoff.last_attempt().and_then(|(_, attempt)| attempt.next.as_ref()) {
                Some(Next::Park { why }) if !why.is_empty() => why.clone(),
                _ => after_a_bad_end(handoff),
            }
        }
        Status::Finished => "Nothing: the handoff is finished.".to_owned(),
    }
}

fn after_a_good_end(handoff: &Handoff) -> String {
    let id = &handoff.request().id;
    if handoff.is_only_by_hand() {
        return format!(
            "Review the checkout against the task. Then end the handoff (`handoff finish {id}`), or continue on a host \
             (`{}`).",
            resume(handoff)
        );
    }
    let take = format!("take it over (`handoff takeover {id}`)");
    match last_verdict(handoff).map(|(_, verdict)| verdict.class) {
        Some(Class::Done) => format!("The check passes. Review the change (`handoff diff {id}`) and {take}."),
        _ => format!("No check is set. Review the change (`handoff diff {id}`), {take}, and run the tests there."),
    }
}

fn after_a_bad_end(handoff: &Handoff) -> String {
    let id = &handoff.request().id;
    match last_verdict(handoff).map(|(_, verdict)| verdict.class) {
        Some(Class::CheckFailed) => {
            format!(
                "Fix what the check reports: take it over (`handoff takeover {id}`), or let the agent try again \
                 (`handoff resume {id}`)."
            )
        }
        Some(Class::NoWork) => {
            format!(
                "Nothing was changed. Read the agent's last message (`handoff logs {id}`), then run `handoff resume {id} \
                 --message TEXT`."
            )
        }
        _ => format!("See why it ended (`handoff show {id}`), then run `{}`.", resume(handoff)),
    }
}

/// The command that starts the next attempt.
fn resume(handoff: &Handoff) -> String {
    let host = if handoff.is_only_by_hand() { " --host HOST" } else { "" };
    format!("handoff resume {}{host}", handoff.request().id)
}

/// The next step for an agent, which has no `handoff` command and cannot ask the user.
pub fn prompt_step(handoff: &Handoff) -> Option<&'static str> {
    match handoff.history().last()? {
        Class::CheckFailed => Some("Find out why the check fails, fix the cause, and run it again until it passes."),
        Class::NoWork => Some("Nothing is changed so far. Do the task, and leave the result in the checkout."),
        Class::Done => Some("The check passes. Review what was done against the task, then do what is left."),
        Class::Unchecked => {
            Some("Review what was done against the task, run the tests that the repository has, then do what is left.")
        }
        _ => Some(
            "Look at the checkout (git status, git diff), continue where the work was cut off, and finish the task.",
        ),
    }
}
