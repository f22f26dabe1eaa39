//! How an attempt ended, from its log and the facts its host recorded, with the line or fact that proves it.

use std::io::Read;

use jiff::Zoned;

use crate::agent::dialect::{Fault, Reader};
use crate::agent::profiles::compile;
use crate::agent::reset::reset_time;
use crate::agent::text::{SHORT, one_line};
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::Outcome;
use crate::model::profile::{DialectName, FailurePattern, Profile};
use crate::model::verdict::{Class, Verdict};

/// What is known beside the log and the outcome.
#[derive(Clone, Debug)]
pub struct Context {
    /// HEAD before the attempt: a commit of what was there already is work, though the files are the same.
    pub base_head: Option<String>,
    /// The moment that "in 5 minutes" counts from.
    pub now: Zoned,
}

/// The verdict on an attempt, as of now. A log that cannot be read to its end is judged by what was read.
pub fn judge(profile: &Profile, log: impl Read, outcome: &Outcome) -> Verdict {
    judge_in(profile, log, outcome, &Context { base_head: None, now: Zoned::now() })
}

/// As [`judge`], with what else is known.
pub fn judge_in(profile: &Profile, log: impl Read, outcome: &Outcome, context: &Context) -> Verdict {
    judge_log(profile, &Log::read(profile, log), outcome, context)
}

/// As [`judge_in`], of a log that was read before.
pub fn judge_log(profile: &Profile, log: &Log, outcome: &Outcome, context: &Context) -> Verdict {
    let judged = ended_from_outside(profile, log, outcome, context);
    let mut verdict = judged.unwrap_or_else(|| match log.ended_well(outcome) {
        Some(end) => judge_work(log, &end, outcome, context),
        None => judge_failure(profile, log, outcome, context),
    });
    if let Some(line) = verdict.line {
        let (part, line) = log.reader.place(line);
        (verdict.line, verdict.part) = (Some(line), (part > 1).then_some(part));
    }
    verdict
}

/// What the judge needs of a log, gathered while it is read.
pub struct Log {
    reader: Reader,
    plain: bool,
    /// The profile's success patterns; one that does not compile matches nothing.
    patterns: Vec<Option<regex::Regex>>,
    /// The last terminal event: line, whether it was a good one, its words.
    finished: Option<(u64, bool, String)>,
    /// A plain log's line that the success patterns ask for.
    success: Success,
    refused: Vec<(u64, String)>,
    /// Whether any structured event was read: the CLI did start.
    started: bool,
    error: Option<std::io::Error>,
}

enum Success {
    NotAsked,
    Missing,
    Found(u64),
}

/// A good end: the line that says so and its words.
struct End {
    line: Option<u64>,
    words: String,
}

impl Log {
    /// Of a log of which nothing was read.
    pub fn new(profile: &Profile) -> Log {
        let plain = profile.dialect == DialectName::Plain;
        let patterns: Vec<_> = profile.success.iter().map(|pattern| compile(pattern).ok()).collect();
        let success = if !plain || patterns.is_empty() { Success::NotAsked } else { Success::Missing };
        let reader = Reader::new(profile.dialect);
        Log { reader, plain, patterns, finished: None, success, refused: Vec::new(), started: false, error: None }
    }

    /// The next bytes; returns the events of the lines they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.push(bytes);
        events.iter().for_each(|(line, event)| self.note(*line, event));
        events
    }

    /// The log goes on in another file.
    pub fn begin_part(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.begin_part();
        events.iter().for_each(|(line, event)| self.note(*line, event));
        events
    }

    /// The log has ended: reads a last line that has no line break.
    pub fn finish(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.finish();
        events.iter().for_each(|(line, event)| self.note(*line, event));
        events
    }

    /// What has read it.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    fn read(profile: &Profile, mut source: impl Read) -> Log {
        let mut log = Log::new(profile);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => drop(log.push(&chunk[..length])),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    log.error = Some(error);
                    break;
                }
            }
        }
        log.finish();
        log
    }

    fn note(&mut self, line: u64, event: &AgentEvent) {
        self.started |= !matches!(event, AgentEvent::Raw { .. } | AgentEvent::Warning { .. }) && !self.plain;
        match event {
            AgentEvent::Finished { ok, message, .. } => self.finished = Some((line, *ok, message.clone())),
            AgentEvent::Refused { what } => self.refused.push((line, what.clone())),
            AgentEvent::Text { text }
                if matches!(self.success, Success::Missing) && all_match(&self.patterns, text) =>
            {
                self.success = Success::Found(line);
            }
            _ => {}
        }
    }

    /// A terminal event without an error, and exit code 0 or an end by the grace limit after that event.
    fn ended_well(&self, outcome: &Outcome) -> Option<End> {
        if outcome.exit != Some(0) && outcome.reason != "grace" {
            return None;
        }
        match (&self.finished, &self.success) {
            (Some((line, true, words)), _) => Some(End { line: Some(*line), words: words.clone() }),
            (None, Success::Found(line)) => Some(End { line: Some(*line), words: String::new() }),
            (None, Success::NotAsked) if self.plain => {
                let last = self.last_line();
                Some(End {
                    line: last.map(|(line, _)| line),
                    words: last.map_or_else(String::new, |(_, text)| text.into()),
                })
            }
            _ => None,
        }
    }

    fn last_line(&self) -> Option<(u64, &str)> {
        self.reader.stray_lines().next_back()
    }

    /// A fact, followed by the last words of the log where there are any.
    fn with_last_words(&self, class: Class, fact: &str) -> Verdict {
        let fault = self.reader.fault().map(|(line, fault)| (line, fault.text.as_str()));
        match fault.or_else(|| self.last_line()) {
            Some((line, words)) => verdict(class, &format!("{fact}; last words: {words}"), Some(line)),
            None => verdict(class, fact, self.finished.as_ref().map(|finished| finished.0)),
        }
    }
}

/// A pattern that does not compile matches nothing.
fn all_match(patterns: &[Option<regex::Regex>], text: &str) -> bool {
    patterns.iter().all(|pattern| pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)))
}

/// A signal by its name; numbers beyond these differ between systems.
fn signal(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return format!("signal {number}"),
    };
    format!("SIG{name}")
}

fn verdict(class: Class, evidence: &str, line: Option<u64>) -> Verdict {
    Verdict { class, evidence: one_line(evidence, SHORT), line, part: None, until: None }
}

/// Ends that the watcher brought about or met before the agent ran.
fn ended_from_outside(profile: &Profile, log: &Log, outcome: &Outcome, context: &Context) -> Option<Verdict> {
    let detail = outcome.detail.as_deref().unwrap_or_default();
    let told = |fact: &str| if detail.is_empty() { fact.to_owned() } else { format!("{fact}: {detail}") };
    let minutes = outcome.active / 60;
    Some(match outcome.reason.as_str() {
        "stop" => verdict(Class::Stopped, &told("stopped on request"), None),
        "timeout" => log.with_last_words(Class::Timeout, &told(&format!("its time was up after {minutes} min"))),
        "no-first-output" => verdict(Class::Hung, &told(&format!("no output within {minutes} min")), None),
        "no-progress" => log.with_last_words(Class::Hung, &told("log, CPU time and files stood still")),
        "lost" if outcome.class == Class::Oom.word() => {
            verdict(Class::Oom, &told("the agent is gone and left no exit status"), None)
        }
        "lost" => log.with_last_words(Class::Lost, &told("the agent is gone and left no exit status")),
        "disk-full" => verdict(Class::DiskFull, &told("the host's disk is full"), None),
        "agent-missing" => {
            let names = profile.binary.join(" or ");
            verdict(Class::Config, &told(&format!("{names} was not found on the host")), None)
        }
        "session" => by_pattern(profile, [(None, detail)].into_iter(), context)
            .unwrap_or_else(|| verdict(Class::Session, &told("the CLI made no session"), None)),
        "setup" => verdict(Class::Config, &told("the setup command failed"), None),
        "ship" if outcome.class == Class::Network.word() => {
            verdict(Class::Network, &told("the work did not arrive"), None)
        }
        "ship" => verdict(Class::Config, &told("the checkout on the host is not what was sent"), None),
        _ => return None,
    })
}

/// The agent says it is done: is it?
fn judge_work(log: &Log, end: &End, outcome: &Outcome, context: &Context) -> Verdict {
    if let Some((line, what)) = log.refused.first() {
        let more = log.refused.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        return verdict(Class::Blocked, &format!("a tool was refused: {what}{more}"), Some(*line));
    }
    let moved = matches!((&context.base_head, &outcome.head), (Some(before), Some(after)) if before != after);
    if !moved && outcome.tree.is_some() && outcome.tree == outcome.baseline {
        let words = if end.words.is_empty() { String::new() } else { format!("; its words: {}", end.words) };
        return verdict(Class::NoWork, &format!("ended well, but no file was changed{words}"), end.line);
    }
    if let Some(verdict) = unproved(end, outcome) {
        return verdict;
    }
    match (outcome.check, outcome.check_before) {
        (Some(0), Some(0)) => verdict(Class::Done, "the check passes, as it did before the attempt", end.line),
        (Some(0), Some(code)) => {
            verdict(Class::Done, &format!("the check passes; before the attempt it exited with {code}"), end.line)
        }
        (Some(0), None) => verdict(Class::Done, "the check passes", end.line),
        (Some(code), _) => {
            verdict(Class::CheckFailed, &format!("ended well, but the check exits with {code}"), end.line)
        }
        (None, _) if end.words.is_empty() => verdict(Class::Unchecked, "ended well; no check was set", end.line),
        (None, _) => verdict(Class::Unchecked, &format!("ended well: {}", end.words), end.line),
    }
}

/// A good end whose work nobody can fetch, or whose check could not be run, is no success.
fn unproved(end: &End, outcome: &Outcome) -> Option<Verdict> {
    let detail = outcome.detail.as_deref().unwrap_or("its work could not be captured");
    if outcome.class == Class::DiskFull.word() {
        return Some(verdict(
            Class::DiskFull,
            &format!("ended well, but the host's disk was full: {detail}"),
            end.line,
        ));
    }
    if outcome.class == Class::Config.word() {
        return Some(verdict(Class::Config, &format!("ended well, but {detail}"), end.line));
    }
    let unchecked = outcome.check.is_none() && outcome.check_before.is_some();
    unchecked.then(|| verdict(Class::CheckFailed, "ended well, but the check could not be run", end.line))
}

/// The agent did not end well: why?
fn judge_failure(profile: &Profile, log: &Log, outcome: &Outcome, context: &Context) -> Verdict {
    // Only the host can know: the kernel's kill looks like any other.
    if outcome.class == Class::Oom.word() {
        let how = outcome.exit.filter(|code| *code > 128).map(|code| format!("killed by {}; ", signal(code - 128)));
        let detail = outcome.detail.as_deref().unwrap_or("the host recorded that it ran out of memory");
        return verdict(Class::Oom, &format!("{}{detail}", how.unwrap_or_default()), None);
    }
    if let Some((line, fault)) = log.reader.fault()
        && let Some(class) = fault.class
    {
        return verdict_of(class, fault, line, context);
    }
    // Stray lines only where the profile's own selection keeps them, so that both sides try the same text.
    let selects = profile.error_lines.as_deref().and_then(|pattern| compile(pattern).ok());
    let stray = log.reader.stray_lines().filter(|(_, text)| selects.as_ref().is_none_or(|it| it.is_match(text)));
    let fault = log.reader.fault().map(|(line, fault)| (line, fault.text.as_str()));
    let lines = stray.chain(fault).map(|(line, text)| (Some(line), text));
    by_pattern(profile, lines, context).unwrap_or_else(|| by_exit(log, outcome))
}

fn verdict_of(class: Class, fault: &Fault, line: u64, context: &Context) -> Verdict {
    let mut verdict = verdict(class, &fault.text, Some(line));
    if class == Class::Limited {
        verdict.until = fault.until.or_else(|| reset_time(&fault.text, &context.now));
    }
    verdict
}

/// The first pattern of the profile that matches any of the lines; its last match is the evidence.
fn by_pattern<'a>(
    profile: &Profile,
    lines: impl Iterator<Item = (Option<u64>, &'a str)>,
    context: &Context,
) -> Option<Verdict> {
    let lines: Vec<_> = lines.collect();
    profile.failure.iter().find_map(|FailurePattern { class, pattern }| {
        let pattern = compile(pattern).ok()?;
        let (line, text, at) =
            lines.iter().rev().find_map(|(line, text)| Some((*line, *text, pattern.find(text)?.start())))?;
        let mut verdict = verdict(*class, around(text, at), line);
        if *class == Class::Limited {
            verdict.until = lines.iter().rev().find_map(|(_, text)| reset_time(text, &context.now));
        }
        Some(verdict)
    })
}

/// A long line from a little before the match, so that a cut keeps the proof.
fn around(text: &str, at: usize) -> &str {
    let from = if at < SHORT / 2 { 0 } else { at - SHORT / 4 };
    let from = (from..=at).find(|&from| text.is_char_boundary(from)).unwrap_or(at);
    &text[from..]
}

/// Nothing was said: what is left is how the process ended.
fn by_exit(log: &Log, outcome: &Outcome) -> Verdict {
    if outcome.class == Class::DiskFull.word() {
        return log.with_last_words(Class::DiskFull, "the host's disk was full");
    }
    match outcome.exit {
        None if outcome.reason == "grace" => log.with_last_words(Class::Hung, "did not exit after its terminal line"),
        None => log.with_last_words(Class::Lost, "no exit status was recorded"),
        Some(code @ (126 | 127)) if !log.started => {
            log.with_last_words(Class::Config, &format!("the agent could not be started (exit code {code})"))
        }
        Some(code) if code > 128 => {
            let told = outcome.detail.as_ref().map_or_else(String::new, |detail| format!("; {detail}"));
            log.with_last_words(Class::Crashed, &format!("killed by {}{told}", signal(code - 128)))
        }
        Some(0) => match &log.finished {
            Some((line, _, words)) => verdict(Class::Crashed, &format!("the agent reports: {words}"), Some(*line)),
            None => truncated(log),
        },
        Some(code) => match &log.finished {
            Some((line, false, words)) if !words.is_empty() => {
                verdict(Class::Crashed, &format!("exit code {code}; the agent reports: {words}"), Some(*line))
            }
            Some((_, true, _)) => log.with_last_words(
                Class::Crashed,
                &format!("exit code {code}, although its terminal event is a good one"),
            ),
            _ => log.with_last_words(Class::Crashed, &format!("exit code {code}")),
        },
    }
}

fn truncated(log: &Log) -> Verdict {
    match &log.error {
        Some(error) => verdict(Class::Truncated, &format!("the log could not be read to its end: {error}"), None),
        None if log.plain => log.with_last_words(Class::Truncated, "exit code 0, but no line says that it succeeded"),
        None => log.with_last_words(Class::Truncated, "exit code 0 without a terminal event"),
    }
}

#[cfg(test)]
mod tests;
