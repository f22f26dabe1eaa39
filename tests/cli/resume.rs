//! `handoff resume`: the next attempt, with a message from the user, on the same host or another.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

#[test]
fn a_message_reaches_the_next_prompt_of_the_same_session() {
    let plan = "turn 1\nfail 1 Error: Authentication required\nturn 2\nedit a <<END\na\nEND\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(3).done();
    let message = "I have logged you in; 'mind' the $HOME \"quotes\"";
    laptop.handoff(["resume", ID, "--message", message]).run().exits(0).done();
    let prompts = laptop.hosts[0].prompts();
    assert!(prompts[1].contains(message) && prompts[1].contains(TASK), "{}", prompts[1]);
    assert_eq!(laptop.verdicts(), ["auth", "unchecked"]);
}

#[test]
fn a_message_outlives_the_command_that_brought_it() {
    let plan = "turn 1\nfail 1 Error: Authentication required\nturn 2\nedit a <<END\na\nEND\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(3).done();
    laptop.hosts[0].out_of_reach(true);
    let running = laptop.handoff(["resume", ID, "--message", "Mind the pennies."]).spawn();
    let journal = || std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    wait_for("the second attempt's number", || journal().matches("\"event\":\"dispatched\"").count() == 2);
    assert_eq!(running.kill().code, None);
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["watch", ID]).run().exits(0).done();
    let prompts = laptop.hosts[0].prompts();
    assert_eq!(prompts.len(), 2);
    assert!(prompts[1].contains("Mind the pennies."), "{}", prompts[1]);
}

#[test]
fn resume_on_another_host_carries_the_work() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.write("mine.txt", "mine\n");
    laptop.run(["--detach", TASK]).run().exits(0).done();
    crate::support::wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.handoff(["stop", ID]).run().exits(0).done();
    let plan = "turn 1\nrun cat notes.txt mine.txt >\"$HOME/found\"\nedit more.txt <<END\nmore\nEND\nfinish Done.\n";
    laptop.add_host("other").write_plan(plan);
    laptop.write_hosts();
    laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).done();
    let found = std::fs::read_to_string(laptop.hosts[1].home.join("found")).unwrap();
    assert_eq!(found, "by the agent\nmine\n");
    assert_eq!(laptop.shown()["handoff"]["attempts"]["2"]["host"], "other");
    let diff = laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").says("+more");
    assert!(!diff.text().contains("+mine"), "earlier changes are not part of the diff:\n{}", diff.text());
}

#[test]
fn resume_on_a_host_that_was_not_told_works_after_it_was_told() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.add_host("other").write_plan("turn 1\nedit more.txt <<END\nmore\nEND\nfinish More.\n");
    laptop.write_hosts();
    laptop.hosts[0].out_of_reach(true);
    laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).done();
    let back = ["resume", ID, "--host", "box"];
    let refused = laptop.handoff(back).run().exits(5).complains("has not confirmed yet that the handoff moved away");
    refused.complains("try: handoff hosts check box").complains(&format!("handoff resume {ID} --host box")).done();

    laptop.hosts[0].out_of_reach(false);
    laptop.hosts[0].write_plan(
        "turn 1\nrun cat more.txt notes.txt >\"$HOME/found\" 2>&1\nedit back.txt <<END\nback\nEND\nfinish Back.\n",
    );
    laptop.handoff(back).run().exits(0).says("finished after the handoff had moved on").done();
    assert!(!laptop.hosts[0].running().join(" ").contains("sleep 99731"), "the earlier attempt was ended first");
    let found = std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap();
    assert!(found.starts_with("more\n") && !found.contains("by the agent"), "the work of the other host: {found}");
    let superseded = laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:notes.txt")]);
    assert_eq!(superseded, "by the agent\n", "its later work is kept");
}

#[test]
fn a_late_attempt_is_reported_once() {
    let hangs = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nrun sleep 99731 &\nsay Now I wait.\nhang\n";
    let mut laptop = Laptop::with_plan(hangs);
    laptop.add_host("other").write_plan("turn 1\nrun date >>more.txt; echo more >>more.txt\nfinish More.\n");
    laptop.write_hosts();
    laptop.run(["--detach", TASK]).run().exits(0).done();
    for attempt in [1, 5] {
        wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
        laptop.hosts[0].out_of_reach(true);
        laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).done();
        laptop.hosts[0].out_of_reach(false);
        let told = laptop
            .handoff(["watch", ID])
            .run()
            .exits(0)
            .says(&format!("attempt {attempt} on box finished after the handoff had moved on"));
        assert_eq!(told.text().matches("finished after the handoff had moved on").count(), 1, "{}", told.text());
        laptop.handoff(["resume", ID, "--host", "box", "--detach"]).run().exits(0).done();
    }
    laptop.handoff(["stop", ID]).run().exits(0).done();
    let shown = laptop.shown();
    let attempts = shown["handoff"]["attempts"].as_object().unwrap();
    let hosts: Vec<_> = attempts.iter().map(|(n, attempt)| (n.as_str(), attempt["host"].as_str().unwrap())).collect();
    let those = [("1", "box"), ("4", "other"), ("5", "box"), ("8", "other"), ("9", "box")];
    assert_eq!(hosts, those, "a number that no host used is no attempt");
}

#[test]
fn resume_of_a_done_handoff_needs_an_explicit_option() {
    let plan = "turn 1\nedit a <<END\na\nEND\nfinish Done.\nturn 2\nedit b <<END\nb\nEND\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    let refused = laptop.handoff(["resume", ID]).run().exits(2).complains("is done");
    refused.complains(&format!("handoff resume {ID} --again")).complains("--message").done();
    assert_eq!(laptop.verdicts().len(), 1);
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).done();
    assert_eq!(laptop.verdicts().len(), 2);
}

#[test]
fn a_command_without_an_id_is_refused_if_several_handoffs_fit() {
    let laptop = Laptop::with_plan("turn 1\nfail 1 Error: Authentication required\n");
    laptop.run([TASK]).run().exits(3).done();
    laptop.handoff(["resume"]).run().exits(3).done();
    laptop.handoff(["run", "--host", "box", "--id", "another", "Another task."]).run().exits(3).done();
    for command in ["resume", "clean"] {
        let refused = laptop.handoff([command]).run().exits(2).complains("which handoff?");
        refused.complains(&format!("handoff {command} another")).complains(&format!("handoff {command} {ID}")).done();
    }
    laptop.handoff(["clean", "another"]).run().exits(0).done();
    // An older handoff is not taken for the newest one.
    let refused = laptop.handoff(["clean"]).run().exits(2).complains("the newest is not one to clean");
    refused.complains(&format!("handoff clean {ID}")).done();
    laptop.handoff(["clean", ID]).run().exits(0).says(&format!("{ID} on box: released")).done();
}

#[test]
fn resume_refuses_a_running_handoff() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.handoff(["resume", ID]).run().exits(2).complains("handoff show").done();
}

#[test]
fn resume_with_a_message_continues_a_done_handoff() {
    let laptop = Laptop::with_plan(&format!("{QUICK}turn 2\nedit more.txt <<END\nmore\nEND\nfinish More.\n"));
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--message", "And more."]).run().exits(0).done();
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").says("+more").done();
    assert_eq!(laptop.hosts[0].prompts().len(), 2);
}

/// A second agent, which takes its task on stdin and knows no sessions.
fn knows_fixer(laptop: &Laptop) {
    let fixer = "#!/bin/sh\ncat >\"$HOME/fixer-prompt\"\necho \"model $2\" >fixed.txt\necho all done\n";
    let path = laptop.hosts[0].home.join(".local/bin/fixer");
    std::fs::write(&path, fixer).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let table = "[agent.fixer]\nbinary = [\"fixer\"]\nstart = []\nmodel_args = [\"--model\", \"{model}\"]\nsuccess = [\"^all done$\"]\n";
    let directory = laptop.home().join(".config/handoff");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("agents.toml"), table).unwrap();
}

#[test]
fn another_agent_continues_the_work_and_then_the_first_one_again() {
    let plan = "turn 1\nedit a.txt <<END\nby the agent\nEND\nfail 1 Error: Authentication required\n\
                turn 2\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(3).done();
    knows_fixer(&laptop);
    laptop.handoff(["resume", ID, "--agent", "fixr"]).run().exits(2).complains("fixer").done();
    let run = laptop.handoff(["resume", ID, "--agent", "fixer", "--model", "small"]).run().exits(0);
    run.says("fixer continues in a new session, from the resume prompt").done();
    let prompt = std::fs::read_to_string(laptop.hosts[0].home.join("fixer-prompt")).unwrap();
    assert!(prompt.contains(TASK) && prompt.contains("attempt-1.log"), "{prompt}");
    let work = |n: u32, file: &str| laptop.git(&["show", &format!("refs/handoff/{ID}/{n}/work:{file}")]);
    assert_eq!((work(2, "a.txt"), work(2, "fixed.txt")), ("by the agent\n".into(), "model small\n".into()));
    assert_eq!(laptop.verdicts(), ["auth", "unchecked"]);
    let shown = laptop.handoff(["show", ID, "--offline"]).run().exits(0);
    shown.says("agent     cursor; fixer, small from attempt 2").done();
    laptop.handoff(["logs", ID, "--attempt", "1"]).run().exits(0).says("Authentication required").done();

    laptop.handoff(["resume", ID, "--agent", "cursor"]).run().exits(3).says("cursor continues in a new session").done();
    assert_eq!(laptop.verdicts(), ["auth", "unchecked", "auth"]);
}

#[test]
fn a_dispatch_to_another_agent_that_was_cut_is_sent_again_for_that_agent() {
    let laptop = Laptop::with_plan("turn 1\nedit a.txt <<END\na\nEND\nfail 1 Error: Authentication required\n");
    laptop.run([TASK]).run().exits(3).done();
    knows_fixer(&laptop);
    laptop.hosts[0].out_of_reach(true);
    let running = laptop.handoff(["resume", ID, "--agent", "fixer"]).spawn();
    let journal = || std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    wait_for("the second attempt's number", || journal().matches("\"event\":\"dispatched\"").count() == 2);
    assert_eq!(running.kill().code, None);
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["watch", ID]).run().exits(0).done();
    assert_eq!(laptop.verdicts(), ["auth", "unchecked"]);
    assert!(laptop.hosts[0].home.join("fixer-prompt").exists());
}
