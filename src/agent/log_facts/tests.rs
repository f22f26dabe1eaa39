use super::*;

fn facts(dialect: DialectName, log: &str) -> LogFacts {
    let mut facts = LogFacts::new(dialect);
    log.lines().enumerate().for_each(|(index, line)| facts.line(index as u64 + 1, line));
    facts
}

#[test]
fn conditions_match_by_path_and_value() {
    let line = r#"{"type":"tool_call","a.b":{"xToolCall":{"result":{"rejected":{}}}},"n":529,"t":true,"list":[{"k":"v"}],"z":null}"#;
    let value: Value = serde_json::from_str(line).unwrap();
    let entries = Entries::of(&value);
    for holds in
        ["type=tool_call", "a_b.*ToolCall.result.rejected={", "n=5*", "t=true", "list[].k=v", "!z=*", "!type=result"]
    {
        assert!(entries.holds(holds), "{holds}");
    }
    for not in ["type=tool", "*ToolCall.result.rejected={", "n=4*", "list.k=v", "z=*", "!t=true", "rejected={"] {
        assert!(!entries.holds(not), "{not}");
    }
}

#[test]
fn a_quotation_proves_nothing() {
    for (text, rest) in [
        ("tests failed: \"429 Too Many Requests\" in log", "tests failed:   in log"),
        ("run 'npm test' said `rate limit` and “limit reached” today", "run   said   and   today"),
        ("You've hit your usage limit", "You've hit your usage limit"),
        ("an open \"quote with rate limit", "an open  "),
        ("first line\nrate limit", "first line"),
        ("the users' don't", "the users' don't"),
    ] {
        assert_eq!(unquoted(text), rest);
    }
}

#[test]
fn stray_lines_count_only_after_the_last_progress_and_outside_incomplete_events() {
    let log = concat!(
        "old error 429\n",
        "{\"type\":\"assistant\",\"message\":{}}\n",
        "{\"type\":\"user\",\"message\":{\"content\":\"torn npm WARN\n",
        "rate limit exceeded\n",
        "and its rest \"}}\n",
        "real words\n",
    );
    let facts = facts(DialectName::Claude, log);
    assert_eq!(facts.stray().map(|words| words.text.as_str()).collect::<Vec<_>>(), ["real words"]);
}

#[test]
fn an_object_inside_an_event_or_after_a_quotation_is_not_an_event() {
    let result = r#"{"type":"result","subtype":"success","is_error":false,"result":"x","session_id":"s"}"#;
    for line in [
        format!("{{\"type\":\"user\",\"tool_use_result\":{result}}}"),
        format!("x\",\"input\":{result}}}]}}"),
        format!("\"input\":{result}"),
        format!("{result}}}]}}"),
        format!("[{result}]"),
        result[..result.len() - 1].to_owned(),
        format!("{{\"type\":\"result\",\"parent_tool_use_id\":\"t1\",{}", &result[1..]),
    ] {
        assert_eq!(facts(DialectName::Claude, &line).end, None, "{line}");
    }
    let prefixed = format!("Reading additional input from stdin...{result}");
    assert!(facts(DialectName::Claude, &prefixed).end.is_some());
}
