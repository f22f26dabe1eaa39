//! `handoff watch`, and the following that `run` and `resume` share with it.

use std::sync::Arc;

use super::Global;
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use super::interrupt::interrupted;
use super::logs::{Along, attach};
use crate::model::attempt::Next;
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::model::verdict::Class;
use crate::supervise::attempt::step::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::Progress;
use crate::supervise::services::Services;

/// Follow a running handoff: show its log, fetch its work, and start the next attempt when one is due
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Exit with a failure if no check was set
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    show: Show,
}

impl Watch {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.show.reporter())?;
        let id = context::resolve(&services, self.id.as_deref())?;
        go_on(&services, &id, Until::Rest, self.require_check, self.show).await
    }
}

/// Drives a recorded handoff. While another process drives it, this one follows, and drives it when that process has
/// ended.
pub async fn go_on(
    services: &Arc<Services>,
    id: &HandoffId,
    until: Until,
    require_check: bool,
    show: Show,
) -> Result<u8, Error> {
    loop {
        match Driver::open(services, id) {
            Err(SuperviseError::Driven { id, holder }) => {
                errln!("{holder} is already following {id}; showing its log");
                match attach(services, &id, until, show, require_check).await? {
                    Along::There(code) => return Ok(code),
                    Along::Orphaned => errln!("that process has ended; this one follows {id} now"),
                }
            }
            driver => {
                let mut driver = driver?;
                join(&driver);
                return follow(&mut driver, until, require_check, show).await;
            }
        }
    }
}

/// Reports the state of an attempt that an earlier process started, or why the handoff is paused.
fn join(driver: &Driver) {
    let handoff = driver.handoff();
    let Some((attempt, state)) = handoff.last_attempt() else { return };
    if state.ended.is_some() {
        if let Some(Next::Park { why }) = &state.next {
            driver.tell(&Progress::Parked { attempt, why: why.clone() });
        }
        return;
    }
    let (host, now) = (state.host.clone(), jiff::Timestamp::now());
    if let Some(started) = state.started {
        return driver.tell(&Progress::Joined { attempt, host, since: now.duration_since(started).unsigned_abs() });
    }
    driver.tell(&Progress::Dispatched { attempt, host, command: state.command.clone() });
    if let Some(delay) = handoff.time_left(attempt, now.as_second()) {
        driver.tell(&Progress::BackingOff { attempt, delay });
    }
}

/// Follows to `until` or to Ctrl-C, prints where the handoff stands, and returns the exit code.
pub async fn follow(driver: &mut Driver, until: Until, require_check: bool, show: Show) -> Result<u8, Error> {
    let left = tokio::select! {
        done = driver.follow(until) => { done?; false }
        () = interrupted() => true,
    };
    let handoff = driver.handoff().clone();
    driver.tell(&Progress::Rest { id: handoff.request().id.to_string(), status: handoff.status() });
    if left {
        driver.update_record()?;
        say(show, &detached(&handoff));
        return Ok(exit::DETACHED);
    }
    if until == Until::Started && handoff.status().is_active() {
        say_detached(&handoff, show);
        return Ok(exit::OK);
    }
    say(show, &closing(&driver.services, &handoff));
    // Work that is missing here is no success, whatever the agent said.
    match exit::of(&handoff, require_check) {
        exit::OK if handoff.refused_work().is_some() => Ok(exit::FAILED),
        code => Ok(code),
    }
}

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
            Some(worktree) if handoff.is_taken_over() => text.push_str(&format!("\n  worktree:  {worktree}")),
            _ => text.push_str(&format!("\n  take over: handoff takeover {id}")),
        }
    }
    if matches!(handoff.status(), Status::Parked | Status::Failed | Status::Stopped) {
        text.push_str(&format!("\n  continue:  handoff resume {id}"));
    }
    text
}
