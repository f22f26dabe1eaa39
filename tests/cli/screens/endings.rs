//! Attempts that fail, each with the user's next step.

use crate::support::laptop::Laptop;
use crate::support::screens::Screens;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// A run that follows `plan`, with more keys of its host and more arguments, and the output of `show`.
fn ending(screens: &mut Screens, what: &str, plan: &str, keys: &str, more: &[&str]) {
    let mut laptop = Laptop::with_plan(plan);
    laptop.hosts[0].keys = keys.to_owned();
    laptop.write_hosts();
    screens.note(what);
    screens.add(&laptop, &laptop.run([TASK]).args(more).run());
    screens.see(&laptop, &["show", "--offline"]);
}

#[test]
fn of_setup_check_and_agent() {
    let mut screens = Screens::new();
    let once = &["--attempts", "1"][..];
    ending(&mut screens, "the setup fails", QUICK, "setup = \"echo no such package >&2; exit 3\"\n", once);
    ending(&mut screens, "the check fails", QUICK, "check = \"echo 1 test failed; exit 1\"\n", once);
    let crash = "turn 1\nedit notes.txt <<END\nhalf\nEND\nfail 7 something broke\n";
    ending(&mut screens, "the agent crashes", crash, "", once);
    ending(&mut screens, "the agent changes nothing", "turn 1\nfinish Looked.\n", "", once);
    let cut = "turn 1\nedit a <<END\na\nEND\ntruncate\n";
    ending(&mut screens, "the agent's output breaks off", cut, "", once);
    let refused = "turn 1\nrefuse rm -rf /\nerror I may not do that.\n";
    ending(&mut screens, "a tool is refused", refused, "", once);
    let limit = "turn 1\nedit a <<END\na\nEND\nratelimit\n";
    ending(&mut screens, "rate limits use up all attempts", limit, "", &["--attempts", "2"]);
    ending(&mut screens, "a check is required and there is none", QUICK, "", &["--require-check"]);
    screens.match_file("endings");
}

#[test]
fn of_an_agent_that_is_not_installed() {
    let laptop = Laptop::new();
    for name in ["agent", "cursor-agent"] {
        std::fs::remove_file(laptop.hosts[0].home.join(".local/bin").join(name)).unwrap();
    }
    let mut screens = Screens::new();
    screens.add(&laptop, &laptop.run([TASK]).run());
    screens.see(&laptop, &["show", "--offline"]);
    screens.match_file("agent_that_is_missing");
}

#[test]
fn of_an_attempt_that_is_lost() {
    let laptop = Laptop::with_plan("turn 1\nedit a <<END\nby the agent\nEND\nsay Now I wait.\nhang\n");
    let mut screens = Screens::new();
    let running = laptop.run(["--attempts", "1", TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    running.interrupt().exits(130).done();
    // As in a power cut, no process is left to record how the attempt ended.
    crate::support::processes::end(&laptop.hosts[0].home);
    screens.see(&laptop, &["watch"]);
    screens.see(&laptop, &["list"]);
    screens.match_file("attempt_that_is_lost");
}

#[test]
fn of_a_record_by_a_newer_version_and_of_a_broken_one() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let mut screens = Screens::new();
    let journal = laptop.truth("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let last = text.lines().last().unwrap();
    let mut event: serde_json::Value = serde_json::from_str(last).unwrap();
    event["event"] = "teleported".into();
    std::fs::write(&journal, format!("{text}{event}\n")).unwrap();
    screens.note("an event of a newer version");
    for args in [&["show"][..], &["list"], &["resume"], &["clean"], &["takeover", "--editor", "none"]] {
        screens.see(&laptop, args);
    }
    std::fs::write(&journal, text.replacen("\"event\"", "\"evnt\"", 2)).unwrap();
    screens.note("a journal that is broken in the middle");
    for args in [&["show", ID][..], &["list"], &["clean", "--all"]] {
        screens.see(&laptop, args);
    }
    screens.match_file("odd_records");
}

#[test]
fn of_what_git_refuses() {
    let plan = "turn 1\nrun printf '[submodule \"../../hooks\"]\\n\\tpath = s\\n\\turl = https://example.com/s\\n' \
                >.gitmodules\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    let mut screens = Screens::new();
    screens.add(&laptop, &laptop.run([TASK]).run());
    screens.see(&laptop, &["pull"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["diff"]);
    screens.see(&laptop, &["takeover", "--editor", "none"]);
    screens.see(&laptop, &["clean"]);
    screens.match_file("work_that_git_refuses");
}

#[test]
fn of_files_that_are_only_on_the_host() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
                run mkdir -p target; echo warm >target/made; printf 12345 >only.o\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write(".gitignore", "target/\n*.o\n");
    laptop.run([TASK]).run().exits(0).done();
    let mut screens = Screens::new();
    screens.see(&laptop, &["clean", "--dry-run"]);
    screens.see(&laptop, &["clean"]);
    screens.see(&laptop, &["show", "--host", "box"]);
    screens.see(&laptop, &["clean", "--all", "--dry-run"]);
    screens.see(&laptop, &["clean", ID, "--discard-ignored", "--dry-run"]);
    screens.see(&laptop, &["clean", ID, "--discard-ignored"]);
    screens.match_file("clean_that_keeps");
}

#[test]
fn of_a_host_that_goes_away() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.add_host("other").write_plan("turn 1\nedit more.txt <<END\nmore\nEND\nfinish More.\n");
    laptop.write_hosts();
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    running.interrupt().exits(130).done();
    let mut screens = Screens::new();
    laptop.hosts[0].out_of_reach(true);
    screens.note("box cannot be reached");
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["resume", "--host", "bxo"]);
    screens.see(&laptop, &["resume", "--host", "other"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["resume", "--host", "box"]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["clean", "--host", "box"]);
    screens.see(&laptop, &["takeover", "--editor", "none"]);
    laptop.hosts[0].out_of_reach(false);
    screens.note("box answers again");
    screens.see(&laptop, &["stop"]);
    screens.see(&laptop, &["watch"]);
    screens.see(&laptop, &["show"]);
    screens.see(&laptop, &["pull"]);
    screens.see(&laptop, &["list"]);
    screens.match_file("host_that_goes_away");
}
