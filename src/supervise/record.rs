//! The record of a handoff on this laptop: its journal, its logs, and the files that people read, which are kept equal
//! to both.

mod adopted;
mod agent_choice;
mod attached;
mod by_hand;
mod carry;
mod changes;
mod places;

pub use agent_choice::AgentChoice;
pub use attached::attached_paths;
pub(in crate::supervise) use attached::keep_attached;
pub use places::{created_in, document_of, takeover_place, takeover_worktree, written_page};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::agent::output::Output;
use crate::config::templates::{self, PromptKind};
use crate::git::ship_facts::directory_name;
use crate::mirror::document;
use crate::mirror::files::RecordFiles;
use crate::mirror::page::{self, Findings, Found, Located, Story};
use crate::mirror::place::Place;
use crate::model::attempt::{AttemptNo, Reason, log_name};
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::profile::Profile;
use crate::remote::poll::Stream;
use crate::state::journal::Journal;
use crate::state::log_reader;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::ledger::Ledger;
use crate::supervise::logs::AttemptLogs;
use crate::supervise::masking::covered_summary;
use crate::supervise::progress::Progress;
use crate::supervise::record::places::Places;
use crate::supervise::services::Services;

/// What the laptop has of one handoff, and writes of it.
pub struct Record {
    /// What every verb needs.
    pub services: Arc<Services>,
    pub(in crate::supervise) ledger: Ledger,
    pub(in crate::supervise) logs: AttemptLogs,
    /// The profile of the agent that runs the next attempt.
    pub profile: Profile,
    /// The name of the handoff on its hosts.
    pub name: RemoteName,
    /// The attempt for which it was already reported that another machine started it.
    pub(in crate::supervise) elsewhere: Option<AttemptNo>,
}

impl Record {
    /// # Errors
    /// The profile of the agent is unknown.
    pub(in crate::supervise) fn new(services: &Arc<Services>, journal: Journal) -> Result<Record, Error> {
        let request = journal.handoff().request();
        let mut logs = AttemptLogs::new(&services.store, &request.id, services.profile(&request.agent)?);
        let by_hand = journal.handoff().adopted().map_or(&[][..], |adopted| &adopted.attempts);
        for run in by_hand {
            logs.learn_profile(run.attempt, services.profile(run.agent.as_ref().unwrap_or(&request.agent))?.clone());
            logs.learn_profile(run.attempt.saturating_add(1), services.profile(&request.agent)?.clone());
        }
        for (first, agent, _) in journal.handoff().agents().skip(1) {
            logs.learn_profile(first, services.profile(agent)?.clone());
        }
        let profile = services.profile(journal.handoff().agent())?.clone();
        let name = RemoteName::new(&request.id, &request.uid);
        let (services, ledger) = (services.clone(), Ledger::new(services, journal));
        Ok(Record { services, ledger, logs, profile, name, elsewhere: None })
    }

    /// The state, as of the last read of the journal.
    pub fn handoff(&self) -> &Handoff {
        self.ledger.handoff()
    }

    /// The id of the handoff.
    pub fn id(&self) -> &HandoffId {
        self.ledger.id()
    }

    /// Appends an event. An event that no longer applies was overtaken by another process and is no error: `false`.
    pub(in crate::supervise) fn append(&mut self, kind: Kind) -> Result<bool, Error> {
        self.ledger.append(kind)
    }

    /// Reports progress, unless it may contain a secret that cannot be masked.
    pub fn tell(&self, progress: &Progress) {
        self.ledger.tell(progress);
    }

    /// A connection to a host of the handoff, with what is known of its root.
    pub(in crate::supervise) fn connection_to(&self, host: &str) -> Result<HostConnection, Error> {
        let Services { connect, prompter, reporter, .. } = &*self.services;
        let host = self.services.host(host)?;
        let known = self.handoff().root_of(&host.name);
        let mut connection = HostConnection::new(host, connect.clone(), prompter.clone(), reporter.clone());
        connection.know(known);
        Ok(connection)
    }

    /// Renders `handoff.md` and copies the logs, in the worktree that the handoff was created in and in a takeover's.
    pub fn update(&self) -> Result<(), Error> {
        let findings = self.findings()?;
        let places = Places::of(&self.services, self.handoff());
        places.all().try_for_each(|worktree| self.write(&findings, worktree))
    }

    /// The same in one worktree.
    pub(in crate::supervise) fn update_in(&self, worktree: &Path) -> Result<(), Error> {
        self.write(&self.findings()?, worktree)
    }

    /// Appends to the readable copies of the logs what their mirrors have gained.
    pub(in crate::supervise) fn mirror_logs(&self) -> Result<(), Error> {
        let logs = self.services.readable_logs(self.handoff())?;
        let places = Places::of(&self.services, self.handoff());
        places.all().try_for_each(|worktree| self.copy_logs(worktree, &logs))
    }

    /// What the journal and the logs of this handoff contain.
    pub(in crate::supervise) fn story(&self) -> Result<Story, Error> {
        Ok(page::story(self.handoff(), &self.findings()?))
    }

    /// The work tree that the handoff was created in, whose name its checkouts on hosts have. If it is gone, the one of
    /// this command.
    pub(in crate::supervise) fn created_in(&self) -> PathBuf {
        let top = created_in(&self.services, self.handoff());
        if top.is_dir() { top } else { self.services.repository.top().to_owned() }
    }

    /// The prompt with which an interactive session continues the work.
    pub fn takeover_prompt(&self) -> Result<String, Error> {
        let (handoff, story, templates) = (self.handoff(), self.story()?, Some(self.services.templates.as_path()));
        let directory = directory_name(&self.created_in());
        let attached = self.attached();
        let prompt = page::with_context(handoff, &story, &directory, None, &attached, |context| {
            templates::render_prompt(PromptKind::Takeover, context, templates)
        });
        Ok(prompt?)
    }

    fn write(&self, findings: &Findings, worktree: &Path) -> Result<(), Error> {
        let files = match Place::of(worktree, self.id()) {
            Place::Worktree => RecordFiles::open(worktree, self.id())?,
            Place::GitDirectory { .. } => RecordFiles::in_git_directory(&self.services.store.directory(self.id()))?,
        };
        let existing = match files.document()? {
            None => self.original_page()?,
            existing => existing,
        };
        let merged = document::merge(&self.render(findings)?, existing.as_deref());
        files.write_document(&merged)?;
        self.copy_logs(worktree, &self.services.readable_logs(self.handoff())?)
    }

    /// Updates the copies of the logs in a worktree. The logs themselves are in the git directory.
    fn copy_logs(&self, worktree: &Path, logs: &Path) -> Result<(), Error> {
        if Place::of(worktree, self.id()) == Place::Worktree {
            RecordFiles::open(worktree, self.id())?.copy_logs(logs, &self.originals_in(worktree))?;
        }
        Ok(())
    }

    fn render(&self, findings: &Findings) -> Result<String, Error> {
        let (services, handoff) = (&self.services, self.handoff());
        let templates = Some(services.templates.as_path());
        let places = Places::of(services, handoff);
        let shown = |path: Option<&Path>| path.map(|path| path.display().to_string());
        let (created_in, takeover) = (shown(places.created_in.as_deref()), shown(places.takeover.as_deref()));
        let located = Located {
            workspace: created_in.as_deref().unwrap_or(&handoff.request().workspace),
            worktree: takeover.as_deref().or(handoff.worktree()),
            attached: &self.attached(),
        };
        let directory = directory_name(&self.created_in());
        let mut page = page::page(handoff, findings, &located, &self.log_names(), &directory, templates)?;
        let unread = services.unread_secrets(handoff);
        if !unread.is_empty() {
            let text = format!("what the agent printed since the secret {} has no value here", unread.join(", "));
            page.extra.push(("Not shown".to_owned(), text));
        }
        Ok(templates::render_handoff(&page, templates)?)
    }

    /// The paths of the attached files on this machine.
    fn attached(&self) -> Vec<String> {
        let paths = attached_paths(&self.services, self.handoff());
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    /// The names of the mirrored logs that are not empty, by attempt. An attempt's own log is named from its start.
    fn log_names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (n, attempt) in self.handoff().attempts() {
            let has_log = self.handoff().run_by_hand(*n).is_none_or(|run| run.log.is_some());
            names.extend((1..=attempt.log_parts).filter(|_| has_log).map(|part| log_name(*n, part)));
            for stream in Stream::ALL.into_iter().filter(|stream| *stream != Stream::Log) {
                for path in log_reader::parts(&self.services.store.output(self.id(), *n, stream.word())) {
                    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
                    let says = std::fs::metadata(&path).is_ok_and(|meta| meta.len() > 0);
                    names.extend(name.filter(|_| says));
                }
            }
        }
        names
    }

    /// What every log contains. A log that is being followed is not read again for it.
    fn findings(&self) -> Result<Findings, Error> {
        let (services, handoff) = (&self.services, self.handoff());
        let is_covered = services.unread_secrets(handoff).is_empty();
        let logs = services.readable_logs(handoff)?;
        let mut all = Findings { attempts: Vec::new(), total: self.total_changes() };
        for n in handoff.attempts().keys() {
            let summary = match self.logs.summary(*n).filter(|_| is_covered) {
                // Its lines mean nothing that is known.
                _ if handoff.is_unrecognised(*n) => None,
                Some(summary) => Some(covered_summary(summary)),
                None => services.summaries.of(&logs.join(log_name(*n, 1)), self.logs.profile(*n))?,
            };
            let (output, changes) = (failed_output(services, handoff, *n)?, self.changes(*n));
            if summary.is_some() || output.is_some() || changes.is_some() {
                all.attempts.push((*n, Found { summary: summary.unwrap_or_default(), output, changes }));
            }
        }
        Ok(all)
    }
}

/// The end of the output that shows why an attempt failed: of its check, or of the setup before it.
pub fn failed_output(services: &Services, handoff: &Handoff, n: AttemptNo) -> Result<Option<Output>, Error> {
    let Some(outcome) = handoff.attempt(n).and_then(|attempt| attempt.outcome.as_ref()) else { return Ok(None) };
    let (step, stream, status) = match (&outcome.reason, outcome.check) {
        (Reason::Setup, _) => ("setup", Stream::Setup, None),
        (_, Some(status)) if status != 0 => ("check", Stream::Check, Some(status)),
        _ => return Ok(None),
    };
    let parts = log_reader::parts(&services.readable_logs(handoff)?.join(format!("attempt-{n}.{}", stream.word())));
    let Some(path) = parts.last() else { return Ok(None) };
    let fail = |source| Error::Read { path: path.display().to_string(), source };
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    log_reader::open(path).and_then(|file| Output::read(step, status, name, file)).map_err(fail)
}
