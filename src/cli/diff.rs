//! `handoff diff`

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::git::diff::ChangedFile;
use crate::git::repository::Repository;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::refusal::accept;
use crate::model::snapshot::Oid;
use crate::supervise::companions::{self, differences};
use crate::supervise::progress::NullReporter;
use crate::supervise::services::Services;
use crate::ui::screen;

/// Show what changed since the start of the handoff, or in one attempt
#[derive(Debug, clap::Args)]
pub struct Diff {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Show only what this attempt changed (default: all changes up to the last attempt whose work was fetched)
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    /// Show only the file names and line counts
    #[arg(long)]
    stat: bool,
    /// Print one JSON object
    #[arg(long, conflicts_with = "stat")]
    json: bool,
}

/// What changed since the start of a handoff, or in one attempt.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Difference {
    id: HandoffId,
    /// What the handoff or the attempt began with.
    base: Oid,
    /// The work that is compared with it.
    commit: Oid,
    files: Vec<ChangedFile>,
    /// What changed in submodules and other repositories that were sent, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repositories: Vec<InnerDifference>,
    /// The patch, as `git diff` prints it. Bytes that are not UTF-8 are replaced.
    patch: String,
    /// Whether the patch was cut at its end. A command prints all of it.
    is_cut: bool,
}

/// What changed in one of them.
#[derive(Serialize, schemars::JsonSchema)]
pub struct InnerDifference {
    /// Its directory, from the top of the outer one.
    path: String,
    base: Oid,
    commit: Oid,
    files: Vec<ChangedFile>,
}

/// What an attempt changed, or what changed up to the last attempt whose work is here. The patch has at most `most` bytes.
pub fn difference(
    services: &Services,
    handoff: &Handoff,
    attempt: Option<u32>,
    most: usize,
) -> Result<Difference, Error> {
    let (base, commit) = (base_of(handoff, attempt).clone(), work_of(handoff, attempt)?);
    let repository = &services.repository;
    let mut patch = repository.diff(&base, &commit)?;
    let mut repositories = Vec::new();
    for companions::Difference { path, repository, from, to } in differences(services, handoff, attempt) {
        patch.extend(repository.diff_inside(&path, &from, &to)?);
        repositories.push(InnerDifference { files: repository.diff_files(&from, &to)?, path, base: from, commit: to });
    }
    let (shown, is_cut) = (&patch[..patch.len().min(most)], patch.len() > most);
    let (files, patch) = (repository.diff_files(&base, &commit)?, String::from_utf8_lossy(shown).into_owned());
    Ok(Difference { id: handoff.request().id.clone(), base, commit, files, repositories, patch, is_cut })
}

impl Diff {
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(NullReporter))?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let journal = services.store.open(&id)?;
        let handoff = journal.handoff();
        if self.json {
            let difference = difference(&services, handoff, self.attempt, usize::MAX)?;
            outln!("{}", screen::json(&difference));
            return Ok(exit::OK);
        }
        let commit = work_of(handoff, self.attempt)?;
        let base = base_of(handoff, self.attempt);
        let repository = &services.repository;
        let mut text = if self.stat { repository.diff_stat(base, &commit) } else { repository.diff(base, &commit) }?;
        for companions::Difference { path, repository, from, to } in differences(&services, handoff, self.attempt) {
            let more = match self.stat {
                true => repository.diff_stat(&from, &to)?,
                false => repository.diff_inside(&path, &from, &to)?,
            };
            if self.stat && !more.is_empty() {
                text.extend(format!("{path}:\n").into_bytes());
            }
            text.extend(more);
        }
        if text.is_empty() {
            match self.attempt {
                Some(n) => errln!("attempt {n} changed no file"),
                None => errln!("no file differs from the start of the handoff"),
            }
        }
        let shown = screen::diff(&text, || style(repository));
        shown.map_err(|error| Error::failed(format!("the pager could not be started: {error}")))?;
        Ok(exit::OK)
    }
}

/// The user's colours and pager. What git does not understand in the configuration is left out: the patch matters.
fn style(repository: &Repository) -> screen::Style {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    screen::Style {
        palette: if is_plain { None } else { repository.palette().ok().flatten() },
        pager: repository.pager(|name| std::env::var(name).ok()).ok().flatten(),
    }
}

/// What a difference begins with: the work before an attempt, or the start of the handoff.
fn base_of(handoff: &Handoff, attempt: Option<u32>) -> &Oid {
    attempt.map_or(&handoff.request().base.commit, |n| handoff.work_before(n))
}

/// The capture of an attempt, or of the last attempt with a capture here.
pub fn work_of(handoff: &Handoff, attempt: Option<u32>) -> Result<Oid, Error> {
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
        Some(_) if state.by_hand => {
            Error::failed(format!("attempt {n} was run by hand, so its work is not recorded apart from your checkout"))
                .hint("git diff".to_owned())
                .hint(format!("handoff show {id}"))
        }
        Some(outcome) if outcome.capture.is_none() && state.started.is_none() => {
            Error::failed(format!("attempt {n} ended before the agent started, so it left no work"))
                .hint(format!("handoff show {id}"))
        }
        Some(_) => Error::failed(format!("the work of attempt {n} is not in this repository"))
            .hint(format!("handoff pull {id}")),
    }
}
