//! `handoff run`

use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Global;
use super::companions::Companions;
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use super::interrupt::interrupted;
use super::watch::{follow, go_on};
use crate::config::hosts::is_pattern;
use crate::config::settings::parse_duration;
use crate::model::host::{Host, LOCAL, Limits};
use crate::model::id::HandoffId;
use crate::model::profile::DEFAULT_AGENT;
use crate::state::Error as StateError;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::run::Plan;
use crate::supervise::services::Services;

/// Longest task, in bytes. A longer text is a file that belongs in the repository.
const LONGEST_TASK: usize = 1 << 20;

/// Send the repository and a task to a host, run an agent there, and follow it
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The machine: a name from hosts.toml, a name that `ssh` knows, or `local`
    #[arg(long, value_name = "HOST", env = "HANDOFF_HOST")]
    host: Option<String>,
    /// What the agent has to do, as one quoted argument
    #[arg(value_name = "TASK", required_unless_present = "task_file", conflicts_with = "task_file")]
    task: Option<String>,
    /// Read the task from a file, or from standard input with `-`
    #[arg(long, value_name = "FILE")]
    task_file: Option<PathBuf>,
    /// The agent CLI: cursor, claude, codex, or a name from agents.toml
    #[arg(long)]
    agent: Option<String>,
    /// The model, by the name that the agent CLI uses
    #[arg(long)]
    model: Option<String>,
    /// A command that must pass in the checkout before the work counts as done
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// Also send ignored files that match this .gitignore pattern; can be repeated
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    include: Vec<String>,
    /// Bring back ignored build results that match this .gitignore pattern when the handoff comes to rest; can be repeated
    #[arg(long, value_name = "GLOB", value_parser = pattern)]
    artifacts: Vec<String>,
    #[command(flatten)]
    companions: Companions,
    /// Send a file with the task, such as an image or a log, outside the repository; can be repeated
    #[arg(long, value_name = "FILE")]
    attach: Vec<PathBuf>,
    /// Maximum number of attempts (default: 3, or the setting in hosts.toml)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    attempts: Option<u32>,
    /// Maximum active time of one attempt, such as 90m or 4h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Wait before the second attempt, such as 15s; it doubles each time, up to 5 minutes
    #[arg(long, value_name = "TIME", value_parser = duration)]
    backoff: Option<Duration>,
    /// Return when the host has confirmed the start; `handoff watch` continues
    #[arg(short, long)]
    detach: bool,
    /// Start even if the same task is already running
    #[arg(long)]
    again: bool,
    /// Id of the new handoff (default: the date and the first words of the task)
    #[arg(long)]
    id: Option<HandoffId>,
    /// Exit with a failure if no check was set
    #[arg(long)]
    require_check: bool,
    #[command(flatten)]
    show: Show,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| error.to_string())
}

pub(super) fn pattern(text: &str) -> Result<String, String> {
    match is_pattern(text) {
        true => Ok(text.to_owned()),
        false => Err("use a .gitignore pattern such as `.env`, without `!` or `#` in front".to_owned()),
    }
}

impl Run {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, self.show.reporter())?;
        let (id, code) = self.carry_out(&services).await?;
        context::report_to_chat(global, &services, &id);
        Ok(code)
    }

    /// Does it, and returns the handoff and the exit code.
    pub async fn carry_out(self, services: &Arc<Services>) -> Result<(HandoffId, u8), Error> {
        let task = self.task()?;
        let mut host = self.host(services)?;
        host.include.extend(self.include.iter().cloned());
        let until = if self.detach { Until::Started } else { Until::Rest };
        if let Some(id) = &self.id
            && services.store.directory(id).exists()
        {
            let code = again(services, id, &task, until, self.require_check, self.show).await?;
            return Ok((id.clone(), code));
        }
        let flags =
            Limits { attempts: self.attempts, timeout: self.timeout, backoff: self.backoff, ..Limits::default() };
        let plan = Plan {
            id: self.id.clone(),
            task: task.clone(),
            agent: self.agent.clone().or_else(|| host.agent.clone()).unwrap_or_else(|| DEFAULT_AGENT.to_owned()),
            model: self.model.clone().or_else(|| host.model.clone()),
            check: self.check.clone().or_else(|| host.check.clone()),
            limits: flags.or(host.limits).filled(),
            artifacts: host.artifacts.iter().chain(&self.artifacts).cloned().collect(),
            host,
            include: self.include.clone(),
            attach: self.attach.clone(),
            companions: self.companions.named(&services.repository)?,
            again: self.again,
        };
        let mut driver = match start(services, plan).await? {
            // Another process recorded the same id at the same moment.
            Err(SuperviseError::State(StateError::Exists(id)) | SuperviseError::Driven { id, .. }) => {
                let code = again(services, &id, &task, until, self.require_check, self.show).await?;
                return Ok((id, code));
            }
            driver => driver?,
        };
        let code = follow(&mut driver, until, self.require_check, self.show).await?;
        Ok((driver.id().clone(), code))
    }

    fn task(&self) -> Result<String, Error> {
        let task = match (&self.task, &self.task_file) {
            (Some(task), _) => task.clone(),
            (None, Some(file)) if file.as_os_str() == "-" => {
                let mut text = String::new();
                let read = std::io::stdin().read_to_string(&mut text);
                read.map_err(|error| Error::usage(format!("could not read the task from standard input: {error}")))?;
                text
            }
            (None, Some(file)) => std::fs::read_to_string(file)
                .map_err(|error| Error::usage(format!("could not read the task from {}: {error}", file.display())))?,
            (None, None) => String::new(),
        };
        if task.trim().is_empty() {
            return Err(Error::usage("the task is empty").hint("handoff run --host HOST \"fix the flaky test\""));
        }
        if task.len() > LONGEST_TASK {
            let size = task.len() >> 10;
            return Err(Error::usage(format!("the task is {size} KiB long, more than {} KiB", LONGEST_TASK >> 10))
                .hint("write it to a file in the repository, and name the file in the task"));
        }
        Ok(task)
    }

    fn host(&self, services: &Services) -> Result<Host, Error> {
        let name = match &self.host {
            Some(name) => name.as_str(),
            None => only_host(services)?,
        };
        Ok(services.host(name)?)
    }
}

/// With one host in the hosts file, `--host` is optional.
fn only_host(services: &Services) -> Result<&str, Error> {
    let mut named = services.hosts.hosts.iter().map(|host| host.name.as_str()).filter(|name| *name != LOCAL);
    match (named.next(), named.next()) {
        (Some(only), None) => Ok(only),
        _ => Err(Error::usage("no host is named, and hosts.toml does not have exactly one")
            .hint("handoff run --host HOST \"TASK\"  (`handoff hosts list` prints the names)")),
    }
}

/// Handles Ctrl-C before the host has confirmed the start: the record names what was begun.
async fn start(services: &Arc<Services>, plan: Plan) -> Result<Result<Driver, SuperviseError>, Error> {
    let (task, host, before) = (plan.task.clone(), plan.host.name.clone(), services.store.ids()?);
    let own = services.clone();
    // A question to the user blocks its thread, and Ctrl-C must work during the question too.
    let mut started = tokio::spawn(async move { Driver::run(&own, plan).await });
    // A caller that gives up drops this future.
    let _ended = AbortOnDrop(started.abort_handle());
    tokio::select! {
        driver = &mut started => driver.map_err(|error| Error::failed(format!("internal error: {error}"))),
        () = interrupted() => {
            started.abort();
            // A question on the terminal cannot be aborted. Nothing is recorded while it waits.
            let _ = tokio::time::timeout(ABORT, started).await;
            Err(interrupted_start(&host, recorded(services, &task, &before)?))
        }
    }
}

/// Aborts a task when dropped.
struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long a start may take to notice the interruption.
const ABORT: Duration = Duration::from_millis(500);

/// The handoff that was recorded for this task after `before`.
fn recorded(services: &Services, task: &str, before: &[HandoffId]) -> Result<Option<HandoffId>, Error> {
    let new = services.store.ids()?.into_iter().filter(|id| !before.contains(id));
    let is_it = |id: &HandoffId| services.store.open(id).is_ok_and(|journal| journal.handoff().request().task == task);
    Ok(new.into_iter().find(is_it))
}

fn interrupted_start(host: &str, id: Option<HandoffId>) -> Error {
    match id {
        None => Error::failed("interrupted; nothing was recorded or sent").code(exit::DETACHED),
        Some(id) => Error::failed(format!("interrupted before {host} confirmed the start of {id}"))
            .code(exit::DETACHED)
            .hint(format!("handoff watch {id}  (sends it again)"))
            .hint(format!("handoff stop {id}  (gives it up)")),
    }
}

/// The same command again, after a crash or in a second terminal, follows the handoff that is already running. An id
/// that belongs to another task is refused.
async fn again(
    services: &Arc<Services>,
    id: &HandoffId,
    task: &str,
    until: Until,
    require_check: bool,
    show: Show,
) -> Result<u8, Error> {
    let journal = services.store.open(id)?;
    let handoff = journal.handoff();
    if handoff.request().task.trim() != task.trim() || !handoff.status().is_active() {
        return Err(Error::usage(format!("{id} already exists")).hint(format!("handoff show {id}")));
    }
    errln!("this task is already running as {id}; following it");
    go_on(services, id, until, require_check, show).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interrupted_start_names_what_was_recorded() {
        let text = |id: Option<&str>| format!("{:?}", interrupted_start("box", id.map(|id| id.parse().unwrap())));
        assert!(text(Some("fix")).contains("handoff watch fix") && text(Some("fix")).contains("handoff stop fix"));
        assert!(text(None).contains("nothing was recorded"));
    }
}
