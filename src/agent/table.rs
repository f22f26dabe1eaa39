//! What a host's watcher needs to judge an attempt provisionally: the files of `spec/<g>/` that come from a profile.

use crate::model::profile::{Profile, SessionMode};
use crate::model::verdict::Class;

/// Longest session id that is taken from a stream.
const MAX_SESSION: usize = 128;

/// Rows of `table` for ends that no line of the log proves. The watcher knows no history: what the policy does
/// differently the second time is left to the laptop.
const FACTS: [(Class, &str); 9] = [
    (Class::Truncated, "@truncated"),
    (Class::CheckFailed, "@check-failed"),
    (Class::Hung, "@hung"),
    (Class::Timeout, "@timeout"),
    (Class::Crashed, "@crashed"),
    (Class::Lost, "@lost"),
    (Class::NoWork, "@no-work"),
    (Class::Network, "@ship"),
    (Class::Crashed, "@any"),
];

/// The files `table`, `success`, `terminal`, `error_lines` and `session_pattern` of docs/host.md; one that a profile
/// has nothing for is left out.
pub fn files(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut files = vec![("table", table(profile))];
    if !profile.success.is_empty() {
        files.push(("success", profile.success.join("\n") + "\n"));
    }
    let single = [("terminal", &profile.terminal), ("error_lines", &profile.error_lines)];
    files.extend(single.into_iter().filter_map(|(name, ere)| Some((name, format!("{}\n", ere.as_ref()?)))));
    if let (SessionMode::Stream, Some(pattern)) = (&profile.session, &profile.session_pattern) {
        files.push(("session_pattern", session_program(pattern) + "\n"));
    }
    files
}

fn table(profile: &Profile) -> String {
    let patterns = profile.failure.iter().map(|row| (row.class, row.pattern.as_str()));
    let mut table = String::new();
    for (class, pattern) in patterns.chain(FACTS) {
        let action = if pattern == "@any" { "park" } else { action(class) };
        table.push_str(&format!("{class}\t{action}\t{pattern}\n"));
    }
    table
}

/// What a watcher out of contact does: of DESIGN.md's table only what needs no other host and no new session.
fn action(class: Class) -> &'static str {
    match class {
        Class::Throttled | Class::Overloaded | Class::Network | Class::Truncated => "resume",
        Class::Crashed | Class::Hung | Class::Lost | Class::NoWork => "resume",
        Class::CheckFailed => "check",
        Class::Limited => "wait",
        Class::Done | Class::Unchecked | Class::Stopped => "park",
        Class::Context | Class::Session | Class::Oom | Class::DiskFull | Class::Timeout => "park",
        Class::Auth | Class::Billing | Class::Config | Class::Blocked => "park",
    }
}

/// A `sed -nE` program that prints the id of a line.
fn session_program(pattern: &str) -> String {
    let (before, pattern) = pattern.strip_prefix('^').map_or(("^.*", pattern), |pattern| ("^", pattern));
    let (pattern, after) = pattern.strip_suffix('$').map_or((pattern, ".*$"), |pattern| (pattern, "$"));
    format!("s/{before}{}{after}/\\1/p", pattern.replace('/', "\\/"))
}

/// Whether an id may be put into a resume script: `[A-Za-z0-9_-]{1,128}`.
pub fn is_session_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=MAX_SESSION).contains(&text.len()) && text.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;

    fn file(profile: &Profile, name: &str) -> Option<String> {
        files(profile).into_iter().find(|file| file.0 == name).map(|file| file.1)
    }

    #[test]
    fn every_row_has_three_columns_and_a_known_class_and_action() {
        for profile in profiles::built_in().unwrap().values() {
            let table = file(profile, "table").unwrap();
            for row in table.lines() {
                let columns: Vec<_> = row.split('\t').collect();
                assert_eq!(columns.len(), 3, "{row}");
                assert!(Class::from_word(columns[0]).is_some(), "{row}");
                assert!(["resume", "check", "wait", "park"].contains(&columns[1]), "{row}");
            }
            assert!(table.ends_with("network\tresume\t@ship\ncrashed\tpark\t@any\n"));
            assert!(table.find("throttled\tresume\t").unwrap() < table.find("@truncated").unwrap());
        }
    }

    #[test]
    fn sed_takes_the_id_from_the_first_line_of_a_real_stream() {
        let codex = &profiles::built_in().unwrap()["codex"];
        let program = file(codex, "session_pattern").unwrap();
        let log = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents/codex-ok.stdout");
        let output = std::process::Command::new("sed").args(["-nE", program.trim(), log]).output().unwrap();
        let id = String::from_utf8(output.stdout).unwrap();
        assert_eq!(id, "01a1fabc-84b4-7840-871c-c385b434d79b\n");
        assert!(is_session_id(id.trim()));
        assert!(!is_session_id("") && !is_session_id("a b") && !is_session_id(&"x".repeat(129)));
        assert_eq!(session_program("^id/(x+)$"), "s/^id\\/(x+)$/\\1/p");
    }

    #[test]
    fn a_plain_command_gets_only_what_it_has() {
        let mine: Profile = toml::from_str("binary = [\"x\"]\nstart = []").unwrap();
        assert_eq!(files(&mine).iter().map(|file| file.0).collect::<Vec<_>>(), ["table"]);
    }
}
