//! `handoff diff`

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::handoff::Handoff;
use crate::model::refusal::accept;
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
        let base = &handoff.request().base.commit;
        let repository = &services.repository;
        let text = if self.stat { repository.diff_stat(base, &commit) } else { repository.diff(base, &commit) }?;
        if text.is_empty() {
            errln!("no file differs from the start of the handoff");
        }
        crate::ui::screen::diff(&text);
        Ok(exit::OK)
    }
}

/// The capture of an attempt, or of the last attempt with a capture here.
pub fn work_of(handoff: &Handoff, attempt: Option<u32>) -> Result<crate::model::snapshot::Oid, Error> {
    let found = match attempt {
        Some(n) => handoff.attempt(n).and_then(|attempt| attempt.fetched.clone()),
        None => handoff.lineage().rev().find_map(|(_, attempt)| attempt.fetched.clone()),
    };
    found.ok_or_else(|| without_work(handoff, attempt))
}

/// Why there is nothing to compare, and the command that changes that: `pull` only if there is something to fetch.
fn without_work(handoff: &Handoff, attempt: Option<u32>) -> Error {
    let id = &handoff.request().id;
    let last = handoff.last_attempt().map(|(n, _)| n);
    let Some((n, state)) = attempt.or(last).and_then(|n| handoff.attempts().get_key_value(&n)) else {
        return match attempt {
            Some(n) => Error::usage(format!("{id} has no attempt {n}")).hint(format!("handoff show {id}")),
            None => Error::failed(format!("{id} has no attempt yet")).hint(format!("handoff watch {id}")),
        };
    };
    let outcome = state.outcome.as_ref();
    match outcome {
        None => Error::failed(format!("attempt {n} has not ended, so its work is not here yet"))
            .hint(format!("handoff watch {id}"))
            .hint(format!("handoff logs {id}")),
        Some(_) if !state.refused.is_empty() => {
            let error = Error::failed(format!("git refused the work of attempt {n}; {} keeps it", state.host));
            let error = accept(&state.refused).into_iter().fold(error, |error, command| error.hint(command));
            error.hint(format!("handoff pull {id}"))
        }
        Some(outcome) if outcome.capture.is_none() && state.started.is_none() => {
            Error::failed(format!("attempt {n} ended before the agent started, so it left no work"))
                .hint(format!("handoff show {id}"))
        }
        Some(_) => Error::failed(format!("the work of attempt {n} is not in this repository"))
            .hint(format!("handoff pull {id}")),
    }
}
