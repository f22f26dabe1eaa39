//! The files that each attempt changed, as git shows them.

use crate::agent::sanitize::code;
use crate::git::diff::Changes;
use crate::mirror::page::{Findings, claim, of_line};
use crate::model::handoff::Handoff;

/// Maximum files of an attempt in a prompt; the record has more.
const IN_PROMPT: usize = 12;

/// The changed files by attempt. Without the work of an attempt, what the agent says that it changed.
pub fn files(handoff: &Handoff, findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    let is_by_hand = |n| handoff.run_by_hand(n).is_some();
    for (n, found) in of_line(handoff, findings) {
        if let Some(changes) = &found.changes {
            let of = match is_by_hand(*n) {
                true => "In the checkout when the record was adopted".to_owned(),
                false => format!("Attempt {n}"),
            };
            lines.push(listed(&format!("{of}, commit `{}`", changes.to.short()), changes, usize::MAX));
        } else {
            let claims = found.summary.files.shown.iter().map(|item| claim(*n, item));
            let where_is = if is_by_hand(*n) { "" } else { "; the work is not here" };
            lines.extend(claims.map(|claim| format!("{claim}, as the agent says{where_is}")));
        }
    }
    if let Some(total) = findings.total.as_ref().filter(|_| lines.len() > 1) {
        lines.push(listed(&format!("All of it, from the base to commit `{}`", total.to.short()), total, usize::MAX));
    }
    lines
}

/// The same for a prompt: all of the work as one difference.
pub fn files_in_prompt(handoff: &Handoff, findings: &Findings) -> Vec<String> {
    match &findings.total {
        Some(total) => vec![listed(&format!("From the base to commit `{}`", total.to.short()), total, IN_PROMPT)],
        None => files(handoff, findings),
    }
}

fn listed(head: &str, changes: &Changes, most: usize) -> String {
    if changes.count == 0 {
        return format!("{head}: no file changed");
    }
    let plural = if changes.count == 1 { "" } else { "s" };
    let mut text = format!("{head}: {} file{plural}", changes.count);
    for file in changes.files.iter().take(most) {
        let lines = match (file.added, file.removed) {
            (Some(added), Some(removed)) => format!("+{added} −{removed}"),
            _ => "binary".to_owned(),
        };
        let was = file.was.as_ref().map_or(String::new(), |was| format!(", was `{}`", code(was)));
        text.push_str(&format!("\n- `{}` ({lines}{was})", code(&file.path)));
    }
    let more = changes.count - changes.files.len().min(most).min(changes.count);
    if more > 0 {
        text.push_str(&format!("\n- and {more} more"));
    }
    text
}
