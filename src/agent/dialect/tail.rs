//! The last lines of a log that are no events.

use std::collections::VecDeque;

use crate::agent::text::prefix;

/// How far back from the end of the log a line may lie, in bytes.
const WINDOW: u64 = 4096;
/// Longest piece of one line that is kept, in bytes.
const MAX_KEPT: usize = WINDOW as usize;

#[derive(Default)]
pub(super) struct Tail {
    /// Line number, offset of its end, text.
    lines: VecDeque<(u64, u64, String)>,
}

impl Tail {
    pub(super) fn add(&mut self, number: u64, end: u64, text: &str) {
        // A line that begins like JSON is a torn event, and may hold prose.
        if !text.trim().is_empty() && !text.starts_with('{') {
            self.lines.push_back((number, end, prefix(text, MAX_KEPT).to_owned()));
        }
        self.forget_before(end);
    }

    /// Drops what ended more than the window before `end`.
    pub(super) fn forget_before(&mut self, end: u64) {
        while self.lines.front().is_some_and(|line| line.1 + WINDOW <= end) {
            self.lines.pop_front();
        }
    }

    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = (u64, &str)> {
        self.lines.iter().map(|(number, _, text)| (*number, text.as_str()))
    }
}
