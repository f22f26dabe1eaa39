//! The shell and the laptop give the same class for the same facts, by the same table.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::host::shells;
use crate::agent::classify::{Log, alone, misleading};
use crate::agent::{host_rules, profiles};
use crate::model::attempt::Outcome;
use crate::model::judgement::tests::every_combination;
use crate::model::judgement::{self, KEYS};
use crate::model::profile::Profile;

/// The functions of the runner that compute the class, without the part that acts.
fn verdict_functions() -> String {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/remote/runner");
    let read = |name: &str| std::fs::read_to_string(format!("{folder}/{name}.sh")).unwrap();
    let files = ["lib", "json_reader", "log_facts", "limits", "verdict"].map(read).concat();
    format!("nl='\n'\ntab='\t'\n{files}\n")
}

/// Runs a script with those functions in a directory.
fn run(shell: &str, directory: &std::path::Path, script: &str, input: &[u8]) -> String {
    let mut words = shell.split(' ');
    std::fs::write(directory.join("script"), verdict_functions() + script).unwrap();
    let mut child = Command::new(words.next().unwrap())
        .args(words)
        .arg(directory.join("script"))
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The words of each fact that a shell tries. The first shell gets all of them; the others are slower and get some.
fn words_for(shell: usize) -> Vec<&'static [&'static str]> {
    let most = |key: usize| if shell == 0 { usize::MAX } else { [3, 9, 9, 9, 9, 9, 9, 2, 9, 9, 9][key] };
    KEYS.iter().enumerate().map(|(key, (_, words))| &words[..words.len().min(most(key))]).collect()
}

/// Loops in shell that make the combinations, the first fact innermost, in the order of [`every_combination`].
fn combinations(words: &[&[&str]]) -> String {
    let facts: String = KEYS.iter().map(|(key, _)| format!(" {key}:$f_{key}")).collect();
    let mut script =
        format!("facts=\"{facts} \" error_class=$f_error stray_class=$f_stray; first_row \"$@\"; echo $class");
    for ((key, _), words) in KEYS.iter().zip(words) {
        script = format!("for f_{key} in {}; do {script}\ndone", words.join(" "));
    }
    let load = "set --\nwhile IFS=$tab read -r row_class row_pattern; do\nset -- \"$@\" \"$row_class\" \"$row_pattern\"\ndone <spec/verdicts\n";
    format!("{load}{script}\n")
}

/// The laptop's classes for the same combinations in the same order, each with the combination's number.
fn answers_for(words: &[&[&str]], ours: &[&'static str]) -> Vec<(usize, &'static str)> {
    let kept = |mut number: usize| {
        KEYS.iter().zip(words).all(|((_, all), some)| {
            let word = number % all.len();
            number /= all.len();
            word < some.len()
        })
    };
    ours.iter().copied().enumerate().filter(|(number, _)| kept(*number)).collect()
}

#[test]
fn every_combination_of_facts_gives_the_same_class_in_every_shell() {
    let ask = |shell: &str, words: &[&[&str]]| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("spec")).unwrap();
        std::fs::write(directory.path().join("spec/verdicts"), judgement::table()).unwrap();
        run(shell, directory.path(), &combinations(words), b"")
    };
    let asked: Vec<_> = shells().into_iter().enumerate().map(|(number, shell)| (shell, words_for(number))).collect();
    std::thread::scope(|scope| {
        let running: Vec<_> = asked.iter().map(|one| scope.spawn(|| ask(&one.0, &one.1))).collect();
        let ours: Vec<_> = every_combination().map(|facts| facts.class().word()).collect();
        for ((shell, words), answers) in asked.iter().zip(running) {
            let answers = answers.join().unwrap();
            let mut answers = answers.lines();
            for (number, ours) in answers_for(words, &ours) {
                let facts = || every_combination().nth(number).unwrap().text();
                assert_eq!(answers.next(), Some(ours), "{shell}: {}", facts());
            }
            assert_eq!(answers.next(), None, "{shell}");
        }
    });
}

/// The shell's result for a log: its facts as `gather_log` finds them, and the class for the exit code `exit`.
fn shell_class(shell: &str, awk: Option<&str>, profile: &Profile, log: &[u8], exit: i32, pieces: usize) -> String {
    let directory = tempfile::tempdir().unwrap();
    let spec = directory.path().join("spec");
    std::fs::create_dir(&spec).unwrap();
    for (name, text) in host_rules::files(profile) {
        std::fs::write(spec.join(name), text).unwrap();
    }
    std::fs::create_dir(directory.path().join("at")).unwrap();
    std::fs::write(directory.path().join("whole"), log).unwrap();
    let awk = awk.map_or_else(String::new, |words| format!("awk() {{ {words} \"$@\"; }}\n"));
    let step = log.len().div_ceil(pieces).max(1);
    let script = format!(
        "{awk}spec=spec at=at root=. seen='' seen_to=0 resumed='' reason=exit exit={exit} signal='' oom='' lacking='' detail=''
         check='' check_before='' uncaptured='' files=a baseline=b agent_head=h start_head=h
         to={step}
         while [ \"$to\" -lt {length} ]; do
           head -c \"$to\" whole >at/log; log_size; read_log; to=$((to + {step}))
         done
         cat whole >at/log
         is_full() {{ return 1; }}
         gather_facts; decide; echo \"$class\"; echo \"$facts\"; printf '%s\\n' \"$seen\" | LC_ALL=C sort\n",
        length = log.len(),
    );
    run(shell, directory.path(), &script, b"")
}

fn awks() -> Vec<&'static str> {
    let there = |words: &&str| {
        let mut words = words.split(' ');
        let awk =
            Command::new(words.next().unwrap()).args(words).args(["BEGIN { exit }"]).stderr(Stdio::null()).status();
        awk.is_ok_and(|status| status.success())
    };
    ["mawk", "gawk", "original-awk", "busybox awk"].into_iter().filter(there).collect()
}

/// Every log of the fixtures, with its profile and exit code.
fn fixtures() -> Vec<(String, Profile, Vec<u8>, i32)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents");
    let profiles = profiles::built_in().unwrap();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let agent = name.split('-').next().unwrap().replace("qwen", "claude");
        let (Some(profile), Some("rc")) = (profiles.get(&agent), path.extension().and_then(|e| e.to_str())) else {
            continue;
        };
        let read = |part: &str| std::fs::read(path.with_extension(part)).unwrap_or_default();
        let status = String::from_utf8(read("rc")).unwrap();
        let status = status.split_once("rc=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
        all.push((name, profile.clone(), [read("stdout"), read("stderr")].concat(), status));
    }
    all
}

fn laptop_class(profile: &Profile, log: &[u8], exit: i32) -> &'static str {
    let outcome = Outcome { reason: "exit".into(), exit: Some(exit), ..Outcome::default() };
    alone(profile, &Log::read(profile, log), &outcome).word()
}

#[test]
fn every_fixture_gets_the_laptops_class_from_the_shell_with_every_awk() {
    let fixtures = fixtures();
    assert!(fixtures.len() > 25, "{}", fixtures.len());
    for (number, (name, profile, log, exit)) in fixtures.iter().enumerate() {
        let ours = laptop_class(profile, log, *exit);
        let shells = shells();
        for (turn, awk) in awks().into_iter().enumerate() {
            let shell = &shells[(number + turn) % shells.len()];
            let said = shell_class(shell, Some(awk), profile, log, *exit, 1 + turn % 3);
            assert_eq!(said.lines().next(), Some(ours), "{name} in {shell} with {awk}\n{said}");
        }
    }
}

#[test]
fn the_shell_resists_the_same_misleading_logs() {
    let (shells, awks) = (shells(), awks());
    let profiles = profiles::built_in().unwrap();
    let plain = "binary = ['x']\nstart = []\nsuccess = ['^all', 'done$']\nfailure = [{class = 'throttled', pattern = 'slow down'}]";
    let plain = toml::from_str(plain).unwrap();
    for (number, (name, agent, log, exit, class)) in misleading::cases().into_iter().enumerate() {
        let profile = profiles.get(agent).unwrap_or(&plain);
        let (shell, awk) = (&shells[number % shells.len()], awks[number % awks.len()]);
        let said = shell_class(shell, Some(awk), profile, log.as_bytes(), exit, 1 + number % 4);
        assert_eq!(said.lines().next(), Some(class.word()), "{agent}: {name} in {shell} with {awk}\n{said}");
    }
}

#[test]
fn a_line_of_any_length_is_read_by_the_shell_in_bounded_memory() {
    let claude = &profiles::built_in().unwrap()["claude"];
    let long = "x\\n".repeat(700_000);
    let init = r#"{"type":"system","subtype":"init","session_id":"s"}"#;
    let result = format!(
        r#"{{"structured_output":"{long}","type":"result","subtype":"success","is_error":false,"session_id":"s"}}"#
    );
    let denied = format!(
        r#"{{"permission_denials":[{{"tool_name":"Write","tool_input":{{"content":"{long}"}}}}],"type":"result","subtype":"success","is_error":false,"session_id":"s"}}"#
    );
    let tool = format!(r#"{{"type":"user","message":{{"content":"{long}"}},"session_id":"s"}}"#);
    for (log, class) in [
        (format!("{init}\n{tool}\n{result}\n"), "unchecked"),
        (format!("{init}\n{denied}"), "blocked"),
        (format!("{init}\n{result}\n{tool}\n"), "truncated"),
    ] {
        assert_eq!(laptop_class(claude, log.as_bytes(), 0), class);
        for awk in awks() {
            let said = shell_class("sh", Some(awk), claude, log.as_bytes(), 0, 3);
            assert_eq!(said.lines().next(), Some(class), "{awk}: {}", &said[..said.len().min(600)]);
        }
    }
}
