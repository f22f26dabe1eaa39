//! `handoff show`

use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::{Error, on_that_machine};
use super::exit;
use super::host_trees;
use crate::config::settings::human_bytes;
use crate::model::attempt::{AttemptNo, Epoch, Next};
use crate::model::attempts::FetchedArtifacts;
use crate::model::event::Owner;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::refusal::accept;
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::remote::poll::{Alive, StateLine};
use crate::state::journal::Journal;
use crate::supervise::custody::fencing::SHORT;
use crate::supervise::driver::Driver;
use crate::supervise::progress::NullReporter;
use crate::supervise::record::failed_output;
use crate::supervise::services::Services;
use crate::supervise::show::{check_claims, host_state};
use crate::ui::line::output_lines;
use crate::ui::line::uncaptured;
use crate::ui::ship_summary::attachments;
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
    /// Check instead that every claim of handoff.md points to a line of a log or a commit that exists
    #[arg(long, conflicts_with_all = ["host", "json"])]
    check: bool,
    /// Print one JSON object (with --host: one per checkout)
    #[arg(long)]
    json: bool,
}

impl Show {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        if let Some(host) = &self.host {
            return host_trees::show(global, host, self.json).await;
        }
        let services = context::services(global, Arc::new(NullReporter))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        if self.check {
            return check(&services, &id);
        }
        let (journal, host) = look(&services, &id, self.offline).await?;
        let handoff = journal.handoff();
        if self.json {
            outln!("{}", crate::ui::screen::json(&shown(handoff, host.as_ref())));
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

/// Prints each claim of `handoff.md` that points nowhere.
fn check(services: &Services, id: &HandoffId) -> Result<u8, Error> {
    let journal = services.store.open(id)?;
    let record = context::record_of(services, journal.handoff());
    let Some(claims) = check_claims(services, journal.handoff())? else {
        return Err(Error::failed(format!("there is no {record}")).hint(format!("handoff watch {id}")));
    };
    claims.nowhere.iter().for_each(|line| outln!("{}", neutral(line)));
    let (count, wrong) = (claims.count, claims.nowhere.len());
    if wrong > 0 {
        return Err(Error::failed(format!("{wrong} of {count} pointers in {record} point nowhere")));
    }
    outln!("{count} pointers in {record} lead to a line or a commit");
    Ok(exit::OK)
}

/// A handoff and its host.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ShownHandoff<'a> {
    id: &'a HandoffId,
    status: Status,
    /// What this machine recorded.
    handoff: &'a Handoff,
    /// Seconds since the last change.
    age_seconds: i64,
    /// What the host says now. Null with `--offline`, and when nothing runs there.
    host: Option<HostNow<'a>>,
}

/// The answer of a host about the newest attempt there, or why it gave none.
#[derive(Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum HostNow<'a> {
    Answer {
        /// The watcher: `alive`, `stopped`, `gone`, `unknown` (another machine started it) or `none`.
        watch: &'static str,
        /// The agent, in the same words.
        task: &'static str,
        /// Whether the agent was started.
        intent: bool,
        /// Whether the attempt has ended.
        result: bool,
        /// Active time of the attempt in seconds.
        active: u64,
        /// Seconds since the watcher's last sign of life.
        beat_age: Option<u64>,
        epoch: Epoch,
        last_attempt: AttemptNo,
    },
    NoAnswer {
        error: &'a str,
    },
}

/// The record of a handoff and, while it runs, what its host says.
pub async fn look(
    services: &Arc<Services>,
    id: &HandoffId,
    offline: bool,
) -> Result<(Journal, Option<Result<StateLine, String>>), Error> {
    let mut journal = services.store.open(id)?;
    if !offline && !journal.handoff().unfenced_hosts().is_empty() {
        // A host that did not confirm an epoch may be back. A failure to reach it is no error of `show`; the next
        // command tries again.
        if let Ok(mut driver) = Driver::open(services, id) {
            _ = tokio::time::timeout(SHORT, driver.settle(SHORT)).await;
        }
        journal.refresh()?;
    }
    let host = match !offline && journal.handoff().status().is_active() {
        true => Some(host_state(services, journal.handoff()).await),
        false => None,
    };
    Ok((journal, host))
}

/// The state of a handoff as one object.
pub fn shown<'a>(handoff: &'a Handoff, host: Option<&'a Result<StateLine, String>>) -> ShownHandoff<'a> {
    let now = jiff::Timestamp::now();
    let host = host.map(|answer| match answer {
        Ok(line) => HostNow::Answer {
            watch: word(line.watch),
            task: word(line.task),
            intent: line.intent,
            result: line.result,
            active: line.active,
            beat_age: line.beat,
            epoch: line.epoch,
            last_attempt: line.last,
        },
        Err(error) => HostNow::NoAnswer { error },
    });
    let age_seconds = now.as_second() - handoff.changed_at().as_second();
    ShownHandoff { id: &handoff.request().id, status: handoff.status(), handoff, age_seconds, host }
}

/// Why nothing more happens by itself, with the command that helps.
fn pause(handoff: &Handoff) -> Option<&str> {
    match handoff.last_attempt()?.1.next.as_ref()? {
        Next::Park { why } if !why.is_empty() && !handoff.is_taken_over() && !handoff.is_finished() => Some(why),
        _ => None,
    }
}

/// The agents, each with its model; a later one with its first attempt.
fn agents(handoff: &Handoff) -> String {
    let one = |(first, agent, model): (u32, &str, Option<&str>)| {
        let model = model.map_or(String::new(), |model| format!(", {}", neutral(model)));
        let from = if first == 1 { String::new() } else { format!(" from attempt {first}") };
        format!("{}{model}{from}", neutral(agent))
    };
    handoff.agents().map(one).collect::<Vec<_>>().join("; ")
}

fn print(services: &Services, handoff: &Handoff, host: Option<&Result<StateLine, String>>) {
    let now = jiff::Timestamp::now();
    let ago = |at: jiff::Timestamp| format!("{} ago", age(now.as_second() - at.as_second()));
    let request = handoff.request();
    outln!("{}  {}, last change {}", request.id, handoff.status().label(), ago(handoff.changed_at()));
    outln!("  task      {}", first_line(&request.task, 100));
    outln!("  agent     {}", agents(handoff));
    outln!(
        "  base      {} on {}",
        request.base.head.commit().map_or("no commit yet", Oid::short),
        request.base.branch.as_deref().unwrap_or("a detached HEAD")
    );
    if let Some(adopted) = handoff.adopted() {
        outln!("  adopted   from {}", neutral(&adopted.directory));
    }
    if let Some(attached) = &request.attached {
        outln!("  attached  {}", attachments(&attached.files));
    }
    if let Some(check) = &request.check {
        outln!("  check     {}", first_line(check, 100));
    }
    if let Some(session) = handoff.session() {
        outln!("  session   {}", neutral(session));
    }
    match handoff.owner() {
        Owner::Host(_) if handoff.is_only_by_hand() => {
            outln!("  owner     no host yet; `handoff resume {} --host HOST` continues it on one", request.id)
        }
        Owner::Host(host) => outln!("  owner     {} (epoch {})", neutral(host), handoff.epoch()),
        Owner::Laptop if handoff.ownership().is_confirmed() => {
            outln!("  owner     you (epoch {}), confirmed by the host", handoff.epoch())
        }
        Owner::Laptop => outln!("  owner     you (epoch {}), taken without confirmation", handoff.epoch()),
    }
    if let Some((since, finish)) = handoff.finished() {
        let branch = finish.branch.as_deref().zip(finish.commit.as_ref());
        let branch = branch.map_or(String::new(), |(branch, commit)| {
            format!(", on the branch {} at {}", neutral(branch), commit.short())
        });
        outln!("  finished  {}{branch}", ago(since));
    }
    if let Some(here) = handoff.checkouts().last() {
        let state = match handoff.checkouts().current() {
            _ if here.undone => "undone".to_owned(),
            Some(_) => format!("since `takeover --here`; undo: `handoff undo {}`", request.id),
            None => format!("earlier `takeover --here`; undo: `handoff undo {}`", request.id),
        };
        outln!("  checkout  {} ({state})", neutral(&here.path));
    }
    if let Some(worktree) = handoff.worktree().filter(|_| !handoff.is_finished()) {
        let state = match handoff.is_worktree_current() {
            true => "",
            false if handoff.checkouts().is_from_worktree() => " (its work is in the checkout)",
            false => " (given back)",
        };
        outln!("  worktree  {}{state}", neutral(worktree));
    }
    for (n, attempt) in handoff.attempts() {
        let state = match (&attempt.verdict, attempt.started) {
            (None, _) if attempt.by_hand => "nothing shows how it ended".to_owned(),
            (Some(verdict), _) => format!("{}: {}", verdict.class, first_line(&verdict.evidence, 90)),
            (None, Some(started)) => format!("running for {}", age(now.as_second() - started.as_second())),
            (None, None) => match handoff.time_left(*n, now.as_second()) {
                Some(delay) => format!("starts in {}", clock(delay)),
                None => format!("sent {}", ago(attempt.dispatched)),
            },
        };
        let superseded = if attempt.superseded { " (superseded: never applied)" } else { "" };
        let place =
            if attempt.by_hand { ", run by hand".to_owned() } else { format!(" on {}", neutral(&attempt.host)) };
        outln!("  attempt {n}{place}: {state}{superseded}");
        let notes = attempt.verdict.iter().flat_map(|verdict| &verdict.notes);
        notes.for_each(|note| outln!("    note: {}", neutral(note)));
        let lacks = attempt.uncaptured.iter().flat_map(|lacks| uncaptured(&attempt.host, lacks));
        lacks.for_each(|line| outln!("    {line}"));
        if let Some(FetchedArtifacts { files, bytes }) = attempt.artifacts {
            outln!("    artifacts: {files}, {}, as `handoff pull --artifacts` fetches them", human_bytes(bytes));
        }
        if let Some(given) = handoff.given().get(n) {
            outln!("  you gave it back with {}", given.work.commit.short());
        }
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
        words_for(line.task),
        words_for(line.watch)
    )
}

/// The word for people. `--json` has the word of the protocol.
fn words_for(alive: Alive) -> &'static str {
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
