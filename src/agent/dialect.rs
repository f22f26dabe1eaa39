//! Turns an agent's log into [`AgentEvent`]s: takes bytes split anywhere and returns events with their line numbers.

mod claude;
mod codex;
mod condense;
mod cursor;
mod json;
mod plain;

use std::borrow::Cow;

use crate::agent::log_facts::LogFacts;
use crate::agent::sanitize::prefix;
use crate::model::agent_event::AgentEvent;
use crate::model::profile::DialectName;
use condense::Condenser;

/// Maximum bytes of a line that is read as a whole. A longer event is condensed. The rest of a longer text is skipped,
/// with a warning.
pub const MAX_LINE: usize = 1 << 20;
/// Maximum bytes of an [`AgentEvent::Raw`].
const MAX_RAW: usize = 4096;

/// What one line contains.
#[derive(Default)]
struct ParsedLine {
    events: Vec<AgentEvent>,
}

enum Parser {
    Cursor(cursor::Cursor),
    Claude(claude::Claude),
    Codex(codex::Codex),
    Plain,
}

impl Parser {
    /// Parses the line if it has one of the short forms that make up most of a log. Returns whether it had.
    fn short(&mut self, line: &str, said: &mut ParsedLine) -> bool {
        if let Parser::Cursor(cursor) = self { cursor.read_short(line, said) } else { false }
    }

    fn value(&mut self, value: &json::Value, said: &mut ParsedLine) {
        match self {
            Parser::Cursor(cursor) => cursor.read(value, said),
            Parser::Claude(claude) => claude.read(value, said),
            Parser::Codex(codex) => codex.read(value, said),
            Parser::Plain => {}
        }
    }
}

/// Reads one log. It never fails, and the same bytes give the same events however they are split.
pub struct Reader {
    parser: Parser,
    line: Vec<u8>,
    /// Set if the current line is longer than [`MAX_LINE`] and is an event, which is condensed.
    long: Option<Condenser>,
    /// Whether the rest of the current line, which is text, is skipped.
    cut: bool,
    /// Number of lines before the current one, in all parts.
    number: u64,
    /// For each part after the first, the number of lines before it.
    parts: Vec<u64>,
    facts: LogFacts,
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
        let facts = LogFacts::new(dialect);
        Reader { parser, line: Vec::new(), long: None, cut: false, number: 0, parts: Vec::new(), facts }
    }

    /// Takes the next bytes, and returns the events of the lines that they complete, each with its line number from 1.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u64, AgentEvent)> {
        let mut events = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest);
            let ended = end.is_some();
            let (text, after) = rest.split_at(end.unwrap_or(rest.len()));
            rest = &after[usize::from(ended)..];
            if ended && self.line.is_empty() && self.long.is_none() && text.len() <= MAX_LINE {
                self.end_line(text, &mut events);
                continue;
            }
            self.keep(text);
            if ended {
                self.end_kept_line(&mut events);
            }
        }
        events
    }

    /// Buffers a piece of a line that is not complete yet.
    fn keep(&mut self, text: &[u8]) {
        if let Some(long) = &mut self.long {
            return long.push(text);
        }
        let room = MAX_LINE - self.line.len();
        self.line.extend_from_slice(&text[..text.len().min(room)]);
        if text.len() > room {
            if self.line.first() == Some(&b'{') {
                let mut long = Condenser::default();
                long.push(&std::mem::take(&mut self.line));
                long.push(&text[room..]);
                self.long = Some(long);
            } else {
                self.cut = true;
            }
        }
    }

    /// The log continues in another file. An incomplete line at the end of the last file is read as a line.
    pub fn begin_part(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.finish();
        self.parts.push(self.number);
        events
    }

    /// The part that contains a line, from 1, and the line's number in it. Events and faults count the lines of all
    /// parts.
    pub fn place(&self, line: u64) -> (u32, u64) {
        let before = self.parts.iter().take_while(|lines| **lines < line);
        let (part, lines) = before.fold((1, 0), |(part, _), lines| (part + 1, *lines));
        (part, line - lines)
    }

    /// The log has ended: reads a last line without a newline.
    pub fn finish(&mut self) -> Vec<(u64, AgentEvent)> {
        let mut events = Vec::new();
        if !self.line.is_empty() || self.long.is_some() {
            self.end_kept_line(&mut events);
        }
        events
    }

    /// The facts for the verdict in the lines read so far.
    pub fn facts(&self) -> &LogFacts {
        &self.facts
    }

    /// The last lines that are not events of the stream, mostly from stderr. In a plain log, its last lines.
    pub fn stray_lines(&self) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        self.facts.stray().map(|words| (words.line, words.text.as_str()))
    }

    /// Ends a line that began in earlier bytes.
    fn end_kept_line(&mut self, events: &mut Vec<(u64, AgentEvent)>) {
        let mut line = match self.long.take() {
            Some(long) => long.finish(),
            None => std::mem::take(&mut self.line),
        };
        self.end_line(&line, events);
        line.clear();
        self.line = line;
    }

    fn end_line(&mut self, bytes: &[u8], events: &mut Vec<(u64, AgentEvent)>) {
        self.number += 1;
        // Almost all lines are valid UTF-8, and validating is much faster than replacing invalid bytes.
        let text = std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        let mut said = ParsedLine::default();
        if std::mem::take(&mut self.cut) {
            let text = format!("line {} is longer than {MAX_LINE} bytes: its rest was not read", self.number);
            said.events.push(AgentEvent::Warning { text });
        }
        self.facts.line(self.number, text);
        self.read_line(text, &mut said);
        events.extend(said.events.into_iter().map(|event| (self.number, event)));
    }

    fn read_line(&mut self, text: &str, said: &mut ParsedLine) {
        if let Parser::Plain = self.parser {
            return plain::read(text, said);
        }
        if self.parser.short(text, said) {
            return;
        }
        let parts = json::split(text);
        for stray in parts.stray {
            said.events.push(AgentEvent::Raw { line: prefix(stray, MAX_RAW).to_owned() });
        }
        for value in &parts.values {
            self.parser.value(value, said);
        }
    }
}

#[cfg(test)]
mod tests;
