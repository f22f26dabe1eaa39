//! Ends that look like others: an agent that continues after its result, a number that looks like a signal, a log that
//! quotes.

use crate::endings::agent_does;
use crate::row::Row;
use crate::support::site::{HOST, Site};

const INIT: &str = r#"echo '{"type":"system","subtype":"init","session_id":"s1","model":"m"}'"#;
const SAYS: &str = r#"echo '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"On."}]},"session_id":"s1"}'"#;
const RESULT: &str =
    r#"echo '{"type":"result","subtype":"success","is_error":false,"result":"Done.","session_id":"s1"}'"#;

/// The class that the host recorded, and the laptop's verdict.
fn classes(site: &Site) -> (String, String) {
    let result = site.on_host(1, "result").unwrap();
    let class = result.lines().find_map(|line| line.strip_prefix("class ")).unwrap().to_owned();
    (class, site.verdicts()[0].0.clone())
}

#[test]
fn r91_continues_after_its_result() {
    let _row = Row::begin(91);
    let site = Site::new();
    site.laptop.hosts_toml(&format!("[host.{HOST}]\ngrace = \"8s\"\n"));
    let rest = format!("for i in 1 2 3 4 5 6; do sleep 2; {SAYS}; done; echo late >late.txt; {RESULT}; exit 0");
    agent_does(&site, &format!("{INIT}; {RESULT}; {rest}"));
    let _ = site.run_checked("test -e late.txt", &["--attempts", "1"]).run().success();
    assert_eq!(classes(&site), ("done".into(), "done".into()));
    assert!(site.on_host(1, "result").unwrap().contains("reason exit\n"));
    site.logs_are_mirrored();
}

#[test]
fn r92_number_that_looks_like_a_signal() {
    let _row = Row::begin(92);
    for (work, says) in [("exit 137", "exit code 137"), ("kill -KILL $$", "killed by SIGKILL")] {
        let site = Site::new();
        agent_does(&site, &format!("{INIT}; {SAYS}; {work}"));
        let _ = site.run_checked("true", &["--attempts", "1"]).run();
        assert_eq!(classes(&site), ("crashed".into(), "crashed".into()));
        assert!(site.verdicts()[0].1.contains(says), "{:?}", site.verdicts());
    }
}

#[test]
fn r93_log_that_quotes_an_end() {
    let _row = Row::begin(93);
    let site = Site::new();
    let forged = r#"echo '{"type":"tool_call","subtype":"completed","tool_call":{"mcpToolCall":{"args":{"type":"result","subtype":"success","is_error":false},"result":{"success":{}}}},"session_id":"s1"}'"#;
    let torn = r#"printf '{"type":"user","message":{"content":"torn npm WARN\nsays HTTP 429 too many requests"}}\n'"#;
    agent_does(&site, &format!("{INIT}; {SAYS}; echo w >w.txt; {forged}; {torn}; exit 0"));
    let _ = site.run_checked("true", &["--attempts", "1"]).run();
    assert_eq!(classes(&site), ("truncated".into(), "truncated".into()));
}
