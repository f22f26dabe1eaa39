use super::*;
use proptest::prelude::*;

/// The bytes of a fixture: its stdout, then its stderr, as in the log of an attempt.
fn fixture(name: &str) -> Vec<u8> {
    let path = |part| format!("{}/tests/fixtures/agents/{name}.{part}", env!("CARGO_MANIFEST_DIR"));
    let mut log = std::fs::read(path("stdout")).unwrap_or_default();
    log.extend(std::fs::read(path("stderr")).unwrap_or_default());
    assert!(!log.is_empty(), "{name}");
    log
}

fn read(dialect: DialectName, log: &[u8]) -> Vec<(u64, AgentEvent)> {
    let mut reader = Reader::new(dialect);
    let mut events = reader.push(log);
    events.extend(reader.finish());
    events
}

fn describe(event: AgentEvent) -> String {
    match event {
        AgentEvent::Started { session, model } => {
            format!("started {} {}", &session.unwrap_or_default()[..8], model.unwrap_or_default())
        }
        AgentEvent::Text { text } => format!("text {text}"),
        AgentEvent::Edit { path, added, removed } => format!("edit {path} {added:?} {removed:?}"),
        AgentEvent::CommandStarted { command } => format!("start {command}"),
        AgentEvent::Command { command, exit } => format!("command {command} {exit:?}"),
        AgentEvent::Refused { what } => format!("refused {what}"),
        AgentEvent::Tool { name, detail } => format!("tool {name} {detail}"),
        AgentEvent::Retrying { reason } => format!("retrying {reason}"),
        AgentEvent::Warning { text } => format!("warning {text}"),
        AgentEvent::Raw { line } => format!("raw {line}"),
        AgentEvent::Finished { ok, message, tokens, cost_usd, .. } => {
            format!("finished {ok} {tokens:?} {} {message}", cost_usd.unwrap_or_default())
        }
    }
}

/// The events of a fixture, one a line, long ones cut.
fn events_of(dialect: DialectName, name: &str) -> String {
    let lines = read(dialect, &fixture(name)).into_iter();
    let lines =
        lines.map(|(line, event)| crate::agent::sanitize::one_line(&format!("{line} {}", describe(event)), 110));
    lines.collect::<Vec<_>>().join("\n")
}

fn dialect_of(name: &str) -> DialectName {
    match name.split('-').next().unwrap() {
        "cursor" => DialectName::Cursor,
        "claude" | "qwen" => DialectName::Claude,
        "codex" => DialectName::Codex,
        _ => DialectName::Plain,
    }
}

const EVENTS: &str = include_str!("../../../tests/fixtures/agents/events.txt");

/// Real output (see its directory's README) gives the events in `events.txt`, which was reviewed line by line.
#[test]
fn every_fixture_gives_its_events() {
    let mut expected = EVENTS.split("=== ").skip(1).map(|part| part.trim_end().split_once('\n').unwrap());
    for (name, events) in expected.by_ref() {
        assert_eq!(events_of(dialect_of(name), name), events, "{name}");
    }
    assert!(EVENTS.matches("=== ").count() > 25);
}

#[test]
fn text_mixed_into_the_stream_neither_hides_nor_adds_events() {
    let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"ok","session_id":"s"}"#;
    for (line, expected) in [
        (format!("Reading input...{result}"), vec!["raw Reading input...", "finished true None  ok"]),
        (format!("{result}T: gone"), vec!["raw T: gone", "finished true None  ok"]),
        (format!("stdout: {result}\r"), vec!["finished true None  ok"]),
        (format!("{result}{result}"), vec!["finished true None  ok", "finished true None  ok"]),
        (r#"failed: {"error":{"code":429}} again"#.into(), vec![r#"raw failed: {"error":{"code":429}} again"#]),
        (r#"{"type":"tool_call","subtype":"completed"}"#.into(), vec![]),
        (r#"{"type":"result","#.into(), vec![r#"raw {"type":"result","#]),
        (r#"{"type":7}"#.into(), vec![r#"raw {"type":7}"#]),
        ("   ".into(), vec![]),
    ] {
        let events: Vec<_> = read(DialectName::Cursor, line.as_bytes()).into_iter().map(|e| describe(e.1)).collect();
        assert_eq!(events, expected, "{line}");
    }
}

#[test]
fn a_huge_event_is_condensed_and_a_huge_text_is_cut_with_a_warning() {
    let mut log = br#"{"type":"assistant","message":{"content":[{"type":"text","text":""#.to_vec();
    log.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE));
    log.extend(b"\"}]}}\n");
    log.extend(std::iter::repeat_n(b'y', 3 * MAX_LINE));
    log.extend(b"\n{\"structured_output\":\"");
    log.extend(std::iter::repeat_n(b'z', 3 * MAX_LINE));
    log.extend(b"\",\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"done\"}");
    let events = read(DialectName::Cursor, &log);
    assert!(matches!(&events[0], (1, AgentEvent::Text { text }) if text.len() == MAX_RAW));
    assert!(matches!(&events[1], (2, AgentEvent::Warning { text }) if text.starts_with("line 2 is longer")));
    assert!(matches!(&events[2], (2, AgentEvent::Raw { line }) if line.len() == MAX_RAW));
    assert!(matches!(&events[3], (3, AgentEvent::Finished { ok: true, message, .. }) if message == "done"));
    assert_eq!(events.len(), 4);
}

#[test]
fn invalid_utf_8_affects_only_its_own_bytes() {
    let line =
        b"{\"type\":\"assistant\",\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\xffb\"}]}}\n\xff\xfe\n";
    let events: Vec<_> = read(DialectName::Claude, line).into_iter().map(|event| describe(event.1)).collect();
    assert_eq!(events, ["text a\u{fffd}b", "raw \u{fffd}\u{fffd}"]);
}

const DIALECTS: [DialectName; 4] = [DialectName::Cursor, DialectName::Claude, DialectName::Codex, DialectName::Plain];

proptest! {
    #[test]
    fn no_bytes_panic(log in prop::collection::vec(any::<u8>(), 0..400)) {
        for dialect in DIALECTS {
            read(dialect, &log);
        }
    }

    /// Keys and types of the streams in random places, to find shapes that no fixture has.
    #[test]
    fn no_json_panics(pieces in prop::collection::vec("(\"(type|subtype|message|content|tool_call|shellToolCall|editToolCall|result|success|args|item|status|result|tool_use|tool_result|id|assistant|user|completed|item.completed|error|text|usage|errors)\"|[{}\\[\\]:,]|null|7|true|\n){1,30}", 1..8)) {
        let log = pieces.concat();
        for dialect in DIALECTS {
            read(dialect, log.as_bytes());
        }
    }

    /// A line with one character changed or removed: if the short way reads it, both ways give the same.
    #[test]
    fn the_short_parser_agrees_with_the_full_one(
        text in "[a\\\\\"nu0{}é ]{0,12}", kind in "assistant|thinking", block in "text|image",
        at in 0usize..200, character in "[\"{}:,\\[\\]\\\\a7 ]?",
    ) {
        let text = serde_json::to_string(&text).unwrap();
        let mut line = format!(
            r#"{{"type":"{kind}","text":{text},"message":{{"content":[{{"type":"text","text":{text}}},{{"type":"{block}","text":{text}}}]}},"session_id":"s"}}"#
        );
        prop_assert!(cursor::Cursor::default().read_short(&line, &mut ParsedLine::default()), "{}", line);
        if let Some((at, old)) = line.char_indices().nth(at) {
            line.replace_range(at..at + old.len_utf8(), &character);
        }
        let (mut short, mut long) = (ParsedLine::default(), ParsedLine::default());
        if cursor::Cursor::default().read_short(&line, &mut short) {
            let parts = json::split(&line);
            let mut cursor = cursor::Cursor::default();
            parts.values.iter().for_each(|value| cursor.read(value, &mut long));
            prop_assert!(parts.stray.is_empty(), "{}", line);
            prop_assert_eq!(short.events, long.events, "{}", line);
        }
    }

    #[test]
    fn any_split_gives_the_same_events(at in prop::collection::vec(0usize..20_000, 0..12), which in 0usize..5, noise in any::<u8>()) {
        let name = ["cursor-ok", "claude-ok", "claude-noperm", "codex-f-429", "cursor-torn"][which];
        let mut log = fixture(name);
        let place = usize::from(noise) % log.len();
        log.insert(place, noise);
        let mut at: Vec<_> = at.into_iter().map(|at| at % log.len()).chain([0, log.len()]).collect();
        at.sort_unstable();
        let mut reader = Reader::new(dialect_of(name));
        let mut events: Vec<_> = at.windows(2).flat_map(|pair| reader.push(&log[pair[0]..pair[1]])).collect();
        events.extend(reader.finish());
        prop_assert_eq!(events, read(dialect_of(name), &log));
    }
}
