//! What an agent CLI says while it works, in one vocabulary for all of them.

use serde::{Deserialize, Serialize};

/// One thing an agent did or said. Derived from the log again whenever it is needed; never journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum AgentEvent {
    /// The stream began.
    Started {
        session: Option<String>,
        model: Option<String>,
    },
    /// The assistant's prose.
    Text {
        text: String,
    },
    /// A file was written or removed, as the agent tells it.
    Edit {
        path: String,
        added: Option<u64>,
        removed: Option<u64>,
    },
    /// A command began.
    CommandStarted {
        command: String,
    },
    /// A command ended; `exit` is absent where the CLI does not say.
    Command {
        command: String,
        exit: Option<i64>,
    },
    /// A tool call was refused.
    Refused {
        what: String,
    },
    /// Another tool was used.
    Tool {
        name: String,
        detail: String,
    },
    /// The CLI retries by itself.
    Retrying {
        reason: String,
    },
    Warning {
        text: String,
    },
    /// The terminal event.
    Finished {
        ok: bool,
        message: String,
        session: Option<String>,
        tokens: Option<u64>,
        cost_usd: Option<String>,
    },
    /// A line no dialect claims (stderr, for one).
    Raw {
        line: String,
    },
}
