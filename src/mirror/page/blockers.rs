//! What stands in the way now. An error that was survived is history, which the story of the attempts has.

use crate::agent::output::Output;
use crate::agent::summary::Runs;
use crate::mirror::page::tried::{Tried, commands, quote};
use crate::mirror::page::{Findings, claim, last_verdict, of_line};
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::verdict::Class;

/// Maximum commands that are listed because they failed the last time: those that ran last.
const MAX_FAILED: usize = 12;

/// Errors and open questions, each with its evidence.
pub fn blockers(handoff: &Handoff, findings: &Findings) -> Vec<String> {
    let mut lines = Vec::new();
    let last = of_line(handoff, findings).next_back();
    let verdict = last_verdict(handoff);
    // An attempt that runs after the last verdict has survived what ended the one before.
    let is_current = |n: AttemptNo| handoff.last_attempt().is_some_and(|(last, _)| last == n);
    let verdict = verdict.filter(|(n, _)| is_current(*n));
    let class = verdict.map(|(_, verdict)| verdict.class);
    let evidence = verdict.and_then(|(n, verdict)| verdict.pointer(n));
    if class != Some(Class::Done) {
        lines.extend(failed_commands(handoff, findings));
        if let Some((n, found)) = last {
            lines.extend(found.summary.refused.shown.iter().map(|item| format!("refused: {}", claim(*n, item))));
            let open = found.summary.blockers.shown.iter().filter(|item| Some(item.pointer(*n)) != evidence);
            lines.extend(open.map(|item| format!("{} (`{}`)", quote(&item.text), item.pointer(*n))));
        }
    }
    if let Some((n, verdict)) = verdict {
        match verdict.class {
            Class::Done => {}
            Class::Unchecked => {
                lines.push("No check is set: only the agent's words say that the task is done.".to_owned())
            }
            class => {
                let at = evidence.map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
                lines.push(format!("attempt {n} ended {class}: {}{at}", quote(&verdict.evidence)));
            }
        }
        lines.extend(verdict.notes.iter().map(|note| format!("attempt {n}: {}", quote(note))));
    }
    if let Some((n, last)) = handoff.last_attempt()
        && last.by_hand
        && last.verdict.is_none()
    {
        lines.push(format!("attempt {n} was run by hand, and nothing shows how it ended"));
    }
    if let Some((n, output)) = last_output(handoff, findings) {
        let end: String = output.lines.iter().map(|line| format!("\n    {line}")).collect();
        lines.push(format!("attempt {n}: {}; its output ends (`{}`):\n{end}", output.fact(), output.pointer()));
    }
    lines.extend(missing(handoff));
    lines
}

/// The commands whose last run did not succeed.
fn failed_commands(handoff: &Handoff, findings: &Findings) -> Vec<String> {
    let (all, _) = commands(handoff, findings);
    let failed = all.iter().filter_map(|tried| Some((tried, tried.last()?)));
    let mut failed: Vec<_> = failed.filter(|(_, (_, runs))| runs.ended.is_failure()).collect();
    failed.sort_by_key(|(_, (n, runs))| (*n, runs.last.part, runs.last.line));
    let from = failed.len().saturating_sub(MAX_FAILED);
    let line = |(tried, (n, runs)): &(&Tried, &(AttemptNo, Runs))| {
        format!("`{}` did not succeed the last time: {} (`{}`)", tried.text, runs.ended, runs.last.pointer(*n))
    };
    failed[from..].iter().map(line).collect()
}

/// What is known to be missing here.
fn missing(handoff: &Handoff) -> Vec<String> {
    let mut lines = Vec::new();
    for (n, attempt) in handoff.lineage() {
        if let Some(lacks) = attempt.uncaptured.as_ref().filter(|lacks| lacks.count > 0) {
            lines.push(format!(
                "{} paths of attempt {n} are only on {}; the metadata names them",
                lacks.count, attempt.host
            ));
        }
        if handoff.lacks_capture(n) {
            let (host, id) = (&attempt.host, &handoff.request().id);
            lines.push(format!(
                "the work of attempt {n} was not captured; `handoff pull {id}` asks {host} for it again"
            ));
        }
        if attempt.is_refused() {
            lines.push(format!("git refused the work of attempt {n} here; {} keeps it", attempt.host));
        }
    }
    lines
}

/// The output of the newest attempt if its setup or check failed.
fn last_output<'a>(handoff: &'a Handoff, findings: &'a Findings) -> Option<(AttemptNo, &'a Output)> {
    let (n, found) = of_line(handoff, findings).next_back()?;
    Some((*n, found.output.as_ref()?))
}
