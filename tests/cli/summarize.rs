//! `handoff summarize`: the summary of what is known now.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

fn events(laptop: &Laptop, kind: &str) -> usize {
    let journal = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    journal.matches(&format!("\"event\":\"{kind}\"")).count()
}

#[test]
fn a_running_attempt_that_nobody_follows_is_fetched_and_partial() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the agent's words", || String::from_utf8_lossy(&laptop.hosts[0].log(1)).contains("Now I wait."));
    let ran = laptop.handoff(["summarize", ID]).run().exits(0).says("Partial: attempt 1 is still running.");
    ran.says("## What It Tried").says("The agent said: “Now I wait.”").says("record: .cursor/agent-handoffs").done();
    assert!(laptop.handoff_md().contains("Partial: attempt 1 is still running."), "{}", laptop.handoff_md());
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    let (here, there) = (std::fs::read(laptop.truth("attempt-1.log")).unwrap(), laptop.hosts[0].log(1));
    assert!(there.starts_with(&here) && here.ends_with(b"\n"), "the mirror is a prefix");
    assert!(laptop.hosts[0].running().join(" ").contains("sleep 99731"), "nothing was stopped");
    laptop.status_is("running");

    laptop.hosts[0].out_of_reach(true);
    let away = laptop.handoff(["summarize", ID, "--json"]).run().exits(0).json().remove(0);
    let why = away["partial"].as_str().unwrap();
    assert!(why.contains("box could not be asked") && why.contains("its log may be longer"), "{why}");
    assert!(away["tried"].to_string().contains("Now I wait."), "what is here is told: {away}");
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["stop", ID]).run().exits(0).done();
    let over = laptop.handoff(["summarize", ID, "--json"]).run().exits(0).json().remove(0);
    assert_eq!((&over["partial"], &over["status"]), (&serde_json::Value::Null, &"stopped".into()));
}

#[test]
fn an_attempt_that_another_process_follows_is_summarised_meanwhile() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    let ran = laptop.handoff(["summarize", ID]).run().exits(0).says("Partial: attempt 1 is still running.");
    ran.says("The agent said: “Now I wait.”").done();
    assert!(laptop.handoff_md().contains("The agent said: “Now I wait.”"));
    assert!(!running.has_ended());
    laptop.handoff(["stop", ID]).run().exits(0).done();
    running.wait().done();
}

#[test]
fn an_end_that_was_not_fetched_is_told_and_not_judged() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.hosts[0].wait_until_empty(|_| false);
    let ran = laptop.handoff(["summarize", ID]).run().exits(0);
    ran.says(&format!("Partial: attempt 1 has ended on box; `handoff watch {ID}` fetches its work")).done();
    assert_eq!((events(&laptop, "ended"), events(&laptop, "decided")), (0, 0));
    assert_eq!(std::fs::read(laptop.truth("attempt-1.log")).unwrap(), laptop.hosts[0].log(1));
    laptop.handoff(["watch", ID]).run().exits(0).done();
    let ran = laptop.handoff(["summarize"]).run().exits(0).says(&format!("# {ID}: done, attempt 1"));
    let ran = ran.says("ended unchecked").says("notes.txt").says("## Recommended Next Step");
    assert!(!ran.text().contains("Partial"), "{}", ran.text());
}

#[test]
fn a_summary_has_what_people_noted_and_changes_nothing_of_theirs() {
    let laptop = Laptop::new();
    let directory = laptop.record("handoff.md").parent().unwrap().to_owned();
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("handoff.md"), include_str!("../fixtures/hand-made/whole.md")).unwrap();
    std::fs::write(directory.join("attempt-1.log"), "something else\n").unwrap();
    laptop.handoff(["adopt"]).args([&directory]).run().exits(0).done();
    let page = laptop.handoff_md().replacen("Ask Kim about", "Ask Kim and Lou about", 1) + "\nIt was good.\n";
    std::fs::write(directory.join("handoff.md"), &page).unwrap();
    let ran = laptop.handoff(["summarize", ID]).run().exits(0).says("> - It ran `sh test.sh`, which still fails");
    ran.says("nothing shows how it ended").done();
    assert_eq!(laptop.handoff_md(), page);
}
