//! Reads a `handoff.md` that people or agents wrote. Nothing in it is trusted, and what is missing is not invented.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::sanitize::{one_line, paragraph};
use crate::mirror::document;
use crate::mirror::hand_made::MOST_ATTEMPT;
use crate::model::adopted::Note;
use crate::model::attempt::AttemptNo;

/// Maximum characters of the task, of a command, and of what a section said.
const MOST_TASK: usize = 100_000;
const MOST_COMMAND: usize = 8_000;
const MOST_NOTE: usize = 16_000;
/// Maximum sections, and characters of all of them.
const MOST_NOTES: usize = 40;
const MOST_NOTED: usize = 64_000;
/// Maximum characters of a value of the metadata.
const MOST_VALUE: usize = 400;
/// Maximum attempts that the page may name without a log.
const MOST_NAMED: AttemptNo = 100;

/// The keys of the template's metadata, and of the lines that handoff adds. The lines of other keys are people's.
const KEYS: [&str; 17] = [
    "status",
    "task",
    "model",
    "session id",
    "session",
    "workspace",
    "started",
    "current attempt",
    "host",
    "agent",
    "verdict",
    "ended",
    "base",
    "check",
    "owner",
    "worktree",
    "unreachable since",
];
/// Headings under which the task may be, in lower case.
const TASKS: [&str; 4] = ["task", "goal", "original task", "delegated task"];
const RESUME: &str = "resume prompt";

/// What a page says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    pub status: Option<String>,
    pub task: Option<String>,
    pub model: Option<String>,
    pub session: Option<String>,
    /// When it was started, in its own words.
    pub started: Option<String>,
    /// The beginning of a commit id, or all of it.
    pub base: Option<String>,
    /// The attempts that it names.
    pub attempts: BTreeSet<AttemptNo>,
    /// What its code says before and at the place where it names the log of an attempt.
    pub commands: BTreeMap<AttemptNo, String>,
    /// What was written, by section, in order.
    pub notes: Vec<Note>,
}

impl Page {
    /// Reads a page. Any bytes are a page.
    pub fn read(bytes: &[u8]) -> Page {
        let mut page = Page::default();
        let mut left = MOST_NOTED;
        for (name, body) in document::bodies(bytes) {
            let heading = tidy(&name);
            let note = match heading.as_str() {
                "" | "metadata" => page.metadata(&body, heading.is_empty()),
                "commands" | "command" => {
                    page.commands(&body);
                    continue;
                }
                "logs" | "log" => {
                    page.attempts.extend(logs_in(&body));
                    continue;
                }
                _ => body,
            };
            if TASKS.contains(&heading.as_str()) && page.task.is_none() {
                page.task = text(&unfenced(&note), MOST_TASK);
            }
            if heading == RESUME {
                page.task_of_prompt(&note);
            }
            let is_ours = document::OURS.contains(&name.as_str());
            let section = if is_ours { name } else { one_line(&heading, MOST_VALUE) };
            let said = text(&unfenced(&note), MOST_NOTE.min(left)).filter(|said| !is_template(said));
            if let Some(said) =
                said.filter(|said| document::is_written(said.as_bytes()) && page.notes.len() < MOST_NOTES)
            {
                left = left.saturating_sub(said.chars().count()).max(1);
                page.notes.push(Note { section, text: said });
            }
        }
        page
    }

    /// Reads the lines `Key: value`, and returns the others. Before the first heading, any text may be.
    fn metadata(&mut self, body: &str, is_preamble: bool) -> String {
        let mut rest = String::new();
        let mut lines = body.lines().peekable();
        while let Some(line) = lines.next() {
            let is_mark = is_preamble && (line.starts_with("# ") || line.trim() == "---");
            let Some((key, first)) = field(line).filter(|(key, _)| KEYS.contains(&key.as_str())) else {
                let is_place = field(line).is_some_and(|(_, value)| text(value, MOST_VALUE).is_none());
                if !is_mark && !is_place {
                    rest.push_str(line);
                    rest.push('\n');
                }
                continue;
            };
            let mut value = first.to_owned();
            // A value of several lines is indented.
            while let Some(more) = lines.next_if(|next| next.starts_with("  ") || is_gap(next) && key == "task") {
                value.push('\n');
                value.push_str(more.strip_prefix("  ").unwrap_or(more));
            }
            self.set(&key, &value);
        }
        rest
    }

    fn set(&mut self, key: &str, value: &str) {
        let line = || text(value, MOST_VALUE).map(|value| one_line(value.trim_matches(['`', '*', '"']), MOST_VALUE));
        match key {
            "status" => self.status = line(),
            "task" => self.task = text(value, MOST_TASK),
            "model" => self.model = line().filter(|model| model != "default" && is_plain(model, "._:/@[]-")),
            "session id" | "session" => self.session = line().filter(|it| it != "pending" && is_plain(it, "_-")),
            "current attempt" => {
                let last = line().and_then(|n| n.parse().ok()).filter(|n| *n <= MOST_NAMED);
                self.attempts.extend(1..=last.unwrap_or(0));
            }
            "started" => self.started = line(),
            "base" => self.base = line().and_then(|line| commit_in(&line)),
            _ => {}
        }
    }

    /// Splits the code at the logs that it names: the command of an attempt ends where its output goes.
    fn commands(&mut self, body: &str) {
        let mut command = String::new();
        for line in unfenced(body).lines() {
            command.push_str(line);
            command.push('\n');
            if let Some(n) = logs_in(line).into_iter().next() {
                self.attempts.insert(n);
                if let Some(text) = text(&std::mem::take(&mut command), MOST_COMMAND) {
                    self.commands.insert(n, text);
                }
            }
        }
    }

    /// The resume prompt has the task word for word, and the metadata may have it on one line.
    fn task_of_prompt(&mut self, body: &str) {
        let prompt = unfenced(body);
        let Some((_, after)) = prompt.split_once("Original task:") else { return };
        let task = after.split("\nLatest known state:").next().unwrap_or_default();
        let words = |text: &str| text.replace('\\', "").split_whitespace().collect::<Vec<_>>().join(" ");
        if self.task.as_ref().is_none_or(|known| words(known) == words(task)) {
            self.task = text(task, MOST_TASK).or_else(|| self.task.take());
        }
    }
}

/// A heading without a number, emphasis or a colon.
fn tidy(name: &str) -> String {
    let name = name.trim().trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | ' '));
    name.trim_matches(['*', '_', '`', ':', ' ']).to_lowercase()
}

/// `- Key: value`, with or without the mark of a list and emphasis. The key is in lower case.
fn field(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start_matches(['-', '*', '+']).trim_start();
    let (key, value) = line.split_once(':')?;
    let key = key.trim_matches(['*', '_', '`', ' ']).to_lowercase();
    Some((key, value.trim_start_matches(['*', '_', '`']).trim()))
}

fn is_gap(line: &str) -> bool {
    line.trim().is_empty()
}

/// A text without what a terminal would obey. `None`: it is empty, or one of the template's places to fill.
fn text(text: &str, max: usize) -> Option<String> {
    let text = paragraph(text, max);
    let is_place = text.starts_with('<') && text.ends_with('>') && !text.contains('\n');
    (!text.is_empty() && !is_place).then_some(text)
}

/// Whether a prompt still has the places of the template.
fn is_template(text: &str) -> bool {
    ["<single concrete next action>", "<summary from latest attempt>", "<factual summary from the latest attempt>"]
        .iter()
        .any(|place| text.contains(place))
}

fn is_plain(text: &str, more: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || more.contains(c);
    text.len() <= 128 && text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(is_word)
}

/// The first word that can be a commit id.
fn commit_in(line: &str) -> Option<String> {
    let is_id = |word: &&str| (7..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.split(|c: char| !c.is_ascii_alphanumeric()).find(is_id).map(str::to_lowercase)
}

/// The attempts whose logs a text names.
fn logs_in(text: &str) -> BTreeSet<AttemptNo> {
    let after = text.split("attempt-").skip(1);
    let numbers = after.filter_map(|rest| rest.split_once(".log")?.0.parse().ok());
    numbers.filter(|n| (1..=MOST_ATTEMPT).contains(n)).take(MOST_NAMED as usize).collect()
}

/// What is inside the fence, if the text is one block of code.
fn unfenced(body: &str) -> String {
    let body = body.trim_matches('\n').trim_end();
    let Some(sign) = body.chars().next().filter(|sign| matches!(sign, '`' | '~')) else { return body.to_owned() };
    let fence: String = body.chars().take_while(|c| *c == sign).collect();
    let lines: Vec<&str> = body.lines().collect();
    let ends = lines.iter().skip(1).filter(|line| line.trim() == fence).count();
    match lines[..] {
        [_, ref inside @ .., last] if fence.len() > 2 && ends == 1 && last.trim() == fence => inside.join("\n"),
        _ => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The skill's page after one attempt.
    const WHOLE: &str = include_str!("../../../tests/fixtures/hand-made/whole.md");

    fn note<'a>(page: &'a Page, section: &str) -> &'a str {
        page.notes.iter().find(|note| note.section == section).map_or("", |note| &note.text)
    }

    #[test]
    fn a_page_of_the_skill_is_read_whole() {
        let page = Page::read(WHOLE.as_bytes());
        assert_eq!(page.status.as_deref(), Some("done"));
        assert_eq!(page.task.as_deref(), Some("Two tests of the till fail. Fix total.sh."));
        assert_eq!(page.model.as_deref(), Some("composer-2.5"));
        assert_eq!(page.session.as_deref(), Some("22222222-2222-4222-8222-222222222222"));
        assert_eq!(page.attempts, BTreeSet::from([1]));
        assert!(page.commands[&1].contains("agent --resume \"$chat_id\" --print"), "{:?}", page.commands);
        assert!(note(&page, "what it tried").contains("sh test.sh"));
        assert!(note(&page, "resume prompt").contains("Round half up"));
        assert_eq!(note(&page, "notes of mine"), "Ask Kim about the rounding.");
        assert_eq!(page.started.as_deref(), Some("2026-04-07T09:12:00Z"));
        let pending = ["errors or blockers", "final outcome", "headed takeover prompt", "metadata", "logs", "commands"];
        assert!(pending.iter().all(|name| note(&page, name).is_empty()), "{:?}", page.notes);
    }

    #[test]
    fn nothing_is_read_into_a_template_that_nobody_filled() {
        let seed = "# Background Agent Handoff: <handoff-id>\n## Metadata\n- Status: running\n- Task: <original delegated task>\n\
            - Model: <default or explicit model>\n- Workspace: <repo path>\n- Started: <timestamp>\n- Session ID: <agent create-chat output>\n- Current attempt: 1\n\
            ## Commands\n```bash\n<exact launch command>\n```\n## Logs\n- `attempt-1.log`\n## What It Tried\n- Pending.\n\
            ## Resume Prompt\n```text\nOriginal task:\n<original task>\nLatest known state:\n<summary from latest attempt>\n```\n";
        let page = Page::read(seed.as_bytes());
        let only = Page { status: Some("running".into()), attempts: BTreeSet::from([1]), ..Page::default() };
        assert_eq!(page, only);
        assert_eq!(Page::read(b""), Page::default());
    }

    #[test]
    fn other_shapes_of_the_same_facts_are_understood() {
        let page = Page::read(b"status: Running\n**Task:** Fix it\nCurrent attempt: 2\n\nA remark.\n");
        assert_eq!((page.status.as_deref(), page.task.as_deref()), (Some("Running"), Some("Fix it")));
        assert_eq!((page.attempts, &page.notes[0].text[..]), (BTreeSet::from([1, 2]), "A remark."));
        let page = Page::read(b"# Handoff\n## 1. Goal:\n\nFix it.\nAll of it.\n\n## **What it tried**\n* make\n");
        assert_eq!(page.task.as_deref(), Some("Fix it.\nAll of it."));
        assert_eq!(note(&page, "what it tried"), "* make");
        let page = Page::read(
            b"## Metadata\n* __Task__: one\n  two\n\n  three\n* Ticket: 7\n* Base: commit `ABCDEF1` (main)\n",
        );
        assert_eq!(page.task.as_deref(), Some("one\ntwo\n\nthree"));
        assert_eq!((note(&page, "metadata"), page.base.as_deref()), ("* Ticket: 7", Some("abcdef1")));
        // The prompt has the task word for word.
        let page = Page::read(
            b"## Metadata\n- Task: a \\<b> c\n## Resume Prompt\nOriginal task:\n\na <b>\nc\n\nLatest known state:\nx\n",
        );
        assert_eq!(page.task.as_deref(), Some("a <b>\nc"));
        let page = Page::read(
            b"## Metadata\n- Task: mine\n## Resume Prompt\nOriginal task:\nanother\nLatest known state:\nx\n",
        );
        assert_eq!(page.task.as_deref(), Some("mine"), "two tasks are not one");
    }

    #[test]
    fn the_command_of_an_attempt_ends_where_its_output_goes() {
        let page = Page::read(
            b"## Commands\n```bash\nid=\"$(agent create-chat)\"\nagent -p \"a\nb\" > x/attempt-1.log 2>&1\nagent -p c \\\n  > attempt-3.log\nlost\n```\n",
        );
        assert_eq!(page.commands[&1], "id=\"$(agent create-chat)\"\nagent -p \"a\nb\" > x/attempt-1.log 2>&1");
        assert_eq!(page.commands[&3], "agent -p c \\\n  > attempt-3.log");
        assert_eq!(page.attempts, BTreeSet::from([1, 3]));
    }

    #[test]
    fn hostile_values_are_cut_and_cleaned() {
        let task = format!("- Task: \u{1b}[31mred\u{202e}\u{0}{}\n", "x".repeat(200_000));
        let page = format!(
            "## Metadata\n{task}- Model: --dangerous\n- Session ID: $(rm -rf /)\n- Current attempt: 4294967295\n\
             - Base: HEAD~1\n## Notes\n{}\n## More\n{}\n",
            "\u{7}n".repeat(50_000),
            "m".repeat(90_000)
        );
        let page = Page::read(page.as_bytes());
        let task = page.task.unwrap();
        assert!(task.starts_with("[31mred  x") && task.chars().count() <= MOST_TASK, "{:?}", &task[..20]);
        assert_eq!((page.model, page.session, page.base), (None, None, None));
        let shown = Page::read(b"- Model: Composer 2.5 (chosen: x)\n");
        assert_eq!(shown.model, None, "a CLI has no name with a space for a model");
        assert!(page.attempts.is_empty());
        assert!(page.notes.iter().map(|note| note.text.chars().count()).sum::<usize>() <= MOST_NOTED);
        assert!(!page.notes[0].text.contains('\u{7}'));
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_page(bytes in prop::collection::vec(any::<u8>(), 0..400), text in "([#`:-]|\n|\t|Task|attempt-1\\.log|## Commands\n|\u{1b}|é| ){0,60}") {
            Page::read(&bytes);
            let page = Page::read(text.as_bytes());
            let is_clean = page.task.iter().chain(page.commands.values()).all(|text| !text.contains('\u{1b}'));
            prop_assert!(is_clean);
        }
    }
}
