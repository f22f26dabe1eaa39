//! `handoff takeover`

mod agent;
mod clipboard;
mod editor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::git::merge_here::Preview;
use crate::model::event::{Kind, Owner};
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::supervise::record::{attached_paths, document_of};
use crate::supervise::services::Services;
use crate::supervise::takeover::{Merged, Place, TakeoverResult};
use crate::ui::plain::Plain;
use crate::ui::screen;
use crate::ui::text::neutral;
use editor::{Opener, Work};

/// How long another process of ours may take to release the lock.
const PATIENCE: Duration = Duration::from_secs(20);

/// Take the work over: stop the agent, put its work and record into a new worktree, open an editor
#[derive(Debug, clap::Args)]
pub struct Takeover {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Directory for the worktree (default: next to the repository)
    #[arg(long, value_name = "DIR")]
    worktree: Option<PathBuf>,
    /// Name of the worktree's branch, which must not exist (default: handoff/ID)
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Merge the work into the checkout of this directory: files and index, all or nothing; `handoff undo` reverts it
    #[arg(long, conflicts_with_all = ["worktree", "branch"])]
    here: bool,
    /// Editor to open; `visual` is $VISUAL (default: `[takeover] command` of hosts.toml, or the first one that is installed)
    #[arg(long, value_name = "EDITOR", value_parser = editor::NAMES)]
    editor: Option<String>,
    /// Start the agent's own CLI there instead of an editor (default: the handoff's agent)
    #[arg(long, value_name = "AGENT", num_args = 0..=1, require_equals = true, default_missing_value = "", conflicts_with = "editor")]
    agent: Option<String>,
    /// Print the prompt that continues the work, for the agent that runs this command; open no editor
    #[arg(long, conflicts_with_all = ["editor", "agent"])]
    print_prompt: bool,
    /// Give the takeover up: return the unchanged work to its host, and remove the worktree
    #[arg(long = "return", conflicts_with_all = ["worktree", "branch", "here", "editor", "agent", "print_prompt", "json"])]
    hand_back: bool,
    /// Print one JSON object, which has the prompt; open no editor
    #[arg(long, conflicts_with_all = ["editor", "agent", "print_prompt"])]
    json: bool,
}

/// A handoff that was taken over.
#[derive(Serialize, schemars::JsonSchema)]
pub struct TakenHandoff {
    id: HandoffId,
    status: Status,
    /// The directory that has the work.
    worktree: String,
    /// The path of its `handoff.md`.
    record: String,
    /// The prompt that continues the work there.
    prompt: String,
    /// The files that were attached to the task, on this machine.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attached: Vec<String>,
    /// Hosts that could not be told to stop. What they still produce is saved separately and never applied.
    untold: Vec<String>,
    /// What was merged into the checkout, with `--here`.
    #[serde(skip_serializing_if = "Option::is_none")]
    merged: Option<Preview>,
}

impl TakenHandoff {
    /// What a takeover made.
    pub fn of(driver: &Driver, taken: &TakeoverResult) -> Result<TakenHandoff, Error> {
        let handoff = driver.handoff();
        let (record, _) = document_of(&driver.record.services, handoff, &taken.worktree);
        Ok(TakenHandoff {
            id: handoff.request().id.clone(),
            status: handoff.status(),
            worktree: taken.worktree.display().to_string(),
            record: record.display().to_string(),
            prompt: driver.record.takeover_prompt()?,
            attached: attached(&driver.record.services, handoff),
            untold: taken.untold.clone(),
            merged: taken.merged.as_ref().map(|merged| merged.preview.clone()),
        })
    }
}

/// The paths of the attached files on this machine.
fn attached(services: &Services, handoff: &Handoff) -> Vec<String> {
    attached_paths(services, handoff).iter().map(|path| path.display().to_string()).collect()
}

/// Takes the driver's lock, and the work.
pub async fn take_over(
    services: &Arc<Services>,
    id: &HandoffId,
    place: Place,
) -> Result<(Driver, TakeoverResult), Error> {
    let mut driver = take_driver(services, id).await?;
    let taken = driver.takeover(place).await?;
    Ok((driver, taken))
}

impl Takeover {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = if self.json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let id = context::resolve(&services, self.id.as_deref())?;
        if self.hand_back {
            return hand_back(&services, &id).await;
        }
        let agent = self.agent.as_deref().map(|name| agent::find(&services, &id, name)).transpose()?;
        let destination = self.worktree.as_ref().map(std::path::absolute).transpose();
        let destination = destination.map_err(|error| Error::usage(format!("--worktree: {error}")))?;
        let place = match self.here {
            true => Place::Here,
            false => Place::Worktree { directory: destination, branch: self.branch.clone() },
        };
        let (driver, taken) = take_over(&services, &id, place).await?;
        if self.json {
            outln!("{}", screen::json(&TakenHandoff::of(&driver, &taken)?));
            return Ok(exit::OK);
        }
        let worktree = &taken.worktree;
        let (record, why) = document_of(&services, driver.handoff(), worktree);
        for host in &taken.untold {
            let text = format!(
                "could not reach {host} to stop it; anything it still produces is saved separately and never applied"
            );
            if self.print_prompt { errln!("{text}") } else { outln!("{text}") }
        }
        if self.print_prompt {
            let kind = if driver.handoff().checkouts().current().is_some() { "checkout" } else { "worktree" };
            outln!("{}\n\nWork in this {kind}: {}", driver.record.takeover_prompt()?.trim_end(), worktree.display());
            return Ok(exit::OK);
        }
        outln!("{id} is yours");
        match driver.handoff().checkouts().current() {
            Some(_) => outln!("  checkout: {}", worktree.display()),
            None => outln!("  worktree: {}", worktree.display()),
        }
        attached(&services, driver.handoff()).iter().for_each(|path| outln!("  attached: {path}"));
        if let Some(merged) = &taken.merged {
            say_merged(&id, merged);
        }
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        outln!("  context:  {}{why}", record.display());
        let sentence = sentence(&record, worktree);
        outln!("  prompt:   \"{sentence}\"");
        if driver.handoff().checkouts().current().is_some() {
            outln!("  undo:     handoff undo {id}");
        }
        outln!("  return:   handoff give {id}");
        let command = services.hosts.takeover_command.as_deref();
        let opener = agent.map(|agent| Opener::Foreground(agent.with_prompt(&sentence)));
        let opener = opener.or_else(|| editor::choose(self.editor.as_deref(), command));
        // The editor may stay open for hours, and other commands need the lock.
        drop(driver);
        let work = Work { worktree, record: &record, prompt: &sentence };
        self.open(opener, work)
    }

    /// Opens the work. The takeover has succeeded, so a failure here is only reported.
    fn open(&self, opener: Option<Opener>, work: Work<'_>) -> Result<u8, Error> {
        let failed = match opener {
            Some(Opener::Window(window)) => match window.open(work) {
                Ok(opened) => {
                    outln!("{opened}");
                    return Ok(exit::OK);
                }
                Err(why) => Some(why),
            },
            Some(Opener::Foreground(program)) => Some(program.replace(work).to_string()),
            None => self.editor.as_deref().filter(|name| *name != "none").map(|name| match name {
                "visual" => "VISUAL is not set, or this is no terminal".to_owned(),
                name => format!("{name} is not on PATH here"),
            }),
        };
        if let Some(why) = failed {
            outln!("  {why}");
        }
        let editor = self.editor.as_deref().filter(|editor| !["none", "visual"].contains(editor));
        outln!("  open it:  {} {}", editor.unwrap_or("cursor"), context::quoted(work.worktree));
        Ok(exit::OK)
    }
}

/// The prompt in one sentence: links and command lines are short, and the record has the rest.
fn sentence(record: &Path, worktree: &Path) -> String {
    let record = record.strip_prefix(worktree).unwrap_or(record);
    format!("Read {} and continue from its Headed Takeover Prompt.", record.display())
}

async fn hand_back(services: &Arc<Services>, id: &HandoffId) -> Result<u8, Error> {
    let mut driver = Driver::open(services, id)?;
    let removed = driver.hand_back().await?;
    let handoff = driver.handoff();
    outln!("{id} is on {} again: {}", neutral(handoff.host()), handoff.status().label());
    if let Some(worktree) = removed {
        outln!("  removed the worktree {}", worktree.display());
    }
    let again = if handoff.status() == Status::Done { " --again" } else { "" };
    outln!("  continue:  handoff resume {id}{again}");
    Ok(exit::OK)
}

/// What was merged into the user's checkout, and where the agent's commits are.
fn say_merged(id: &HandoffId, merged: &Merged) {
    let Preview { added, changed, deleted, .. } = &merged.preview;
    outln!(
        "  files:    {} changed, {} added, {} deleted; your branch did not move",
        changed.len(),
        added.len(),
        deleted.len()
    );
    if !merged.commits.is_empty() {
        outln!("  commits:  git log {}  (kept by refs/handoff/{id}/)", merged.range);
    }
}

/// Takes the driver's lock. A process that has it sees the change of owner and releases it.
async fn take_driver(services: &Arc<Services>, id: &HandoffId) -> Result<Driver, Error> {
    let until = tokio::time::Instant::now() + PATIENCE;
    let mut told = false;
    loop {
        match Driver::open(services, id) {
            Err(SuperviseError::Driven { .. }) if tokio::time::Instant::now() < until => {
                if !told {
                    let mut journal = services.store.open(id)?;
                    let epoch = journal.handoff().epoch() + 1;
                    if !journal.handoff().is_taken_over() {
                        journal.append(Kind::Owner { epoch, owner: Owner::Laptop, confirmed: false })?;
                    }
                    told = true;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            driver => return Ok(driver?),
        }
    }
}
