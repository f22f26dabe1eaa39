//! The commands of an agent, each with its outcomes over time.

use super::{Line, Place as _};
use crate::agent::dialect::Reader;
use crate::agent::sanitize::code;

/// Maximum different commands of a log that are kept: those that ran last.
pub(super) const MAX_COMMANDS: usize = 60;
/// Maximum changes of outcome of a command that are kept: the last ones.
const MAX_RUNS: usize = 8;
/// Maximum commands without an end that are kept.
const MAX_OPEN: usize = 64;

/// How a command ended, as the CLI reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Exit(i64),
    /// The log has no exit status: it was cut off, or the CLI does not report one.
    NotRecorded,
    /// The CLI did not run it.
    Refused,
}

impl Ended {
    /// Whether it is known that the command did not succeed.
    pub fn is_failure(self) -> bool {
        !matches!(self, Ended::Exit(0) | Ended::NotRecorded)
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Exit(status) => write!(f, "exit {status}"),
            Ended::NotRecorded => f.write_str("no exit recorded"),
            Ended::Refused => f.write_str("refused"),
        }
    }
}

/// Equal outcomes in a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Runs {
    pub ended: Ended,
    pub count: u64,
    pub first: Line,
    pub last: Line,
}

/// A command and its runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// On one line, shortened, without backticks.
    pub text: String,
    pub runs: Vec<Runs>,
    /// Number of runs before them.
    pub left_out: u64,
}

impl Command {
    fn add(&mut self, ended: Ended, line: Line) {
        match self.runs.last_mut().filter(|last| last.ended == ended) {
            Some(last) => (last.count, last.last) = (last.count + 1, line),
            None => self.runs.push(Runs { ended, count: 1, first: line, last: line }),
        }
        if self.runs.len() > MAX_RUNS {
            self.left_out += self.runs.remove(0).count;
        }
    }
}

/// The commands of a log that ran last, in the order of their first run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    pub shown: Vec<Command>,
    /// Number of commands before them.
    pub left_out: usize,
    /// Commands that began and have no end yet.
    open: Vec<(Line, String)>,
}

impl Commands {
    pub(super) fn start(&mut self, command: &str, line: u64) {
        if self.open.len() == MAX_OPEN {
            self.open.remove(0);
        }
        self.open.push((Line::new(line), code(command)));
    }

    pub(super) fn end(&mut self, command: &str, ended: Ended, line: u64) {
        let text = code(command);
        if let Some(at) = self.open.iter().position(|(_, open)| *open == text) {
            self.open.remove(at);
        }
        self.add(text, ended, Line::new(line));
    }

    fn add(&mut self, text: String, ended: Ended, line: Line) {
        if let Some(known) = self.shown.iter_mut().find(|command| command.text == text) {
            return known.add(ended, line);
        }
        if self.shown.len() == MAX_COMMANDS {
            let last = |command: &Command| command.runs.last().map(|runs| runs.last.line);
            let oldest = (0..self.shown.len()).min_by_key(|at| last(&self.shown[*at])).unwrap_or(0);
            self.shown.remove(oldest);
            self.left_out += 1;
        }
        let mut command = Command { text, runs: Vec::new(), left_out: 0 };
        command.add(ended, line);
        self.shown.push(command);
    }

    /// The commands so far. One without an end counts from its start.
    pub(super) fn so_far(&self) -> Commands {
        let mut all = Commands { open: Vec::new(), ..self.clone() };
        for (line, text) in &self.open {
            all.add(text.clone(), Ended::NotRecorded, *line);
        }
        all
    }

    pub(super) fn place(&mut self, reader: &Reader) {
        let runs = self.shown.iter_mut().flat_map(|command| &mut command.runs);
        runs.for_each(|runs| {
            runs.first.place(reader);
            runs.last.place(reader);
        });
    }
}
