//! `handoff forget`

use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::id::HandoffId;
use crate::supervise::driver::Driver;
use crate::supervise::forget::KeptDirectory;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::ui::plain::Plain;
use crate::ui::text::neutral;

/// Remove the record of a finished handoff from this repository: journal, logs, refs, readable files
#[derive(Debug, clap::Args)]
pub struct Forget {
    /// Id of the handoff, or an unambiguous prefix
    id: String,
    /// Also remove work that is in no other ref; without this, it is listed and nothing is removed
    #[arg(long)]
    discard: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A handoff whose record was removed.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ForgottenHandoff<'a> {
    id: &'a HandoffId,
    /// Number of refs that were deleted.
    refs: usize,
    /// The directories for people that stay, because they have files of theirs.
    kept: &'a [KeptDirectory],
}

impl Forget {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = if self.json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let id = context::resolve(&services, Some(&self.id))?;
        let forgotten = Driver::open(&services, &id)?.forget(self.discard).await?;
        if self.json {
            let report = ForgottenHandoff { id: &id, refs: forgotten.refs, kept: &forgotten.kept };
            outln!("{}", crate::ui::screen::json(&report));
            return Ok(exit::OK);
        }
        outln!("{id} is forgotten: its journal, its logs and {} refs are removed", forgotten.refs);
        for KeptDirectory { directory, files } in &forgotten.kept {
            outln!("  kept {}: not written by handoff, or edited:", neutral(directory));
            files.iter().for_each(|file| outln!("    {}", neutral(file)));
        }
        Ok(exit::OK)
    }
}
