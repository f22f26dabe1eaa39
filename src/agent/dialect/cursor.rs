//! Cursor's `--output-format stream-json`: <https://cursor.com/docs/cli/reference/output-format>, and, for what is not
//! documented there, the protobuf descriptors (`agent.v1.ToolCall`, `ShellResult`, `EditResult`) of `@cursor/sdk`
//! 1.0.18.

use std::borrow::Cow;

use serde::Deserialize;

use super::ParsedLine;
use super::json::{Fields, Value, number, text, texts, tool_detail};
use crate::model::agent_event::AgentEvent;

/// The beginning of nearly every line of a log.
const MESSAGE: &str = r#"{"type":"assistant","#;
const THOUGHT: &str = r#"{"type":"thinking","#;

/// The fields that are read of such a line. `type` is included so that a second `type` is an error.
#[derive(Deserialize)]
struct Short<'a> {
    #[serde(borrow, rename = "type")]
    _kind: Cow<'a, str>,
    #[serde(borrow)]
    message: Option<Message<'a>>,
}

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    content: Vec<Block<'a>>,
}

#[derive(Deserialize)]
struct Block<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
}

#[derive(Default)]
pub(super) struct Cursor {
    /// The last message. With partial output, the final one is sent twice.
    last_text: String,
}

impl Cursor {
    /// Parses a complete line that contains only a message or a thought, without building a tree of values. `false` if
    /// it must be read like any other line.
    pub(super) fn read_short(&mut self, line: &str, said: &mut ParsedLine) -> bool {
        let is_message = line.starts_with(MESSAGE);
        if !is_message && !line.starts_with(THOUGHT) {
            return false;
        }
        let Ok(Short { message, .. }) = serde_json::from_str(line) else { return false };
        if let Some(message) = message.filter(|_| is_message) {
            let texts = message.content.iter().filter(|block| block.kind == "text");
            self.say(texts.map(|block| &*block.text).collect(), said);
        }
        true
    }

    pub(super) fn read(&mut self, line: &Value, said: &mut ParsedLine) {
        let subtype = text(line, "/subtype").unwrap_or_default();
        match (text(line, "/type").unwrap_or_default(), subtype) {
            ("system", "init") => said.events.push(AgentEvent::Started {
                session: text(line, "/session_id").map(str::to_owned),
                model: text(line, "/model").map(str::to_owned),
            }),
            ("system", "background_shell_timeout") => said
                .events
                .push(AgentEvent::Warning { text: "a background command was ended by its time limit".into() }),
            ("assistant", _) => self.say(line.field("message").into_iter().flat_map(texts).collect(), said),
            ("tool_call", "started") => tool(line, said, started),
            ("tool_call", "completed") => tool(line, said, completed),
            ("connection", "reconnecting") | ("retry", "starting") => retrying(line, said),
            ("error", _) => error(line, said),
            ("result", _) => finished(line, said),
            _ => {}
        }
    }

    fn say(&mut self, message: String, said: &mut ParsedLine) {
        if !message.trim().is_empty() && message != self.last_text {
            self.last_text.clone_from(&message);
            said.events.push(AgentEvent::Text { text: message });
        }
    }
}

/// The one key that ends in `ToolCall` names the tool. Every version adds new tools.
fn tool(line: &Value, said: &mut ParsedLine, read: fn(&str, &Value, &mut ParsedLine)) {
    let call = line.field("tool_call").and_then(Value::as_object);
    let found = call.and_then(|call| call.iter().find_map(|(key, tool)| Some((key.strip_suffix("ToolCall")?, tool))));
    if let Some((name, tool)) = found {
        read(name, tool, said);
    }
}

fn started(name: &str, tool: &Value, said: &mut ParsedLine) {
    match name {
        "shell" => {
            let command = text(tool, "/args/command").unwrap_or_default().to_owned();
            said.events.push(AgentEvent::CommandStarted { command });
        }
        "edit" | "write" | "delete" => {}
        _ => {
            let detail = tool.field("args").map(tool_detail).unwrap_or_default();
            said.events.push(AgentEvent::Tool { name: name.to_owned(), detail });
        }
    }
}

fn completed(name: &str, tool: &Value, said: &mut ParsedLine) {
    let result = tool.field("result").and_then(Value::as_object);
    let Some((outcome, result)) = result.and_then(|result| result.iter().find(|(_, value)| value.is_object())) else {
        return;
    };
    match (name, outcome) {
        (_, "rejected") | ("shell", "permissionDenied") => {
            let target = text(result, "/command").or_else(|| text(tool, "/args/command"));
            let target = target.map_or_else(|| tool.field("args").map(tool_detail).unwrap_or_default(), str::to_owned);
            said.events.push(AgentEvent::Refused { what: format!("{name}: {target}") });
        }
        ("shell", _) => shell(outcome, tool, result, said),
        ("edit" | "write" | "delete", "success") => said.events.push(AgentEvent::Edit {
            path: text(result, "/path").or_else(|| text(tool, "/args/path")).unwrap_or_default().to_owned(),
            added: number(result, "/linesAdded").or_else(|| number(result, "/linesCreated")),
            removed: number(result, "/linesRemoved"),
        }),
        ("edit" | "write" | "delete", _) => {
            let path = text(result, "/path").or_else(|| text(tool, "/args/path")).unwrap_or_default();
            let reason = text(result, "/error").unwrap_or(outcome);
            said.events.push(AgentEvent::Warning { text: format!("{name} of {path} failed: {reason}") });
        }
        _ => {}
    }
}

fn shell(outcome: &str, tool: &Value, result: &Value, said: &mut ParsedLine) {
    let command = text(result, "/command").filter(|command| !command.is_empty());
    let command = command.or_else(|| text(tool, "/args/command")).unwrap_or_default().to_owned();
    let exit = result.field("exitCode").and_then(Value::as_i64);
    match outcome {
        "timeout" => {
            said.events.push(AgentEvent::Warning { text: format!("command ran into its time limit: {command}") })
        }
        "spawnError" => {
            let error = text(result, "/error").unwrap_or_default();
            said.events.push(AgentEvent::Warning { text: format!("command could not be started: {error}") });
        }
        _ => {}
    }
    said.events.push(AgentEvent::Command { command, exit });
}

fn retrying(line: &Value, said: &mut ParsedLine) {
    let attempt = number(line, "/attempt").map_or_else(String::new, |attempt| format!(", attempt {attempt}"));
    let what = if text(line, "/type") == Some("connection") { "reconnecting" } else { "retrying" };
    said.events.push(AgentEvent::Retrying { reason: format!("{what}{attempt}") });
}

/// Not documented.
fn error(line: &Value, said: &mut ParsedLine) {
    let message = ["/message", "/error/message", "/error"].iter().find_map(|at| text(line, at)).unwrap_or("error");
    said.events.push(AgentEvent::Warning { text: message.to_owned() });
}

fn finished(line: &Value, said: &mut ParsedLine) {
    let is_error = line.field("is_error").and_then(Value::as_bool).unwrap_or(false);
    let ok = !is_error && text(line, "/subtype") == Some("success");
    let message = text(line, "/result").or_else(|| text(line, "/error")).unwrap_or_default().to_owned();
    let tokens = [number(line, "/usage/inputTokens"), number(line, "/usage/outputTokens")];
    said.events.push(AgentEvent::Finished {
        ok,
        message,
        session: text(line, "/session_id").map(str::to_owned),
        tokens: tokens.iter().any(Option::is_some).then(|| tokens.into_iter().flatten().sum()),
        cost_usd: None,
    });
}
