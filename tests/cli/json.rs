//! `--json`: what the commands print is what `docs/json.md` says, which is made from the same schema.

use handoff::cli::json::{OUTPUTS, schema};
use serde_json::Value;

use crate::support::laptop::Laptop;
use crate::support::program::Ran;
use crate::support::schema::mistake;
use crate::support::{HANGS, ID, TASK, wait_for};

/// An agent that meets a rate limit once, and then does the work.
const PLAN: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nratelimit\n\
    turn 2\nrun echo again >>notes.txt\nfinish All done.\n";

/// Checks every object of a run against the schema of its command. There must be some.
#[track_caller]
fn checked(command: &str, ran: &Ran) -> Vec<Value> {
    let output = OUTPUTS.iter().find(|output| output.command == command).unwrap();
    let (schema, lines) = (schema(output), ran.json());
    assert!(!lines.is_empty() && (output.prints != "one" || lines.len() == 1), "{command}: {ran:?}");
    for line in &lines {
        let mistake = mistake(&schema, &schema, line);
        assert_eq!(mistake, None, "{command}: {line:#}");
    }
    lines
}

#[test]
fn every_command_prints_what_its_schema_says() {
    let laptop = Laptop::with_plan(PLAN);
    let see = |command: &str, words: &[&str]| {
        let command_words: Vec<&str> = command.split(' ').chain(words.iter().copied()).chain(["--json"]).collect();
        checked(command, &laptop.handoff(command_words).run().exits(0))
    };
    let events = checked("run", &laptop.run(["--json", "--check", "true", TASK]).run().exits(0));
    let delay = events.iter().find(|event| event["progress"] == "backing-off").map(|event| event["delay"].clone());
    assert!(delay.as_ref().is_some_and(Value::is_number), "{delay:?}");
    assert_eq!(events.last().unwrap()["status"], "done");
    see("list", &[]);
    see("list", &["--all"]);
    assert_eq!(see("show", &[])[0]["status"], "done");
    see("show --host", &["box"]);
    assert!(see("logs", &["--attempt", "1"]).iter().all(|event| event["progress"] == "agent"));
    assert_eq!(see("summarize", &[])[0]["attempt"], 2);
    see("watch", &[]);
    let daemon = laptop.handoff(["watch", "--daemon", "status", "--json"]).run().exits(1);
    assert_eq!(checked("watch --daemon status", &daemon)[0]["running"], false);
    assert_eq!(see("pull", &[])[0]["attempts"].as_array().unwrap().len(), 2);
    assert_eq!(see("pull", &["--artifacts", "notes.txt"])[0]["artifacts"]["files"][0]["path"], "notes.txt");
    let difference = see("diff", &[]).remove(0);
    assert_eq!((&difference["files"][0]["path"], &difference["is_cut"]), (&"notes.txt".into(), &false.into()));
    assert!(difference["patch"].as_str().unwrap().contains("+again"), "{difference}");
    see("clean", &[ID, "--dry-run"]);
    see("hosts list", &[]);
    see("hosts check", &["box"]);
    see("hosts disk", &[]);
    see("agents", &[]);
    see("agents --verdicts", &[]);
    let log = laptop.truth("attempt-1.log");
    see("agents explain", &["--agent", "cursor", "--exit", "1", log.to_str().unwrap()]);
    let taken = see("takeover", &[]).remove(0);
    assert_eq!((&taken["status"], &taken["worktree"]), (&"interactive".into(), &laptop.worktree().to_str().into()));
    assert!(taken["prompt"].as_str().unwrap().contains("Continue"), "{taken}");
    std::fs::write(laptop.worktree().join("mine.txt"), "by hand\n").unwrap();
    let merged = see("takeover", &["--here"]).remove(0);
    assert_eq!(merged["merged"]["added"], serde_json::json!(["mine.txt", "notes.txt"]));
    assert_eq!(see("undo", &[])[0]["was_undone"], false);
    see("takeover", &[]);
    see("give", &["--detach", "--message", "by hand"]);
    see("watch", &[]);
    see("resume", &["--again"]);
    see("show", &["--offline"]);
    assert_eq!(see("finish", &["--branch", "fix"])[0]["branch"], "fix");
    see("show", &["--offline"]);
    see("forget", &[ID, "--discard"]);
    let directory = laptop.repository().join(".cursor/agent-handoffs/by-hand");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("handoff.md"), "Status: failed\nTask: Try it.\nCurrent attempt: 2\n").unwrap();
    std::fs::write(directory.join("attempt-1.log"), "Error: it broke\n").unwrap();
    let path = directory.to_str().unwrap();
    assert_eq!(see("adopt", &[path, "--dry-run"])[0]["adopted"], false);
    assert_eq!(see("adopt", &[path])[0]["found"]["attempts"][1]["attempt"], 2);
    assert_eq!(see("adopt", &[path])[0]["already"], true);
    see("show", &["--offline"]);
    see("list", &[]);
}

#[test]
fn a_running_handoff_is_shown_and_stopped_as_its_schema_says() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the agent", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    let shown = checked("show", &laptop.handoff(["show", "--json"]).run().exits(0)).remove(0);
    assert_eq!(shown["host"]["task"], "alive");
    checked("stop", &laptop.handoff(["stop", "--json"]).run().exits(0));
}
