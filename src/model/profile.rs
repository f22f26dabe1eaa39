//! An agent CLI as `agents.toml` describes it: how to find, start and resume it and read its output.

use serde::{Deserialize, Serialize};

use super::verdict::Class;

/// The agent if neither the flag nor a hosts file names one.
pub const DEFAULT_AGENT: &str = "cursor";

/// The parser for the agent's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DialectName {
    Cursor,
    Claude,
    Codex,
    /// No structure: every line is text, and exit code 0 is success.
    #[default]
    Plain,
}

/// How the first session id is made.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SessionMode {
    /// A command of the CLI prints the id before anything runs (`agent create-chat`).
    Create,
    /// The laptop chooses a UUID and passes it.
    Preset,
    /// The id is read from the stream.
    Stream,
    /// The CLI has no sessions; a resume is a new run with the resume prompt.
    #[default]
    None,
}

/// One CLI. Arguments are words, never shell text. `{session}`, `{model}` and `{workspace}` are filled in, and the
/// group `model_args` is left out if no model is chosen. The prompt is a file on stdin. A word `{model_args}` marks the
/// place of that group, for CLIs that need options before a positional argument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// One line for `handoff agents`.
    #[serde(default)]
    pub description: String,
    /// Names of the binary, the preferred one first.
    pub binary: Vec<String>,
    /// ERE that the first line of `binary --version` must match, for names that other tools use too.
    #[serde(default)]
    pub version_pattern: Option<String>,
    #[serde(default)]
    pub dialect: DialectName,
    #[serde(default)]
    pub session: SessionMode,
    /// Arguments of the command that prints a new session id (`Create`).
    #[serde(default)]
    pub create: Vec<String>,
    /// Arguments of a first run.
    pub start: Vec<String>,
    /// Arguments of a run that continues `{session}`.
    #[serde(default)]
    pub resume: Vec<String>,
    /// Arguments that start the CLI for a person on a terminal, with `{prompt}`. Empty: `takeover --agent` refuses it.
    #[serde(default)]
    pub interactive: Vec<String>,
    /// Added if a model is chosen, at `{model_args}` or else at the end; contains `{model}`.
    #[serde(default)]
    pub model_args: Vec<String>,
    /// Group 1 of this `sed -E` expression on the first matching line is the session id (`Stream`).
    #[serde(default)]
    pub session_pattern: Option<String>,
    /// Arguments of a command that exits with 0 if the CLI is logged in.
    #[serde(default)]
    pub login_check: Vec<String>,
    /// The command with which the user logs in on the host.
    #[serde(default)]
    pub login: Option<String>,
    /// How to install it, for the error that it is missing.
    #[serde(default)]
    pub install: Option<String>,
    /// Environment variables of the run.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// Environment variables that are set only if the run is root (Claude Code refuses to run unattended as root
    /// without them).
    #[serde(default)]
    pub root_env: std::collections::BTreeMap<String, String>,
    /// Variables that are removed from the run's environment.
    #[serde(default)]
    pub unset: Vec<String>,
    /// EREs that must all match one line of the log of a successful run (empty: exit code 0 is enough).
    #[serde(default)]
    pub success: Vec<String>,
    /// ERE of lines that are a terminal event, successful or not; the grace limit starts there.
    #[serde(default)]
    pub terminal: Option<String>,
    /// ERE that selects the log lines on which the failure patterns are tried.
    #[serde(default)]
    pub error_lines: Option<String>,
    /// Failure patterns, tried in order.
    #[serde(default)]
    pub failure: Vec<FailurePattern>,
}

/// An ERE (the common subset of POSIX and the regex crate, ignoring case) and the class that it proves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailurePattern {
    pub class: Class,
    pub pattern: String,
}
