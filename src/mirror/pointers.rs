//! The places that the claims of a `handoff.md` point to. A pointer is a code span in brackets with a line of a log, or
//! one after the word `commit`. Words of people and of agents cannot contain one, because they are quoted without
//! backticks or on lines of their own.

use std::collections::BTreeSet;

use super::document;

/// What a claim points to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A line of a file in the record, from 1.
    Line { file: String, line: u64 },
    /// A commit, by its id or the beginning of it.
    Commit(String),
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Line { file, line } => write!(f, "{file}:{line}"),
            Target::Commit(id) => write!(f, "commit {id}"),
        }
    }
}

/// A target, and the section whose claim points to it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pointer {
    /// The name of the section in lower case.
    pub section: String,
    pub target: Target,
}

/// Every pointer in the sections that handoff writes, apart from those in the user's own words.
pub fn pointers(page: &[u8], own_words: &[&str]) -> BTreeSet<Pointer> {
    let exempt: BTreeSet<Target> = own_words.iter().flat_map(|words| targets(words)).collect();
    let mut found = BTreeSet::new();
    for (section, text) in document::ours(page) {
        let targets = targets(&text).into_iter().filter(|target| !exempt.contains(target));
        found.extend(targets.map(|target| Pointer { section: section.clone(), target }));
    }
    found
}

/// The targets in a text. A line that quotes an agent or the output of a program has none.
fn targets(text: &str) -> Vec<Target> {
    let is_quoted = |line: &&str| line.trim_start().starts_with('>') || line.starts_with("    ");
    text.lines().filter(|line| !is_quoted(line)).flat_map(of_line).collect()
}

fn of_line(line: &str) -> Vec<Target> {
    let pieces: Vec<&str> = line.split('`').collect();
    let spans = (1..pieces.len().saturating_sub(1)).step_by(2);
    spans.filter_map(|at| target(pieces[at - 1], pieces[at])).collect()
}

/// The target of a code span after a text.
fn target(before: &str, span: &str) -> Option<Target> {
    if before.ends_with("commit ") {
        let is_id = (7..=64).contains(&span.len()) && span.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_id.then(|| Target::Commit(span.to_owned()));
    }
    if !before.ends_with('(') && before != " to " {
        return None;
    }
    let (file, line) = span.rsplit_once(':')?;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    let is_log = file.starts_with("attempt-") && file.ends_with(".log") && file.bytes().all(is_plain);
    is_log.then_some(Target::Line { file: file.to_owned(), line: line.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::recorded;

    fn found(page: &str, own_words: &[&str]) -> Vec<String> {
        let all = pointers(page.as_bytes(), own_words);
        all.into_iter().map(|pointer| format!("{}: {}", pointer.section, pointer.target)).collect()
    }

    #[test]
    fn claims_of_our_sections_are_found_and_words_of_others_are_not() {
        let outcome = recorded::marked("- By hand: 1 file.\n  - commit `abcdef1234` x");
        let page = format!(
            "# Background Agent Handoff: x\n\n## Metadata\n\n- Base: commit `{}`\n\n## What It Tried\n\n\
             - `commit` → 2 times exit 1 (`attempt-1.log:3` to `attempt-1.2.log:9`), exit 0 (`attempt-2.log:7`)\n\
             - `attempt-9.log:1` → exit 0 (`attempt-2.log:8`)\n> (`attempt-9.log:2`)\n      (`attempt-9.log:3`)\n\n\
             ## Notes\n\nSee (`attempt-9.log:4`) and commit `deadbeef00`.\n\n\
             ## Resume Prompt\n\n```text\nlook at (`attempt-9.log:5`)\nends (`attempt-1.check.log:2`):\n```\n\n\
             ## Final Outcome\n\n{outcome}\n\nmine (`attempt-9.log:6`)\n",
            "1".repeat(40)
        );
        let base = format!("metadata: commit {}", "1".repeat(40));
        let wanted = [
            "final outcome: commit abcdef1234",
            &base,
            "resume prompt: attempt-1.check.log:2",
            "what it tried: attempt-1.2.log:9",
            "what it tried: attempt-1.log:3",
            "what it tried: attempt-2.log:7",
            "what it tried: attempt-2.log:8",
        ];
        assert_eq!(found(&page, &["look at (`attempt-9.log:5`)"]), wanted);
    }

    #[test]
    fn what_only_looks_like_a_pointer_is_none() {
        for text in
            ["(`attempt-1.log`)", "(`attempt-1.log:x`)", "(`../attempt-1.log:1`)", "commit `zzzzzzz`", "(`x.log:1`"]
        {
            assert_eq!(targets(text), [], "{text}");
        }
    }
}
