//! Determines how an attempt ended, from its log and the facts that its host recorded, and finds the line or fact that
//! proves it. The decision table gives the class; this file gathers the facts and finds the words.

mod words;

use std::io::Read;

use jiff::Zoned;

use crate::agent::dialect::Reader;
use crate::agent::log_facts::{self, Words};
use crate::agent::profiles::compile;
use crate::agent::reset::reset_time;
use crate::agent::stream_rules::{self, ErrorRow};
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::{Outcome, Reason};
use crate::model::judgement::{Check, End, Exit, Facts, Work};
use crate::model::profile::{DialectName, Profile};
use crate::model::verdict::{Class, Verdict};

/// The current verdict on an attempt. If the log cannot be read to its end, only the part before counts.
pub fn classify(profile: &Profile, log: impl Read, outcome: &Outcome) -> Verdict {
    classify_log(profile, &Log::read(profile, log), outcome, &Zoned::now())
}

/// The verdict on a log that was read before. "In 5 minutes" counts from `now`.
pub fn classify_log(profile: &Profile, log: &Log, outcome: &Outcome, now: &Zoned) -> Verdict {
    let case = Case::new(profile, log, outcome);
    let class = case.facts.class();
    let mut verdict = words::verdict(&case, class);
    if class == Class::Limited {
        let texts = case.error.iter().chain(&case.stray).map(|found| found.words.text.as_str());
        verdict.until = log.reader.facts().until.or_else(|| texts.into_iter().find_map(|text| reset_time(text, now)));
    }
    let error = case.facts.error.or(case.facts.stray);
    verdict.standing = error.filter(|standing| *standing != class && !class.is_good());
    verdict.notes = words::notes(&case);
    if let Some(line) = verdict.line {
        let (part, line) = log.reader.place(line);
        (verdict.line, verdict.part) = (Some(line), (part > 1).then_some(part));
    }
    verdict
}

/// The class that an unreachable host decides by the shipped table, from the same facts.
pub fn alone(profile: &Profile, log: &Log, outcome: &Outcome) -> Class {
    Case::new(profile, log, outcome).facts.class()
}

/// A log that is read while it grows, as far as verdicts need it.
pub struct Log {
    reader: Reader,
    plain: bool,
    /// The profile's success patterns. A pattern that does not compile matches nothing.
    patterns: Vec<Option<regex::Regex>>,
    /// The line of a plain log that matches all success patterns.
    success: Option<u64>,
    /// Line and words of the last terminal event, as the dialect reads it.
    finished: Option<(u64, String)>,
    /// The first refused tool call, and the number of refused calls.
    refused: Option<(u64, String)>,
    refusals: usize,
    error: Option<std::io::Error>,
}

impl Log {
    /// A log of which nothing was read yet.
    pub fn new(profile: &Profile) -> Log {
        let plain = profile.dialect == DialectName::Plain;
        let patterns = profile.success.iter().filter(|_| plain).map(|pattern| compile(pattern).ok()).collect();
        let reader = Reader::new(profile.dialect);
        Log { reader, plain, patterns, success: None, finished: None, refused: None, refusals: 0, error: None }
    }

    /// Takes the next bytes, and returns the events of the lines that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.push(bytes);
        self.note_all(events)
    }

    /// The log continues in another file.
    pub fn begin_part(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.begin_part();
        self.note_all(events)
    }

    /// The log has ended: reads a last line without a newline.
    pub fn finish(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.reader.finish();
        self.note_all(events)
    }

    /// The reader of the log.
    pub fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Reads a log to its end, or until reading fails.
    pub fn read(profile: &Profile, source: impl Read) -> Log {
        Log::read_with(profile, source, |_, _| {})
    }

    /// Like [`Log::read`], and passes each event to `each`.
    pub fn read_with(profile: &Profile, mut source: impl Read, mut each: impl FnMut(u64, &AgentEvent)) -> Log {
        let mut log = Log::new(profile);
        let mut chunk = vec![0; 64 * 1024];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => log.push(&chunk[..length]).iter().for_each(|(line, event)| each(*line, event)),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    log.error = Some(error);
                    break;
                }
            }
        }
        log.finish().iter().for_each(|(line, event)| each(*line, event));
        log
    }

    fn note_all(&mut self, events: Vec<(u64, AgentEvent)>) -> Vec<(u64, AgentEvent)> {
        events.iter().for_each(|(line, event)| self.note(*line, event));
        events
    }

    fn note(&mut self, line: u64, event: &AgentEvent) {
        match event {
            AgentEvent::Finished { message, .. } => self.finished = Some((line, message.clone())),
            AgentEvent::Refused { what } => {
                self.refusals += 1;
                self.refused.get_or_insert_with(|| (line, what.clone()));
            }
            AgentEvent::Text { text } if self.plain && self.success.is_none() && !self.patterns.is_empty() => {
                self.success = all_match(&self.patterns, text).then_some(line);
            }
            _ => {}
        }
    }

    /// The terminal event and its words. In a plain log: the line that matches the success patterns, or the last line.
    fn end(&self) -> (End, Option<Words>) {
        let facts = self.reader.facts();
        if !self.plain {
            let Some((end, words)) = &facts.end else { return (End::Missing, None) };
            let finished = self.finished.as_ref().filter(|(line, _)| *line == words.line && words.text.is_empty());
            let text = finished.map_or(&words.text, |(_, message)| message);
            return (*end, Some(Words { line: words.line, text: text.clone() }));
        }
        match self.success {
            Some(line) => (End::Good, Some(Words { line, text: String::new() })),
            None if self.patterns.is_empty() => (End::Good, facts.stray().next_back().cloned()),
            None => (End::Missing, None),
        }
    }
}

/// Whether all patterns match. A pattern that does not compile matches nothing.
fn all_match(patterns: &[Option<regex::Regex>], text: &str) -> bool {
    patterns.iter().all(|pattern| pattern.as_ref().is_some_and(|pattern| pattern.is_match(text)))
}

/// An error that a row of the error table matches, or only its words.
struct Found {
    class: Option<Class>,
    words: Words,
    /// Byte offset of the proof in the words.
    at: usize,
}

/// The end of one attempt, with everything known about it.
struct Case<'a> {
    profile: &'a Profile,
    log: &'a Log,
    outcome: &'a Outcome,
    facts: Facts,
    end: Option<Words>,
    error: Option<Found>,
    stray: Option<Found>,
}

impl<'a> Case<'a> {
    fn new(profile: &'a Profile, log: &'a Log, outcome: &'a Outcome) -> Case<'a> {
        let seen = log.reader.facts();
        let rows = stream_rules::errors(profile);
        let error = seen.error.as_ref().map(|error| {
            let row = log_facts::find_row(&rows, &error.rows, &log_facts::unquoted(&error.text));
            let at = row.map_or(0, |row| place(row, &error.text));
            Found { class: row.map(|row| row.class), words: Words { line: error.line, text: error.text.clone() }, at }
        });
        let stray = find_stray(profile, &rows, log, outcome);
        let (end, words) = log.end();
        let other = outcome.resumed.as_deref().zip(seen.session.as_deref()).is_some_and(|(asked, is)| asked != is);
        let facts = Facts {
            reason: match &outcome.reason {
                Reason::Ship if outcome.class.is(Class::Network) => "ship-lacking".to_owned(),
                reason if reason.word().is_empty() => "exit".to_owned(),
                reason => reason.word().to_owned(),
            },
            exit: exit(outcome, seen.started),
            out_of_memory: is_out_of_memory(outcome),
            disk_full: outcome.disk.is_some() || outcome.class.is(Class::DiskFull),
            end,
            other_session: other || (seen.foreign.is_some() && end == End::Missing),
            refused: seen.refused,
            error: error.as_ref().and_then(|found| found.class),
            stray: stray.as_ref().and_then(|found| found.class),
            check: check(outcome),
            work: work(outcome),
        };
        Case { profile, log, outcome, facts, end: words, error, stray }
    }
}

/// The stray lines that a row matches. If a session could not be made, the CLI's output about that is used.
fn find_stray(profile: &Profile, rows: &[ErrorRow], log: &Log, outcome: &Outcome) -> Option<Found> {
    let detail = Words { line: 0, text: outcome.detail.clone().unwrap_or_default() };
    let selects = profile.error_lines.as_deref().filter(|_| log.plain).and_then(|pattern| compile(pattern).ok());
    let lines: Vec<&Words> = match outcome.reason {
        Reason::Session => vec![&detail],
        _ => log.reader.facts().stray().filter(|it| selects.as_ref().is_none_or(|by| by.is_match(&it.text))).collect(),
    };
    let read = |words: &Words| if log.plain { words.text.clone() } else { log_facts::unquoted(&words.text) };
    let texts: Vec<String> = lines.iter().map(|words| read(words)).collect();
    let found = rows.iter().filter(|row| row.fields.is_empty()).find_map(|row| {
        let pattern = compile(row.pattern?).ok()?;
        let at = texts.iter().rposition(|text| pattern.is_match(text))?;
        Some(Found { class: Some(row.class), words: lines[at].clone(), at: place(row, &lines[at].text) })
    });
    found.or_else(|| Some(Found { class: None, words: (*lines.last()?).clone(), at: 0 }))
}

/// Where a row's pattern matches a text that it matched without its quotations.
fn place(row: &ErrorRow, text: &str) -> usize {
    let pattern = row.pattern.and_then(|pattern| compile(pattern).ok());
    pattern.and_then(|pattern| Some(pattern.find(text)?.start())).unwrap_or(0)
}

fn exit(outcome: &Outcome, started: bool) -> Exit {
    match outcome.exit {
        _ if outcome.reason == Reason::Grace => Exit::Ended,
        None => Exit::Unknown,
        Some(0) => Exit::Zero,
        Some(_) if outcome.signal.is_some() => Exit::Signal,
        Some(126 | 127) if !started => Exit::NotStarted,
        Some(_) => Exit::Failed,
    }
}

/// A host of release 0.1.0 records only its conclusion.
fn is_out_of_memory(outcome: &Outcome) -> bool {
    let counted = outcome.oom.as_deref().is_some_and(|oom| oom.starts_with("agent"));
    let ended = outcome.reason == Reason::Lost || (outcome.reason == Reason::Exit && outcome.exit == Some(137));
    (counted && ended) || outcome.class.is(Class::Oom)
}

fn check(outcome: &Outcome) -> Check {
    match outcome.check {
        Some(0) => Check::Passed,
        Some(_) => Check::Failed,
        None if outcome.check_before.is_some() => Check::Missing,
        None => Check::NotSet,
    }
}

/// A host of release 0.1.0 does not record the HEAD at the start, but only its conclusion.
fn work(outcome: &Outcome) -> Work {
    // The work may be in what could not be captured.
    let whole = outcome.uncaptured.is_none();
    let same = whole
        && outcome.tree == outcome.baseline
        && outcome.companions_after == outcome.companions_before
        && outcome.check == outcome.check_before;
    let unmoved = match &outcome.start_head {
        Some(before) => outcome.head.as_ref() == Some(before),
        None => outcome.head.is_none() || outcome.class.is(Class::NoWork),
    };
    match outcome.tree {
        None if outcome.class.is(Class::Config) || outcome.disk.is_some() => Work::Missing,
        None if outcome.class.is(Class::DiskFull) => Work::Missing,
        Some(_) if same && unmoved => Work::Same,
        _ => Work::Changed,
    }
}

#[cfg(test)]
pub(crate) mod misleading;
#[cfg(test)]
mod tests;
