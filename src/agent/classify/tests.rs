use super::*;
use crate::agent::profiles::built_in;
use crate::agent::sanitize::SHORT;
use std::path::PathBuf;
use std::process::{Command, Stdio};

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/agents")
}

/// The log of a fixture (stdout, then stderr) and its exit status.
fn fixture(name: &str) -> (Vec<u8>, i32) {
    let read = |part: &str| std::fs::read(directory().join(format!("{name}.{part}"))).unwrap_or_default();
    let status = String::from_utf8(read("rc")).unwrap();
    let status = status.split_once("rc=").unwrap().1.split_whitespace().next().unwrap().parse().unwrap();
    ([read("stdout"), read("stderr")].concat(), status)
}

fn profile(name: &str) -> Profile {
    let mut profiles = built_in().unwrap();
    let agent = name.split('-').next().unwrap();
    // Qwen Code uses Claude's dialect.
    profiles.remove(if agent == "qwen" { "claude" } else { agent }).unwrap()
}

fn exited(exit: i32) -> Outcome {
    Outcome { reason: "exit".into(), exit: Some(exit), active: 120, ..Outcome::default() }
}

fn killed(signal: i32) -> Outcome {
    Outcome { signal: Some(signal), ..exited(128 + signal) }
}

fn classify_at_2_utc(profile: &Profile, log: &[u8], outcome: &Outcome) -> Verdict {
    let now = "2026-11-21T02:00:00Z[UTC]".parse().unwrap();
    classify_log(profile, &Log::read(profile, log), outcome, &now)
}

/// Fixture, class, line, and a part of the evidence.
const TABLE: [(&str, Class, Option<u64>, &str); 30] = [
    ("claude-f-401", Class::Auth, Some(4), "Invalid API key"),
    ("claude-f-429", Class::Throttled, Some(4), "Request rejected (429)"),
    ("claude-f-529", Class::Overloaded, Some(4), "529 Overloaded"),
    ("claude-f-drop", Class::Network, Some(4), "ECONNRESET"),
    ("claude-noperm", Class::Blocked, Some(3), "refused: Write: /home/dev/repo/hello.txt (and 1 more)"),
    ("claude-ok", Class::Unchecked, Some(7), "Done: wrote hello.txt."),
    ("claude-resume", Class::Unchecked, Some(7), "Done: wrote hello.txt."),
    ("claude-resume-unknown", Class::Session, Some(1), "No conversation found"),
    ("claude-sig-INT", Class::Truncated, None, "without a final event"),
    ("qwen-f-401", Class::Auth, Some(3), "401 invalid x-api-key"),
    ("codex-f-401", Class::Auth, Some(6), "401 Unauthorized"),
    ("codex-f-429", Class::Throttled, Some(6), "429 Too Many Requests"),
    ("codex-f-cut", Class::Network, Some(6), "stream disconnected"),
    ("codex-ok", Class::Unchecked, Some(9), "Done: wrote hello.txt."),
    ("codex-resume", Class::Unchecked, Some(9), "Done: wrote hello.txt."),
    ("codex-resume-unknown", Class::Session, Some(2), "no rollout found"),
    ("cursor-ok", Class::Unchecked, Some(9), "done."),
    ("cursor-late-error", Class::Unchecked, Some(3), "done."),
    ("cursor-rejected", Class::Blocked, Some(3), "refused: shell: echo dsh-tool-ok"),
    ("cursor-f-429", Class::Throttled, Some(4), "resource_exhausted"),
    ("cursor-f-ping", Class::Network, Some(4), "PING timed out"),
    ("cursor-f-auth", Class::Auth, Some(1), "Authentication required"),
    ("cursor-f-trust", Class::Config, Some(1), "Workspace Trust Required"),
    ("cursor-f-model", Class::Config, Some(1), "Cannot use this model: gpt-0"),
    ("cursor-f-usage", Class::Limited, Some(2), "hit your usage limit"),
    ("cursor-f-resets", Class::Limited, Some(2), "resets in 12 minutes"),
    ("cursor-f-invalid", Class::Config, Some(2), "invalid_argument"),
    ("cursor-f-long", Class::Context, Some(2), "CONVERSATION_TOO_LONG"),
    ("cursor-f-busy", Class::Crashed, Some(1), "is busy"),
    ("cursor-truncated", Class::Truncated, None, "without a final event"),
];

#[test]
fn every_fixture_gets_its_verdict_and_the_line_that_proves_it() {
    for (name, class, line, evidence) in TABLE {
        let (log, exit) = fixture(name);
        let verdict = classify_at_2_utc(&profile(name), &log, &exited(exit));
        assert_eq!((verdict.class, verdict.line), (class, line), "{name}: {}", verdict.evidence);
        assert!(verdict.evidence.contains(evidence), "{name}: {}", verdict.evidence);
        assert_eq!(verdict.until.is_some(), class == Class::Limited, "{name}");
    }
}

#[test]
fn prose_is_never_evidence() {
    let (log, _) = fixture("cursor-torn");
    let verdict = classify_at_2_utc(&profile("cursor"), &log, &killed(9));
    assert_eq!((verdict.class, verdict.evidence.as_str()), (Class::Crashed, "killed by SIGKILL"));
    // The agent itself returned that status.
    let verdict = classify_at_2_utc(&profile("cursor"), &log, &exited(137));
    assert_eq!((verdict.class, verdict.evidence.as_str()), (Class::Crashed, "exit code 137"));
    let (log, _) = fixture("cursor-truncated");
    assert_eq!(classify_at_2_utc(&profile("cursor"), &log, &exited(1)).class, Class::Crashed);
}

#[test]
fn memory_and_disk_are_facts_of_the_host() {
    let (log, _) = fixture("cursor-torn");
    let cursor = profile("cursor");
    let oom = |whose: &str| Some(format!("{whose} oom_kill in /x rose from 0 to 1"));
    let verdict = classify_at_2_utc(&cursor, &log, &Outcome { oom: oom("agent"), ..killed(9) });
    assert_eq!((verdict.class, &*verdict.evidence), (Class::Oom, "killed by SIGKILL; oom_kill in /x rose from 0 to 1"));
    let lost = Outcome { oom: oom("agent"), reason: "lost".into(), ..Outcome::default() };
    let verdict = classify_at_2_utc(&cursor, &log, &lost);
    assert_eq!(verdict.class, Class::Oom);
    assert!(verdict.evidence.ends_with("no exit status; oom_kill in /x rose from 0 to 1"), "{}", verdict.evidence);
    // Memory that ran out elsewhere on the host, or for a tool of an agent that continued, is mentioned but proves
    // nothing.
    let elsewhere = classify_at_2_utc(&cursor, &log, &Outcome { oom: oom("host"), ..killed(9) });
    assert_eq!((elsewhere.class, elsewhere.notes.len()), (Class::Crashed, 1));
    let (ok, _) = fixture("cursor-ok");
    let tool = classify_at_2_utc(&cursor, &ok, &Outcome { oom: oom("agent"), ..exited(0) });
    assert_eq!(tool.class, Class::Unchecked);
    assert!(tool.notes[0].contains("was killed because memory ran out; the agent continued"), "{:?}", tool.notes);
    // A host of release 0.1.0 reports it only by its class.
    let detail = Some("oom_kill in /x rose from 0 to 1".into());
    let old = Outcome { class: "oom".into(), detail, ..exited(137) };
    assert_eq!(classify_at_2_utc(&cursor, &log, &old).class, Class::Oom);
    let words = b"Error: ENOSPC: no space left on device, write\n";
    assert_eq!(classify_at_2_utc(&cursor, words, &exited(1)).class, Class::Crashed);
    let full = Outcome { disk: Some("full".into()), ..exited(1) };
    assert_eq!(classify_at_2_utc(&cursor, words, &full).class, Class::DiskFull);
}

#[test]
fn an_end_caused_by_the_watcher_is_reported_as_the_watcher_says() {
    let (log, _) = fixture("cursor-f-429");
    for (reason, class) in [
        ("stop", Class::Stopped),
        ("timeout", Class::Timeout),
        ("no-first-output", Class::Hung),
        ("no-progress", Class::Hung),
        ("lost", Class::Lost),
        ("ship", Class::Config),
        ("agent-missing", Class::Config),
        ("session", Class::Session),
        ("setup", Class::Config),
        ("disk-full", Class::DiskFull),
    ] {
        let outcome = Outcome { reason: reason.into(), detail: Some("why\x1b[2J".into()), ..Outcome::default() };
        let verdict = classify_at_2_utc(&profile("cursor"), &log, &outcome);
        assert_eq!(verdict.class, class, "{reason}");
        assert!(verdict.evidence.contains("why [2J"), "{reason}: {}", verdict.evidence);
    }
    let detail = Some("Error: Authentication required. Run 'agent login'".into());
    let outcome = Outcome { reason: "session".into(), detail, ..Outcome::default() };
    assert_eq!(classify_at_2_utc(&profile("cursor"), b"", &outcome).class, Class::Auth);
}

#[test]
fn a_cli_that_finishes_and_never_exits_counts_as_finished() {
    let (log, _) = fixture("cursor-ok");
    let outcome = Outcome { reason: "grace".into(), exit: Some(143), ..Outcome::default() };
    assert_eq!(classify_at_2_utc(&profile("cursor"), &log, &outcome).class, Class::Unchecked);
    let verdict = classify_at_2_utc(&profile("cursor"), &log, &exited(143));
    assert_eq!(verdict.class, Class::Crashed, "{}", verdict.evidence);
}

#[test]
fn done_needs_a_change_and_a_check_that_passes() {
    let (log, _) = fixture("cursor-ok");
    let changed = Outcome {
        baseline: Some("a".into()),
        tree: Some("b".into()),
        start_head: Some("h".into()),
        head: Some("h".into()),
        ..exited(0)
    };
    let same = Outcome { tree: Some("a".into()), ..changed.clone() };
    for (outcome, class, evidence) in [
        (same.clone(), Class::NoWork, "without changing a file; it said: done."),
        (
            Outcome { head: Some("new".into()), ..same.clone() },
            Class::Unchecked,
            "the agent finished, no check was set; it said: done.",
        ),
        (Outcome { check: Some(0), check_before: Some(0), ..same.clone() }, Class::NoWork, "without changing a file"),
        // An ignored file can make the check pass.
        (
            Outcome { check: Some(0), check_before: Some(1), ..same.clone() },
            Class::Done,
            "it failed with exit code 1 before the attempt",
        ),
        (Outcome { check_before: Some(1), ..same }, Class::CheckFailed, "the check could not be run"),
        (changed.clone(), Class::Unchecked, "the agent finished, no check was set; it said: done."),
        (Outcome { check: Some(2), ..changed.clone() }, Class::CheckFailed, "the check failed with exit code 2"),
        (Outcome { check: Some(0), ..changed.clone() }, Class::Done, "the check passes"),
        (
            Outcome { check: Some(0), check_before: Some(0), ..changed.clone() },
            Class::Done,
            "as it did before the attempt",
        ),
        (
            Outcome { check: Some(0), check_before: Some(1), ..changed },
            Class::Done,
            "it failed with exit code 1 before the attempt",
        ),
    ] {
        let verdict = classify_at_2_utc(&profile("cursor"), &log, &outcome);
        assert_eq!((verdict.class, verdict.line), (class, Some(9)), "{}", verdict.evidence);
        assert!(verdict.evidence.contains(evidence), "{}", verdict.evidence);
    }
}

#[test]
fn a_plain_command_is_judged_by_its_exit_code_and_the_patterns_it_has() {
    let text = "binary = ['x']\nstart = []\nsuccess = ['^all', 'done$']\nfailure = [{class = 'throttled', pattern = 'slow down'}]";
    let asks: Profile = toml::from_str(text).unwrap();
    let plain = Profile { success: Vec::new(), ..asks.clone() };
    let classify = |profile, log: &str, exit| {
        let verdict = classify_at_2_utc(profile, log.as_bytes(), &exited(exit));
        (verdict.class, verdict.line)
    };
    assert_eq!(classify(&plain, "a\nb\n", 0), (Class::Unchecked, Some(2)));
    assert_eq!(classify(&plain, "", 0), (Class::Unchecked, None));
    assert_eq!(classify(&plain, "please slow down\nbye\n", 3), (Class::Throttled, Some(1)));
    assert_eq!(classify(&plain, "sh: x: not found\n", 127), (Class::Config, Some(1)));
    assert_eq!(classify(&asks, "x\nAll is done\ny\n", 0), (Class::Unchecked, Some(2)));
    assert_eq!(classify(&asks, "all\ndone\n", 0), (Class::Truncated, Some(2)));
}

#[test]
fn a_usage_limit_with_a_reset_time_is_waited_for() {
    let log = concat!(
        "{\"type\":\"rate_limit_event\",\"rate_limit_info\":{\"status\":\"rejected\",\"resetsAt\":1795240800,\"rateLimitType\":\"five_hour\"}}\n",
        "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":429,\"result\":\"API Error: 429\"}\n"
    );
    let verdict = classify_at_2_utc(&profile("claude"), log.as_bytes(), &exited(1));
    assert_eq!((verdict.class, verdict.until, verdict.line), (Class::Limited, Some(1_795_240_800), Some(2)));
}

#[test]
fn evidence_is_short_printable_and_keeps_the_proof() {
    let log = format!("{}\x1b[31m429 rate limited\u{202e}{}\n", "x ".repeat(400), "y".repeat(400));
    let verdict = classify_at_2_utc(&profile("cursor"), log.as_bytes(), &exited(1));
    assert!(verdict.evidence.chars().count() <= SHORT);
    assert!(verdict.evidence.contains("rate limit"), "{}", verdict.evidence);
    assert!(!verdict.evidence.contains(['\x1b', '\u{202e}']));
}

/// The demo's scripted agent in a real shell: first a rate limit, then the resumed session finishes.
#[test]
fn the_demo_is_throttled_first_and_done_when_resumed() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config/demo");
    let work = tempfile::tempdir().unwrap();
    for file in ["total.sh", "test.sh", "README.md"] {
        std::fs::copy(root.join("repo").join(file), work.path().join(file)).unwrap();
    }
    let home = tempfile::tempdir().unwrap();
    let agent = |arguments: &[&str]| {
        let mut agent = Command::new("sh");
        agent.arg(root.join("agent")).args(arguments).current_dir(work.path()).stdin(Stdio::null());
        agent
            .env("SCRIPTED_AGENT_HOME", home.path())
            .env("SCRIPTED_AGENT_PAUSE", "0")
            .env_remove("SCRIPTED_AGENT_PLAN");
        let output = agent.output().unwrap();
        ([output.stdout, output.stderr].concat(), output.status.code().unwrap())
    };
    let cursor = profile("cursor");
    let (version, _) = agent(&["--version"]);
    let pattern = compile(cursor.version_pattern.as_ref().unwrap()).unwrap();
    assert!(pattern.is_match(std::str::from_utf8(&version).unwrap()));
    let session = String::from_utf8(agent(&["create-chat"]).0).unwrap();
    assert!(!session.trim().is_empty() && session.trim().bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let arguments = ["--resume", session.trim(), "--print", "--output-format", "stream-json", "--trust", "--yolo"];
    let (log, exit) = agent(&arguments);
    let verdict = classify_at_2_utc(&cursor, &log, &exited(exit));
    assert_eq!((verdict.class, exit), (Class::Throttled, 1), "{}", verdict.evidence);
    let (log, exit) = agent(&arguments);
    let verdict = classify_at_2_utc(&cursor, &log, &Outcome { check: Some(0), check_before: Some(1), ..exited(exit) });
    assert_eq!(verdict.class, Class::Done, "{}", verdict.evidence);
    let check = Command::new("sh").arg(work.path().join("test.sh")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
}

/// The profile of a misleading log.
fn profile_of(agent: &str) -> Profile {
    let text = "binary = ['x']\nstart = []\nsuccess = ['^all', 'done$']\nfailure = [{class = 'throttled', pattern = 'slow down'}]";
    if agent == "plain" { toml::from_str(text).unwrap() } else { profile(agent) }
}

#[test]
fn misleading_logs_get_the_correct_class() {
    let mut wrong = Vec::new();
    for (name, agent, log, exit, class) in misleading::cases() {
        let verdict = classify_at_2_utc(&profile_of(agent), log.as_bytes(), &exited(exit));
        if verdict.class != class {
            wrong.push(format!("{agent}: {name}: {} instead of {class} ({})", verdict.class, verdict.evidence));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_resume_that_opened_another_session_is_reported() {
    let log = "{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"new\"}\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"new\"}\n";
    let asked = Outcome { resumed: Some("old".into()), ..exited(0) };
    let verdict = classify_at_2_utc(&profile("claude"), log.as_bytes(), &asked);
    assert_eq!(
        (verdict.class, &*verdict.evidence),
        (Class::Session, "the agent CLI opened session new instead of resuming old")
    );
    // Without a resume nothing is lost: the attempt's session is the one that the stream opened.
    assert_eq!(classify_at_2_utc(&profile("claude"), log.as_bytes(), &exited(0)).class, Class::Unchecked);
}

#[test]
fn a_timeout_names_the_last_error_of_the_service() {
    let log = "{\"type\":\"system\",\"subtype\":\"api_retry\",\"error_status\":529,\"error\":\"overloaded\"}\n";
    let outcome = Outcome { reason: "timeout".into(), ..Outcome::default() };
    let verdict = classify_at_2_utc(&profile("claude"), log.as_bytes(), &outcome);
    assert_eq!((verdict.class, verdict.standing), (Class::Timeout, Some(Class::Overloaded)));
}

#[test]
fn files_of_the_check_that_the_agent_changed_are_named() {
    let (log, _) = fixture("cursor-ok");
    let outcome = Outcome { check: Some(0), check_before: Some(1), check_files: vec!["test.sh".into()], ..exited(0) };
    let verdict = classify_at_2_utc(&profile("cursor"), &log, &outcome);
    assert_eq!(verdict.notes, ["the agent changed files that the check uses: test.sh"]);
}
