//! `handoff agents`

use crate::support::laptop::Laptop;
use handoff::model::verdict::Class;

#[test]
fn lists_the_built_in_ones_and_the_users() {
    let laptop = Laptop::new();
    laptop.handoff(["agents"]).run().exits(0).says("cursor").says("claude").says("codex").says("(default)").done();
    assert!(laptop.handoff(["agents", "--json"]).run().exits(0).json().len() >= 3);
    let own = "[agent.mine]\nlike = 1\n";
    std::fs::write(laptop.home().join(".config/handoff/agents.toml"), own).unwrap();
    laptop.handoff(["agents"]).run().exits(2).complains("agents.toml").done();
}

#[test]
fn every_verdict_has_a_consequence() {
    let laptop = Laptop::new();
    let table = laptop.handoff(["agents", "--verdicts"]).run().exits(0);
    let text = table.text();
    let words: Vec<&str> = text.lines().map(|line| line.split_whitespace().next().unwrap()).collect();
    let all: Vec<&str> = Class::ALL.iter().map(|class| class.word()).collect();
    assert_eq!(words, all);
    assert!(text.lines().all(|line| line.split_whitespace().count() > 1), "{text}");
    let json = laptop.handoff(["agents", "--verdicts", "--json"]).run().exits(0).json();
    assert!(json.len() == all.len() && json.iter().all(|row| row["next"].is_string() && row["again"].is_string()));
}

#[test]
fn explain_names_the_verdict_the_evidence_and_what_the_host_alone_decides() {
    let laptop = Laptop::new();
    let log = laptop.home().join("a log");
    let result = "{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":true,\"api_error_status\":401,\"result\":\"Invalid \\u001b[31mkey\"}";
    std::fs::write(&log, format!("npm warn\n{result}\n")).unwrap();
    let path = log.to_str().unwrap();
    let explain = ["agents", "explain", "--agent", "claude", "--exit", "1", "--json", path];
    let json = laptop.handoff(explain).run().exits(0).json();
    assert_eq!((&json[0]["verdict"], &json[0]["alone"]), (&"auth".into(), &"auth".into()));
    assert_eq!((&json[0]["evidence"], &json[0]["line"]), (&"Invalid [31mkey".into(), &2.into()));
    let text = laptop.handoff(["agents", "explain", "--agent", "claude", "--exit", "1", path]).run().exits(0);
    text.says("verdict: auth").says("(line 2)").says("verdict of a host without contact: auth").done();
    laptop
        .handoff(["agents", "explain", "--agent", "claud", "--exit", "0", path])
        .run()
        .exits(2)
        .complains("claude")
        .done();
    laptop.handoff(["agents", "explain", "--agent", "claude", "--exit", "0", "/nowhere"]).run().exits(2).done();
}
