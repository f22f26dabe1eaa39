//! What each tool does.

use std::ffi::OsString;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Parser;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use super::input;
use crate::cli::context;
use crate::cli::error::Error;
use crate::cli::list::ListedHandoff;
use crate::cli::takeover::{TakenHandoff, take_over};
use crate::cli::{Args, Command, Global, diff, list, mistyped, show};
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::state::log_reader;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::{NullReporter, Progress, Reporter};
use crate::supervise::services::Services;
use crate::supervise::takeover::Place;
use crate::ui::screen;

/// Longest wait of a call, in seconds. Clients give up on a call after about a minute.
const LONGEST_WAIT: u64 = 50;
const USUAL_WAIT: u64 = 20;
/// Bytes of a log in one answer.
const USUAL_BYTES: u64 = 16 << 10;
const MOST_BYTES: u64 = 64 << 10;
/// Bytes of a patch in one answer.
const LONGEST_PATCH: usize = 64 << 10;
/// Time between two reads of the journal while another process follows the handoff.
const STEP: Duration = Duration::from_millis(250);

/// What a tool that starts or stops an attempt did.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ChangedHandoff {
    id: HandoffId,
    status: Status,
    /// The events that the command prints, without those of the agent.
    events: Vec<Progress>,
}

/// The handoffs of a repository, or of all.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ListedHandoffs {
    /// The newest first.
    handoffs: Vec<ListedHandoff>,
    /// Records that cannot be read, with the reasons.
    broken: Vec<String>,
}

/// A part of an attempt's log.
#[derive(Serialize, schemars::JsonSchema)]
pub struct LogPiece {
    id: HandoffId,
    attempt: AttemptNo,
    part: u32,
    /// The first byte of `text` in the log.
    offset: u64,
    /// Where the next piece begins. Equal to `length` if no more is here now.
    next_offset: u64,
    /// Bytes of the log that are here now.
    length: u64,
    /// Whether the attempt has ended, so that the log does not grow.
    has_ended: bool,
    /// Bytes that are not UTF-8 are replaced.
    text: String,
}

/// Collects the events of a command.
#[derive(Default)]
struct Events(Mutex<Vec<Progress>>);

impl Reporter for Events {
    fn tell(&self, progress: &Progress) {
        let is_many = |progress: &Progress| {
            use Progress::{Agent, Log, Receiving, Sending};
            matches!(progress, Agent { .. } | Log { .. } | Receiving { .. } | Sending { .. })
        };
        if !is_many(progress) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(progress.clone());
        }
    }
}

/// A command line, so that a tool's arguments are checked by the rules of the command.
struct Words(Vec<OsString>);

impl Words {
    fn of(command: &[&str]) -> Words {
        Words(std::iter::once("handoff").chain(command.iter().copied()).map(OsString::from).collect())
    }

    fn flag(mut self, name: &str, is_set: bool) -> Words {
        self.0.extend(is_set.then(|| name.into()));
        self
    }

    fn option(mut self, name: &str, value: Option<impl Into<OsString>>) -> Words {
        if let Some(value) = value {
            let mut word = OsString::from(format!("{name}="));
            word.push(value.into());
            self.0.push(word);
        }
        self
    }

    /// An argument that is no option, whatever it begins with.
    fn argument(mut self, value: Option<String>) -> Words {
        if let Some(value) = value {
            self.0.extend(["--".into(), value.into()]);
        }
        self
    }

    /// Carries out the command, and collects its events.
    async fn carry_out(self, global: &Global) -> Result<Value, Error> {
        // The system refuses such a word of a real command line; a shell on the host would skip the character.
        if self.0.iter().any(|word| word.as_encoded_bytes().contains(&0)) {
            return Err(Error::usage("an argument contains a NUL character"));
        }
        let args = Args::try_parse_from(self.0).map_err(|error| {
            let text = mistyped::explained(error).render().to_string();
            Error::usage(text.trim_start_matches("error: ").trim_end())
        })?;
        let events = Arc::new(Events::default());
        let services = context::services(global, events.clone())?;
        // On the heap: a call runs on a worker's stack, which is smaller than that of a command.
        let done: Pin<Box<dyn Future<Output = _> + Send>> = match args.command {
            Command::Run(command) => Box::pin(command.carry_out(&services)),
            Command::Give(command) => Box::pin(command.carry_out(&services)),
            Command::Resume(command) => Box::pin(command.carry_out(&services)),
            Command::Stop(command) => Box::pin(command.carry_out(&services)),
            _ => return Err(Error::failed("internal error: this command is no tool")),
        };
        let (id, _) = in_time(done).await?;
        context::report_to_chat(global, &services, &id);
        let status = services.store.open(&id)?.handoff().status();
        let events = std::mem::take(&mut *events.0.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(screen::value(&ChangedHandoff { id, status, events }))
    }
}

/// What a command returns, or an error when the time of a call is over. What was recorded by then continues with the
/// next call, as after Ctrl-C.
async fn in_time<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let limit = Duration::from_secs(LONGEST_WAIT);
    tokio::time::timeout(limit, command).await.unwrap_or_else(|_| {
        let text = format!("the host has not confirmed within {LONGEST_WAIT} s; `status` goes on with the handoff");
        Err(Error::failed(text).hint("handoff list"))
    })
}

/// The options of the server, with the directory of a call.
fn at(global: &Global, directory: Option<PathBuf>) -> Result<Global, Error> {
    let directory = absolute("directory", directory)?.or_else(|| global.directory.clone());
    Ok(Global { directory, ..global.clone() })
}

/// A path that a call names. A client cannot know the directory in which its server runs, so a relative path is refused:
/// it could name another repository.
fn absolute(name: &str, path: Option<PathBuf>) -> Result<Option<PathBuf>, Error> {
    match path {
        Some(path) if path.is_relative() => {
            Err(Error::usage(format!("{name} is {:?}: use an absolute path", path.display().to_string())))
        }
        path => Ok(path),
    }
}

pub async fn run(global: &Global, input: input::Run) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let words = Words::of(&["run", "--json", "--detach"])
        .option("--host", input.host)
        .option("--id", input.id)
        .option("--agent", input.agent)
        .option("--model", input.model)
        .option("--check", input.check)
        .option("--attempts", input.attempts.map(|attempts| attempts.to_string()))
        .option("--timeout", input.timeout)
        .flag("--again", input.again);
    let mut words = input.include.into_iter().fold(words, |words, pattern| words.option("--include", Some(pattern)));
    for file in input.attach {
        words = words.option("--attach", absolute("attach", Some(file))?);
    }
    words.argument(Some(input.task)).carry_out(global).await
}

pub async fn give(global: &Global, input: input::Give) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let words = Words::of(&["give", "--json", "--detach"]).option("--message", input.message);
    let words = words.option("--agent", input.agent).option("--model", input.model);
    words.option("--host", input.host).argument(input.id).carry_out(global).await
}

pub async fn resume(global: &Global, input: input::Resume) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let words = Words::of(&["resume", "--json", "--detach"]).option("--message", input.message);
    let words = words.option("--agent", input.agent).option("--model", input.model);
    words.option("--host", input.host).flag("--again", input.again).argument(input.id).carry_out(global).await
}

pub async fn stop(global: &Global, input: input::Which) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    Words::of(&["stop", "--json"]).argument(input.id).carry_out(global).await
}

pub async fn status(global: &Global, input: input::Status) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let wait = input.wait_seconds.unwrap_or(USUAL_WAIT);
    if wait > LONGEST_WAIT {
        return Err(Error::usage(format!("wait_seconds is {wait}, and at most {LONGEST_WAIT}")));
    }
    let services = context::services(global, Arc::new(NullReporter))?;
    let id = context::resolve(&services, input.id.as_deref())?;
    if wait > 0 {
        follow(&services, &id, Instant::now() + Duration::from_secs(wait)).await?;
    }
    let (journal, host) = show::look(&services, &id, false).await?;
    Ok(screen::value(&show::shown(journal.handoff(), host.as_ref())))
}

/// Follows a handoff that runs, until it is at rest or the time is over. If another process follows it, this one reads
/// along.
async fn follow(services: &Arc<Services>, id: &HandoffId, until: Instant) -> Result<(), Error> {
    let mut journal = services.store.open(id)?;
    while journal.handoff().status().is_active() && Instant::now() < until {
        match Driver::open(services, id) {
            Err(SuperviseError::Driven { .. }) => tokio::time::sleep(STEP).await,
            driver => {
                let mut driver = driver?;
                tokio::select! {
                    followed = driver.follow(Until::Rest) => followed?,
                    () = tokio::time::sleep_until(until) => driver.record.update()?,
                }
            }
        }
        journal.refresh()?;
    }
    Ok(())
}

pub fn list(global: &Global, input: input::List) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let (handoffs, broken) = list::listed(global, input.all)?;
    Ok(screen::value(&ListedHandoffs { handoffs, broken }))
}

pub fn log(global: &Global, input: input::Log) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let services = context::services(global, Arc::new(NullReporter))?;
    let id = context::resolve(&services, input.id.as_deref())?;
    let journal = services.store.open(&id)?;
    let handoff = journal.handoff();
    let attempt = input.attempt.or(handoff.last_attempt().map(|(n, _)| n));
    let n = attempt.ok_or_else(|| Error::failed(format!("{id} has no attempt yet")))?;
    let Some(attempt) = handoff.attempt(n) else {
        return Err(Error::usage(format!("{id} has no attempt {n}")).hint(format!("handoff show {id}")));
    };
    let (part, bytes) = (input.part.unwrap_or(1), input.bytes.unwrap_or(USUAL_BYTES));
    if !(1..=attempt.log_parts).contains(&part) {
        return Err(Error::usage(format!("the log of attempt {n} has {} parts", attempt.log_parts)));
    }
    if !(1..=MOST_BYTES).contains(&bytes) {
        return Err(Error::usage(format!("bytes is {bytes}, and from 1 to {MOST_BYTES}")));
    }
    let path = services.readable_logs(handoff)?.join(log_name(n, part));
    let (text, offset, length) = piece(&path, input.offset, bytes)
        .map_err(|error| Error::failed(format!("could not read {}: {error}", path.display())))?;
    let next_offset = offset + text.len() as u64;
    let (has_ended, text) = (attempt.ended.is_some(), String::from_utf8_lossy(&text).into_owned());
    Ok(screen::value(&LogPiece { id, attempt: n, part, offset, next_offset, length, has_ended, text }))
}

/// Bytes of a file from an offset, which may count from the end, without a character that is cut at their end; where they
/// begin; and the length of the file. A log that nothing was fetched of has no file.
fn piece(path: &Path, offset: i64, most: u64) -> std::io::Result<(Vec<u8>, u64, u64)> {
    let mut file = match log_reader::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), 0, 0)),
        file => file?,
    };
    let length = file.metadata()?.len();
    let distance = offset.unsigned_abs();
    let begin = if offset < 0 { length.saturating_sub(distance) } else { distance.min(length) };
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    file.take(most).read_to_end(&mut bytes)?;
    if let Some(cut) = bytes.utf8_chunks().last().map(|chunk| chunk.invalid().len())
        && begin + (bytes.len() as u64) < length
        && cut < bytes.len()
    {
        bytes.truncate(bytes.len() - cut);
    }
    Ok((bytes, begin, length))
}

pub fn diff(global: &Global, input: input::Diff) -> Result<Value, Error> {
    let global = &at(global, input.directory)?;
    let services = context::services(global, Arc::new(NullReporter))?;
    let id = context::resolve(&services, input.id.as_deref())?;
    let journal = services.store.open(&id)?;
    let difference = diff::difference(&services, journal.handoff(), input.attempt, LONGEST_PATCH)?;
    Ok(screen::value(&difference))
}

pub async fn takeover(global: &Global, input: input::Takeover) -> Result<Value, Error> {
    let (global, directory) = (&at(global, input.directory)?, absolute("worktree", input.worktree)?);
    let services = context::services(global, Arc::new(NullReporter))?;
    let id = context::resolve(&services, input.id.as_deref())?;
    let (driver, taken) = take_over(&services, &id, Place::Worktree { directory, branch: input.branch }).await?;
    Ok(screen::value(&TakenHandoff::of(&driver, &taken)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_to_a_host_that_does_not_answer_ends() {
        let never = in_time(std::future::pending::<Result<(), Error>>()).await;
        assert!(never.unwrap_err().text().contains("has not confirmed within 50 s"));
        assert_eq!(in_time(std::future::ready(Ok(7))).await.unwrap(), 7);
    }

    #[test]
    fn a_log_is_read_piece_by_piece_without_cutting_characters() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        assert_eq!(piece(&path, 7, 10).unwrap(), (vec![], 0, 0), "nothing was fetched");
        std::fs::write(&path, "aé\u{1f600}z\u{0}").unwrap();
        let text = |offset, most| {
            let (bytes, begin, length) = piece(&path, offset, most).unwrap();
            assert_eq!(length, 9);
            (String::from_utf8(bytes).unwrap(), begin)
        };
        assert_eq!(text(0, 2), ("a".to_owned(), 0));
        assert_eq!(text(1, 5), ("é".to_owned(), 1));
        assert_eq!(text(3, 100), ("\u{1f600}z\u{0}".to_owned(), 3));
        assert_eq!((text(-2, 100), text(99, 1)), (("z\u{0}".to_owned(), 7), (String::new(), 9)));
        assert_eq!(
            piece(&path, 3, 2).unwrap().0.len(),
            2,
            "a character longer than the limit is cut, so that reading ends"
        );
    }
}
