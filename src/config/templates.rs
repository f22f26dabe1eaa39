//! The texts that handoff writes: prompts for agents, and `handoff.md`. A file of the same name in the user's
//! `templates` directory replaces a built-in template.

mod filters;

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, Value};
use serde::Serialize;

use super::diagnostic::Diagnostic;

/// Names and texts of the built-in templates. `prompt.rules.j2` is shared by the prompts for headless runs.
pub const BUILT_IN: [(&str, &str); 8] = [
    ("prompt.rules.j2", include_str!("../../config/templates/prompt.rules.j2")),
    ("prompt.fresh.j2", include_str!("../../config/templates/prompt.fresh.j2")),
    ("prompt.resume.j2", include_str!("../../config/templates/prompt.resume.j2")),
    ("prompt.check-head.j2", include_str!("../../config/templates/prompt.check-head.j2")),
    ("prompt.check-foot.j2", include_str!("../../config/templates/prompt.check-foot.j2")),
    ("prompt.attached.j2", include_str!("../../config/templates/prompt.attached.j2")),
    ("prompt.takeover.j2", include_str!("../../config/templates/prompt.takeover.j2")),
    ("handoff.md.j2", include_str!("../../config/templates/handoff.md.j2")),
];

/// Maximum bytes of a template.
const MAX_FILE: u64 = 1 << 20;

/// The kinds of prompts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    /// A first run.
    Fresh,
    /// A run that continues the work, in the old session or a new one. It repeats everything.
    Resume,
    /// The text before the end of the check's output.
    CheckHead,
    /// The text after it.
    CheckFoot,
    /// The text before the list of attached files, which the host adds to each prompt.
    Attached,
    /// For the user's own agent in an editor.
    Takeover,
}

impl PromptKind {
    /// The template's file name.
    pub fn file_name(self) -> &'static str {
        match self {
            PromptKind::Fresh => "prompt.fresh.j2",
            PromptKind::Resume => "prompt.resume.j2",
            PromptKind::CheckHead => "prompt.check-head.j2",
            PromptKind::CheckFoot => "prompt.check-foot.j2",
            PromptKind::Attached => "prompt.attached.j2",
            PromptKind::Takeover => "prompt.takeover.j2",
        }
    }
}

/// The values that a prompt may use; every template gets all of them.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct PromptContext<'a> {
    /// The delegated task, verbatim.
    pub task: &'a str,
    /// Name of the repository.
    pub repo: &'a str,
    /// `None` if HEAD is detached.
    pub branch: Option<&'a str>,
    /// The check's shell text. [`PromptKind::CheckHead`] needs it.
    pub check: Option<&'a str>,
    /// Latest known state, from the log and the tree.
    pub state: Option<&'a str>,
    /// One concrete next step.
    pub next_step: Option<&'a str>,
    /// The user's message for a resume or a takeover.
    pub message: Option<&'a str>,
    /// What the headless agent has tried already.
    pub tried: Option<&'a str>,
    /// Blockers or open questions.
    pub blockers: Option<&'a str>,
    /// The name of the program that takes over, such as `Cursor`.
    pub editor: Option<&'a str>,
    /// The paths of the attached files; empty in the prompts for a host, which knows its paths and adds them.
    pub attached: &'a [String],
    /// What the handoff began with: a commit, or a branch without one.
    pub base: &'a str,
    /// The files that were changed since.
    pub files: Option<&'a str>,
    /// The command that shows these changes where the record is.
    pub diff: Option<&'a str>,
    /// What the check said last; `None` without a check, and before its first end.
    pub check_state: Option<&'a str>,
    /// The directory of `handoff.md` and the logs in a worktree.
    pub record: &'a str,
    /// What was noted by hand before the handoff was adopted, quoted; nothing proves it.
    pub noted: Option<&'a str>,
}

/// The values of `handoff.md`. An empty list or `None` in a section is written as `- Pending.`; a `None` in the
/// metadata removes its line. Text from hosts and agents is escaped, so that it cannot change the page's structure.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HandoffPage {
    pub id: String,
    /// The status as recorded: queued, running, waiting, parked, done, failed, stopped, interactive, finished.
    pub status: String,
    pub task: String,
    /// `None` is written as `default`.
    pub model: Option<String>,
    /// `None` is written as `pending`.
    pub session: Option<String>,
    pub workspace: String,
    pub started: String,
    pub current_attempt: u32,
    pub host: Option<String>,
    pub agent: Option<String>,
    pub verdict: Option<String>,
    pub ended: Option<String>,
    pub unreachable_since: Option<String>,
    /// Further lines of the metadata: label and value.
    pub extra: Vec<(String, String)>,
    pub commands: Vec<String>,
    /// File names.
    pub logs: Vec<String>,
    pub latest_summary: Option<String>,
    pub what_it_tried: Vec<String>,
    pub files: Vec<String>,
    pub errors: Vec<String>,
    pub next_step: Option<String>,
    pub resume_prompt: String,
    pub takeover_prompt: String,
    /// How the handoff was finished. What people write under the last heading stays after it.
    pub outcome: Vec<String>,
    /// What was noted by hand before the handoff was adopted, by section in lower case.
    pub noted: BTreeMap<String, String>,
}

/// Why there is no text. For `handoff.md`, the caller can still render the built-in template.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("cannot read the template {file}: {source}")]
    Unreadable { file: PathBuf, source: std::io::Error },
    /// A mistake in a template, or an unknown variable.
    #[error("{0}")]
    Wrong(Box<Diagnostic>),
}

/// Renders a prompt; `overrides` is the user's directory of templates.
///
/// # Errors
/// A template of the user's cannot be read, is malformed, or uses an unknown variable.
pub fn render_prompt(
    kind: PromptKind,
    context: &PromptContext<'_>,
    overrides: Option<&Path>,
) -> Result<String, TemplateError> {
    render(kind.file_name(), Value::from(Serde(context)), overrides)
}

/// Renders `handoff.md` from a [`HandoffPage`], or from any value with its fields.
///
/// # Errors
/// As [`render_prompt`].
pub fn render_handoff<S: Serialize>(page: &S, overrides: Option<&Path>) -> Result<String, TemplateError> {
    render("handoff.md.j2", Value::from(Serde(page)), overrides)
}

fn render(name: &str, context: Value, overrides: Option<&Path>) -> Result<String, TemplateError> {
    // An unreadable main template is reported here, and one that it includes by the loader.
    source(overrides, name)?;
    let rendered = environment(overrides).and_then(|e| e.get_template(name)?.render(context.clone()));
    rendered.map_err(|error| {
        let shown = diagnostic(&error, name, overrides);
        let undefined = innermost(&error).kind() == ErrorKind::UndefinedError;
        let known = || format!("known here: {}", keys(&context));
        TemplateError::Wrong(Box::new(if undefined { shown.with_help(known()) } else { shown }))
    })
}

/// The variables of a template, for the error about an unknown one.
fn keys(context: &Value) -> String {
    let keys = context.try_iter().map(|keys| keys.map(|key| key.to_string()).collect::<Vec<_>>());
    keys.unwrap_or_default().join(", ")
}

fn environment(overrides: Option<&Path>) -> Result<Environment<'static>, minijinja::Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).keep_trailing_newline(true).build()?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // All templates are Markdown or plain text, whatever their names are.
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    let overrides = overrides.map(Path::to_owned);
    environment.set_loader(move |name| match source(overrides.as_deref(), name) {
        Ok(found) => Ok(found.map(|(_, text)| text)),
        Err(error) => Err(minijinja::Error::new(ErrorKind::InvalidOperation, error.to_string())),
    });
    filters::add_to(&mut environment);
    Ok(environment)
}

/// The path and text of a template: the user's file, else the built-in one.
fn source(overrides: Option<&Path>, name: &str) -> Result<Option<(PathBuf, String)>, TemplateError> {
    // The name must be a file in the directory and not lead out of it.
    if let Some(dir) = overrides.filter(|_| Path::new(name).file_name().is_some_and(|file| file == name)) {
        let file = dir.join(name);
        match std::fs::File::open(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            opened => {
                let mut text = String::new();
                let read = opened.and_then(|opened| opened.take(MAX_FILE).read_to_string(&mut text));
                read.map_err(|source| TemplateError::Unreadable { file: file.clone(), source })?;
                return Ok(Some((file, text)));
            }
        }
    }
    let built_in = BUILT_IN.iter().find(|(known, _)| *known == name);
    Ok(built_in.map(|(_, text)| (PathBuf::from(format!("(built-in) {name}")), (*text).to_owned())))
}

/// The error of an included template, if there is one.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut innermost = error;
    while let Some(inner) = std::error::Error::source(innermost).and_then(|inner| inner.downcast_ref()) {
        innermost = inner;
    }
    innermost
}

/// An error of the engine at its line in the template where it occurred.
fn diagnostic(error: &minijinja::Error, main: &str, overrides: Option<&Path>) -> Diagnostic {
    let innermost = innermost(error);
    let name = innermost.name().unwrap_or(main);
    let (file, text) = source(overrides, name).ok().flatten().unwrap_or_else(|| (name.into(), String::new()));
    let line = innermost.line().unwrap_or(1);
    let start: usize = text.split_inclusive('\n').take(line - 1).map(str::len).sum();
    let length = text[start..].lines().next().map_or(0, str::len);
    let message = match innermost.detail() {
        Some(detail) => format!("{}: {detail}", innermost.kind()),
        None => innermost.kind().to_string(),
    };
    Diagnostic::at(&file, &text, start..start + length, message)
}

#[cfg(test)]
mod tests;
