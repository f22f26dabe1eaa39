//! The last lines of a command that followed a handoff: where it stands, and what the user can do next.

use super::context::{self, Show};
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;
use crate::model::status::Status;
use crate::model::verdict::Class;
use crate::supervise::services::Services;

/// What keeps running, and how to come back to it.
pub fn say_detached(handoff: &Handoff, show: Show) {
    say(show, &detached(handoff));
}

/// Prints text for people. With `--json` or `--raw`, stdout is for programs.
pub fn say(show: Show, text: &str) {
    if show.json || show.raw { errln!("{text}") } else { outln!("{text}") }
}

fn detached(handoff: &Handoff) -> String {
    let (id, host) = (&handoff.request().id, handoff.host());
    format!("{id} keeps running on {host}\n  come back: handoff watch {id}\n  stop it:   handoff stop {id}")
}

/// The verdict behind a status, unless the status says it.
pub fn in_brackets(status: Status, class: Class) -> String {
    if class.word() == status.word() { String::new() } else { format!(" ({class})") }
}

/// The last lines of a followed handoff.
pub fn closing(services: &Services, handoff: &Handoff) -> String {
    let id = &handoff.request().id;
    let record = context::record_of(services, handoff);
    let mut text = format!("{id}: {}", handoff.status().label());
    let class = handoff.history().last().copied();
    text.push_str(&class.map_or(String::new(), |class| in_brackets(handoff.status(), class)));
    for host in handoff.unfenced_hosts() {
        text.push_str(&format!(
            "\n  warning:   {host} has not been told to stop and may keep running; `handoff watch {id}` tells it"
        ));
    }
    text.push_str(&format!("\n  record:    {record}"));
    for (label, line) in super::show::refused(handoff) {
        text.push_str(&format!("\n  {:<10} {line}", format!("{label}:")));
    }
    let mut with_work = handoff.lineage().filter(|(_, attempt)| attempt.fetched.is_some()).peekable();
    if with_work.peek().is_some() {
        let start = &handoff.request().base.files_tree;
        let tree = |attempt: &Attempt| attempt.outcome.as_ref().and_then(|outcome| outcome.tree.clone());
        if with_work.any(|(_, attempt)| tree(attempt).as_deref() != Some(start.as_str())) {
            text.push_str(&format!("\n  changes:   handoff diff {id}"));
        }
        match handoff.worktree() {
            _ if handoff.is_finished() => {}
            _ if let Some(here) = handoff.checkouts().current() => {
                text.push_str(&format!("\n  checkout:  {}", here.path))
            }
            Some(worktree) if handoff.is_worktree_current() => text.push_str(&format!("\n  worktree:  {worktree}")),
            _ => text.push_str(&format!("\n  take over: handoff takeover {id}")),
        }
    }
    if handoff.is_give_unfinished() {
        text.push_str(&format!("\n  continue:  handoff give {id}"));
    } else if matches!(handoff.status(), Status::Parked | Status::Failed | Status::Stopped) {
        text.push_str(&format!("\n  continue:  handoff resume {id}"));
    }
    text
}
