//! A host that began the next attempt by itself, and a laptop that was killed before it received that news.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait_for};

const PLAN: &str = "turn 1\nrun echo 1 >>\"$HOME/starts\"\nedit notes.txt <<END\nfirst\nEND\nratelimit\n\
    turn 2\nrun echo 2 >>\"$HOME/starts\"\nedit more.txt <<END\nsecond\nEND\nsay Now I wait.\nhang\n\
    turn 3\nrun echo 3 >>\"$HOME/starts\"\nfinish Done.\n";

/// Attempt 2 runs. The record ends after the fetch of attempt 1's work, and has `class` as the end of attempt 1.
fn begun_alone(class: &str) -> Laptop {
    let mut laptop = Laptop::with_plan(PLAN);
    laptop.add_host("other").write_plan("turn 1\nfinish Done.\n");
    laptop.write_hosts();
    let running = laptop.run(["--backoff", "1s", TASK]).spawn();
    wait_for("attempt 2", || running.stdout().contains("Now I wait."));
    running.kill().done();
    let journal = laptop.truth("journal.jsonl");
    let text = std::fs::read_to_string(&journal).unwrap();
    let mut lines: Vec<String> = text.lines().map(|line| format!("{line}\n")).collect();
    let find =
        |event: &str| lines.iter().position(|line| line.contains(&format!(r#""event":"{event}""#))).expect(event);
    let (end, fetched) = (find("ended"), find("fetched"));
    lines.truncate(fetched + 1);
    lines[end] = lines[end].replace(r#""class":"throttled""#, &format!(r#""class":"{class}""#));
    std::fs::write(&journal, lines.concat()).unwrap();
    let _ = std::fs::remove_file(laptop.truth("state.json"));
    assert_eq!(laptop.verdicts(), [class]);
    laptop
}

#[test]
fn stop_ends_the_attempt_that_the_host_began_by_itself() {
    let laptop = begun_alone("throttled");
    laptop.handoff(["stop", ID]).run().exits(0).says("stopped").done();
    laptop.hosts[0].wait_until_empty(|_| false);
    assert_eq!(laptop.verdicts(), ["throttled", "stopped"]);
    laptop.status_is("stopped");
    assert_eq!(laptop.git(&["show", &format!("refs/handoff/{ID}/2/work:more.txt")]), "second\n");
}

#[test]
fn resume_gives_the_number_of_an_attempt_that_the_host_began_by_itself_to_no_other() {
    let laptop = begun_alone("done");
    let refused = laptop.handoff(["resume", ID, "--host", "other"]).run();
    refused.complains("box started attempt 2 by itself").done();
    laptop.handoff(["stop", ID]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--host", "other"]).run().done();
    let attempts = laptop.shown()["handoff"]["attempts"].clone();
    assert_eq!((&attempts["2"]["host"], &attempts["3"]["host"]), (&"box".into(), &"other".into()), "{attempts}");
    assert_eq!(laptop.git(&["show", &format!("refs/handoff/{ID}/2/work:more.txt")]), "second\n");
}
