//! Keeps the files that people read equal to the journal and the logs.

use std::path::{Path, PathBuf};

use crate::agent::output::Output;
use crate::agent::summary::Summary;
use crate::config::templates;
use crate::mirror::page::{self, Findings, Found, Located, Story};
use crate::mirror::place::Place;
use crate::mirror::{document, files};
use crate::model::attempt::{AttemptNo, Reason, log_name};
use crate::model::handoff::Handoff;
use crate::model::id::RemoteName;
use crate::remote::poll::Stream;
use crate::state::log_mirror;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::masking::covered_summary;
use crate::supervise::services::Services;

impl Driver {
    /// Renders `handoff.md` and copies the logs, in the worktree that the handoff was given from and in a takeover's.
    pub fn update_record(&self) -> Result<(), Error> {
        let findings = self.findings()?;
        let places = Places::of(&self.services, self.handoff());
        places.all().try_for_each(|worktree| write(&self.services, self.handoff(), &findings, worktree))
    }

    /// The record in one worktree.
    pub fn record_into(&self, worktree: &Path) -> Result<(), Error> {
        write(&self.services, self.handoff(), &self.findings()?, worktree)
    }

    /// Appends to the readable copies of the logs what their mirrors have gained.
    pub(in crate::supervise) fn mirror_logs(&self) -> Result<(), Error> {
        let handoff = self.handoff();
        let logs = self.services.readable_logs(handoff)?;
        for worktree in Places::of(&self.services, handoff).all() {
            copy_logs(handoff, worktree, &logs)?;
        }
        Ok(())
    }

    /// What the journal and the logs of this handoff contain.
    pub(in crate::supervise) fn story(&self) -> Result<Story, Error> {
        Ok(page::story(self.handoff(), &self.findings()?))
    }

    fn findings(&self) -> Result<Findings, Error> {
        let covered = self.services.unread_secrets(self.handoff()).is_empty();
        let known = |n| self.logs.summary(n).map(covered_summary);
        findings(&self.services, self.handoff(), |n| if covered { known(n) } else { None })
    }
}

/// The names of the mirrored logs that are not empty, by attempt. An attempt's own log is named from its start.
fn logs(services: &Services, handoff: &Handoff) -> Result<Vec<String>, Error> {
    let store = &services.store;
    let mut names = Vec::new();
    for (n, attempt) in handoff.attempts() {
        names.extend((1..=attempt.log_parts).map(|part| log_name(*n, part)));
        for stream in Stream::ALL.into_iter().filter(|stream| *stream != Stream::Log) {
            for path in log_mirror::parts(&store.output(&handoff.request().id, *n, stream.word())) {
                let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                let says = std::fs::metadata(&path).is_ok_and(|meta| meta.len() > 0);
                names.extend(name.filter(|_| says));
            }
        }
    }
    Ok(names)
}

/// Renders the record of a handoff in every worktree that has it.
pub fn update(services: &Services, handoff: &Handoff) -> Result<(), Error> {
    let findings = findings(services, handoff, |_| None)?;
    Places::of(services, handoff).all().try_for_each(|worktree| write(services, handoff, &findings, worktree))
}

/// What a person reads of a handoff, from its journal and logs.
pub fn render(services: &Services, handoff: &Handoff) -> Result<String, Error> {
    render_with(services, handoff, &findings(services, handoff, |_| None)?)
}

fn render_with(services: &Services, handoff: &Handoff, findings: &Findings) -> Result<String, Error> {
    let templates = Some(services.templates.as_path());
    let places = Places::of(services, handoff);
    let shown = |path: Option<&Path>| path.map(|path| path.display().to_string());
    let (given_from, takeover) = (shown(places.given_from.as_deref()), shown(places.takeover.as_deref()));
    let located = Located {
        workspace: given_from.as_deref().unwrap_or(&handoff.request().workspace),
        worktree: takeover.as_deref().or(handoff.worktree()),
    };
    let mut page = page::page(
        handoff,
        findings,
        &located,
        &logs(services, handoff)?,
        &crate::git::ship_facts::directory_name(services.repository.top()),
        templates,
    )?;
    let unread = services.unread_secrets(handoff);
    if !unread.is_empty() {
        let text = format!("what the agent printed since the secret {} has no value here", unread.join(", "));
        page.extra.push(("Not shown".to_owned(), text));
    }
    Ok(templates::render_handoff(&page, templates)?)
}

/// The worktrees that have the record, found by their git directories. Another directory at a stored path gets no
/// record, and a worktree that the user removed is not created again.
struct Places {
    given_from: Option<PathBuf>,
    takeover: Option<PathBuf>,
}

impl Places {
    fn of(services: &Services, handoff: &Handoff) -> Places {
        let repository = &services.repository;
        let stored = Path::new(&handoff.request().workspace);
        // Release 0.1.0 stored only a path. If that is no worktree of the repository any more, the main worktree is
        // meant.
        let name = handoff.request().worktree.clone().or_else(|| repository.worktree_at(stored)).unwrap_or_default();
        Places { given_from: repository.worktree_named(&name), takeover: takeover_worktree(services, handoff) }
    }

    fn all(&self) -> impl Iterator<Item = &Path> {
        let takeover = self.takeover.as_ref().filter(|path| self.given_from.as_ref() != Some(path));
        [self.given_from.as_deref(), takeover.map(PathBuf::as_path)].into_iter().flatten()
    }
}

/// The present place of a takeover's worktree. `None`: there was none, or it is gone.
pub fn takeover_worktree(services: &Services, handoff: &Handoff) -> Option<PathBuf> {
    let stored = Path::new(handoff.worktree()?);
    let repository = &services.repository;
    if repository.worktree_at(stored).is_some() {
        return Some(stored.to_owned());
    }
    // git names its data about a worktree after the worktree's first name.
    let made_as = format!("handoff-{}", RemoteName::new(&handoff.request().id, &handoff.request().uid));
    repository.worktrees_called(&made_as).iter().find_map(|name| repository.worktree_named(name))
}

fn write(services: &Services, handoff: &Handoff, findings: &Findings, worktree: &Path) -> Result<(), Error> {
    let (truth, id) = (services.store.directory(&handoff.request().id), &handoff.request().id);
    let record = match Place::of(worktree, id) {
        Place::Worktree => files::Record::open(worktree, id)?,
        Place::GitDirectory { .. } => files::Record::in_git_directory(&truth)?,
    };
    let rendered = render_with(services, handoff, findings)?;
    let merged = document::merge(&rendered, record.document()?.as_deref());
    record.write_document(&merged)?;
    copy_logs(handoff, worktree, &services.readable_logs(handoff)?)
}

/// Updates the copies of the logs in a worktree. The logs themselves are in the git directory.
fn copy_logs(handoff: &Handoff, worktree: &Path, logs: &Path) -> Result<(), Error> {
    let id = &handoff.request().id;
    if Place::of(worktree, id) == Place::Worktree {
        files::Record::open(worktree, id)?.copy_logs(logs)?;
    }
    Ok(())
}

/// Where people find `handoff.md` of a worktree, with the reason if that is in the git directory.
pub fn document_of(services: &Services, handoff: &Handoff, worktree: &Path) -> (PathBuf, Option<String>) {
    let id = &handoff.request().id;
    let place = Place::of(worktree, id);
    let path = place.document(worktree, id, &services.store.directory(id));
    (path, if let Place::GitDirectory { why } = place { Some(why) } else { None })
}

/// The present place of the worktree that a handoff was given from, or its place at that time if the present one is
/// unknown.
pub fn given_from(services: &Services, handoff: &Handoff) -> PathBuf {
    Places::of(services, handoff).given_from.unwrap_or_else(|| PathBuf::from(&handoff.request().workspace))
}

/// The end of the output that shows why an attempt failed: of its check, or of the setup before it.
pub fn failed_output(services: &Services, handoff: &Handoff, n: AttemptNo) -> Result<Option<Output>, Error> {
    let Some(outcome) = handoff.attempt(n).and_then(|attempt| attempt.outcome.as_ref()) else { return Ok(None) };
    let (step, stream, status) = match (&outcome.reason, outcome.check) {
        (Reason::Setup, _) => ("setup", Stream::Setup, None),
        (_, Some(status)) if status != 0 => ("check", Stream::Check, Some(status)),
        _ => return Ok(None),
    };
    let parts = log_mirror::parts(&services.readable_logs(handoff)?.join(format!("attempt-{n}.{}", stream.word())));
    let Some(path) = parts.last() else { return Ok(None) };
    let fail = |source| Error::Read { path: path.display().to_string(), source };
    Output::read(step, status, path).map_err(fail)
}

/// What every log contains. `known` supplies the summary of a log that is being read anyway.
fn findings(
    services: &Services,
    handoff: &Handoff,
    known: impl Fn(AttemptNo) -> Option<Summary>,
) -> Result<Findings, Error> {
    let mut all = Findings::new();
    let profile = services.profile(&handoff.request().agent)?;
    let logs = services.readable_logs(handoff)?;
    for n in handoff.attempts().keys() {
        let log = logs.join(log_name(*n, 1));
        let summary = match known(*n) {
            Some(summary) => Some(summary),
            None => services.summaries.of(&log, profile)?,
        };
        let output = failed_output(services, handoff, *n)?;
        if summary.is_some() || output.is_some() {
            all.push((*n, Found { summary: summary.unwrap_or_default(), output }));
        }
    }
    Ok(all)
}
