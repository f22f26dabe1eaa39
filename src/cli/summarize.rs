//! `handoff summarize`

use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::supervise::progress::NullReporter;
use crate::supervise::summarize::{WrittenSummary, summarize};
use crate::ui::screen;
use crate::ui::text::neutral;

/// Write the summary in handoff.md from what is known now, and print it
///
/// While an attempt runs, it first fetches the log so far, and the summary is partial. It starts and stops nothing, and judges
/// nothing: `handoff watch` does.
#[derive(Debug, clap::Args)]
pub struct Summarize {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// The summary of a handoff. Every claim points to a line of a log (`attempt-2.log:118`) or to a commit.
#[derive(Serialize, schemars::JsonSchema)]
pub struct SummarizedHandoff<'a> {
    id: &'a HandoffId,
    status: Status,
    /// The newest attempt.
    attempt: Option<AttemptNo>,
    /// Why more is to come. Null: nothing comes by itself.
    partial: Option<&'a str>,
    /// How each attempt ended, and the agent's last words.
    state: Option<&'a str>,
    /// What the agents did, in order.
    tried: &'a [String],
    /// The files that changed.
    files: &'a [String],
    blockers: &'a [String],
    next_step: &'a str,
    /// Where handoff.md is.
    record: String,
}

impl Summarize {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, Arc::new(NullReporter))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let written = summarize(&services, &id).await?;
        let record = context::record_of(&services, services.store.open(&id)?.handoff());
        if self.json {
            let WrittenSummary { status, attempt, partial, story, .. } = &written;
            outln!(
                "{}",
                screen::json(&SummarizedHandoff {
                    id: &id,
                    status: *status,
                    attempt: *attempt,
                    partial: partial.as_deref(),
                    state: story.state.as_deref(),
                    tried: &story.tried,
                    files: &story.files,
                    blockers: &story.blockers,
                    next_step: &story.next_step,
                    record,
                })
            );
            return Ok(exit::OK);
        }
        let attempt = written.attempt.map_or(String::new(), |n| format!(", attempt {n}"));
        outln!("# {id}: {}{attempt}", written.status.label());
        if let Some(why) = &written.partial {
            outln!("\nPartial: {}.", neutral(why));
        }
        for (heading, text) in &written.sections {
            outln!("\n## {heading}\n");
            text.lines().for_each(|line| outln!("{}", neutral(line)));
        }
        outln!("\nrecord: {}", neutral(&record));
        Ok(exit::OK)
    }
}
