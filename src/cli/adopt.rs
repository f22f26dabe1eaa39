//! `handoff adopt`

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::adopted::RunByHand;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::supervise::adopt::{AdoptOptions, Adoption, Found};
use crate::supervise::driver::Driver;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::ui::plain::Plain;
use crate::ui::screen;
use crate::ui::text::{first_line, neutral};

/// Take over a handoff directory that was made by hand with the background-agent-handoff skill
///
/// Reads `handoff.md` and `attempt-N.log`, copies the logs into the record, and keeps what people wrote. The directory itself
/// stays as it is, apart from `handoff.md` if it is below .cursor/agent-handoffs of this checkout. `handoff resume ID --host
/// HOST` then makes the next attempt.
#[derive(Debug, clap::Args)]
pub struct Adopt {
    /// The directory, such as .cursor/agent-handoffs/20260407-fix-the-till
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Id of the handoff (default: the name of the directory)
    #[arg(long)]
    id: Option<HandoffId>,
    /// The task (default: the one in handoff.md)
    #[arg(long)]
    task: Option<String>,
    /// The agent CLI of the next attempts (default: the one that wrote the last log)
    #[arg(long)]
    agent: Option<String>,
    /// The model of the next attempts, by the name that the agent CLI uses
    #[arg(long)]
    model: Option<String>,
    /// A command that must pass before the work counts as done; one in handoff.md is not used
    #[arg(long, value_name = "COMMAND")]
    check: Option<String>,
    /// Say that nothing of it runs any more, where no log shows that
    #[arg(long)]
    ended: bool,
    /// Print what was found, and record nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A directory that was made by hand, as a handoff.
#[derive(Serialize, schemars::JsonSchema)]
pub struct AdoptedHandoff<'a> {
    id: &'a HandoffId,
    /// Whether this command recorded it. Not with `--dry-run`, and not if it was recorded before.
    adopted: bool,
    /// Whether it was a handoff before.
    already: bool,
    /// What was found; null if it was a handoff before.
    found: Option<FoundDirectory<'a>>,
}

/// What a directory that was made by hand shows.
#[derive(Serialize, schemars::JsonSchema)]
pub struct FoundDirectory<'a> {
    directory: &'a str,
    task: &'a str,
    /// What its handoff.md says under *Status*.
    status: Option<&'a str>,
    /// The agent of the next attempts.
    agent: &'a str,
    model: Option<&'a str>,
    attempts: &'a [RunByHand],
    /// The commit that handoff.md names as the base. Null: the base is the checkout as it is now.
    base: Option<&'a Oid>,
    /// The sections of handoff.md in which something is written.
    sections: Vec<&'a str>,
    /// Files that are not taken over.
    other: &'a [String],
    /// Why it may still run on this machine. Then it is recorded only with `--ended`, or not at all if it is running.
    may_run: Option<&'a str>,
}

impl Adopt {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let json = self.json;
        let reporter: Arc<dyn Reporter> = if json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        if self.task.as_ref().is_some_and(|task| task.trim().is_empty()) {
            return Err(Error::usage("the task is empty"));
        }
        let services = context::services(global, reporter)?;
        let directory = context::here(global)?.join(&self.path);
        let Adopt { id, task, agent, model, check, ended, dry_run, .. } = self;
        let options = AdoptOptions { directory, id, task, agent, model, check, ended, dry_run };
        let adoption = Driver::adopt(&services, options).await?;
        let (id, found) = match &adoption {
            Adoption::Already(id) => (id, None),
            Adoption::Planned(found) | Adoption::Adopted(found) => (&found.id, Some(found)),
        };
        let (adopted, already) = (matches!(adoption, Adoption::Adopted(_)), found.is_none());
        if json {
            let found = found.map(FoundDirectory::of);
            outln!("{}", screen::json(&AdoptedHandoff { id, adopted, already, found }));
            return Ok(exit::OK);
        }
        let Some(found) = found else {
            outln!("{id} is a handoff already\n  see it:    handoff show {id}");
            return Ok(exit::OK);
        };
        let journal = if adopted { Some(services.store.open(id)?) } else { None };
        match &journal {
            Some(journal) => outln!("{id} is adopted: {}", journal.handoff().status().label()),
            None => outln!("{id} would be adopted; nothing is recorded"),
        }
        print(found);
        match &journal {
            Some(journal) => {
                outln!("  record    {}", context::record_of(&services, journal.handoff()));
                outln!("  continue  handoff resume {id} --host HOST");
                if !found.attempts.is_empty() {
                    outln!("  take over handoff takeover {id}");
                }
            }
            None => print_obstacle(found),
        }
        Ok(exit::OK)
    }
}

impl<'a> FoundDirectory<'a> {
    fn of(found: &'a Found) -> FoundDirectory<'a> {
        FoundDirectory {
            directory: &found.directory,
            task: &found.task,
            status: found.status.as_deref(),
            agent: &found.agent,
            model: found.model.as_deref(),
            attempts: &found.attempts,
            base: found.base.as_ref(),
            sections: found.notes.iter().map(|note| note.section.as_str()).collect(),
            other: &found.other,
            may_run: found.may_run.as_deref(),
        }
    }
}

fn print(found: &Found) {
    let model = found.model.as_ref().map_or(String::new(), |model| format!(", {}", neutral(model)));
    outln!("  task      {}", first_line(&found.task, 100));
    outln!("  agent     {}{model}", neutral(&found.agent));
    match &found.base {
        Some(base) => outln!("  base      {}, which handoff.md names", base.short()),
        None => outln!("  base      the checkout as it is now"),
    }
    if let Some(status) = &found.status {
        outln!("  status    {} in handoff.md", neutral(status));
    }
    found.attempts.iter().for_each(|run| outln!("  attempt {}: {}", run.attempt, told(run)));
    let heading = |section: &str| if section.is_empty() { "remarks".to_owned() } else { neutral(section).into_owned() };
    let written: Vec<String> = found.notes.iter().map(|note| heading(&note.section)).collect();
    if !written.is_empty() {
        outln!("  kept      {}", written.join(", "));
    }
    if !found.other.is_empty() {
        let other: Vec<String> = found.other.iter().map(|name| neutral(name).into_owned()).collect();
        outln!("  not taken {}", other.join(", "));
    }
}

/// How an attempt ended, as far as its log shows.
fn told(run: &RunByHand) -> String {
    let agent = run.agent.as_deref().unwrap_or("unknown CLI");
    match (&run.verdict, run.log) {
        (_, None) => "no log".to_owned(),
        (Some(verdict), Some(_)) => {
            let at = verdict.pointer(run.attempt).map_or(String::new(), |pointer| format!(" ({pointer})"));
            let class: Class = verdict.class;
            format!("{}, {class}: {}{at}", neutral(agent), first_line(&verdict.evidence, 90))
        }
        (None, Some(bytes)) => format!("{}, {bytes} bytes of log do not show how it ended", neutral(agent)),
    }
}

fn print_obstacle(found: &Found) {
    match &found.may_run {
        Some(why) if found.is_running => outln!("  refused   {}", neutral(why)),
        Some(why) => outln!("  needs     --ended, if you know that nothing of it runs any more: {}", neutral(why)),
        None => {}
    }
}
