//! The events of a working agent CLI, in one format for all CLIs.

use serde::{Serialize, Serializer};

/// One action or message of an agent. It is derived from the log whenever it is needed and never journaled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum AgentEvent {
    /// The stream began.
    Started {
        session: Option<String>,
        model: Option<String>,
    },
    /// Text of the assistant.
    Text {
        text: String,
    },
    /// The agent reports that it wrote or removed a file.
    Edit {
        path: String,
        added: Option<u64>,
        removed: Option<u64>,
    },
    /// A command started.
    CommandStarted {
        command: String,
    },
    /// A command ended; `exit` is absent if the CLI does not report it.
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
    /// The terminal event of the stream.
    Finished {
        ok: bool,
        message: String,
        session: Option<String>,
        tokens: Option<u64>,
        /// What the CLI says that the session has cost, in US dollars.
        #[serde(serialize_with = "number")]
        #[schemars(with = "Option<f64>")]
        cost_usd: Option<String>,
    },
    /// A line that no dialect recognises, such as stderr.
    Raw {
        line: String,
    },
}

/// The text of a number, as a number; `null` if it is none.
fn number<S: Serializer>(text: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    text.as_ref().and_then(|text| text.parse::<f64>().ok()).serialize(serializer)
}
