//! `handoff finish`

use serde::Serialize;

use super::Global;
use super::clean::{receipt, worse};
use super::context;
use super::error::Error;
use super::exit;
use crate::model::event::Finish as Outcome;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::supervise::clean::{CleanOptions, Cleaner, HostReport};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::finish::{FinishOptions, Published};
use crate::supervise::progress::{NullReporter, Reporter};
use crate::supervise::worktrees::WorktreeReport;
use crate::ui::plain::Plain;
use crate::ui::text::{first_line, neutral};

/// End a handoff for good: record its outcome, make a branch, remove its worktrees, clean its hosts
#[derive(Debug, clap::Args)]
pub struct Finish {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Make this branch from the final work; an existing branch is never changed
    #[arg(long, value_name = "NAME")]
    branch: Option<String>,
    /// Message of the commit, if one is needed: of what is not committed in the takeover's worktree, or of the last
    /// attempt's work (default: the task)
    #[arg(short, long, requires = "branch", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    message: Option<String>,
    /// Push the branch, and open a pull request with `gh` or `glab`. Without these, the commands are printed
    #[arg(long)]
    pr: bool,
    /// Also remove a worktree with ignored files that only it has; they are listed
    #[arg(long, requires = "id")]
    discard_worktree: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A handoff that was finished, and what became of its worktrees and of its copies on hosts.
#[derive(Serialize, schemars::JsonSchema)]
pub struct FinishedHandoff<'a> {
    id: &'a HandoffId,
    status: Status,
    /// The branch that has the final work.
    branch: Option<&'a str>,
    /// The final work, if it is all in one commit.
    commit: Option<&'a Oid>,
    /// What became of the push and the pull request, if one was asked for.
    pull_request: Option<&'a Published>,
    worktrees: &'a [WorktreeReport],
    hosts: &'a [HostReport],
}

impl Finish {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: std::sync::Arc<dyn Reporter> =
            if self.json { std::sync::Arc::new(NullReporter) } else { std::sync::Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let fits = |handoff: &Handoff| !handoff.status().is_active() && !handoff.is_finished();
        let id = context::choose(&services, self.id.as_deref(), "finish", fits)?;
        let status = services.store.open(&id)?.handoff().status();
        if status.is_active() {
            // Another process may follow it.
            return Err(SuperviseError::StillRunning { id, status: status.word() }.into());
        }
        let mut driver = Driver::open(&services, &id)?;
        let (branch, message) = (self.branch.clone(), self.message.clone());
        let finish = driver.finish(FinishOptions { branch, message, pull_request: self.pr }).await?;
        self.say(|| outcome(&id, &finish));
        let published = driver.publish().await?;
        self.say(|| published.as_ref().map_or(String::new(), |published| publication(&id, published)));
        let worktrees = driver.remove_worktrees(self.discard_worktree).await?;
        self.say(|| worktrees.iter().map(|report| worktree(&id, report)).collect());
        let record = context::record_of(&services, driver.handoff());
        // The cleaner drives the handoff itself.
        drop(driver);
        let mut cleaner = Cleaner::new(&services, CleanOptions::default());
        let mut planned = cleaner.plan(&id).await;
        cleaner.carry_out(&mut planned).await?;
        self.say(|| planned.reports.iter().map(receipt).collect::<String>() + &format!("record: {record}\n"));
        if self.json {
            let (branch, commit) = (finish.branch.as_deref(), finish.commit.as_ref());
            let (worktrees, hosts) = (&worktrees[..], &planned.reports[..]);
            let (status, pull_request) = (Status::Finished, published.as_ref());
            let report = FinishedHandoff { id: &id, status, branch, commit, pull_request, worktrees, hosts };
            outln!("{}", crate::ui::screen::json(&report));
        }
        let failed = published.is_some_and(|published| published.why.is_some());
        let code = if failed { exit::FAILED } else { exit::OK };
        Ok(planned.reports.iter().fold(code, |code, report| worse(code, report.status)))
    }

    /// Prints text for people.
    fn say(&self, text: impl FnOnce() -> String) {
        if !self.json {
            context::print(&text());
        }
    }
}

fn outcome(id: &HandoffId, finish: &Outcome) -> String {
    let mut text = format!("{id} is finished\n");
    if let (Some(branch), Some(commit)) = (&finish.branch, &finish.commit) {
        text += &format!("  branch {} is at {}\n", neutral(branch), commit.short());
    }
    text
}

fn publication(id: &HandoffId, published: &Published) -> String {
    let remote = neutral(&published.remote);
    let mut text = match (published.pushed, &published.address) {
        (_, Some(address)) => format!("  pull request: {}\n", neutral(address)),
        (true, None) => format!("  pushed to {remote}\n"),
        (false, None) => format!("  not pushed to {remote}\n"),
    };
    if let Some(why) = &published.why {
        let help = published.help.clone().unwrap_or_else(|| format!("handoff finish {id}"));
        text += &format!("    {}\n    try: {}\n", first_line(why, 600), neutral(&help));
    }
    if !published.commands.is_empty() {
        text += "    open the pull request with:\n";
        text += &published.commands.iter().map(|command| format!("      {}\n", neutral(command))).collect::<String>();
    }
    text
}

fn worktree(id: &HandoffId, report: &WorktreeReport) -> String {
    let path = report.path.display().to_string();
    let path = neutral(&path);
    let mut text = match report.removed {
        true => format!("  removed the worktree {path}\n"),
        false => format!("  kept the worktree {path}:\n"),
    };
    for why in &report.why {
        text += &format!("    {}\n", neutral(why));
    }
    // A removed worktree's files were listed before they were deleted.
    if !report.removed && !report.ignored.is_empty() {
        text += "    ignored files, only there:\n";
        text += &report.ignored.iter().map(|path| format!("      {}\n", neutral(path))).collect::<String>();
    }
    if !report.removed && report.why.is_empty() {
        text += &format!("    try: handoff finish {id} --discard-worktree\n");
    } else if !report.removed {
        if report.is_dirty {
            let at = context::quoted(&report.path);
            text += &format!("    try: git -C {at} add -A && git -C {at} commit\n");
        }
        // The same command does the same until the reasons are gone.
        text += &format!("    then: handoff finish {id}\n");
    }
    text
}
