//! `handoff takeover`

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::event::{Kind, Owner};
use crate::model::id::HandoffId;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::record::document_of;
use crate::supervise::services::Services;
use crate::ui::plain::Plain;

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
    /// Editor to open (default: the first one that is installed)
    #[arg(long, value_name = "EDITOR", value_parser = ["cursor", "code", "none"])]
    editor: Option<String>,
}

impl Takeover {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(Plain))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let destination = self.worktree.as_ref().map(std::path::absolute).transpose();
        let destination = destination.map_err(|error| Error::usage(format!("--worktree: {error}")))?;
        let mut driver = take_driver(&services, &id).await?;
        let taken = driver.takeover(destination).await?;
        let worktree = &taken.worktree;
        let (record, why) = document_of(&services, driver.handoff(), worktree);
        for host in &taken.untold {
            outln!(
                "could not reach {host} to stop it; anything it still produces is saved separately and never applied"
            );
        }
        outln!("{id} is yours");
        outln!("  worktree: {}", worktree.display());
        let why = why.map_or(String::new(), |why| format!(" ({why})"));
        outln!("  context:  {}{why}", record.display());
        let prompt = record.strip_prefix(worktree).unwrap_or(&record);
        outln!("  prompt:   \"Read {} and continue from its Headed Takeover Prompt.\"", prompt.display());
        match open(self.editor.as_deref(), worktree, &record) {
            Some(editor) => outln!("opened in {editor}"),
            None => {
                let editor = self.editor.as_deref().filter(|editor| *editor != "none");
                if let Some(editor) = editor {
                    outln!("  {editor} is not on PATH here");
                }
                outln!("  open it:  {} {}", editor.unwrap_or("cursor"), context::quoted(worktree));
            }
        }
        Ok(exit::OK)
    }
}

/// Takes the driver's lock. A process that has it sees the change of owner and releases it.
async fn take_driver(services: &std::sync::Arc<Services>, id: &HandoffId) -> Result<Driver, Error> {
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

/// Opens the worktree and the record in an installed editor. Returns its name, or `None`.
fn open(wanted: Option<&str>, worktree: &Path, record: &Path) -> Option<&'static str> {
    let has_screen = cfg!(target_os = "macos")
        || ["DISPLAY", "WAYLAND_DISPLAY", "SSH_CONNECTION"].iter().any(|name| std::env::var_os(name).is_some());
    if wanted.is_none() && !has_screen {
        return None;
    }
    ["cursor", "code"].into_iter().filter(|editor| wanted.is_none_or(|wanted| wanted == *editor)).find(|editor| {
        let mut command = Command::new(editor);
        command.arg(worktree).arg("--goto").arg(record);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        quiet.spawn().is_ok()
    })
}
