//! The facts of a log that a verdict needs. A host's shell reads a log by the same rules (`runner/log_facts.sh`), and a
//! test compares both.

use std::collections::VecDeque;

use serde_json_borrow::Value;

use crate::agent::sanitize::prefix;
use crate::agent::stream_rules::{self, ErrorRow, Kind, StreamRules, UNTIL};
use crate::model::judgement::End;
use crate::model::profile::{DialectName, Profile};

/// Maximum stray lines that are kept; these are the last ones.
const MAX_STRAY: usize = 40;
/// Maximum bytes that are kept of a stray line or a value.
const MAX_TEXT: usize = 1000;
/// Maximum values of one line that are kept: below its top level, and in all.
const MAX_NESTED: usize = 500;
const MAX_ENTRIES: usize = 800;
const MAX_DEPTH: usize = 6;

/// A line that is evidence: its number over all parts, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub line: u64,
    pub text: String,
}

/// The last structured error without progress after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Error {
    pub line: u64,
    /// As the CLI wrote them.
    pub text: String,
    /// Numbers of the rows of the error table whose conditions on fields match, from 1.
    pub rows: Vec<usize>,
}

/// A fold over the lines of a log.
pub struct LogFacts {
    rules: Option<&'static StreamRules>,
    /// The session that the stream opened.
    pub session: Option<String>,
    /// An event that opened or ended another session.
    pub foreign: Option<Words>,
    /// The last terminal event of that session, unless the agent continued after it.
    pub end: Option<(End, Words)>,
    pub error: Option<Error>,
    /// When a usage limit resets, as the stream says, in Unix seconds.
    pub until: Option<i64>,
    /// Whether any event was read.
    pub started: bool,
    /// Whether any tool call was refused.
    pub refused: bool,
    stray: VecDeque<Words>,
    /// Whether the last JSON line was not closed, so that the next line may be the rest of it.
    torn: bool,
}

impl LogFacts {
    /// The facts of a log of which nothing was read yet.
    pub fn new(dialect: DialectName) -> LogFacts {
        LogFacts {
            rules: stream_rules::of(dialect),
            session: None,
            foreign: None,
            end: None,
            error: None,
            until: None,
            started: false,
            refused: false,
            stray: VecDeque::new(),
            torn: false,
        }
    }

    /// The last lines that are not events and have no progress after them.
    pub fn stray(&self) -> impl DoubleEndedIterator<Item = &Words> {
        self.stray.iter()
    }

    /// Takes a line, without its newline.
    pub fn line(&mut self, number: u64, line: &str) {
        let Some(rules) = self.rules else { return self.add_stray(number, line) };
        let closed = line.ends_with('}');
        if let Some((_, except)) = rules.fast.iter().find(|(start, _)| line.starts_with(start)) {
            if !except.iter().any(|text| line.contains(text)) {
                self.progress();
                self.torn = !closed;
            } else if let Some(value) = object(line) {
                self.event(rules, number, &value);
            } else {
                self.progress();
                self.torn = true;
            }
        } else if line.starts_with('{') {
            match object(line) {
                Some(value) => self.event(rules, number, &value),
                None => self.torn = !(closed && self.torn),
            }
        } else {
            self.text(rules, number, line);
        }
    }

    /// Takes text that may be followed by an event on the same line.
    fn text(&mut self, rules: &StreamRules, number: u64, line: &str) {
        let mut text = line;
        if let Some(at) = line.find("{\"").filter(|at| *at > 0 && !line[..*at].contains('"')) {
            match object(&line[at..]) {
                Some(value) => {
                    self.event(rules, number, &value);
                    text = &line[..at];
                }
                None if !is_closed_object(&line[at..]) => text = &line[..at],
                None => {}
            }
        }
        if !text.trim().is_empty() {
            if !self.torn {
                self.add_stray(number, text);
            }
            self.torn &= !line.ends_with('}');
        }
    }

    fn add_stray(&mut self, line: u64, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        if self.stray.len() == MAX_STRAY {
            self.stray.pop_front();
        }
        self.stray.push_back(Words { line, text: prefix(text, MAX_TEXT).to_owned() });
    }

    fn progress(&mut self) {
        self.started = true;
        (self.end, self.error, self.until) = (None, None, None);
        self.stray.clear();
    }

    fn event(&mut self, rules: &StreamRules, number: u64, value: &Value) {
        self.torn = false;
        let mut entries = Entries::of(value);
        if entries.at("type").is_none() {
            return;
        }
        self.started = true;
        let is = |kind| entries.is(rules, kind);
        if !is(Kind::Nested) {
            let ends = is(Kind::End);
            if ends || is(Kind::Open) {
                let id = entries.at(rules.session);
                if self.session.is_none() {
                    self.session = id.map(str::to_owned);
                }
                if let Some(id) = id.filter(|id| self.session.as_deref() != Some(id)) {
                    self.foreign = Some(Words { line: number, text: id.to_owned() });
                    return;
                }
            }
            self.refused |= is(Kind::Refused);
            if ends {
                let words = Words { line: number, text: entries.text(rules).unwrap_or_default().to_owned() };
                if is(Kind::Good) {
                    (self.end, self.error) = (Some((End::Good, words)), None);
                } else {
                    self.end = Some((End::Bad, words));
                    self.note_error(rules, number, &mut entries, true);
                }
                return;
            }
            if is(Kind::Error) {
                return self.note_error(rules, number, &mut entries, false);
            }
        }
        if is(Kind::Progress) {
            self.progress();
        }
    }

    /// The terminal event may omit the text of an earlier error.
    fn note_error(&mut self, rules: &StreamRules, line: u64, entries: &mut Entries, keep: bool) {
        if let Some(until) = entries.at(rules.until) {
            self.until = until.parse().ok();
        }
        if let Some(until) = self.until {
            entries.0.push((UNTIL.trim_end_matches('=').to_owned(), until.to_string()));
        }
        let rows = rules.fields.iter().enumerate().filter(|(_, row)| row.2.iter().all(|it| entries.holds(it)));
        let rows: Vec<usize> = rows.map(|(number, _)| number + 1).collect();
        let text = entries.text(rules).unwrap_or_default().to_owned();
        let before = self.error.take().filter(|_| keep).unwrap_or_default();
        self.error = Some(Error {
            line,
            rows: if rows.is_empty() { before.rows } else { rows },
            text: if text.is_empty() { before.text } else { text },
        });
    }
}

/// The object, if a text is exactly one.
fn object(text: &str) -> Option<Value<'_>> {
    serde_json::from_str(text).ok().filter(Value::is_object)
}

/// Whether a text begins with a complete object.
fn is_closed_object(text: &str) -> bool {
    serde_json::Deserializer::from_str(text).into_iter::<serde::de::IgnoredAny>().next().is_some_and(|it| it.is_ok())
}

/// The values of an event, by path.
struct Entries(Vec<(String, String)>);

impl Entries {
    fn of(value: &Value) -> Entries {
        let (mut entries, mut nested) = (Entries(Vec::new()), 0);
        entries.add(value, "", 0, &mut nested);
        entries
    }

    fn add(&mut self, value: &Value, path: &str, depth: usize, nested: &mut usize) {
        let scalar = match value {
            Value::Null => return,
            Value::Bool(is) => is.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Str(text) => prefix(text, MAX_TEXT).to_owned(),
            Value::Array(_) => String::new(),
            Value::Object(_) => "{".to_owned(),
        };
        if depth > 0 && !value.is_array() {
            if depth > MAX_DEPTH {
                return;
            }
            if depth > 1 {
                *nested += 1;
            }
            if *nested <= MAX_NESTED && self.0.len() < MAX_ENTRIES {
                self.0.push((path.to_owned(), scalar));
            }
        }
        if depth >= MAX_DEPTH {
            return;
        }
        match value {
            Value::Array(values) => {
                let path = format!("{path}[]");
                values.iter().for_each(|value| self.add(value, &path, depth + 1, nested));
            }
            Value::Object(fields) => {
                for (key, value) in fields.iter() {
                    let key = key.replace('.', "_");
                    let path = if path.is_empty() { key } else { format!("{path}.{key}") };
                    self.add(value, &path, depth + 1, nested);
                }
            }
            _ => {}
        }
    }

    fn at(&self, path: &str) -> Option<&str> {
        self.0.iter().find(|(at, value)| at == path && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    fn text(&self, rules: &StreamRules) -> Option<&str> {
        rules.text.iter().find_map(|path| self.at(path))
    }

    fn is(&self, rules: &StreamRules, kind: Kind) -> bool {
        let of_kind = rules.rules.iter().filter(|rule| rule.0 == kind);
        of_kind.into_iter().any(|rule| rule.1.iter().all(|condition| self.holds(condition)))
    }

    fn holds(&self, condition: &str) -> bool {
        let (wanted, condition) = condition.strip_prefix('!').map_or((true, condition), |rest| (false, rest));
        let Some((path, value)) = condition.split_once('=') else { return false };
        let matches = |(at, is): &(String, String)| {
            let value_matches = match value.strip_suffix('*') {
                Some(start) => is == value || is.starts_with(start),
                None => is == value,
            };
            value_matches && path_matches(path, at)
        };
        self.0.iter().any(matches) == wanted
    }
}

fn path_matches(wanted: &str, path: &str) -> bool {
    if wanted == path || !wanted.contains('*') {
        return wanted == path;
    }
    let piece =
        |(wanted, is): (&str, &str)| wanted == is || wanted.strip_prefix('*').is_some_and(|end| is.ends_with(end));
    wanted.split('.').count() == path.split('.').count() && wanted.split('.').zip(path.split('.')).all(piece)
}

/// The first row of a profile's error table that matches an error or a stray text. Quoted parts of the text are
/// ignored.
pub fn find_row<'a, 'b>(rows: &'a [ErrorRow<'b>], held: &[usize], text: &str) -> Option<&'a ErrorRow<'b>> {
    rows.iter().enumerate().find_map(|(number, row)| {
        let fields = row.fields.is_empty() || held.contains(&(number + 1));
        let words = row
            .pattern
            .is_none_or(|pattern| crate::agent::profiles::compile(pattern).is_ok_and(|pattern| pattern.is_match(text)));
        (fields && words && !(row.fields.is_empty() && row.pattern.is_none())).then_some(row)
    })
}

/// The first line of a text without the parts between quotes, because a message may quote anything.
pub fn unquoted(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let mut out = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        let close = match c {
            '"' | '`' => after.find(c).map_or(Some(after.len()), |at| Some(at + 1)),
            '“' => after.find('”').map_or(Some(after.len()), |at| Some(at + '”'.len_utf8())),
            // An apostrophe within a word does not begin a quotation.
            '\'' if !out.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') => {
                after.find('\'').map(|at| at + 1)
            }
            _ => None,
        };
        match close {
            Some(length) => {
                out.push(' ');
                rest = &after[length..];
            }
            None => {
                out.push(c);
                rest = after;
            }
        }
    }
    out
}

/// Whether the profile reads a stream of events.
pub fn is_structured(profile: &Profile) -> bool {
    stream_rules::of(profile.dialect).is_some()
}

#[cfg(test)]
mod tests;
