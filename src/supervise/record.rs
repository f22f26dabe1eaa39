//! Keeps the files people read true to the journal and the logs.

use std::path::Path;

use super::driver::Driver;
use super::engine::Engine;
use super::error::Error;
use crate::agent::summary;
use crate::config::templates;
use crate::mirror::page::{self, Findings, Story};
use crate::mirror::{document, files};
use crate::model::handoff::Handoff;

impl Driver {
    /// Renders `handoff.md` and copies the logs, in the worktree it was given from and in a takeover's.
    pub fn update_record(&self) -> Result<(), Error> {
        update(&self.engine, self.handoff())
    }

    /// The record in one worktree.
    pub fn record_into(&self, worktree: &Path) -> Result<(), Error> {
        write(&self.engine, self.handoff(), worktree)
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
        Ok(page::story(self.handoff(), &findings(&self.engine, self.handoff())?))
    }
}

/// Renders the record of a handoff wherever it stands.
pub fn update(engine: &Engine, handoff: &Handoff) -> Result<(), Error> {
    for worktree in worktrees(handoff) {
        write(engine, handoff, Path::new(worktree))?;
    }
    Ok(())
}

/// What a person reads of a handoff, from its journal and logs.
pub fn render(engine: &Engine, handoff: &Handoff) -> Result<String, Error> {
    let findings = findings(engine, handoff)?;
    let templates = Some(engine.templates.as_path());
    let page = page::page(handoff, &findings, &crate::git::facts::directory_name(engine.repository.top()), templates)?;
    Ok(templates::render_handoff(&page, templates)?)
}

fn worktrees(handoff: &Handoff) -> impl Iterator<Item = &str> {
    let all = [Some(handoff.made.workspace.as_str()), handoff.worktree.as_deref()];
    // A worktree the user removed is not made again.
    all.into_iter().flatten().filter(|path| Path::new(path).is_dir())
}

fn write(engine: &Engine, handoff: &Handoff, worktree: &Path) -> Result<(), Error> {
    let record = files::Record::open(worktree, &handoff.made.id)?;
    let rendered = render(engine, handoff)?;
    let merged = document::merge(&rendered, record.document()?.as_deref());
    record.write_document(&merged)?;
    record.copy_logs(&engine.store.directory(&handoff.made.id))?;
    Ok(())
}

fn findings(engine: &Engine, handoff: &Handoff) -> Result<Findings, Error> {
    let mut all = Findings::new();
    let profile = engine.profile(&handoff.made.agent)?;
    for n in handoff.attempts.keys() {
        let path = engine.store.log(&handoff.made.id, *n);
        let file = match std::fs::File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            file => file.map_err(|source| Error::Read { path: path.display().to_string(), source })?,
        };
        let summary = summary::summarise(profile.dialect, file, None);
        all.push((*n, summary.map_err(|source| Error::Read { path: path.display().to_string(), source })?));
    }
    Ok(all)
}
