//! `handoff undo`

use std::sync::Arc;

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::supervise::driver::Driver;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::ui::plain::Plain;
use crate::ui::screen;
use crate::ui::text::neutral;

/// Restore the checkout as it was before `takeover --here`; refuses if you changed what it would restore
#[derive(Debug, clap::Args)]
pub struct Undo {
    /// Id of the handoff, or an unambiguous prefix (default: the newest, if no other was brought into a checkout)
    id: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// A checkout that is as before a takeover.
#[derive(Serialize, schemars::JsonSchema)]
pub struct UndoneTakeover {
    id: HandoffId,
    status: Status,
    checkout: String,
    /// Whether an earlier command had undone it.
    was_undone: bool,
}

impl Undo {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = if self.json { Arc::new(NullReporter) } else { Arc::new(Plain) };
        let services = context::services(global, reporter)?;
        let id = context::choose(&services, self.id.as_deref(), "undo", |handoff| {
            handoff.checkouts().last().is_some_and(|change| !change.undone)
        })?;
        let mut driver = Driver::open(&services, &id)?;
        let (path, is_new) = driver.undo()?;
        if self.json {
            let (status, checkout) = (driver.handoff().status(), path.display().to_string());
            outln!("{}", screen::json(&UndoneTakeover { id, status, checkout, was_undone: !is_new }));
            return Ok(exit::OK);
        }
        match is_new {
            true => outln!("restored {} as it was before the takeover", path.display()),
            false => outln!("the takeover into {} was undone before", path.display()),
        }
        if driver.handoff().is_taken_over() && !driver.handoff().is_finished() {
            outln!("  the work of {id} is still in this repository: handoff diff {id}");
            match driver.handoff().worktree().filter(|_| driver.handoff().is_worktree_current()) {
                Some(worktree) => outln!("  worktree: {}", neutral(worktree)),
                None => outln!("  take over: handoff takeover {id}"),
            }
        }
        Ok(exit::OK)
    }
}
