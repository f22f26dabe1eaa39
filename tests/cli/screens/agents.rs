//! The known facts about agents, and the facts that a log proves.

use crate::support::laptop::Laptop;
use crate::support::screens::Screens;

#[test]
fn that_are_listed_and_explained() {
    let laptop = Laptop::new();
    let log = laptop.home().join("attempt.log");
    std::fs::write(&log, "Invalid API key · Please run /login\n").unwrap();
    let log = log.to_str().unwrap();
    let mut screens = Screens::new();
    screens.see(&laptop, &["agents"]);
    screens.see(&laptop, &["agents", "--verdicts"]);
    screens.see(&laptop, &["agents", "explain", "--agent", "claude", "--exit", "1", log]);
    screens.see(&laptop, &["agents", "explain", "--agent", "codex", "--exit", "0", log]);
    screens.see(&laptop, &["agents", "explain", "--agent", "cursor", "--exit", "143", "--signal", "15", "--json", log]);
    screens.match_file("agents");
}
