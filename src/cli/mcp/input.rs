//! The arguments of the tools.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;

/// The repository and the handoff that a tool is about.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Which {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest.
    pub id: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// What the agent has to do: concrete and complete, because it sees only the repository and this text.
    pub task: String,
    /// The machine: a name from hosts.toml, or one that `ssh` knows. Default: the only one in hosts.toml.
    pub host: Option<String>,
    /// The id of the new handoff, such as `20260407-fix-benchmark-timeout`. Default: the date and words of the task.
    pub id: Option<String>,
    /// The agent CLI: `cursor`, `claude`, `codex` or a name from agents.toml.
    pub agent: Option<String>,
    /// The model, by the name that the agent CLI uses.
    pub model: Option<String>,
    /// A command that must pass in the checkout before the work counts as done.
    pub check: Option<String>,
    /// Patterns of ignored files that are sent, too, as in .gitignore.
    #[serde(default)]
    pub include: Vec<String>,
    /// Files to send with the task, such as an image or a log, as absolute paths. They are outside the repository, and the
    /// agent's prompt names them.
    #[serde(default)]
    pub attach: Vec<PathBuf>,
    /// Maximum number of attempts.
    pub attempts: Option<u32>,
    /// Maximum active time of one attempt, such as `90m` or `4h`.
    pub timeout: Option<String>,
    /// Start even if the same task is already running.
    #[serde(default)]
    pub again: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Status {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest.
    pub id: Option<String>,
    /// Seconds to follow a running handoff: its log and work are fetched, and the call returns early when it is at rest.
    /// With 0, the host is only asked. Default: 20.
    #[schemars(range(max = 50))]
    pub wait_seconds: Option<u64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct List {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// List the handoffs of every repository.
    pub all: bool,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest.
    pub id: Option<String>,
    /// Number of the attempt. Default: the last.
    pub attempt: Option<u32>,
    /// Number of the log's part, from 1. There is more than one only if the host's file was replaced.
    pub part: Option<u32>,
    /// The first byte to return: 0, or the `next_offset` of the last answer. A negative number counts from the end.
    pub offset: i64,
    /// Maximum number of bytes. Default: 16384.
    #[schemars(range(min = 1, max = 65536))]
    pub bytes: Option<u64>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Diff {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest.
    pub id: Option<String>,
    /// Show only what this attempt changed. Default: all changes up to the last attempt whose work was fetched.
    pub attempt: Option<u32>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Takeover {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest.
    pub id: Option<String>,
    /// Absolute path of the new worktree. Default: next to the repository.
    pub worktree: Option<PathBuf>,
    /// Name of the worktree's branch, which must not exist. Default: `handoff/ID`.
    pub branch: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Give {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest, if no other was taken over.
    pub id: Option<String>,
    /// Why you changed what you changed, and what is left to do; the agent reads it.
    pub message: Option<String>,
    /// Give it to this host instead of the last one.
    pub host: Option<String>,
    /// Continue with this agent, in a session of its own.
    pub agent: Option<String>,
    /// The model of that agent.
    pub model: Option<String>,
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Resume {
    /// A directory in the repository, as an absolute path. Default: the directory that the server was started in.
    pub directory: Option<PathBuf>,
    /// The id of the handoff, or an unambiguous prefix. Default: the newest, if no other can be resumed.
    pub id: Option<String>,
    /// Text to add to the agent's next prompt.
    pub message: Option<String>,
    /// Move the work to this host.
    pub host: Option<String>,
    /// Continue with this agent, in a session of its own.
    pub agent: Option<String>,
    /// The model of that agent.
    pub model: Option<String>,
    /// Start another attempt although the handoff is done.
    pub again: bool,
}
