//! `poll`: state and log bytes of many attempts in one bounded request.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout, timeout_at};

use super::client::{Remote, Reply};
use super::error::RemoteError;
use super::frames::Piece;
use super::refusal::RefusalClass;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::{AttemptNo, Epoch, Outcome};
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;
use crate::model::uncaptured::Uncaptured;

/// Longest wait of one poll, in milliseconds. After a dropped connection, nothing stays on the host for longer.
pub const LONGEST_WAIT: u64 = 20_000;
/// Maximum log bytes of one poll; the next poll continues there.
pub const MOST_BYTES: u64 = 64 << 20;
/// Maximum silence of a host beyond the wait that it was asked for. After that the poll is given up: the disk hangs, or
/// the process that wakes the poll was killed. Keepalives take as long to notice a dead connection.
const SILENCE: Duration = Duration::from_secs(60);
/// Maximum number of changed check files that are read from a result.
const MOST_CHECK_FILES: usize = 5;
/// Maximum captures of companions that are read of an attempt.
pub(super) const MOST_COMPANIONS: usize = 1000;
/// Maximum bytes of a result file, which is a few short lines, and one for each companion.
const LONGEST_RESULT: u64 = 256 << 10;

/// One stream that a poll asks for.
#[derive(Clone, Debug)]
pub struct Want {
    pub name: RemoteName,
    pub attempt: AttemptNo,
    pub stream: Stream,
    /// The inode that the mirror was read from; 0 the first time.
    pub inode: u64,
    /// The mirror's length in bytes.
    pub offset: u64,
    /// `cksum` of the mirror's last 1024 bytes, if it has that many.
    pub end: Option<u32>,
}

/// A mirrored file of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    Log,
    Check,
    /// Output of the check that ran before the agent.
    Before,
    Setup,
}

impl Stream {
    /// All streams. The log is first, because it matters most if the others cannot be read.
    pub const ALL: [Stream; 4] = [Stream::Log, Stream::Check, Stream::Before, Stream::Setup];

    /// The stream's name in a request and in a frame.
    pub fn word(self) -> &'static str {
        match self {
            Stream::Log => "log",
            Stream::Check => "check.log",
            Stream::Before => "check-before.log",
            Stream::Setup => "setup.log",
        }
    }

    fn from_word(word: &str) -> Option<Stream> {
        Stream::ALL.into_iter().find(|stream| stream.word() == word)
    }
}

/// Whether a recorded process is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alive {
    Yes,
    Stopped,
    No,
    /// Its claim is from another node.
    Unknown,
    /// No process was recorded.
    Never,
}

/// How a host started the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launched {
    /// Whether it resumed a session.
    pub resumed: bool,
    /// The session that it was given.
    pub session: Option<String>,
}

/// An attempt's state as its host reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateLine {
    pub name: String,
    pub attempt: AttemptNo,
    pub watch: Alive,
    pub intent: bool,
    pub task: Alive,
    pub cancel: bool,
    pub exit: Option<i32>,
    pub result: bool,
    /// Target of the link `next`.
    pub next: Option<String>,
    pub session: Option<String>,
    /// How the agent was started; `None` before that, or if an older watcher started it.
    pub launch: Option<Launched>,
    /// Active time in seconds.
    pub active: u64,
    /// Seconds since the watcher's last tick, by the host's clock.
    pub beat: Option<u64>,
    pub epoch: Epoch,
    /// Inode of the log; 0 without a log.
    pub log: Option<u64>,
    /// The highest attempt number on the host.
    pub last: AttemptNo,
}

impl StateLine {
    /// Whether no process on the host will finish the attempt: its watcher is gone, stopped or frozen.
    pub fn is_unwatched(&self) -> bool {
        !self.result && matches!(self.watch, Alive::No | Alive::Never | Alive::Stopped)
    }
}

/// A message of a poll.
#[derive(Debug)]
pub enum Message {
    State(StateLine),
    Bytes {
        attempt: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: Bytes,
    },
    Result {
        attempt: AttemptNo,
        outcome: Box<Outcome>,
    },
    /// An error about one stream; `class` is `unknown` if the host has no such attempt.
    Error {
        attempt: AttemptNo,
        class: RefusalClass,
        text: String,
    },
}

/// A poll that is still running.
pub struct Poll {
    reply: Reply,
    result: Vec<u8>,
    /// The reason for a refusal.
    refusal: Option<String>,
    /// Maximum silence of the host.
    silence: Duration,
    /// When the caller began to wait for the next message.
    waiting: Option<Instant>,
}

impl Remote {
    /// Asks for `wants` and waits up to `wait` milliseconds for more.
    pub async fn poll(&self, wants: &[Want], wait: u64) -> Result<Poll, RemoteError> {
        self.ask(wants, wait, MOST_BYTES).await
    }

    /// The state of an attempt without its log; `None` if the host has no such attempt.
    pub async fn state(&self, name: &RemoteName, attempt: AttemptNo) -> Result<Option<StateLine>, RemoteError> {
        let want = Want { name: name.clone(), attempt, stream: Stream::Log, inode: 0, offset: 0, end: None };
        let mut poll = self.ask(&[want], 0, 0).await?;
        let mut last = None;
        while let Some(message) = poll.next().await? {
            if let Message::State(line) = message {
                last = Some(line);
            }
        }
        Ok(last)
    }

    async fn ask(&self, wants: &[Want], wait: u64, most: u64) -> Result<Poll, RemoteError> {
        let request = || {
            let mut request = Request::new().line("wait", wait.min(LONGEST_WAIT)).line("max", most);
            for want in wants {
                let Want { name, attempt, stream, inode, offset, end } = want;
                let end = end.map_or(String::new(), |end| format!(" {end}"));
                request = request.line("want", format!("{name} {attempt} {} {inode} {offset}{end}", stream.word()));
            }
            request
        };
        let silence = Duration::from_millis(wait.min(LONGEST_WAIT)) + SILENCE;
        let reply = timeout(silence, self.open(Verb::Poll, request)).await.map_err(|_| self.silent(silence))??;
        Ok(Poll { reply, result: Vec::new(), refusal: None, silence, waiting: None })
    }
}

impl Poll {
    /// The next message; `None` after a complete poll. The future may be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Message>, RemoteError> {
        // The time that the caller spent on the last message does not count as the host's silence.
        let until = *self.waiting.get_or_insert_with(Instant::now) + self.silence;
        let message = timeout_at(until, self.read()).await.unwrap_or_else(|_| Err(self.reply.silent(self.silence)));
        self.waiting = None;
        message
    }

    async fn read(&mut self) -> Result<Option<Message>, RemoteError> {
        loop {
            match self.reply.next().await? {
                None => return Err(self.reply.cut()),
                Some(Piece::End(0)) => return Ok(None),
                Some(Piece::Line(line)) if line.starts_with("error ") => self.refusal = Some(line),
                Some(Piece::Line(line)) => match read_line(&line) {
                    Some(message) => return Ok(Some(message)),
                    // A newer runner may send unknown lines; they are ignored.
                    None => continue,
                },
                Some(Piece::Data { header, at, bytes }) => {
                    if let Some(message) = self.data(&header, at, bytes)? {
                        return Ok(Some(message));
                    }
                }
                Some(Piece::End(_)) => return Err(self.reply.refused(self.refusal.as_slice())),
                Some(Piece::NeedRunner) => return Err(self.reply.cut()),
            }
        }
    }

    fn data(&mut self, header: &str, at: u64, bytes: Bytes) -> Result<Option<Message>, RemoteError> {
        let words: Vec<&str> = header.split(' ').collect();
        match words[..] {
            ["d", _, attempt, stream, inode, offset, _] => {
                let parsed = (|| Some((attempt.parse().ok()?, Stream::from_word(stream)?, inode.parse().ok()?)))();
                let Some((attempt, stream, inode)) = parsed else { return Ok(None) };
                let Ok(offset) = offset.parse::<u64>() else { return Ok(None) };
                if bytes.is_empty() {
                    return Ok(None);
                }
                Ok(Some(Message::Bytes { attempt, stream, inode, offset: offset.saturating_add(at), bytes }))
            }
            ["r", _, attempt, length] => {
                if at == 0 {
                    self.result.clear();
                }
                if length.parse::<u64>().map_or(true, |length| length > LONGEST_RESULT) {
                    return Err(self.reply.garbled("a result of impossible size"));
                }
                self.result.extend_from_slice(&bytes);
                // The empty piece is the end of the frame.
                let Ok(attempt) = attempt.parse() else { return Ok(None) };
                if bytes.is_empty() { Ok(self.finish_result(attempt)) } else { Ok(None) }
            }
            _ => Ok(None),
        }
    }

    fn finish_result(&mut self, attempt: AttemptNo) -> Option<Message> {
        let text = String::from_utf8_lossy(&self.result).into_owned();
        read_result(&text).map(|outcome| Message::Result { attempt, outcome: Box::new(outcome) })
    }
}

fn read_line(line: &str) -> Option<Message> {
    if let Some(rest) = line.strip_prefix("s ") {
        return read_state(rest).map(Message::State);
    }
    let mut words = line.strip_prefix("e ")?.splitn(4, ' ');
    let (_, attempt, class) = (words.next()?, words.next()?.parse().ok()?, words.next()?.into());
    Some(Message::Error { attempt, class, text: words.next().unwrap_or("").to_owned() })
}

/// Parses a state line without its `s `; `None` if a field is missing or malformed.
pub fn read_state(line: &str) -> Option<StateLine> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let (name, attempt) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
    let fields: std::collections::HashMap<&str, &str> = words.filter_map(|word| word.split_once('=')).collect();
    let field = |key: &str| fields.get(key).copied().filter(|value| *value != "-");
    let alive = |key: &str| match field(key) {
        Some("alive") => Alive::Yes,
        Some("stopped") => Alive::Stopped,
        Some("dead") => Alive::No,
        Some("unknown") => Alive::Unknown,
        _ => Alive::Never,
    };
    let session = field("session").filter(|s| is_session(s)).map(str::to_owned);
    Some(StateLine {
        name,
        attempt,
        watch: alive("watch"),
        intent: field("intent")? == "1",
        task: alive("task"),
        cancel: field("cancel") == Some("1"),
        exit: field("exit").and_then(|code| code.parse().ok()),
        result: field("result")? == "1",
        next: field("next").map(str::to_owned),
        session,
        launch: field("launch").and_then(read_launch),
        active: field("active").and_then(|s| s.parse().ok()).unwrap_or(0),
        beat: field("beat").and_then(|s| s.parse().ok()),
        epoch: field("epoch").and_then(|e| e.parse().ok()).unwrap_or(0),
        log: field("log").and_then(|log| log.split(':').next()?.parse().ok()),
        last: field("last").and_then(|n| n.parse().ok()).unwrap_or(attempt),
    })
}

fn read_launch(text: &str) -> Option<Launched> {
    let (how, session) = text.split_once(':')?;
    let resumed = match how {
        "fresh" => false,
        "resume" => true,
        _ => return None,
    };
    Some(Launched {
        resumed,
        session: Some(session.to_owned()).filter(|session| *session != "-" && is_session(session)),
    })
}

/// Parses a result file; `None` if its last line is missing.
pub fn read_result(text: &str) -> Option<Outcome> {
    let mut outcome = Outcome::default();
    let mut whole = false;
    let (mut count, mut lacks) = (0, Vec::new());
    for line in text.lines() {
        let Some((key, value)) = line.trim_end().split_once(' ') else { continue };
        let value = value.trim();
        let kept = || Some(value.to_owned()).filter(|value| !value.is_empty() && value != "-");
        match key {
            "class" => outcome.class = value.into(),
            "reason" => outcome.reason = value.into(),
            "exit" => outcome.exit = value.parse().ok(),
            "signal" => outcome.signal = value.parse().ok(),
            "oom" => outcome.oom = kept(),
            "disk" => outcome.disk = kept(),
            "resumed" => outcome.resumed = kept().filter(|s| is_session(s)),
            "start_head" => outcome.start_head = kept(),
            "companions_before" => outcome.companions_before = kept(),
            "companions" => outcome.companions_after = kept(),
            "companion" if value.ends_with(" gone") => {
                let word = value.trim_end_matches(" gone").to_owned();
                outcome.companions_gone.extend(Some(word).filter(|_| outcome.companions_gone.len() < MOST_COMPANIONS));
            }
            "companion" => {
                outcome.companions.extend(read_companion(value).filter(|_| outcome.companions.len() < MOST_COMPANIONS))
            }
            "changed" => outcome.check_files.extend(kept().filter(|_| outcome.check_files.len() < MOST_CHECK_FILES)),
            "check" => outcome.check = value.parse().ok(),
            "check_before" => outcome.check_before = value.parse().ok(),
            "capture" => outcome.capture = kept(),
            "tree" => outcome.tree = kept(),
            "uncaptured" => count = value.parse().unwrap_or(0),
            "lacks" => lacks.push(value),
            "baseline" => outcome.baseline = kept(),
            "head" => outcome.head = kept(),
            "active" => outcome.active = value.parse().unwrap_or(0),
            "session" => outcome.session = kept().filter(|s| is_session(s)),
            "detail" => outcome.detail = kept(),
            "end" => whole = value == "1",
            _ => {}
        }
    }
    // The result counts even if the file with the names is gone.
    outcome.uncaptured = Uncaptured::read(lacks.into_iter());
    if count > 0 {
        outcome.uncaptured.get_or_insert_default().count = count;
    }
    whole.then_some(outcome)
}

/// Parses `<word> <commit>`.
pub(super) fn read_companion(value: &str) -> Option<(String, Oid)> {
    let (word, commit) = value.split_once(' ')?;
    Some((word.to_owned(), commit.parse().ok()?))
}

/// The characters that a session id from a host may have.
fn is_session(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}

#[cfg(test)]
mod tests;
