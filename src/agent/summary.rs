//! What a log says about the work, for `handoff.md`. Each claim has the line that proves it.

mod commands;

pub use commands::{Command, Commands, Ended, Runs};

use std::collections::VecDeque;
use std::io::Read;

use crate::agent::dialect::Reader;
use crate::agent::sanitize::{SHORT, code, in_checkout, one_line, paragraph, prefix};
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::profile::DialectName;

/// Maximum characters of a quoted message.
const MAX_SAID: usize = 2000;
/// Maximum bytes that are kept of a message.
const MAX_KEPT: usize = 16 << 10;
/// Maximum messages that are quoted: the last ones.
const MAX_MESSAGES: usize = 12;
const MAX_FILES: usize = 60;
const MAX_ERRORS: usize = 12;
/// The names of the shell tool in the dialects' reports of a refusal.
const SHELLS: [&str; 3] = ["shell: ", "Bash: ", "command: "];
/// Lines of stderr that are quoted if no terminal event says how the agent ended.
const MAX_STRAY: usize = 5;

/// A line of a log, from 1, in its part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub line: u64,
    pub part: u32,
}

impl Line {
    /// Makes a line counted over all parts, until it is placed.
    fn new(line: u64) -> Line {
        Line { line, part: 1 }
    }

    /// `attempt-2.log:118`.
    pub fn pointer(&self, attempt: AttemptNo) -> String {
        format!("{}:{}", log_name(attempt, self.part), self.line)
    }
}

/// Converts a line counted over all parts to a line of its part.
trait Place {
    fn place(&mut self, reader: &Reader);
}

impl Place for Line {
    fn place(&mut self, reader: &Reader) {
        (self.part, self.line) = reader.place(self.line);
    }
}

/// A claim, and the line of the log that proves it (from 1) in its part of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub text: String,
    pub line: u64,
    pub part: u32,
}

impl Item {
    /// Makes a claim with a line counted over all parts, until it is [`Item::place`]d.
    fn new(text: String, line: u64) -> Item {
        Item { text, line, part: 1 }
    }

    /// `attempt-2.log:118`.
    pub fn pointer(&self, attempt: AttemptNo) -> String {
        format!("{}:{}", log_name(attempt, self.part), self.line)
    }
}

impl Place for Item {
    fn place(&mut self, reader: &Reader) {
        (self.part, self.line) = reader.place(self.line);
    }
}

/// The latest claims of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Items {
    /// The shown claims, in the order of the log.
    pub shown: Vec<Item>,
    /// Number of earlier claims that are not shown.
    pub left_out: usize,
}

impl Items {
    fn add(&mut self, text: String, line: u64, max: usize) {
        if self.shown.last().is_some_and(|last| last.text == text) {
            self.shown.pop();
        } else if self.shown.len() == max {
            self.shown.remove(0);
            self.left_out += 1;
        }
        self.shown.push(Item::new(text, line));
    }
}

/// The contents of one attempt's log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The session that the stream names.
    pub session: Option<String>,
    pub model: Option<String>,
    /// The last message of the assistant, with its newlines.
    pub said: Option<Item>,
    /// The last messages of the assistant, each on one short line.
    pub messages: Items,
    /// Commands, with the exit statuses that the CLI reports.
    pub commands: Commands,
    /// Files that the agent says it touched, each once. The captured tree shows the real changes.
    pub files: Items,
    /// Tool calls that were refused, apart from commands.
    pub refused: Items,
    /// Errors and retries after which the agent continued.
    pub survived: Items,
    /// Those without progress after them.
    pub blockers: Items,
    /// Whether the terminal event reports success. `None`: the log has none, so this summary is partial.
    pub finished: Option<bool>,
    pub tokens: Option<u64>,
    /// US dollars as the CLI reports them. Claude's value is the total over the resumes of a session.
    pub cost_usd: Option<String>,
}

/// Summarises a log. `workspace` is removed from the front of paths. Errors are those of reading.
pub fn summarise(dialect: DialectName, log: impl Read, workspace: Option<&str>) -> std::io::Result<Summary> {
    let mut reader = Reader::new(dialect);
    let mut builder = SummaryBuilder::new(workspace);
    let mut log = std::io::BufReader::with_capacity(64 * 1024, log);
    loop {
        let chunk = std::io::BufRead::fill_buf(&mut log)?;
        if chunk.is_empty() {
            break;
        }
        let (length, events) = (chunk.len(), reader.push(chunk));
        std::io::BufRead::consume(&mut log, length);
        events.iter().for_each(|(line, event)| builder.note(*line, event));
    }
    reader.finish().iter().for_each(|(line, event)| builder.note(*line, event));
    Ok(builder.summary(dialect, &reader))
}

/// Builds a summary: takes events as they come, and returns the summary so far at any time.
pub struct SummaryBuilder {
    summary: Summary,
    /// The last messages of the assistant, unprocessed, because only the last of many are shown.
    messages: VecDeque<(u64, String)>,
    /// Number of messages before them.
    earlier_messages: usize,
    /// The last line on which the agent made progress.
    progress: u64,
    /// Ends with `/`.
    workspace: Option<String>,
}

impl SummaryBuilder {
    /// `workspace` is removed from the front of paths.
    pub fn new(workspace: Option<&str>) -> SummaryBuilder {
        let workspace = workspace.map(|workspace| format!("{}/", workspace.trim_end_matches('/')));
        SummaryBuilder {
            summary: Summary::default(),
            messages: VecDeque::new(),
            earlier_messages: 0,
            progress: 0,
            workspace,
        }
    }

    /// Takes the next event and its line.
    pub fn note(&mut self, line: u64, event: &AgentEvent) {
        if is_progress(event) {
            self.progress = line;
        }
        match event {
            AgentEvent::Text { text } => self.keep_message(line, prefix(text, MAX_KEPT)),
            event => self.summary.note(line, event, self.workspace.as_deref()),
        }
    }

    fn keep_message(&mut self, line: u64, text: &str) {
        let mut kept = (line, String::new());
        if self.messages.len() == MAX_MESSAGES {
            self.earlier_messages += 1;
            kept = self.messages.pop_front().unwrap_or_default();
        }
        kept.0 = line;
        // The memory of the oldest message is used again.
        kept.1.clear();
        kept.1.push_str(text);
        self.messages.push_back(kept);
    }

    /// The summary so far; `reader` is the one that the events came from.
    pub fn summary(&self, dialect: DialectName, reader: &Reader) -> Summary {
        let mut summary = self.summary.clone();
        summary.commands = self.summary.commands.so_far();
        summary.messages.left_out = self.earlier_messages;
        for (line, text) in &self.messages {
            summary.messages.add(code(text), *line, MAX_MESSAGES);
        }
        summary.said = self.messages.back().map(|(line, text)| Item::new(paragraph(text, MAX_SAID), *line));
        let (survived, open) = summary.blockers.shown.drain(..).partition(|item| item.line <= self.progress);
        summary.survived = Items { shown: survived, left_out: summary.blockers.left_out };
        summary.blockers = Items { shown: open, left_out: 0 };
        summary.add_stray(dialect, reader);
        summary.place(reader);
        summary
    }
}

/// Whether the event shows that the agent works.
fn is_progress(event: &AgentEvent) -> bool {
    matches!(
        event,
        AgentEvent::Text { .. }
            | AgentEvent::Edit { .. }
            | AgentEvent::CommandStarted { .. }
            | AgentEvent::Command { .. }
            | AgentEvent::Tool { .. }
    )
}

impl Summary {
    fn note(&mut self, line: u64, event: &AgentEvent, inside: Option<&str>) {
        match event {
            AgentEvent::Started { session, model } => {
                self.session = session.clone().or(self.session.take());
                self.model = model.clone().or(self.model.take());
            }
            AgentEvent::Edit { path, added, removed } => self.touched(path, *added, *removed, line, inside),
            AgentEvent::CommandStarted { command } => self.commands.start(command, line),
            AgentEvent::Command { command, exit } => {
                self.commands.end(command, exit.map_or(Ended::NotRecorded, Ended::Exit), line);
            }
            AgentEvent::Refused { what } => match SHELLS.iter().find_map(|shell| what.strip_prefix(shell)) {
                Some(command) => self.commands.end(command, Ended::Refused, line),
                None => self.refused.add(code(what), line, MAX_ERRORS),
            },
            AgentEvent::Retrying { reason } => self.blocked(&format!("the agent retried: {reason}"), line),
            AgentEvent::Warning { text } => self.blocked(text, line),
            AgentEvent::Finished { ok, message, session, tokens, cost_usd } => {
                self.finished = Some(*ok);
                self.session = session.clone().or(self.session.take());
                (self.tokens, self.cost_usd) = (tokens.or(self.tokens), cost_usd.clone().or(self.cost_usd.take()));
                if !ok {
                    self.blocked(message, line);
                }
            }
            AgentEvent::Text { .. } | AgentEvent::Tool { .. } | AgentEvent::Raw { .. } => {}
        }
    }

    /// Every text that comes from the log, to mask secrets.
    pub fn texts_mut(&mut self) -> impl Iterator<Item = &mut String> {
        let Summary { session, model, said, messages, commands, files, refused, survived, blockers, .. } = self;
        let lists = [messages, files, refused, survived, blockers].into_iter().flat_map(|list| &mut list.shown);
        let commands = commands.shown.iter_mut().map(|command| &mut command.text);
        lists.chain(said).map(|item| &mut item.text).chain(commands).chain(session).chain(model)
    }

    /// Converts lines counted over all parts to lines of their part.
    fn place(&mut self, reader: &Reader) {
        let lists = [&mut self.messages, &mut self.files, &mut self.refused, &mut self.survived, &mut self.blockers];
        let items = lists.into_iter().flat_map(|list| &mut list.shown);
        items.chain(&mut self.said).for_each(|item| item.place(reader));
        self.commands.place(reader);
    }

    fn touched(&mut self, path: &str, added: Option<u64>, removed: Option<u64>, line: u64, inside: Option<&str>) {
        let path = code(inside.and_then(|inside| path.strip_prefix(inside)).unwrap_or(in_checkout(path)));
        let name = format!("`{path}`");
        self.files.shown.retain(|item| item.text != name && !item.text.starts_with(&format!("{name} ")));
        let text = match (added, removed) {
            (None, None) => name,
            (added, removed) => format!("{name} (+{} −{})", added.unwrap_or(0), removed.unwrap_or(0)),
        };
        self.files.add(text, line, MAX_FILES);
    }

    fn blocked(&mut self, text: &str, line: u64) {
        let text = one_line(text, SHORT);
        if !text.is_empty() {
            self.blockers.add(text, line, MAX_ERRORS);
        }
    }

    /// Adds the last lines of stderr if the agent did not end well; in a plain log, its last lines are its message.
    fn add_stray(&mut self, dialect: DialectName, reader: &Reader) {
        let mut last: Vec<_> = reader.stray_lines().rev().take(MAX_STRAY).collect();
        last.reverse();
        if dialect == DialectName::Plain {
            let text = last.iter().map(|(_, text)| *text).collect::<Vec<_>>().join("\n");
            self.said = last.first().map(|(line, _)| Item::new(paragraph(&text, MAX_SAID), *line));
        } else if self.finished != Some(true) {
            last.into_iter().for_each(|(line, text)| self.blocked(text, line));
        }
    }
}

#[cfg(test)]
mod tests;
