//! The files of `spec/<g>/` that come from a profile and from the tables. A host's watcher uses them to classify an
//! attempt and to act on it.

use crate::agent::stream_rules;
use crate::model::judgement;
use crate::model::policy::{Decision, decide};
use crate::model::profile::{Profile, SessionMode};
use crate::model::verdict::Class;

/// The files `verdicts`, `actions`, `errors`, `stream`, `success`, `terminal`, `error_lines` and `session_pattern` of
/// docs/host.md. Files for which a profile has nothing are left out.
pub fn files(profile: &Profile) -> Vec<(&'static str, String)> {
    let mut files = vec![("verdicts", judgement::table()), ("actions", actions()), ("errors", errors(profile))];
    if let Some(rules) = stream_rules::of(profile.dialect) {
        files.push(("stream", stream_rules::text(rules)));
        return files;
    }
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

/// The files that a check command uses: paths among its words, and files that its tool reads by default.
pub fn check_files(command: &str) -> Vec<String> {
    let separators = |c: char| c.is_whitespace() || ";|&()<>\"'`=$".contains(c);
    let mut names: Vec<String> = Vec::new();
    for word in command.split(separators).filter(|word| !word.is_empty() && !word.starts_with('-')) {
        let tools: &[&str] = match word.rsplit('/').next().unwrap_or(word) {
            "make" | "gmake" => &["Makefile", "makefile", "GNUmakefile"],
            "npm" | "yarn" | "pnpm" | "bun" => &["package.json"],
            "just" => &["justfile", "Justfile"],
            "pytest" | "tox" => &["pytest.ini", "tox.ini", "conftest.py", "setup.cfg", "pyproject.toml"],
            _ => &[],
        };
        let path = word.trim_start_matches("./").trim_end_matches('/');
        names.extend(tools.iter().map(|name| (*name).to_owned()));
        if !path.is_empty() && path != "." && !path.starts_with('/') {
            names.push(path.to_owned());
        }
    }
    names.dedup();
    names
}

/// The structured rows, then the profile's patterns; `-` means no pattern.
fn errors(profile: &Profile) -> String {
    let rows = stream_rules::errors(profile);
    let line = |row: &stream_rules::ErrorRow| {
        let fields: String = row.fields.iter().map(|field| format!("\t{field}")).collect();
        format!("{}\t{}{fields}\n", row.class, row.pattern.unwrap_or("-"))
    };
    rows.iter().map(line).collect()
}

/// The policy for a watcher without contact: the action after a class, and after the same class a second time.
fn actions() -> String {
    let line = |class: Class| format!("{class}\t{}\t{}\n", action(class, &[]), action(class, &[class]));
    Class::ALL.into_iter().map(line).collect()
}

/// The part of a decision that a watcher can carry out: it cannot use another host or a new session.
fn action(class: Class, before: &[Class]) -> &'static str {
    match decide(class, before) {
        Decision::End => "end",
        Decision::Resume => "resume",
        Decision::WaitReset => "wait",
        Decision::ResumeWithEvidence if class == Class::CheckFailed => "check",
        Decision::ResumeWithEvidence => "resume",
        Decision::NewSession | Decision::Climb | Decision::Park => "park",
    }
}

/// A `sed -nE` program that prints the id of a line.
fn session_program(pattern: &str) -> String {
    let (before, pattern) = pattern.strip_prefix('^').map_or(("^.*", pattern), |pattern| ("^", pattern));
    let (pattern, after) = pattern.strip_suffix('$').map_or((pattern, ".*$"), |pattern| (pattern, "$"));
    format!("s/{before}{}{after}/\\1/p", pattern.replace('/', "\\/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;

    fn file(profile: &Profile, name: &str) -> Option<String> {
        files(profile).into_iter().find(|file| file.0 == name).map(|file| file.1)
    }

    #[test]
    fn every_row_has_a_known_class_and_action() {
        for profile in profiles::built_in().unwrap().values() {
            for row in file(profile, "errors").unwrap().lines() {
                let columns: Vec<_> = row.split('\t').collect();
                assert!(columns.len() >= 2 && columns.iter().all(|column| !column.is_empty()), "{row}");
                assert!(Class::from_word(columns[0]).is_some(), "{row}");
            }
            let actions = file(profile, "actions").unwrap();
            assert_eq!(actions.lines().count(), Class::ALL.len());
            for row in actions.lines().flat_map(|row| row.split('\t').skip(1)) {
                assert!(["resume", "check", "wait", "park", "end"].contains(&row), "{row}");
            }
            assert!(actions.contains("crashed\tresume\tpark\n") && actions.contains("done\tend\tend\n"));
        }
    }

    #[test]
    fn sed_extracts_the_id_from_a_line() {
        assert_eq!(session_program("^id/(x+)$"), "s/^id\\/(x+)$/\\1/p");
        let text = "binary = ['x']\nstart = []\nsession = 'stream'\nsession_pattern = 'chat ([a-z0-9]+)'";
        let mine: Profile = toml::from_str(text).unwrap();
        let log = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(log.path(), "hello\nopened chat 8f2a now\n").unwrap();
        let program = file(&mine, "session_pattern").unwrap();
        let output = std::process::Command::new("sed").args(["-nE", program.trim()]).arg(log.path()).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "8f2a\n");
    }

    #[test]
    fn a_plain_command_gets_only_the_files_it_needs() {
        let mine: Profile = toml::from_str("binary = [\"x\"]\nstart = []").unwrap();
        assert_eq!(files(&mine).iter().map(|file| file.0).collect::<Vec<_>>(), ["verdicts", "actions", "errors"]);
    }

    #[test]
    fn the_files_of_a_check_are_found() {
        assert_eq!(check_files("sh ./test.sh --fast && pytest tests/")[..3], ["sh", "test.sh", "pytest.ini"]);
        assert!(check_files("make -C sub test").contains(&"Makefile".to_owned()));
        assert!(check_files("cd sub; bash 'run tests.sh' | tee /tmp/x").contains(&"tests.sh".to_owned()));
        assert!(check_files("npm test").contains(&"package.json".to_owned()));
    }
}
