//! Turns events into readable lines.

use std::time::Duration;

use super::ship_summary;
use super::text::{age, first_line, neutral};
use crate::agent::output::Output;
use crate::agent::sanitize::in_checkout;
use crate::config::settings::human_bytes;
use crate::model::agent_event::AgentEvent;
use crate::model::uncaptured::{Uncaptured, UncapturedPath};
use crate::supervise::progress::Progress;

/// Maximum characters of a detail; the log has the rest.
const WIDTH: usize = 100;

/// The lines for an event; empty if the user does not need to see it.
pub fn lines(progress: &Progress) -> Vec<String> {
    match progress {
        Progress::Snapshot { id, snapshot, attached } => ship_summary::sent(id, snapshot, attached),
        Progress::LeftBehind { items } => ship_summary::left_behind(items),
        Progress::Connecting { .. }
        | Progress::Hashing
        | Progress::Shipping { .. }
        | Progress::Sending { .. }
        | Progress::Receiving { .. }
        | Progress::Log { .. } => {
            vec![]
        }
        Progress::Note { text } => vec![format!("note: {}", neutral(text))],
        Progress::Shipped { host } => vec![format!("shipped to {host} and verified (files, index and HEAD match)")],
        Progress::Dispatched { .. } => vec![],
        Progress::Started { attempt, host } => vec![format!("attempt {attempt} runs on {host}")],
        Progress::Joined { attempt, host, since } => {
            vec![format!("attempt {attempt} has been running on {host} for {}", seconds(*since))]
        }
        Progress::Agent { event, .. } => agent(event),
        Progress::Ended { attempt, verdict, active } => {
            let at = verdict.pointer(*attempt).map_or(String::new(), |pointer| format!(" ({pointer})"));
            let evidence = first_line(&verdict.evidence, WIDTH);
            // A host counts active time in ticks, so an attempt shorter than one tick has none.
            let after = if *active == 0 { String::new() } else { format!(" after {}", age(to_i64(*active))) };
            let notes = verdict.notes.iter().map(|note| format!("  note: {}", neutral(note)));
            std::iter::once(format!("attempt {attempt}: {}{after}: {evidence}{at}", verdict.class))
                .chain(notes)
                .collect()
        }
        Progress::Uncaptured { host, uncaptured, .. } => self::uncaptured(host, uncaptured),
        Progress::Output { output, .. } => output_lines(output),
        Progress::Fetched { attempt, commit, uncaptured, is_changed } => {
            let but = match uncaptured {
                0 => String::new(),
                1 => ", without 1 path that could not be captured".to_owned(),
                n => format!(", without {n} paths that could not be captured"),
            };
            let short = commit.get(..10).unwrap_or(commit);
            vec![match is_changed {
                true => format!("fetched attempt {attempt}'s work ({short}){but}"),
                false => format!("fetched attempt {attempt} ({short}): it changed no file{but}"),
            }]
        }
        Progress::Artifacts { attempt, host, files: 0, .. } => {
            vec![format!("no artifact of attempt {attempt}: no file on {} matches and can be read", neutral(host))]
        }
        Progress::Artifacts { attempt, files, bytes, directory, .. } => {
            let noun = if *files == 1 { "artifact" } else { "artifacts" };
            let size = human_bytes(*bytes);
            vec![format!("fetched {files} {noun} of attempt {attempt} ({size}) into {}", neutral(directory))]
        }
        Progress::BackingOff { attempt, delay } => vec![format!("attempt {attempt} starts in {}", seconds(*delay))],
        Progress::WaitingUntil { attempt, at } => {
            let time = jiff::Timestamp::from_second(*at).map_or_else(|_| at.to_string(), |t| t.to_string());
            vec![format!("attempt {attempt} starts at {time}, when the usage limit resets")]
        }
        Progress::Parked { why, .. } => why.lines().map(|line| format!("needs you: {}", neutral(line))).collect(),
        Progress::Unreachable { host, reason, begun, .. } => {
            let task = if *begun { "the task keeps running there" } else { "the host has not confirmed the start" };
            vec![format!("lost contact with {host} ({}); {task}. Reconnecting…", first_line(reason, 80))]
        }
        Progress::Reachable { host } => vec![format!("reconnected to {host}")],
        Progress::Rest { .. } => vec![],
    }
}

/// What a capture lacks, one a line. The names come from the host.
pub fn uncaptured(host: &str, lacks: &Uncaptured) -> Vec<String> {
    let line = |path: &UncapturedPath| {
        let (name, bytes, reason) = (neutral(&path.path), path.bytes, path.reason.text());
        format!("not captured, still on {}: {name} ({bytes} bytes; {reason})", neutral(host))
    };
    let mut lines: Vec<String> = lacks.first.iter().map(line).collect();
    if lacks.more() > 0 {
        lines.push(format!("not captured, still on {}: {} more paths", neutral(host), lacks.more()));
    }
    lines
}

/// The end of an output, indented below its attempt.
pub fn output_lines(output: &Output) -> Vec<String> {
    let head = format!("  {}; the end of its output ({}):", output.fact(), output.pointer());
    std::iter::once(head).chain(output.lines.iter().map(|line| format!("    {}", neutral(line)))).collect()
}

fn to_i64(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

fn seconds(delay: Duration) -> String {
    if delay.as_secs() < 90 { format!("{} s", delay.as_secs()) } else { format!("{} min", delay.as_secs() / 60) }
}

/// The lines for an event of the agent.
pub fn agent(event: &AgentEvent) -> Vec<String> {
    match event {
        AgentEvent::Started { model, .. } => match model {
            Some(model) => vec![format!("  model {}", first_line(model, 60))],
            None => vec![],
        },
        AgentEvent::Text { text } => {
            text.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("  {}", neutral(l))).collect()
        }
        AgentEvent::Edit { path, added, removed } => {
            let count = |sign: char, n: &Option<u64>| n.map_or(String::new(), |n| format!(" {sign}{n}"));
            vec![format!("  edit {}{}{}", neutral(in_checkout(path)), count('+', added), count('-', removed))]
        }
        AgentEvent::CommandStarted { .. } => vec![],
        AgentEvent::Command { command, exit } => {
            let exit = match exit {
                Some(0) => "ok".to_owned(),
                Some(code) => format!("exit {code}"),
                None => "done".to_owned(),
            };
            vec![format!("  $ {} → {exit}", first_line(command, WIDTH))]
        }
        AgentEvent::Refused { what } => vec![format!("  REFUSED {}", first_line(what, WIDTH))],
        AgentEvent::Tool { name, detail } => {
            vec![format!("  {} {}", first_line(name, 40), first_line(in_checkout(detail), WIDTH)).trim_end().to_owned()]
        }
        AgentEvent::Retrying { reason } => vec![format!("  the agent retries: {}", first_line(reason, WIDTH))],
        AgentEvent::Warning { text } => vec![format!("  warning: {}", first_line(text, WIDTH))],
        AgentEvent::Finished { .. } => vec![],
        AgentEvent::Raw { line } => vec![format!("  {}", first_line(line, WIDTH))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::verdict::{Class, Verdict};

    #[test]
    fn a_command_is_shown_with_its_exit_code_and_without_escapes() {
        let event = AgentEvent::Command { command: "make\x1b[2J\nall".into(), exit: Some(2) };
        assert_eq!(agent(&event), ["  $ make␛[2J… → exit 2"]);
    }

    #[test]
    fn an_edit_is_shown_with_the_file_relative_to_the_checkout() {
        let path = "/home/dev/.handoff/trees/till-1/till/total.sh".to_owned();
        let event = AgentEvent::Edit { path, added: Some(1), removed: None };
        assert_eq!(agent(&event), ["  edit total.sh +1"]);
    }

    #[test]
    fn an_attempt_shorter_than_a_tick_is_shown_without_its_time() {
        let verdict = Verdict { line: Some(3), ..Verdict::new(Class::Throttled, "429") };
        let ended = |active| lines(&Progress::Ended { attempt: 1, verdict: verdict.clone(), active });
        assert_eq!(ended(0), ["attempt 1: throttled: 429 (attempt-1.log:3)"]);
        assert_eq!(ended(75), ["attempt 1: throttled after 1 min: 429 (attempt-1.log:3)"]);
    }

    #[test]
    fn a_task_is_reported_as_running_only_after_its_start_is_confirmed() {
        let away = |begun| {
            let (host, reason, retry) = ("buildbox".to_owned(), "refused".to_owned(), Duration::from_secs(1));
            lines(&Progress::Unreachable { host, reason, retry, begun })
        };
        assert_eq!(away(true), ["lost contact with buildbox (refused); the task keeps running there. Reconnecting…"]);
        assert_eq!(
            away(false),
            ["lost contact with buildbox (refused); the host has not confirmed the start. Reconnecting…"]
        );
    }

    #[test]
    fn uncaptured_paths_are_listed_with_their_host() {
        let lacks = Uncaptured::read(["count 3 bytes 9", "9 unreadable a\x1b[2J", "0 special p"].into_iter()).unwrap();
        let told = Progress::Uncaptured { attempt: 1, host: "box".into(), uncaptured: lacks };
        let expected = [
            "not captured, still on box: a␛[2J (9 bytes; could not be read)",
            "not captured, still on box: p (0 bytes; a pipe, socket or device)",
            "not captured, still on box: 1 more paths",
        ];
        assert_eq!(lines(&told), expected);
        let fetched =
            lines(&Progress::Fetched { attempt: 1, commit: "0123456789ab".into(), uncaptured: 3, is_changed: true });
        assert_eq!(fetched, ["fetched attempt 1's work (0123456789), without 3 paths that could not be captured"]);
        let unchanged =
            Progress::Fetched { attempt: 1, commit: "0123456789ab".into(), uncaptured: 0, is_changed: false };
        assert_eq!(lines(&unchanged), ["fetched attempt 1 (0123456789): it changed no file"]);
    }
}
