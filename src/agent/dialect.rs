//! From an agent's log to [`AgentEvent`]s: bytes in at any split, events with their line numbers out.

mod claude;
mod codex;
mod cursor;
mod json;
mod plain;
mod tail;

use std::borrow::Cow;

use crate::agent::text::prefix;
use crate::model::agent_event::AgentEvent;
use crate::model::profile::DialectName;
use crate::model::verdict::Class;
use tail::Tail;

/// Longest line that is read as a whole, in bytes; the rest of a longer one is skipped, with a warning.
pub const MAX_LINE: usize = 1 << 20;
/// Longest text of an [`AgentEvent::Raw`], in bytes.
const MAX_RAW: usize = 4096;

/// An error that an agent reported in its stream and has not been seen to recover from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The class its structured fields prove; `None` leaves it to the profile's patterns.
    pub class: Option<Class>,
    pub text: String,
    /// Unix seconds at which a usage window resets, where the stream says it as a number.
    pub until: Option<i64>,
}

impl Fault {
    fn unclassed(text: impl Into<String>) -> Fault {
        Fault { class: None, text: text.into(), until: None }
    }
}

/// What one line said.
#[derive(Default)]
struct Said {
    events: Vec<AgentEvent>,
    fault: Option<Fault>,
}

enum Parser {
    Cursor(cursor::Cursor),
    Claude(claude::Claude),
    Codex(codex::Codex),
    Plain,
}

impl Parser {
    /// Whether the line was read as one of the short kinds that most of a log consists of.
    fn short(&mut self, line: &str, said: &mut Said) -> bool {
        if let Parser::Cursor(cursor) = self { cursor.read_short(line, said) } else { false }
    }

    fn value(&mut self, value: &json::Value, said: &mut Said) {
        match self {
            Parser::Cursor(cursor) => cursor.read(value, said),
            Parser::Claude(claude) => claude.read(value, said),
            Parser::Codex(codex) => codex.read(value, said),
            Parser::Plain => {}
        }
    }
}

/// Reads one log. Whatever the bytes are, it does not fail; the same bytes give the same events at any split.
pub struct Reader {
    parser: Parser,
    line: Vec<u8>,
    /// The current line is longer than [`MAX_LINE`].
    cut: bool,
    /// Lines begun before the current one, in all parts.
    number: u64,
    /// Of each part after the first, the lines before it.
    parts: Vec<u64>,
    /// Bytes seen.
    offset: u64,
    fault: Option<(u64, Fault)>,
    tail: Tail,
}

impl Reader {
    /// A reader at the start of a log.
    pub fn new(dialect: DialectName) -> Reader {
        let parser = match dialect {
            DialectName::Cursor => Parser::Cursor(cursor::Cursor::default()),
            DialectName::Claude => Parser::Claude(claude::Claude::default()),
            DialectName::Codex => Parser::Codex(codex::Codex::default()),
            DialectName::Plain => Parser::Plain,
        };
        let tail = Tail::default();
        Reader { parser, line: Vec::new(), cut: false, number: 0, parts: Vec::new(), offset: 0, fault: None, tail }
    }

    /// Takes the next bytes; returns the events of the lines they complete, each with its line number from 1.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u64, AgentEvent)> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let ended = end.is_some();
            let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = &after[usize::from(ended)..];
            self.offset += (text.len() + usize::from(ended)) as u64;
            if ended && self.line.is_empty() && text.len() <= MAX_LINE {
                self.end_line(text, &mut events);
                continue;
            }
            let room = MAX_LINE - self.line.len();
            self.cut |= text.len() > room;
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            if ended {
                self.end_kept_line(&mut events);
            }
        }
        events
    }

    /// The log goes on in another file: what the last one ended with is a line.
    pub fn begin_part(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.finish();
        self.parts.push(self.number);
        events
    }

    /// The part that has a line, from 1, and its number there: events and faults count the lines of all parts.
    pub fn place(&self, line: u64) -> (u32, u64) {
        let before = self.parts.iter().take_while(|lines| **lines < line);
        let (part, lines) = before.fold((1, 0), |(part, _), lines| (part + 1, *lines));
        (part, line - lines)
    }

    /// The log has ended: reads a last line that has no line break.
    pub fn finish(&mut self) -> Vec<(u64, AgentEvent)> {
        let mut events = Vec::new();
        if !self.line.is_empty() {
            self.end_kept_line(&mut events);
        }
        self.tail.forget_before(self.offset);
        events
    }

    /// The last error the stream told of, with its line, unless the agent went on after it.
    pub fn fault(&self) -> Option<(u64, &Fault)> {
        self.fault.as_ref().map(|(line, fault)| (*line, fault))
    }

    /// Lines of the log's last 4 KiB that are no events of the stream: stderr, mostly. All lines of a plain log.
    pub fn stray_lines(&self) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        self.tail.lines()
    }

    /// Ends a line whose beginning came with earlier bytes.
    fn end_kept_line(&mut self, events: &mut Vec<(u64, AgentEvent)>) {
        let mut line = std::mem::take(&mut self.line);
        self.end_line(&line, events);
        line.clear();
        self.line = line;
    }

    fn end_line(&mut self, bytes: &[u8], events: &mut Vec<(u64, AgentEvent)>) {
        self.number += 1;
        // Lines are text but for rare bytes, and checking that is much faster than looking for them.
        let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let mut said = Said::default();
        if std::mem::take(&mut self.cut) {
            let text = format!("line {} is longer than {MAX_LINE} bytes: its rest was not read", self.number);
            said.events.push(AgentEvent::Warning { text });
        }
        self.read_line(text, &mut said);
        if said.events.iter().any(is_progress) {
            self.fault = None;
        }
        if let Some(fault) = said.fault {
            self.fault = Some((self.number, fault));
        }
        events.extend(said.events.into_iter().map(|event| (self.number, event)));
    }

    fn read_line(&mut self, text: &str, said: &mut Said) {
        if let Parser::Plain = self.parser {
            self.tail.add(self.number, self.offset, text);
            return plain::read(text, said);
        }
        if self.parser.short(text, said) {
            return;
        }
        let parts = json::split(text);
        for stray in parts.stray {
            self.tail.add(self.number, self.offset, stray);
            said.events.push(AgentEvent::Raw { line: prefix(stray, MAX_RAW).to_owned() });
        }
        for value in &parts.values {
            self.parser.value(value, said);
        }
    }
}

/// Whether an event shows that the agent works on, so that an error before it is history.
fn is_progress(event: &AgentEvent) -> bool {
    match event {
        AgentEvent::Text { .. } | AgentEvent::Edit { .. } | AgentEvent::Tool { .. } => true,
        AgentEvent::CommandStarted { .. } | AgentEvent::Command { .. } => true,
        AgentEvent::Finished { ok, .. } => *ok,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
