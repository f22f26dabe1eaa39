//! Claude Code's `--output-format stream-json --verbose`, as measured with 2.1.329 and described by `sdk.d.ts` of
//! `@anthropic-ai/claude-agent-sdk`.

use std::collections::{HashMap, HashSet};

use super::ParsedLine;
use super::json::{Fields, Value, number, text, texts, tool_detail};
use crate::model::agent_event::AgentEvent;

/// Maximum tool calls that are stored until their result comes. Calls above that are not matched.
const MAX_OPEN: usize = 256;

#[derive(Default)]
pub(super) struct Claude {
    /// Tool calls without a result, by id: the tool's name and what it was used on.
    open: HashMap<String, (String, String)>,
    /// Ids of refused calls, because the result line lists them again.
    refused: HashSet<String>,
}

impl Claude {
    pub(super) fn read(&mut self, line: &Value, said: &mut ParsedLine) {
        match (text(line, "/type").unwrap_or_default(), text(line, "/subtype").unwrap_or_default()) {
            ("system", "init") => said.events.push(AgentEvent::Started {
                session: text(line, "/session_id").map(str::to_owned),
                model: text(line, "/model").map(str::to_owned),
            }),
            ("system", "api_retry") => retry(line, said),
            ("system", "permission_denied") => {
                let id = text(line, "/tool_use_id").unwrap_or_default();
                self.refuse(id, text(line, "/tool_name").unwrap_or_default(), "", said);
            }
            ("assistant", _) if line.field("is_api_error_message").and_then(Value::as_bool) == Some(true) => {
                api_error(line, said)
            }
            ("assistant", _) => self.assistant(line, said),
            ("user", _) => self.results(line, said),
            ("rate_limit_event", _) => rate_limit(line, said),
            ("result", _) => self.finished(line, said),
            _ => {}
        }
    }

    fn assistant(&mut self, line: &Value, said: &mut ParsedLine) {
        let Some(message) = line.field("message") else { return };
        said.events
            .extend(texts(message).filter(|t| !t.trim().is_empty()).map(|t| AgentEvent::Text { text: t.into() }));
        for block in blocks(message).filter(|block| text(block, "/type") == Some("tool_use")) {
            let name = text(block, "/name").unwrap_or_default().to_owned();
            let input = block.field("input").unwrap_or(&Value::Null);
            let target = match text(input, "/command") {
                Some(command) if name == "Bash" => command.to_owned(),
                _ => tool_detail(input),
            };
            match name.as_str() {
                "Bash" => said.events.push(AgentEvent::CommandStarted { command: target.clone() }),
                "Write" | "Edit" | "MultiEdit" | "NotebookEdit" => {}
                _ => said.events.push(AgentEvent::Tool { name: name.clone(), detail: target.clone() }),
            }
            if let Some(id) = text(block, "/id").filter(|_| self.open.len() < MAX_OPEN) {
                self.open.insert(id.to_owned(), (name, target));
            }
        }
    }

    fn results(&mut self, line: &Value, said: &mut ParsedLine) {
        let Some(message) = line.field("message") else { return };
        for block in blocks(message).filter(|block| text(block, "/type") == Some("tool_result")) {
            let id = text(block, "/tool_use_id").unwrap_or_default();
            let Some((name, target)) = self.open.remove(id) else { continue };
            let failed = block.field("is_error").and_then(Value::as_bool).unwrap_or(false);
            let result = line.field("tool_use_result").unwrap_or(&Value::Null);
            match name.as_str() {
                _ if self.refused.contains(id) => {}
                "Bash" => said.events.push(AgentEvent::Command { command: target, exit: exit(block, result, failed) }),
                "Write" | "Edit" | "MultiEdit" | "NotebookEdit" if !failed => said.events.push(edit(&target, result)),
                _ => {}
            }
        }
    }

    fn refuse(&mut self, id: &str, name: &str, target: &str, said: &mut ParsedLine) {
        if self.refused.len() >= MAX_OPEN || !self.refused.insert(id.to_owned()) {
            return;
        }
        let target = self.open.get(id).map_or(target, |(_, target)| target);
        said.events.push(AgentEvent::Refused { what: format!("{name}: {target}") });
    }

    fn finished(&mut self, line: &Value, said: &mut ParsedLine) {
        for denial in line.field("permission_denials").and_then(Value::as_array).into_iter().flatten() {
            let target = denial.field("tool_input").map(tool_detail).unwrap_or_default();
            let id = text(denial, "/tool_use_id").unwrap_or_default();
            self.refuse(id, text(denial, "/tool_name").unwrap_or_default(), &target, said);
        }
        let errors = line.field("errors").and_then(Value::as_array).into_iter().flatten();
        let errors: Vec<&str> = errors.filter_map(Value::as_str).collect();
        let message = text(line, "/result").map_or_else(|| errors.join("; "), str::to_owned);
        let is_error = line.field("is_error").and_then(Value::as_bool).unwrap_or(false);
        // Qwen Code, which uses this dialect, reports API errors as success with such a text.
        let ok = !is_error && text(line, "/subtype") == Some("success") && !message.starts_with("[API Error:");
        let tokens = [number(line, "/usage/input_tokens"), number(line, "/usage/output_tokens")];
        said.events.push(AgentEvent::Finished {
            ok,
            message,
            session: text(line, "/session_id").map(str::to_owned),
            tokens: tokens.iter().any(Option::is_some).then(|| tokens.into_iter().flatten().sum()),
            cost_usd: line.field("total_cost_usd").filter(|cost| cost.is_number()).map(Value::to_string),
        });
    }
}

fn blocks<'a>(message: &'a Value<'a>) -> impl Iterator<Item = &'a Value<'a>> {
    message.field("content").and_then(Value::as_array).into_iter().flatten()
}

/// A failure begins with `Exit code N`. Success has no number, and for some commands a non-zero status is no failure.
fn exit(block: &Value, result: &Value, failed: bool) -> Option<i64> {
    if failed {
        let words = text(block, "/content").or_else(|| blocks(block).find_map(|part| text(part, "/text")))?;
        return words.strip_prefix("Exit code ")?.split_whitespace().next()?.parse().ok();
    }
    let unsaid = result.field("interrupted").and_then(Value::as_bool) == Some(true)
        || ["returnCodeInterpretation", "backgroundTaskId"]
            .iter()
            .any(|key| result.field(key).is_some_and(|v| !v.is_null()));
    (!unsaid).then_some(0)
}

fn edit(target: &str, result: &Value) -> AgentEvent {
    let hunks = result.field("structuredPatch").and_then(Value::as_array).into_iter().flatten();
    let lines = hunks.flat_map(|hunk| hunk.field("lines").and_then(Value::as_array).into_iter().flatten());
    let (mut added, mut removed) = (0, 0);
    for line in lines.filter_map(Value::as_str) {
        added += u64::from(line.starts_with('+'));
        removed += u64::from(line.starts_with('-'));
    }
    if text(result, "/type") == Some("create") {
        added = text(result, "/content").map_or(0, |content| content.lines().count() as u64);
    }
    let known = result.field("structuredPatch").is_some();
    AgentEvent::Edit {
        path: text(result, "/filePath").unwrap_or(target).to_owned(),
        added: known.then_some(added),
        removed: known.then_some(removed),
    }
}

fn retry(line: &Value, said: &mut ParsedLine) {
    let error = text(line, "/error").unwrap_or("error");
    let status = number(line, "/error_status").map_or_else(String::new, |status| format!(" {status}"));
    let attempt = number(line, "/attempt").unwrap_or_default();
    let reason = format!("{error}{status}, attempt {attempt}");
    said.events.push(AgentEvent::Retrying { reason });
}

/// A message of the CLI itself in place of the assistant's.
fn api_error(line: &Value, said: &mut ParsedLine) {
    let text = line.field("message").into_iter().flat_map(texts).collect();
    said.events.push(AgentEvent::Warning { text });
}

fn rate_limit(line: &Value, said: &mut ParsedLine) {
    if text(line, "/rate_limit_info/status") == Some("rejected") {
        let window = text(line, "/rate_limit_info/rateLimitType").unwrap_or("usage");
        said.events.push(AgentEvent::Warning { text: format!("{window} limit reached") });
    }
}
