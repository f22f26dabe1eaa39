//! Keeps the files people read true to the journal and the logs.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::driver::Driver;
use super::engine::Engine;
use super::error::Error;
use crate::agent::summary::{self, Summary};
use crate::config::templates;
use crate::mirror::page::{self, Findings, Story};
use crate::mirror::{document, files};
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::profile::DialectName;
use crate::state::log_mirror;

impl Driver {
    /// Renders `handoff.md` and copies the logs, in the worktree it was given from and in a takeover's.
    pub fn update_record(&self) -> Result<(), Error> {
        worktrees(self.handoff()).try_for_each(|worktree| self.record_into(Path::new(worktree)))
    }

    /// The record in one worktree.
    pub fn record_into(&self, worktree: &Path) -> Result<(), Error> {
        write(&self.engine, self.handoff(), &self.findings()?, worktree)
    }

    /// Lets the readable copies of the logs grow with their mirrors.
    pub(super) fn mirror_logs(&self) -> Result<(), Error> {
        let handoff = self.handoff();
        for worktree in worktrees(handoff) {
            let record = files::Record::open(Path::new(worktree), &handoff.made.id)?;
            record.copy_logs(&self.engine.store.directory(&handoff.made.id))?;
        }
        Ok(())
    }

    /// What the journal and the logs of this handoff tell.
    pub(super) fn story(&self) -> Result<Story, Error> {
        Ok(page::story(self.handoff(), &self.findings()?))
    }

    fn findings(&self) -> Result<Findings, Error> {
        findings(&self.engine, self.handoff(), |n| self.logs.get(&n).map(|log| log.study.summary(&self.profile)))
    }
}

/// Renders the record of a handoff wherever it stands.
pub fn update(engine: &Engine, handoff: &Handoff) -> Result<(), Error> {
    let findings = findings(engine, handoff, |_| None)?;
    worktrees(handoff).try_for_each(|worktree| write(engine, handoff, &findings, Path::new(worktree)))
}

/// What a person reads of a handoff, from its journal and logs.
pub fn render(engine: &Engine, handoff: &Handoff) -> Result<String, Error> {
    render_with(engine, handoff, &findings(engine, handoff, |_| None)?)
}

fn render_with(engine: &Engine, handoff: &Handoff, findings: &Findings) -> Result<String, Error> {
    let templates = Some(engine.templates.as_path());
    let page = page::page(handoff, findings, &crate::git::facts::directory_name(engine.repository.top()), templates)?;
    Ok(templates::render_handoff(&page, templates)?)
}

fn worktrees(handoff: &Handoff) -> impl Iterator<Item = &str> {
    let all = [Some(handoff.made.workspace.as_str()), handoff.worktree.as_deref()];
    // A worktree the user removed is not made again.
    all.into_iter().flatten().filter(|path| Path::new(path).is_dir())
}

fn write(engine: &Engine, handoff: &Handoff, findings: &Findings, worktree: &Path) -> Result<(), Error> {
    let record = files::Record::open(worktree, &handoff.made.id)?;
    let rendered = render_with(engine, handoff, findings)?;
    let merged = document::merge(&rendered, record.document()?.as_deref());
    record.write_document(&merged)?;
    record.copy_logs(&engine.store.directory(&handoff.made.id))?;
    Ok(())
}

/// What every log says. `known` gives the summary of a log that is being read anyway.
fn findings(
    engine: &Engine,
    handoff: &Handoff,
    known: impl Fn(AttemptNo) -> Option<Summary>,
) -> Result<Findings, Error> {
    let mut all = Findings::new();
    let profile = engine.profile(&handoff.made.agent)?;
    for n in handoff.attempts.keys() {
        let summary = match known(*n) {
            Some(summary) => summary,
            None => match engine.summaries.of(&engine.store.log(&handoff.made.id, *n), profile.dialect)? {
                Some(summary) => summary,
                None => continue,
            },
        };
        all.push((*n, summary));
    }
    Ok(all)
}

/// Summaries of logs as long as they were when they were read: a log only grows, and only in its last part.
#[derive(Default)]
pub struct Summaries(Mutex<HashMap<PathBuf, (Vec<u64>, Summary)>>);

impl Summaries {
    /// `None` where there is no log.
    fn of(&self, path: &Path, dialect: DialectName) -> Result<Option<Summary>, Error> {
        let fail = |source| Error::Read { path: path.display().to_string(), source };
        let files = log_mirror::parts(path).into_iter().map(std::fs::File::open).collect::<Result<Vec<_>, _>>();
        let files = files.map_err(fail)?;
        if files.is_empty() {
            return Ok(None);
        }
        let lengths = files.iter().map(|file| Ok(file.metadata()?.len())).collect::<Result<Vec<_>, _>>();
        let lengths = lengths.map_err(fail)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, summary)) = kept.get(path).filter(|(read, _)| *read == lengths) {
            return Ok(Some(summary.clone()));
        }
        let parts = files.into_iter().zip(&lengths).map(|(file, length)| file.take(*length));
        let summary = summary::summarise_parts(dialect, parts, None).map_err(fail)?;
        kept.insert(path.to_owned(), (lengths, summary.clone()));
        Ok(Some(summary))
    }
}
