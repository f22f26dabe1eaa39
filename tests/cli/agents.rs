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
