//! What a log says about the work, for `handoff.md`. Each claim has the line that proves it.

use std::io::Read;

use crate::agent::dialect::Reader;
use crate::agent::sanitize::{SHORT, in_checkout, one_line, paragraph};
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::profile::DialectName;

/// Maximum characters of a quoted message.
const MAX_SAID: usize = 2000;
const MAX_TRIED: usize = 40;
const MAX_FILES: usize = 60;
const MAX_BLOCKERS: usize = 12;
/// Lines of stderr that are quoted if no terminal event says how the agent ended.
const MAX_STRAY: usize = 5;

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

    fn place(&mut self, reader: &Reader) {
        (self.part, self.line) = reader.place(self.line);
    }

    /// `attempt-2.log:118`.
    pub fn pointer(&self, attempt: AttemptNo) -> String {
        format!("{}:{}", log_name(attempt, self.part), self.line)
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
    /// Commands, with the exit statuses that the CLI reports.
    pub tried: Items,
    /// Files that the agent says it touched, each once. The captured tree shows the real changes.
    pub files: Items,
    /// Refusals, errors and retries.
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
    /// The last message of the assistant, unprocessed, because only the last of many is shown.
    said: Option<(u64, String)>,
    /// Ends with `/`.
    workspace: Option<String>,
}

impl SummaryBuilder {
    /// `workspace` is removed from the front of paths.
    pub fn new(workspace: Option<&str>) -> SummaryBuilder {
        let workspace = workspace.map(|workspace| format!("{}/", workspace.trim_end_matches('/')));
        SummaryBuilder { summary: Summary::default(), said: None, workspace }
    }

    /// Takes the next event and its line.
    pub fn note(&mut self, line: u64, event: &AgentEvent) {
        match event {
            AgentEvent::Text { text } => match &mut self.said {
                Some((at, said)) => {
                    *at = line;
                    said.clone_from(text);
                }
                said @ None => *said = Some((line, text.clone())),
            },
            event => self.summary.note(line, event, self.workspace.as_deref()),
        }
    }

    /// The summary so far; `reader` is the one that the events came from.
    pub fn summary(&self, dialect: DialectName, reader: &Reader) -> Summary {
        let mut summary = self.summary.clone();
        summary.said = self.said.as_ref().map(|(line, text)| Item::new(paragraph(text, MAX_SAID), *line));
        summary.add_stray(dialect, reader);
        summary.place(reader);
        summary
    }
}

impl Summary {
    fn note(&mut self, line: u64, event: &AgentEvent, inside: Option<&str>) {
        match event {
            AgentEvent::Started { session, model } => {
                self.session = session.clone().or(self.session.take());
                self.model = model.clone().or(self.model.take());
            }
            AgentEvent::Edit { path, added, removed } => self.touched(path, *added, *removed, line, inside),
            AgentEvent::Command { command, exit } => {
                let exit = exit.map_or_else(|| "no exit code".to_owned(), |code| format!("exit {code}"));
                self.tried.add(format!("`{}` → {exit}", code(command)), line, MAX_TRIED);
            }
            AgentEvent::Refused { what } => self.blocked(&format!("refused: {what}"), line),
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
            AgentEvent::Text { .. }
            | AgentEvent::CommandStarted { .. }
            | AgentEvent::Tool { .. }
            | AgentEvent::Raw { .. } => {}
        }
    }

    /// Converts lines counted over all parts to lines of their part.
    fn place(&mut self, reader: &Reader) {
        let lists = [&mut self.tried, &mut self.files, &mut self.blockers];
        let items = lists.into_iter().flat_map(|list| &mut list.shown);
        items.chain(&mut self.said).for_each(|item| item.place(reader));
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
            self.blockers.add(text, line, MAX_BLOCKERS);
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

/// Text for a code span in Markdown.
fn code(text: &str) -> String {
    one_line(text, SHORT).replace('`', "'")
}

#[cfg(test)]
mod tests;
