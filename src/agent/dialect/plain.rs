//! A CLI without structured output: every line is text.

use super::ParsedLine;
use crate::model::agent_event::AgentEvent;

pub(super) fn read(line: &str, said: &mut ParsedLine) {
    if !line.trim().is_empty() {
        said.events.push(AgentEvent::Text { text: line.to_owned() });
    }
}
