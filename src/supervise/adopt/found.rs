//! What a directory that was made by hand shows, before anything is recorded.

use std::path::Path;

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::recognise;
use crate::mirror::RECORD;
use crate::mirror::hand_made::{HandMade, Page};
use crate::model::adopted::{Adopted, Note, RunByHand};
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::id::{HandoffId, MAX_ID};
use crate::model::profile::DEFAULT_AGENT;
use crate::model::snapshot::Oid;
use crate::supervise::adopt::AdoptOptions;
use crate::supervise::adopt::writers::writer_of;
use crate::supervise::error::Error;
use crate::supervise::services::Services;

/// Words under *Status* with which people and handoff say that nothing runs.
const OVER: [&str; 14] = [
    "done",
    "complete",
    "completed",
    "finished",
    "failed",
    "error",
    "stopped",
    "stalled",
    "blocked",
    "parked",
    "paused",
    "interactive",
    "cancelled",
    "canceled",
];

/// What a directory shows.
pub struct Found {
    pub id: HandoffId,
    /// Its absolute path.
    pub directory: String,
    pub task: String,
    /// The word under *Status*.
    pub status: Option<String>,
    /// What is under *Started*.
    pub started: Option<String>,
    /// The agent of the next attempts.
    pub agent: String,
    pub model: Option<String>,
    pub check: Option<String>,
    pub attempts: Vec<RunByHand>,
    /// The commit that the page names as the base, if it exists.
    pub base: Option<Oid>,
    pub notes: Vec<Note>,
    /// The names of files that are not taken over.
    pub other: Vec<String>,
    /// Why it may still run on this machine.
    pub may_run: Option<String>,
    /// Whether a process of this machine writes a log.
    pub is_running: bool,
    ended_by_user: bool,
}

impl Found {
    /// Reads everything, and chooses the id.
    pub(super) fn read(
        services: &Services,
        mut made: HandMade,
        options: &AdoptOptions,
    ) -> Result<(Found, HandMade), Error> {
        let page = Page::read(made.page.as_deref().unwrap_or_default());
        let refuse = |why: &str, needs_task| {
            let (directory, why) = (made.path.clone(), why.to_owned());
            Err(Error::NotAdoptable { directory, why, needs_task })
        };
        if made.page.is_none() && made.logs.is_empty() {
            return refuse("it has neither handoff.md nor attempt-1.log", false);
        }
        let Some(task) = options.task.clone().or_else(|| page.task.clone()) else {
            return refuse("no task is named in handoff.md", true);
        };
        // Before the logs are opened for reading by us.
        let places: Vec<(u64, u64)> = made.logs.values().map(|log| log.place).collect();
        let writer = writer_of(&places);
        let (attempts, has_end) = runs(services, &mut made, &page)?;
        let unproved = unproved_end(&page, &attempts, has_end);
        let last_agent = attempts.iter().rev().find_map(|run| run.agent.clone());
        let agent = options.agent.clone().or(last_agent).unwrap_or_else(|| DEFAULT_AGENT.to_owned());
        let model = options.model.clone().or_else(|| model_of(&page, &agent));
        let base = page.base.as_deref().map(|id| services.repository.commit_with(id)).transpose()?.flatten();
        let id = match &options.id {
            Some(id) => id.clone(),
            None => id_of(&made.path, &task),
        };
        check_id(services, &made.path, &id)?;
        let found = Found {
            id,
            directory: made.path.display().to_string(),
            task,
            status: page.status,
            started: page.started,
            agent,
            model,
            check: options.check.clone(),
            attempts,
            base,
            notes: page.notes,
            other: made.other.clone(),
            may_run: match writer {
                Some(pid) => Some(format!("process {pid} is writing its log")),
                None => unproved.clone().filter(|_| !options.ended),
            },
            is_running: writer.is_some(),
            ended_by_user: unproved.is_some() && options.ended,
        };
        Ok((found, made))
    }

    /// What is journaled.
    pub(super) fn adopted(&self) -> Adopted {
        Adopted {
            directory: self.directory.clone(),
            status: self.status.clone(),
            started: self.started.clone(),
            ended_by_user: self.ended_by_user,
            attempts: self.attempts.clone(),
            notes: self.notes.clone(),
            work: None,
        }
    }
}

/// The model that the page names, if it is one of the agent's: the skill starts the default agent, and the command of
/// another one has its name.
fn model_of(page: &Page, agent: &str) -> Option<String> {
    let model = page.model.clone()?;
    let is_started_with =
        |command: &String| command.split_whitespace().any(|word| word.trim_matches(['"', '\'']) == model);
    let is_its_own = agent == DEFAULT_AGENT || page.commands.values().next_back().is_some_and(is_started_with);
    is_its_own.then_some(model)
}

/// The attempts that have a log or that the page names, and whether the log of the last one has its final event.
fn runs(services: &Services, made: &mut HandMade, page: &Page) -> Result<(Vec<RunByHand>, bool), Error> {
    let mut numbers = page.attempts.clone();
    numbers.extend(made.logs.keys());
    let (mut runs, mut has_end) = (Vec::new(), false);
    for n in numbers {
        let command = page.commands.get(&n).cloned();
        let (run, ends) = run(services, made, n, command)?;
        has_end = ends;
        runs.push(run);
    }
    if let Some(last) = runs.last_mut().filter(|last| last.session.is_none()) {
        last.session = page.session.clone();
    }
    Ok((runs, has_end))
}

fn run(
    services: &Services,
    made: &mut HandMade,
    n: AttemptNo,
    command: Option<String>,
) -> Result<(RunByHand, bool), Error> {
    let mut run = RunByHand { attempt: n, agent: None, command, session: None, log: None, verdict: None };
    let path = made.path.join(log_name(n, 1)).display().to_string();
    let Some(log) = made.logs.get_mut(&n) else { return Ok((run, false)) };
    let fail = |source| Error::Read { path: path.clone(), source };
    run.log = Some(log.length);
    let origin = recognise::origin(log.read()?).map_err(fail)?;
    let Some((agent, profile)) = recognise::agent(&services.profiles, origin, run.command.as_deref()) else {
        return Ok((run, false));
    };
    let mut analysis = LogAnalysis::read(profile, [log.read()?]).map_err(fail)?;
    analysis.finish();
    run.agent = Some(agent.to_owned());
    run.session = analysis.summary(profile).session;
    // The log goes on in another file, which handoff makes where a host's file was replaced.
    let begins = format!("attempt-{n}.");
    let is_part = |name: &String| {
        let part = name.strip_prefix(&begins).and_then(|rest| rest.strip_suffix(".log"));
        part.is_some_and(|part| part.parse::<u32>().is_ok())
    };
    if made.other.iter().any(is_part) {
        return Ok((run, false));
    }
    run.verdict = recognise::verdict(profile, &analysis);
    Ok((run, analysis.has_final_event()))
}

/// Why the last attempt may still run. `None`: its log has the final event, or the page says that nothing runs.
fn unproved_end(page: &Page, attempts: &[RunByHand], has_end: bool) -> Option<String> {
    let last = attempts.last().filter(|_| !has_end)?;
    let log = match last.log {
        Some(_) => format!("{} has no final event", log_name(last.attempt, 1)),
        None => format!("there is no {}", log_name(last.attempt, 1)),
    };
    let status = page.status.as_deref().map(|status| status.trim().to_lowercase());
    let first = status.as_deref().and_then(|status| status.split(|c: char| !c.is_ascii_alphabetic()).next());
    match first {
        Some(word) if OVER.contains(&word) => None,
        Some(_) => Some(format!("handoff.md says `{}`, and {log}", page.status.as_deref().unwrap_or_default())),
        None => Some(format!("handoff.md has no status, and {log}")),
    }
}

/// The name of the directory as an id, or as much of it as an id may have.
fn id_of(directory: &Path, task: &str) -> HandoffId {
    let name = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if let Ok(id) = name.parse() {
        return id;
    }
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug: String = words.collect::<Vec<_>>().join("-").to_ascii_lowercase().chars().take(60).collect();
    slug.trim_matches('-').parse().unwrap_or_else(|_| HandoffId::from_task(jiff::Zoned::now().date(), task))
}

/// The id with a number, shortened where it would be too long.
fn numbered(id: &HandoffId, n: u32) -> HandoffId {
    let short = id.as_str().chars().take(MAX_ID - 10).collect::<String>();
    let short = short.trim_end_matches('-').parse::<HandoffId>();
    short.unwrap_or_else(|_| id.clone()).numbered(n)
}

/// Fails if the id, or the directory for people that it would get, belongs to something else.
fn check_id(services: &Services, directory: &Path, id: &HandoffId) -> Result<(), Error> {
    let record = |id: &HandoffId| services.repository.top().join(RECORD).join(id.as_str());
    let is_known = |id: &HandoffId| services.store.directory(id).exists();
    let is_there = |id: &HandoffId| record(id) != directory && record(id).symlink_metadata().is_ok();
    let why = match (is_known(id), is_there(id)) {
        (true, _) => "another handoff has that id".to_owned(),
        (false, true) => format!("{RECORD}/{id} exists and is another directory"),
        (false, false) => return Ok(()),
    };
    let free = (2..).map(|n| numbered(id, n)).find(|id| !is_known(id) && !is_there(id)).unwrap_or_else(|| id.clone());
    Err(Error::IdTaken { directory: directory.to_owned(), id: id.clone(), why, free })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_name_of_the_directory_as_far_as_that_can_be_one() {
        let id = |name: &str| id_of(Path::new(name), "Fix it").to_string();
        assert_eq!(id("/x/20260407-fix-the-till"), "20260407-fix-the-till");
        assert_eq!(id("/x/Fix_The Till!"), "fix-the-till");
        assert_eq!(id(&format!("/x/{}", "Ab-".repeat(40))).len(), 59);
        assert!(id("/x/äöü").ends_with("-fix-it"));
        assert_eq!(numbered(&"x".parse().unwrap(), 2).as_str(), "x-2");
        assert!(numbered(&"x".repeat(MAX_ID).parse().unwrap(), 99_999).as_str().len() <= MAX_ID);
    }

    #[test]
    fn a_model_is_used_only_for_the_agent_that_it_belongs_to() {
        let mut page = Page { model: Some("opus".to_owned()), ..Page::default() };
        assert_eq!(model_of(&page, DEFAULT_AGENT).as_deref(), Some("opus"));
        assert_eq!(model_of(&page, "claude"), None);
        page.commands.insert(1, "claude -p --model 'opus' x > attempt-1.log".to_owned());
        assert_eq!(model_of(&page, "claude").as_deref(), Some("opus"));
    }

    #[test]
    fn only_a_final_event_or_the_word_of_the_page_is_an_end() {
        let run = |log| RunByHand { attempt: 2, agent: None, command: None, session: None, log, verdict: None };
        let page = |status: &str| Page { status: Some(status.to_owned()), ..Page::default() };
        for (status, may_run) in [
            ("running", true),
            ("Running (pid 7)", true),
            ("in progress", true),
            ("done", false),
            ("Failed: quota", false),
        ] {
            assert_eq!(unproved_end(&page(status), &[run(Some(3))], false).is_some(), may_run, "{status}");
            assert_eq!(unproved_end(&page(status), &[run(Some(3))], true), None, "the log shows the end");
            assert_eq!(unproved_end(&page(status), &[], false), None, "nothing was run");
        }
        assert!(unproved_end(&Page::default(), &[run(None)], false).unwrap().contains("there is no attempt-2.log"));
    }
}
