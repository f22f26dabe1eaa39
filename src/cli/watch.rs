//! `handoff watch`, and the following that `run` and `resume` share with it.

use super::Global;
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use crate::model::handoff::{Handoff, Status};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as Engine;
use crate::supervise::follow::Until;
use crate::supervise::progress::Progress;

/// Follow a handoff and drive it: decide what comes after each attempt
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// Its id, or enough of it (default: the newest)
    id: Option<String>,
    /// Count work without a check as failed
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    show: Show,
}

impl Watch {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let engine = context::engine(global, self.show.reporter())?;
        let id = context::resolve(&engine, self.id.as_deref())?;
        let mut driver = match Driver::open(&engine, &id) {
            Err(Engine::Driven { id, holder }) => {
                eprintln!("{id} is driven by another process{holder}; reading along");
                return super::logs::attach(&engine, &id, self.show, self.require_check).await;
            }
            driver => driver?,
        };
        follow(&mut driver, Until::Rest, self.require_check, self.show).await
    }
}

/// Follows to `until` or to Ctrl-C, says where things stand, and gives the exit code.
pub async fn follow(driver: &mut Driver, until: Until, require_check: bool, show: Show) -> Result<u8, Error> {
    let left = tokio::select! {
        done = driver.follow(until) => { done?; false }
        _ = tokio::signal::ctrl_c() => true,
    };
    let handoff = driver.handoff().clone();
    driver.tell(&Progress::Rest { id: handoff.made.id.to_string(), status: handoff.status() });
    if left {
        driver.update_record()?;
        say(show, &detached(&handoff));
        return Ok(exit::DETACHED);
    }
    if until == Until::Started && handoff.status().is_active() {
        say(show, &detached(&handoff));
        return Ok(exit::OK);
    }
    say(show, &closing(&handoff));
    Ok(exit::of(&handoff, require_check))
}

/// Words for a person; programs get events alone.
fn say(show: Show, text: &str) {
    if show.json || show.raw { eprintln!("{text}") } else { println!("{text}") }
}

fn detached(handoff: &Handoff) -> String {
    let (id, host) = (&handoff.made.id, handoff.host());
    format!("{id} goes on on {host}\n  come back: handoff watch {id}\n  stop it:   handoff stop {id}")
}

/// The last words of a followed handoff.
pub fn closing(handoff: &Handoff) -> String {
    let id = &handoff.made.id;
    let record = format!(".cursor/agent-handoffs/{id}/handoff.md");
    let mut text = format!("{id}: {}", handoff.status().word());
    if let Some(verdict) = handoff.last_attempt().and_then(|(_, attempt)| attempt.verdict.as_ref()) {
        text.push_str(&format!(" ({})", verdict.class));
    }
    text.push_str(&format!("\n  record:    {record}"));
    let has_work = handoff.attempts.values().any(|attempt| attempt.fetched.is_some());
    if has_work {
        text.push_str(&format!("\n  changes:   handoff diff {id}\n  take over: handoff takeover {id}"));
    }
    if matches!(handoff.status(), Status::Parked | Status::Failed | Status::Stopped) {
        text.push_str(&format!("\n  go on:     handoff resume {id}"));
    }
    text
}
