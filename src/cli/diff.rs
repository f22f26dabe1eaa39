//! `handoff diff`

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::handoff::Handoff;
use crate::supervise::progress::NullReporter;

/// Show what the agent changed since the start of the handoff
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Number of the attempt (default: the last one whose work was fetched)
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Show only the file names and line counts
    #[arg(long)]
    stat: bool,
}

impl Diff {
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(NullReporter))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let journal = services.store.open(&id)?;
        let handoff = journal.handoff();
        let commit = work_of(handoff, self.attempt)?;
        let base = &handoff.request.base.commit;
        let repository = &services.repository;
        let text = if self.stat { repository.diff_stat(base, &commit) } else { repository.diff(base, &commit) }?;
        crate::ui::screen::diff(&text);
        Ok(exit::OK)
    }
}

/// The capture of an attempt, or of the last one that has one here.
pub fn work_of(handoff: &Handoff, attempt: Option<u32>) -> Result<crate::model::snapshot::Oid, Error> {
    let id = &handoff.request.id;
    let found = match attempt {
        Some(n) => handoff.attempts.get(&n).and_then(|attempt| attempt.fetched.clone()),
        None => handoff.lineage().rev().find_map(|(_, attempt)| attempt.fetched.clone()),
    };
    found.ok_or_else(|| {
        Error::failed(format!("no work of {id} is in this repository yet"))
            .hint(format!("handoff pull {id}, once an attempt has ended"))
    })
}
