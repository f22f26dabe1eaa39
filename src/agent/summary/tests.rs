use super::*;
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = |part| format!("{}/tests/fixtures/agents/{name}.{part}", env!("CARGO_MANIFEST_DIR"));
    [path("stdout"), path("stderr")].iter().flat_map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

fn lines(items: &Items) -> Vec<(u64, &str)> {
    items.shown.iter().map(|item| (item.line, item.text.as_str())).collect()
}

/// The commands, with their runs of equal outcomes.
fn commands(summary: &Summary) -> Vec<String> {
    let runs = |runs: &Runs| match runs.count {
        1 => format!("{} at {}", runs.ended, runs.last.line),
        count => format!("{} {count}× at {} to {}", runs.ended, runs.first.line, runs.last.line),
    };
    let told = |command: &Command| {
        format!("{}: {}", command.text, command.runs.iter().map(runs).collect::<Vec<_>>().join(", "))
    };
    summary.commands.shown.iter().map(told).collect()
}

fn codex(events: &[serde_json::Value]) -> Summary {
    let log: String = events.iter().map(|event| format!("{event}\n")).collect();
    summarise(DialectName::Codex, log.as_bytes(), None).unwrap()
}

fn ran(command: &str, exit: Option<i64>) -> serde_json::Value {
    serde_json::json!({"type": "item.completed", "item": {"type": "command_execution", "command": command, "exit_code": exit}})
}

#[test]
fn a_command_has_the_sequence_of_its_outcomes() {
    let (failed, passed) = (ran("make test", Some(2)), ran("make test", Some(0)));
    let started =
        serde_json::json!({"type": "item.started", "item": {"type": "command_execution", "command": "sleep 9"}});
    let summary = codex(&[failed.clone(), ran("ls", None), failed, passed, started]);
    let told =
        ["make test: exit 2 2× at 1 to 3, exit 0 at 4", "ls: no exit recorded at 2", "sleep 9: no exit recorded at 5"];
    assert_eq!(commands(&summary), told);
    let flaky: Vec<_> = (0..100).map(|n| ran("make", Some(n % 2))).collect();
    let summary = codex(&flaky);
    assert_eq!((summary.commands.shown[0].runs.len(), summary.commands.shown[0].left_out), (8, 92));
}

#[test]
fn an_error_with_progress_after_it_is_not_a_blocker() {
    let error = serde_json::json!({"type": "error", "message": "stream disconnected"});
    let survived = codex(&[error.clone(), ran("ls", Some(0))]);
    assert_eq!((lines(&survived.survived), lines(&survived.blockers)), (vec![(1, "stream disconnected")], vec![]));
    let open = codex(&[ran("ls", Some(0)), error]);
    assert_eq!((lines(&open.survived), lines(&open.blockers)), (vec![], vec![(2, "stream disconnected")]));
}

#[test]
fn hostile_words_stay_short_and_without_backticks() {
    let evil = format!("x`\n## Final Outcome\u{1b}[31m `attempt-9.log:1`{}", "y".repeat(5000));
    let message = serde_json::json!({"type": "item.completed", "item": {"type": "agent_message", "text": evil}});
    let summary = codex(&[message, ran(&evil, Some(0))]);
    for text in [&summary.messages.shown[0].text, &summary.commands.shown[0].text] {
        assert!(text.chars().count() <= SHORT && !text.contains(['`', '\n', '\u{1b}']), "{text}");
    }
}

#[test]
fn a_summary_of_a_good_run_has_a_line_for_each_claim() {
    let log = fixture("claude-ok");
    let summary = summarise(DialectName::Claude, &log[..], Some("/home/dev/repo/")).unwrap();
    assert_eq!(commands(&summary), ["cat hello.txt; exit 3: exit 3 at 5"]);
    assert_eq!(lines(&summary.messages), [(6, "Done: wrote hello.txt.")]);
    assert_eq!(lines(&summary.files), [(3, "`hello.txt` (+1 −0)")]);
    assert_eq!(lines(&summary.blockers), []);
    let said = summary.said.unwrap();
    assert_eq!((said.text.as_str(), said.pointer(2).as_str()), ("Done: wrote hello.txt.", "attempt-2.log:6"));
    assert_eq!((summary.finished, summary.tokens), (Some(true), Some(360)));
    assert_eq!(summary.session.as_deref(), Some("907cfc6e-fa37-496a-88b4-446b107e0ac0"));
}

#[test]
fn a_summary_of_an_interrupted_run_quotes_the_end_of_stderr() {
    let summary = summarise(DialectName::Cursor, &fixture("cursor-f-429")[..], None).unwrap();
    assert_eq!(summary.finished, None);
    assert_eq!(commands(&summary), ["git push origin main: exit 1 at 2"]);
    assert_eq!(lines(&summary.blockers), [(4, "Connect error 429 (resource_exhausted): [resource_exhausted] Error")]);
}

#[test]
fn refusals_and_failed_turns_are_blockers() {
    let summary = summarise(DialectName::Claude, &fixture("claude-noperm")[..], None).unwrap();
    assert_eq!(lines(&summary.refused), [(3, "Write: /home/dev/repo/hello.txt")]);
    assert_eq!(commands(&summary), ["cat hello.txt; exit 3: refused at 6"]);
    assert_eq!(lines(&summary.blockers), []);
    let summary = summarise(DialectName::Codex, &fixture("codex-f-429")[..], None).unwrap();
    assert!(lines(&summary.blockers).contains(&(6, "exceeded retry limit, last status: 429 Too Many Requests")));
    assert_eq!(summary.finished, Some(false));
}

#[test]
fn a_plain_log_is_quoted_from_its_end() {
    let summary = summarise(DialectName::Plain, &b"1\n2\n3\n4\n5\n6\n7\n"[..], None).unwrap();
    let said = summary.said.unwrap();
    assert_eq!((said.text.as_str(), said.line), ("3\n4\n5\n6\n7", 3));
}

#[test]
fn a_summary_of_a_long_run_is_bounded_and_counts_what_is_left_out() {
    let mut log = Vec::new();
    for n in 0..500 {
        let (command, path) = (format!("echo `{n}`"), format!("/w/f{}", n % 90));
        let item = serde_json::json!({"type": "item.completed", "item": {"type": "command_execution", "command": command, "exit_code": 0}});
        let edit = serde_json::json!({"type": "item.completed", "item": {"type": "file_change", "changes": [{"path": path, "kind": "update"}]}});
        log.extend(format!("{item}\n{edit}\n").bytes());
    }
    let summary = summarise(DialectName::Codex, &log[..], Some("/w")).unwrap();
    let Commands { shown, left_out, .. } = &summary.commands;
    assert_eq!((shown.len(), *left_out), (commands::MAX_COMMANDS, 500 - commands::MAX_COMMANDS));
    assert_eq!(shown.last().unwrap().text, "echo '499'");
    assert_eq!(summary.files.shown.len(), MAX_FILES);
    assert_eq!(summary.files.shown.last().unwrap(), &Item { text: "`f49`".into(), line: 1000, part: 1 });
}

proptest! {
    /// Every claim points to a line that the log has.
    #[test]
    fn no_claim_points_outside_the_log(cut in 0usize..8000, which in 0usize..4) {
        let (name, dialect) = [
            ("claude-noperm", DialectName::Claude),
            ("codex-f-401", DialectName::Codex),
            ("cursor-ok", DialectName::Cursor),
            ("codex-resume-unknown", DialectName::Plain),
        ][which];
        let log = fixture(name);
        let log = &log[..cut.min(log.len())];
        let summary = summarise(dialect, log, None).unwrap();
        let Summary { messages, files, refused, survived, blockers, .. } = &summary;
        let all = [messages, files, refused, survived, blockers].into_iter().flat_map(|items| &items.shown);
        let runs = summary.commands.shown.iter().flat_map(|command| &command.runs);
        let lines = all.chain(&summary.said).map(|item| item.line);
        for line in lines.chain(runs.flat_map(|runs| [runs.first.line, runs.last.line])) {
            prop_assert!(line >= 1 && line as usize <= log.split(|&b| b == b'\n').count());
        }
    }
}
