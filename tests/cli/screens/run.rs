//! One handoff from its start to its end.

use crate::support::laptop::Laptop;
use crate::support::screens::Screens;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// Every key of a JSON value, with dots, sorted.
fn keys(value: &serde_json::Value) -> String {
    fn walk(value: &serde_json::Value, at: &str, all: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(fields) if !fields.is_empty() => {
                fields.iter().for_each(|(key, value)| walk(value, &format!("{at}.{key}"), all));
            }
            serde_json::Value::Array(items) if !items.is_empty() => {
                items.iter().for_each(|item| walk(item, &format!("{at}[]"), all));
            }
            _ => drop(all.insert(at.to_owned() + "\n")),
        }
    }
    let mut all = std::collections::BTreeSet::new();
    walk(value, "", &mut all);
    all.into_iter().collect()
}

#[test]
fn that_succeeds_and_every_command_that_follows() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.write(".gitignore", "*.secret\n");
    laptop.write("mine.secret", "x\n");

    let mut screens = Screens::new();
    screens.see(&laptop, &["ship", "--dry-run"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["show", "--host", "box"]);
    screens.match_file("before_the_first_run");

    let mut screens = Screens::new();
    screens.see(&laptop, &["run", "--host", "box", "--id", ID, TASK]);
    screens.see(&laptop, &["run", "--host", "box", "--id", ID, "Another task."]);
    screens.see(&laptop, &["watch", ID]);
    screens.see(&laptop, &["watch", ID, "--require-check"]);
    screens.match_file("run");

    let mut screens = Screens::new();
    screens.text(&laptop, &laptop.handoff_md());
    screens.match_file("handoff_md");

    let mut screens = Screens::new();
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["show", "--host", "box"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["list", "--all"]);
    screens.see(&laptop, &["logs"]);
    screens.see(&laptop, &["logs", "--attempt", "7"]);
    screens.see(&laptop, &["diff"]);
    screens.see(&laptop, &["diff", "--stat"]);
    screens.see(&laptop, &["diff", "--attempt", "7"]);
    screens.see(&laptop, &["pull"]);
    screens.see(&laptop, &["stop"]);
    screens.note("keys of `handoff show --json`");
    screens.text(&laptop, &keys(&laptop.handoff(["show", ID, "--json"]).run().exits(0).json()[0]));
    screens.match_file("look");

    let mut screens = Screens::new();
    screens.see(&laptop, &["clean", "--dry-run"]);
    screens.see(&laptop, &["clean"]);
    screens.see(&laptop, &["clean"]);
    screens.see(&laptop, &["clean", "--all"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["show", "--host", "box"]);
    screens.match_file("clean");

    let mut screens = Screens::new();
    let other = laptop.top().join("taken");
    std::fs::create_dir(&other).unwrap();
    let at = ["takeover", "--editor", "none", "--worktree"];
    screens.add(&laptop, &laptop.handoff(at).args([&other]).run());
    screens.see(&laptop, &["takeover", "--editor", "none"]);
    screens.see(&laptop, &["takeover", "--editor", "none", ID]);
    screens.see(&laptop, &["resume"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["show"]);
    std::fs::remove_dir_all(laptop.worktree()).unwrap();
    screens.note("the worktree was deleted by hand");
    screens.see(&laptop, &["takeover", "--editor", "none"]);
    screens.match_file("takeover");
}

#[test]
fn that_is_given_back() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                turn 2\nedit more.txt <<END\nmore\nEND\nfinish Second.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    let mut screens = Screens::new();
    screens.see(&laptop, &["give"]);
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("notes.txt"), "by the agent and me\n").unwrap();
    screens.note("notes.txt was changed in the worktree");
    screens.see(&laptop, &["give", "--message", "The agent did not know me."]);
    screens.see(&laptop, &["show"]);
    screens.note("the prompt of attempt 2");
    screens.text(&laptop, &laptop.hosts[0].prompts()[1]);
    screens.see(&laptop, &["takeover", "--editor", "none"]);
    screens.match_file("give");
}

#[test]
fn that_is_finished() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let mut screens = Screens::new();
    screens.see(&laptop, &["finish", ID, "--branch", "fix-till"]);
    laptop.write(".git/info/exclude", "*.o\n/.cursor/agent-handoffs/\n");
    std::fs::write(laptop.worktree().join("till.o"), "x").unwrap();
    screens.note("the worktree has an ignored file");
    screens.see(&laptop, &["finish", ID, "--branch", "fix-till", "--message", "Fix the till"]);
    screens.see(&laptop, &["finish", ID, "--discard-worktree"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["watch"]);
    screens.see(&laptop, &["resume"]);
    let page = laptop.handoff_md();
    screens.note("the end of handoff.md");
    screens.text(&laptop, &page[page.find("## Final Outcome").unwrap()..]);
    screens.match_file("finish");
}

#[test]
fn with_a_retry() {
    let laptop = Laptop::new();
    let mut screens = Screens::new();
    screens.see(&laptop, &["run", "--host", "box", "--id", ID, "--check", "sh test.sh", TASK]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["logs", "--attempt", "1"]);
    screens.match_file("run_with_a_retry");

    let mut screens = Screens::new();
    screens.text(&laptop, &laptop.handoff_md());
    screens.match_file("handoff_md_after_a_retry");
}

#[test]
fn that_needs_a_person_and_is_resumed() {
    let plan = "turn 1\nfail 1 Error: Authentication required. Please run agent login first.\n\
                turn 2\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    let mut screens = Screens::new();
    screens.see(&laptop, &["run", "--host", "box", "--id", ID, TASK]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["watch"]);
    screens.see(&laptop, &["diff"]);
    screens.see(&laptop, &["pull"]);
    screens.see(&laptop, &["resume", "-m", "I have logged you in."]);
    screens.match_file("run_that_needs_a_person");
}

#[test]
fn that_is_left_and_stopped() {
    let laptop = Laptop::with_plan(HANGS);
    let mut screens = Screens::new();
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    screens.see(&laptop, &["resume"]);
    let attached = laptop.handoff(["watch"]).spawn();
    wait_for("the agent's words", || attached.stdout().contains("Now I wait."));
    screens.add(&laptop, &running.interrupt());
    // The other process is not yet waiting for Ctrl-C when it prints this.
    wait_for("the other process to drive", || attached.stdout().contains("has been running on box"));
    screens.add(&laptop, &attached.interrupt());
    screens.see(&laptop, &["run", "--host", "box", TASK]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["resume"]);
    screens.see(&laptop, &["diff"]);
    screens.see(&laptop, &["clean"]);
    screens.see(&laptop, &["logs"]);
    screens.see(&laptop, &["stop"]);
    screens.see(&laptop, &["stop"]);
    screens.see(&laptop, &["show"]);
    screens.match_file("run_that_is_stopped");
}

#[test]
fn of_a_takeover_into_the_checkout() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let here = ["takeover", "--editor", "none", "--here"];
    let mut screens = Screens::new();
    screens.note("a conflict");
    laptop.write("notes.txt", "mine\n");
    screens.see(&laptop, &here);
    std::fs::remove_file(laptop.repository().join("notes.txt")).unwrap();
    screens.note("merged");
    screens.see(&laptop, &here);
    screens.see(&laptop, &here);
    screens.see(&laptop, &["show", "--offline"]);
    screens.note("a file that changed since");
    laptop.write("notes.txt", "mine\n");
    screens.see(&laptop, &["undo"]);
    laptop.write("notes.txt", "by the agent\n");
    screens.note("undone");
    screens.see(&laptop, &["undo"]);
    screens.see(&laptop, &["undo"]);
    screens.see(&laptop, &["show", "--offline"]);
    screens.match_file("takeover_here");
}
