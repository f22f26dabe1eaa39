//! `handoff show`

use super::Global;
use super::context;
use super::error::{Error, on_that_machine};
use super::exit;
use super::host_trees;
use crate::model::attempt::Next;
use crate::model::event::Owner;
use crate::model::handoff::Handoff;
use crate::model::refusal::accept;
use crate::remote::poll::{Alive, StateLine};
use crate::supervise::custody::fencing::SHORT;
use crate::supervise::driver::Driver;
use crate::supervise::progress::NullReporter;
use crate::supervise::record::failed_output;
use crate::supervise::services::Services;
use crate::supervise::show::host_state;
use crate::ui::line::output_lines;
use crate::ui::line::uncaptured;
use crate::ui::text::{age, clock, first_line, neutral};

/// Show a handoff: its record and, while it runs, the state on its host (waits at most 2 s)
#[derive(Debug, clap::Args)]
pub struct Show {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// List the checkouts on this host instead: their size, which handoff uses them, why one is kept
    #[arg(long, value_name = "HOST", conflicts_with_all = ["id", "offline"])]
    host: Option<String>,
    /// Do not contact the host
    #[arg(long)]
    offline: bool,
    /// Print one JSON object (with --host: one per checkout)
    #[arg(long)]
    json: bool,
}

impl Show {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        if let Some(host) = &self.host {
            return host_trees::show(global, host, self.json).await;
        }
        let services = context::services(global, std::sync::Arc::new(NullReporter))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let mut journal = services.store.open(&id)?;
        if !self.offline && !journal.handoff().unfenced_hosts().is_empty() {
            // A host that did not confirm an epoch may be back. A failure to reach it is no error of `show`; the next
            // command tries again.
            if let Ok(mut driver) = Driver::open(&services, &id) {
                _ = tokio::time::timeout(SHORT, driver.settle(SHORT)).await;
            }
            journal.refresh()?;
        }
        let handoff = journal.handoff();
        let host = if self.offline || !handoff.status().is_active() {
            None
        } else {
            Some(host_state(&services, handoff).await)
        };
        if self.json {
            print_json(handoff, host.as_ref());
        } else {
            print(&services, handoff, host.as_ref());
            if let Some((n, _)) = handoff.last_attempt()
                && let Some(output) = failed_output(&services, handoff, n)?
            {
                output_lines(&output).iter().for_each(|line| outln!("{line}"));
            }
        }
        Ok(exit::OK)
    }
}

fn print_json(handoff: &Handoff, host: Option<&Result<StateLine, String>>) {
    let now = jiff::Timestamp::now();
    let host = host.map(|answer| match answer {
        Ok(line) => serde_json::json!({
            "watch": word(line.watch), "task": word(line.task), "intent": line.intent, "result": line.result,
            "active": line.active, "beat_age": line.beat, "epoch": line.epoch, "last_attempt": line.last,
        }),
        Err(error) => serde_json::json!({ "error": error }),
    });
    let value = serde_json::json!({
        "id": handoff.request().id, "status": handoff.status(), "handoff": handoff,
        "age_seconds": now.as_second() - handoff.changed_at().as_second(), "host": host,
    });
    outln!("{}", crate::ui::screen::json(&value));
}

/// Why nothing more happens by itself, with the command that helps.
fn pause(handoff: &Handoff) -> Option<&str> {
    match handoff.last_attempt()?.1.next.as_ref()? {
        Next::Park { why } if !handoff.is_taken_over() => Some(why),
        _ => None,
    }
}

fn print(services: &Services, handoff: &Handoff, host: Option<&Result<StateLine, String>>) {
    let now = jiff::Timestamp::now();
    let ago = |at: jiff::Timestamp| format!("{} ago", age(now.as_second() - at.as_second()));
    let request = handoff.request();
    outln!("{}  {}, last change {}", request.id, handoff.status().label(), ago(handoff.changed_at()));
    outln!("  task      {}", first_line(&request.task, 100));
    let model = request.model.as_deref().map_or(String::new(), |model| format!(", {}", neutral(model)));
    outln!("  agent     {}{model}", neutral(&request.agent));
    outln!(
        "  base      {} on {}",
        request.base.head.short(),
        request.base.branch.as_deref().unwrap_or("a detached HEAD")
    );
    if let Some(check) = &request.check {
        outln!("  check     {}", first_line(check, 100));
    }
    if let Some(session) = handoff.session() {
        outln!("  session   {}", neutral(session));
    }
    match handoff.owner() {
        Owner::Host(host) => outln!("  owner     {} (epoch {})", neutral(host), handoff.epoch()),
        Owner::Laptop if handoff.ownership().is_confirmed() => {
            outln!("  owner     you (epoch {}), confirmed by the host", handoff.epoch())
        }
        Owner::Laptop => outln!("  owner     you (epoch {}), taken without confirmation", handoff.epoch()),
    }
    if let Some(worktree) = handoff.worktree() {
        outln!("  worktree  {}", neutral(worktree));
    }
    for (n, attempt) in handoff.attempts() {
        let state = match (&attempt.verdict, attempt.started) {
            (Some(verdict), _) => format!("{}: {}", verdict.class, first_line(&verdict.evidence, 90)),
            (None, Some(started)) => format!("running for {}", age(now.as_second() - started.as_second())),
            (None, None) => match handoff.time_left(*n, now.as_second()) {
                Some(delay) => format!("starts in {}", clock(delay)),
                None => format!("sent {}", ago(attempt.dispatched)),
            },
        };
        let superseded = if attempt.superseded { " (superseded: never applied)" } else { "" };
        outln!("  attempt {n} on {}: {state}{superseded}", neutral(&attempt.host));
        let notes = attempt.verdict.iter().flat_map(|verdict| &verdict.notes);
        notes.for_each(|note| outln!("    note: {}", neutral(note)));
        let lacks = attempt.uncaptured.iter().flat_map(|lacks| uncaptured(&attempt.host, lacks));
        lacks.for_each(|line| outln!("    {line}"));
    }
    if let Some(why) = pause(handoff) {
        outln!("  paused    {}", neutral(why));
    }
    for (label, text) in refused(handoff) {
        outln!("  {label:<9} {text}");
    }
    for host in handoff.unfenced_hosts() {
        outln!("  {} has not been told to stop and may keep running; its work is never applied", neutral(&host));
    }
    for host in handoff.hosts() {
        let Some(release) = handoff.release_of(host) else { continue };
        let (host, when) = (neutral(host), ago(release.at));
        match release.confirmed {
            true => outln!("  {host} deleted its copy {when}"),
            false => {
                outln!(
                    "  asked {host} to delete its copy {when}; no answer yet: `handoff clean {}` asks again",
                    request.id
                )
            }
        }
    }
    if let Some((since, reason)) = handoff.unreachable() {
        outln!("  host unreachable, first seen {} ({})", ago(since), first_line(reason, 80));
    }
    match host {
        Some(Ok(line)) => {
            outln!("  host now  {}", says(line));
            if line.watch == Alive::Unknown && !line.result {
                outln!("    {}", on_that_machine(&neutral(handoff.host()), &format!("`handoff watch {}`", request.id)));
                outln!("    if that machine is gone for good: `handoff takeover {}`", request.id);
            }
        }
        Some(Err(reason)) => outln!("  host now  no answer: {}", first_line(reason, 100)),
        None => {}
    }
    outln!("  record    {}", context::record_of(services, handoff));
}

/// Refs that git refused here and their host keeps, with the commands that accept them.
pub fn refused(handoff: &Handoff) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    let mut all = Vec::new();
    for (n, attempt) in handoff.refused() {
        for one in &attempt.refused {
            let host = neutral(&attempt.host);
            lines.push(("refused", format!("{} of attempt {n}; {host} keeps it", neutral(&one.to_string()))));
            all.push(one.clone());
        }
    }
    let id = &handoff.request().id;
    let accept = accept(&all);
    lines.extend(accept.iter().map(|command| ("accept", format!("{} && handoff pull {id}", neutral(command)))));
    lines
}

fn says(line: &StateLine) -> String {
    let active = clock(std::time::Duration::from_secs(line.active));
    let beat = line.beat.map_or(String::new(), |beat| format!(", last tick {beat} s ago"));
    if line.result {
        return format!("attempt {} has ended; `handoff watch` fetches its result", line.attempt);
    }
    if line.watch == Alive::Unknown {
        return format!(
            "attempt {} was started by another machine that shares this directory; only that machine can tell whether it is still running{beat}",
            line.last
        );
    }
    format!(
        "attempt {}: agent {}, watcher {}, active for {active}{beat}",
        line.last,
        shown(line.task),
        shown(line.watch)
    )
}

/// The word for people. `--json` has the word of the protocol.
fn shown(alive: Alive) -> &'static str {
    match alive {
        Alive::Yes => "running",
        other => word(other),
    }
}

fn word(alive: Alive) -> &'static str {
    match alive {
        Alive::Yes => "alive",
        Alive::Stopped => "stopped",
        Alive::No => "gone",
        Alive::Unknown => "unknown",
        Alive::Never => "none",
    }
}
