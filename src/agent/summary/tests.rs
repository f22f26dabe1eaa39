use super::*;
use proptest::prelude::*;

fn fixture(name: &str) -> Vec<u8> {
    let path = |part| format!("{}/tests/fixtures/agents/{name}.{part}", env!("CARGO_MANIFEST_DIR"));
    [path("stdout"), path("stderr")].iter().flat_map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

fn lines(items: &Items) -> Vec<(u64, &str)> {
    items.shown.iter().map(|item| (item.line, item.text.as_str())).collect()
}

#[test]
fn a_summary_of_a_good_run_has_a_line_for_each_claim() {
    let log = fixture("claude-ok");
    let summary = summarise(DialectName::Claude, &log[..], Some("/home/dev/repo/")).unwrap();
    assert_eq!(lines(&summary.tried), [(5, "`cat hello.txt; exit 3` → exit 3")]);
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
    assert_eq!(lines(&summary.tried), [(2, "`git push origin main` → exit 1")]);
    assert_eq!(lines(&summary.blockers), [(4, "Connect error 429 (resource_exhausted): [resource_exhausted] Error")]);
}

#[test]
fn refusals_and_failed_turns_are_blockers() {
    let summary = summarise(DialectName::Claude, &fixture("claude-noperm")[..], None).unwrap();
    let refused = [(3, "refused: Write: /home/dev/repo/hello.txt"), (6, "refused: Bash: cat hello.txt; exit 3")];
    assert_eq!(lines(&summary.blockers), refused);
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
    assert_eq!((summary.tried.shown.len(), summary.tried.left_out), (MAX_TRIED, 460));
    assert_eq!(summary.tried.shown.last().unwrap().text, "`echo '499'` → exit 0");
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
        let all = [&summary.tried, &summary.files, &summary.blockers].into_iter().flat_map(|items| &items.shown);
        for item in all.chain(&summary.said) {
            prop_assert!(item.line >= 1 && item.line as usize <= log.split(|&b| b == b'\n').count());
        }
    }
}
