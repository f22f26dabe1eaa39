//! `handoff watch`, and the following that `run` and `resume` share with it.

mod all;
mod daemon;
mod unit;

use std::sync::Arc;

use daemon::Action;
pub use daemon::DaemonStatus;

use super::Global;
use super::closing::{closing, say, say_detached};
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use super::interrupt::interrupted;
use super::logs::{Along, attach};
use crate::model::attempt::Next;
use crate::model::id::HandoffId;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::Progress;
use crate::supervise::record::AgentChoice;
use crate::supervise::services::Services;

/// Follow a running handoff: show its log, fetch its work, and start the next attempt when one is due
///
/// With --all it follows every handoff of yours that no other process follows, in all repositories, and prints what happens
/// to them without the agents' output. With --daemon install, systemd or launchd does that from now on, so that no terminal is needed.
#[derive(Debug, clap::Args)]
pub struct Watch {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Follow every handoff of every repository that no other process follows, until Ctrl-C
    #[arg(long, conflicts_with_all = ["id", "require_check", "json", "raw"])]
    all: bool,
    /// Install a user service that runs `watch --all`, show its state, or remove it
    #[arg(long, value_name = "ACTION", conflicts_with_all = ["id", "all", "require_check", "raw"])]
    daemon: Option<Action>,
    /// Exit with a failure if no check was set
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    show: Show,
}

impl Watch {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        if let Some(action) = self.daemon {
            return action.run(global, self.show.json);
        }
        if self.all {
            return all::run(global).await;
        }
        let services = context::services(global, self.show.reporter())?;
        let id = context::resolve(&services, self.id.as_deref())?;
        go_on(&services, &id, Until::Rest, self.require_check, self.show).await
    }
}

/// How a command follows the attempt that it started.
#[derive(Debug, clap::Args)]
pub struct Follow {
    /// Return when the host has confirmed the start; `handoff watch` continues
    #[arg(short, long)]
    detach: bool,
    /// Exit with a failure if no check was set
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    pub show: Show,
}

/// The agent of the next attempts, for commands that start one.
#[derive(Clone, Debug, clap::Args)]
pub struct NextAgent {
    /// Continue with another agent, in a session of its own
    #[arg(long)]
    agent: Option<String>,
    /// The model of that agent
    #[arg(long, requires = "agent")]
    model: Option<String>,
}

impl NextAgent {
    pub fn is_chosen(&self) -> bool {
        self.agent.is_some()
    }

    pub fn choice(self) -> Option<AgentChoice> {
        let model = self.model;
        self.agent.map(|agent| AgentChoice { agent, model })
    }
}

impl Follow {
    /// Follows the newest attempt, and returns the exit code.
    pub async fn attempt(self, driver: &mut Driver) -> Result<u8, Error> {
        let until = if self.detach { Until::Started } else { Until::Rest };
        follow(driver, until, self.require_check, self.show).await
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
        if let Some(Next::Park { why }) = state.next.as_ref().filter(|_| !state.by_hand) {
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
        driver.record.update()?;
        say_detached(&handoff, show);
        return Ok(exit::DETACHED);
    }
    if until == Until::Started && handoff.status().is_active() {
        say_detached(&handoff, show);
        return Ok(exit::OK);
    }
    say(show, &closing(&driver.record.services, &handoff));
    // Work that is missing here is no success, whatever the agent said.
    match exit::of(&handoff, require_check) {
        exit::OK if handoff.refused_work().is_some() => Ok(exit::FAILED),
        code => Ok(code),
    }
}
