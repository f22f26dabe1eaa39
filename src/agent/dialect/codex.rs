//! Codex's `exec --json`, as measured with 0.169.0 and described by `index.d.ts` of `@openai/codex-sdk`.

use super::ParsedLine;
use super::json::{Fields, Value, number, text, tool_detail};
use crate::model::agent_event::AgentEvent;

#[derive(Default)]
pub(super) struct Codex {
    /// Only the first line contains it.
    thread: Option<String>,
    last_text: String,
}

impl Codex {
    pub(super) fn read(&mut self, line: &Value, said: &mut ParsedLine) {
        let item = line.field("item").unwrap_or(&Value::Null);
        match text(line, "/type").unwrap_or_default() {
            "thread.started" => {
                self.thread = text(line, "/thread_id").map(str::to_owned);
                said.events.push(AgentEvent::Started { session: self.thread.clone(), model: None });
            }
            "item.started" => started(item, said),
            "item.completed" => self.completed(item, said),
            "error" => error(line, said),
            "turn.failed" => {
                let message = text(line, "/error/message").unwrap_or("the turn failed").to_owned();
                said.events.push(self.finished(line, false, message));
            }
            "turn.completed" => said.events.push(self.finished(line, true, self.last_text.clone())),
            _ => {}
        }
    }

    fn completed(&mut self, item: &Value, said: &mut ParsedLine) {
        match text(item, "/type").unwrap_or_default() {
            "agent_message" => {
                self.last_text = text(item, "/text").unwrap_or_default().to_owned();
                said.events.push(AgentEvent::Text { text: self.last_text.clone() });
            }
            "command_execution" if text(item, "/status") == Some("declined") => {
                said.events.push(AgentEvent::Refused { what: format!("command: {}", command(item)) });
            }
            "command_execution" => said.events.push(AgentEvent::Command {
                command: command(item),
                exit: item.field("exit_code").and_then(Value::as_i64),
            }),
            "file_change" => file_change(item, said),
            "error" => {
                let text = text(item, "/message").unwrap_or_default().to_owned();
                said.events.push(AgentEvent::Warning { text });
            }
            _ => {}
        }
    }

    fn finished(&self, line: &Value, ok: bool, message: String) -> AgentEvent {
        let tokens = [number(line, "/usage/input_tokens"), number(line, "/usage/output_tokens")];
        AgentEvent::Finished {
            ok,
            message,
            session: self.thread.clone(),
            tokens: tokens.iter().any(Option::is_some).then(|| tokens.into_iter().flatten().sum()),
            cost_usd: None,
        }
    }
}

fn started(item: &Value, said: &mut ParsedLine) {
    match text(item, "/type").unwrap_or_default() {
        "command_execution" => said.events.push(AgentEvent::CommandStarted { command: command(item) }),
        "mcp_tool_call" => said.events.push(AgentEvent::Tool {
            name: text(item, "/tool").unwrap_or("mcp").to_owned(),
            detail: text(item, "/server").unwrap_or_default().to_owned(),
        }),
        "web_search" => said.events.push(AgentEvent::Tool { name: "web_search".into(), detail: tool_detail(item) }),
        _ => {}
    }
}

/// `status` is `failed` if a patch did not apply, and `declined` if it was refused.
fn file_change(item: &Value, said: &mut ParsedLine) {
    for change in item.field("changes").and_then(Value::as_array).into_iter().flatten() {
        let path = text(change, "/path").unwrap_or_default().to_owned();
        said.events.push(match text(item, "/status") {
            Some("declined") => AgentEvent::Refused { what: format!("edit: {path}") },
            Some("failed") => AgentEvent::Warning { text: format!("edit of {path} failed") },
            _ => AgentEvent::Edit { path, added: None, removed: None },
        });
    }
}

/// The command that the model requested, without the shell around it (`/bin/bash -lc '…'`).
fn command(item: &Value) -> String {
    let whole = text(item, "/command").unwrap_or_default();
    match shlex::split(whole).as_deref() {
        Some([shell, flag, inner]) if shell.ends_with("sh") && matches!(flag.as_str(), "-lc" | "-c") => inner.clone(),
        _ => whole.to_owned(),
    }
}

/// Never final: the CLI reconnects, or `turn.failed` follows.
fn error(line: &Value, said: &mut ParsedLine) {
    let message = text(line, "/message").unwrap_or("error").to_owned();
    said.events.push(match message.strip_prefix("Reconnecting... ") {
        Some(reason) => AgentEvent::Retrying { reason: reason.to_owned() },
        None => AgentEvent::Warning { text: message },
    });
}
