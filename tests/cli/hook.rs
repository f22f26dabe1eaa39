//! `handoff hook stop`: a chat of Cursor reports a handoff that it started.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::laptop::Laptop;
use crate::support::mcp::Client;
use crate::support::{ID, QUICK, TASK, wait_for};

/// An agent that works until the file `go` is in its home.
const UNTIL_GO: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run until [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish All done.\n";

/// The answer at the end of a turn.
#[track_caller]
fn turn_ends(laptop: &Laptop, chat: &str, status: &str) -> Value {
    turn_ends_at(laptop, chat, status, &laptop.repository())
}

#[track_caller]
fn turn_ends_at(laptop: &Laptop, chat: &str, status: &str, root: &Path) -> Value {
    let input = json!({
        "conversation_id": chat, "generation_id": "g", "hook_event_name": "stop", "status": status, "loop_count": 0,
        "workspace_roots": [root],
    });
    // Cursor does not start hooks in the repository.
    let hook = laptop.handoff(["hook", "stop"]).directory(laptop.top()).stdin(input.to_string());
    hook.run().exits(0).json().remove(0)
}

#[track_caller]
fn start(laptop: &Laptop) {
    laptop.run(["--detach", TASK]).env("CURSOR_AGENT", "1").run().exits(0).done();
}

fn let_it_end(laptop: &Laptop) {
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    wait_for("the host to have a result", || {
        laptop.handoff(["show", ID, "--json"]).run().exits(0).json()[0]["host"]["result"] == true
    });
}

#[test]
fn the_chat_that_started_a_handoff_reports_its_end_once() {
    let laptop = Laptop::with_plan(UNTIL_GO);
    start(&laptop);
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "it still runs");
    assert_eq!(turn_ends(&laptop, "another", "completed"), json!({}));
    let_it_end(&laptop);
    laptop.status_is("running");
    assert_eq!(turn_ends(&laptop, "another", "completed"), json!({}));
    assert_eq!(turn_ends(&laptop, "mine", "aborted"), json!({}), "the person decides what is next");

    let before = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    let answer = turn_ends(&laptop, "mine", "completed");
    let after = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    assert_eq!(before, after, "a hook judges nothing and starts nothing");
    let message = answer["followup_message"].as_str().unwrap();
    let record = laptop.record("handoff.md").canonicalize().unwrap();
    assert!(
        message.contains(&format!("- {ID}: attempt 1 has ended on its host. Run `handoff watch {ID}`")),
        "{message}"
    );
    assert!(message.contains(&format!("Record: {}\n", record.display())), "{message}");
    assert!(!message.contains("All done"), "the agent's words are not part of a message to another agent");
    laptop.status_is("running");
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "once is enough");
    laptop.handoff(["watch", ID]).run().exits(0).done();
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "the chat has fetched it");
}

#[test]
fn an_end_that_somebody_else_fetched_is_reported() {
    let laptop = Laptop::with_plan(UNTIL_GO);
    start(&laptop);
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
    let_it_end(&laptop);
    laptop.handoff(["watch", ID]).run().exits(0).done();
    let answer = turn_ends(&laptop, "mine", "completed");
    assert!(answer["followup_message"].as_str().unwrap().contains(&format!("- {ID}: done. Record: ")), "{answer}");
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "once is enough");
}

#[test]
fn a_handoff_of_a_person_or_with_the_setting_is_not_reported() {
    let mut laptop = Laptop::with_plan(&format!("{QUICK}turn 2\nrun echo more >>notes.txt\nfinish More.\n"));
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--again", "--detach"]).run().exits(0).done();
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "a person started it in a terminal");
    laptop.handoff(["watch", ID]).run().exits(0).done();

    laptop.plan(UNTIL_GO);
    laptop.handoff(["resume", ID, "--again", "--detach"]).env("CURSOR_AGENT", "1").run().exits(0).done();
    let_it_end(&laptop);
    laptop.append_hosts("\n[plugin]\nreport-to-chat = false\n");
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
}

#[test]
fn a_handoff_that_the_person_took_over_is_not_reported() {
    let laptop = Laptop::with_plan(UNTIL_GO);
    start(&laptop);
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
    let_it_end(&laptop);
    laptop.takeover().exits(0).done();
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
}

#[test]
fn a_handoff_that_was_started_by_the_tools_is_reported() {
    let laptop = Laptop::with_plan(UNTIL_GO);
    let mut client = Client::called("cursor-vscode", laptop.handoff(["mcp"]));
    let started = client.tool("run", json!({ "task": TASK, "host": "box", "id": ID }));
    assert_eq!(started["status"], "running", "{started}");
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
    let_it_end(&laptop);
    assert!(turn_ends(&laptop, "mine", "completed")["followup_message"].is_string());
}

#[test]
fn a_chat_is_not_disturbed_by_what_goes_wrong() {
    let laptop = Laptop::with_plan(UNTIL_GO);
    for input in ["", "{", "{\"status\": 7}"] {
        let ran = laptop.handoff(["hook", "stop"]).stdin(input).run().exits(0);
        let ran = ran.complains("standard input is not that of a stop hook");
        assert_eq!(ran.text(), "{}\n", "{input}");
    }
    assert_eq!(turn_ends_at(&laptop, "mine", "completed", laptop.top()), json!({}), "this is no repository");
    start(&laptop);
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
    laptop.hosts[0].out_of_reach(true);
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}), "a host that does not answer is no end");
    std::fs::write(laptop.truth("journal.jsonl"), "broken\n").unwrap();
    assert_eq!(turn_ends(&laptop, "mine", "completed"), json!({}));
}
