//! Recognises the CLI that wrote a log of which nothing else is known, and judges such a log.

use std::io::{BufRead, BufReader, Read};

use serde_json::Value;

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::profiles::Profiles;
use crate::model::attempt::{Outcome, Reason};
use crate::model::profile::{DialectName, Profile};
use crate::model::verdict::{Class, Verdict};

/// Bytes at the start of a log, and events in it, by which its CLI is recognised.
const READ: u64 = 1 << 20;
const EVENTS: usize = 64;

/// What the events of a log show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A CLI whose output handoff can read.
    Known(DialectName),
    /// Another CLI.
    Foreign,
    /// There are no events: a CLI that failed early prints only text.
    NoEvents,
}

/// Reads the first events of a log.
///
/// # Errors
/// Those of reading.
pub fn origin(log: impl Read) -> std::io::Result<Origin> {
    let mut log = BufReader::new(log.take(READ));
    let (mut line, mut seen) = (Vec::new(), 0);
    while seen < EVENTS && log.read_until(b'\n', &mut line)? > 0 {
        if let Some(event) = event(&String::from_utf8_lossy(&line)) {
            seen += 1;
            if let Some(dialect) = dialect(&event) {
                return Ok(Origin::Known(dialect));
            }
        }
        line.clear();
    }
    Ok(if seen > 0 { Origin::Foreign } else { Origin::NoEvents })
}

/// The first event of a line, before which there may be text of stderr.
fn event(line: &str) -> Option<Value> {
    let mut values = serde_json::Deserializer::from_str(&line[line.find("{\"")?..]).into_iter::<Value>();
    values.next()?.ok().filter(|event| event["type"].is_string())
}

/// Other CLIs copied the formats of these, but not every field.
fn dialect(event: &Value) -> Option<DialectName> {
    let kind = event["type"].as_str()?;
    let has = |field: &str| event.get(field).is_some();
    match (kind, event["subtype"].as_str().unwrap_or_default()) {
        ("thread.started", _) if has("thread_id") => Some(DialectName::Codex),
        ("turn.started" | "turn.completed" | "turn.failed", _) => Some(DialectName::Codex),
        ("item.started" | "item.completed", _) if has("item") => Some(DialectName::Codex),
        ("system", "init") if has("permissionMode") && has("tools") && has("mcp_servers") => Some(DialectName::Claude),
        ("system", "init") if has("permissionMode") && has("session_id") && !has("tools") => Some(DialectName::Cursor),
        ("result", _) if has("modelUsage") && has("total_cost_usd") => Some(DialectName::Claude),
        ("result", _) if has("request_id") && has("session_id") => Some(DialectName::Cursor),
        ("tool_call", "started" | "completed") if has("call_id") && has("tool_call") => Some(DialectName::Cursor),
        _ => None,
    }
}

/// The profile of the CLI that wrote a log. `command`: how it was started, as far as that is known. Of several profiles
/// that read the same output, it is the one whose binary was started, else the one that is named like the format.
pub fn agent<'a>(profiles: &'a Profiles, origin: Origin, command: Option<&str>) -> Option<(&'a str, &'a Profile)> {
    let started = command.and_then(binary);
    let is_started = |profile: &Profile| started.as_ref().is_some_and(|name| profile.binary.contains(name));
    // In a log without structure, only the exit code tells whether the agent ended well.
    let readable = || profiles.iter().filter(|(_, profile)| profile.dialect != DialectName::Plain);
    let found = match origin {
        Origin::Known(dialect) => {
            let of_dialect = || readable().filter(|(_, profile)| profile.dialect == dialect);
            let named = format!("{dialect:?}").to_lowercase();
            of_dialect().find(|(_, profile)| is_started(profile)).or_else(|| of_dialect().find(|(n, _)| **n == named))
        }
        Origin::NoEvents => readable().find(|(_, profile)| is_started(profile)),
        Origin::Foreign => None,
    };
    found.map(|(name, profile)| (name.as_str(), profile))
}

/// The name of the program that a shell text starts last: the one before it makes the session.
fn binary(command: &str) -> Option<String> {
    let is_before = |word: &&str| {
        let is_assignment = word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        is_assignment || matches!(*word, "nohup" | "env" | "setsid" | "exec" | "time" | "command" | "(" | "{")
    };
    let program = |line: &str| {
        let word = line.split_whitespace().find(|word| !is_before(word))?;
        let name = word.trim_matches(['(', ')', '"', '\'', ';']);
        Some(name.rsplit('/').next().unwrap_or(name).to_owned())
    };
    // A prompt may continue on further lines, so the first line that starts something counts.
    let lines = command.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.filter(|line| !line.split_whitespace().next().is_some_and(|word| word.contains("=\"$("))).find_map(program)
}

/// How an attempt ended whose exit code nobody recorded, as its log proves. `None`: the log does not show it.
pub fn verdict(profile: &Profile, log: &LogAnalysis) -> Option<Verdict> {
    // A final event that reports success counts as where a host ends an agent some time after it.
    let announced = log.classify(profile, &Outcome { reason: Reason::Grace, ..Outcome::default() });
    if matches!(announced.class, Class::Unchecked | Class::Blocked) {
        return Some(announced);
    }
    let verdict = log.classify(profile, &Outcome { reason: Reason::Exit, ..Outcome::default() });
    (verdict.class != Class::Lost).then_some(verdict)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;

    /// The verdict's word, or `unknown`, and the agent of a fixture.
    fn judged(log: &[u8], command: Option<&str>) -> (String, String) {
        let profiles = profiles::built_in().unwrap();
        let Some((name, profile)) = agent(&profiles, origin(log).unwrap(), command) else {
            return ("none".to_owned(), "unknown".to_owned());
        };
        let mut analysis = LogAnalysis::read(profile, [log]).unwrap();
        analysis.finish();
        let word = verdict(profile, &analysis).map_or("unknown", |verdict| verdict.class.word());
        (name.to_owned(), word.to_owned())
    }

    fn fixtures() -> Vec<(String, Vec<u8>)> {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents");
        let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        let stdout = paths.filter(|path| path.extension().is_some_and(|end| end == "stdout"));
        let mut all: Vec<(String, Vec<u8>)> = stdout
            .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), std::fs::read(&path).unwrap()))
            .collect();
        all.sort();
        all
    }

    #[test]
    fn a_log_with_events_is_of_its_own_cli_or_of_none() {
        let mut seen = 0;
        for (name, log) in fixtures() {
            let cli = name.split('-').next().unwrap();
            let wanted = if matches!(cli, "cursor" | "claude" | "codex") { cli } else { "none" };
            if origin(&log[..]).unwrap() != Origin::NoEvents {
                seen += 1;
                // The name of another CLI in the command changes nothing.
                for command in [None, Some("agent --print x > attempt-1.log")] {
                    assert_eq!(judged(&log, command).0, wanted, "{name}");
                }
            }
        }
        assert!(seen > 25, "{seen} fixtures");
    }

    #[test]
    fn a_log_without_events_is_of_the_cli_that_was_started() {
        let log = b"Error: Authentication required. Please run 'agent login' first\n";
        assert_eq!(judged(log, None), ("none".to_owned(), "unknown".to_owned()));
        let commands = [
            "agent --resume x --print \"fix the agent\" > attempt-1.log 2>&1",
            "chat_id=\"$(agent create-chat)\"\nFOO=1 nohup /usr/local/bin/cursor-agent --print 'a\nclaude b' >attempt-1.log",
        ];
        for command in commands {
            assert_eq!(judged(log, Some(command)), ("cursor".to_owned(), "auth".to_owned()), "{command}");
        }
        assert_eq!(judged(log, Some("make test > attempt-1.log")).0, "none");
        assert_eq!(judged(b"", Some("agent --print x")), ("cursor".to_owned(), "unknown".to_owned()));
    }

    #[test]
    fn success_is_claimed_only_with_a_final_event_and_an_unfinished_log_is_unknown() {
        let all = fixtures();
        let log = |name: &str| all.iter().find(|(of, _)| of == name).unwrap().1.clone();
        for (name, word) in [
            ("cursor-ok", "unchecked"),
            ("claude-ok", "unchecked"),
            ("codex-ok", "unchecked"),
            ("claude-noperm", "blocked"),
            ("claude-f-429", "throttled"),
            ("codex-f-401", "auth"),
        ] {
            assert_eq!(judged(&log(name), None).1, word, "{name}");
            let whole = log(name);
            // Without its last line, which is the final event.
            let cut = whole.trim_ascii_end().iter().rposition(|byte| *byte == b'\n').unwrap();
            let without = judged(&whole[..=cut], None).1;
            assert!(!matches!(without.as_str(), "unchecked" | "done" | "blocked"), "{name}: {without}");
        }
        assert_eq!(judged(&log("cursor-truncated"), None).1, "unknown");
    }
}
