//! The record and every screen report a step that failed.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

/// The part of a page from a heading to the next one.
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let start = page.find(&format!("\n## {name}\n")).unwrap_or_else(|| panic!("no {name} in\n{page}"));
    let rest = &page[start + 1..];
    rest.find("\n## ").map_or(rest, |end| &rest[..end])
}

/// Runs a handoff whose `step` fails after 30 lines, and looks for the last one, which is `WHY`.
#[track_caller]
fn shows_why(laptop: &Laptop, check: &str, step: &str) {
    let ran = laptop.run(["--attempts", "1", "--check", check, TASK]).run();
    let text = ran.text();
    assert!(ran.code != Some(0) && text.contains("    WHY\n") && text.contains("    line 30\n"), "{text}");
    assert!(!text.contains("    line 9\n"), "only the last lines:\n{text}");
    let shown = laptop.handoff(["show", ID, "--offline"]).run().exits(0).says("    WHY\n").text();
    assert!(shown.contains(&format!("attempt-1.{step}.log:")), "{shown}");
    let page = laptop.handoff_md();
    for name in ["Errors Or Blockers", "Resume Prompt", "Headed Takeover Prompt"] {
        assert!(section(&page, name).contains("WHY"), "{name} of\n{page}");
    }
    laptop.takeover().exits(0).done();
    let there = laptop.worktree().join(".cursor/agent-handoffs").join(ID).join("handoff.md");
    let page = std::fs::read_to_string(there).unwrap();
    assert!(section(&page, "Headed Takeover Prompt").contains("WHY"), "{page}");
    for log in [laptop.record(&format!("attempt-1.{step}.log")), laptop.truth(&format!("attempt-1.{step}.log"))] {
        assert!(std::fs::read_to_string(&log).unwrap().ends_with("line 30\nWHY\n"), "{}", log.display());
    }
}

const LINES: &str = "i=1; while [ $i -le 30 ]; do echo line $i; i=$((i + 1)); done; echo WHY";

#[test]
fn the_last_lines_of_a_failing_check_are_shown_everywhere() {
    let laptop = Laptop::with_plan(QUICK);
    shows_why(&laptop, &format!("{LINES}; exit 4"), "check");
}

#[test]
fn the_last_lines_of_a_failing_setup_are_shown_everywhere() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.hosts[0].keys = format!("setup = \"{LINES} >&2; exit 7\"\n");
    laptop.write_hosts();
    shows_why(&laptop, "true", "setup");
    assert!(!laptop.hosts[0].home.join(".scripted-agent").exists() || laptop.hosts[0].prompts().is_empty());
}

#[test]
fn a_secret_from_a_command_is_sent_and_shown_nowhere() {
    let laptop = Laptop::with_plan(
        "turn 1\nrun printf %s \"$S\" >work.txt; : >\"named-$S\"\nstderr I saw ZQXJ55abc.\nfinish I used ZQXJ55abc.\n",
    );
    let hosts = laptop.home().join(".config/handoff/hosts.toml");
    let table = std::fs::read_to_string(&hosts).unwrap();
    std::fs::write(&hosts, format!("{table}\n[host.box.secrets]\nS = {{ command = \"printf ZQXJ55abc\" }}\n")).unwrap();
    let ran = laptop.run([TASK]).run().exits(0).says("I used");
    assert!(!ran.text().contains("ZQXJ55abc"), "{}", ran.text());
    let exact = std::fs::read_to_string(laptop.truth("attempt-1.log")).unwrap();
    assert!(exact.contains("I saw ZQXJ55abc.") && exact.contains("I used ZQXJ55abc."), "{exact}");
    for file in [laptop.record("handoff.md"), laptop.record("attempt-1.log"), laptop.truth("journal.jsonl")] {
        assert!(!std::fs::read_to_string(&file).unwrap().contains("ZQXJ55abc"), "{}", file.display());
    }
}

/// Two attempts: the first meets a rate limit after a test that fails, the second passes it.
const SURVIVES: &str = "turn 1\nsay The tests come first.\nrun sh test.sh\nreplace total.sh\n\
    -  while read -r quantity price _; do\n+  while read -r quantity price _ || [ -n \"$quantity\" ]; do\n\
    run sh test.sh\nratelimit\nturn 2\nreplace total.sh\n-  echo $(($1 + $1 * $2 / 100))\n\
    +  echo $((($1 * (100 + $2) + 50) / 100))\nrun sh test.sh\nfinish All tests pass.\n";

#[test]
fn the_page_tells_what_was_tried_and_what_was_survived() {
    let laptop = Laptop::with_plan(SURVIVES);
    laptop.run(["--check", "sh test.sh", TASK]).run().exits(0).done();
    let page = laptop.handoff_md();
    let tried = section(&page, "What It Tried");
    assert!(tried.contains("- `sh test.sh` → 2 times exit 1 (`attempt-1.log:"), "{tried}");
    assert!(tried.contains("exit 0 (`attempt-2.log:") && tried.contains("“The tests come first.”"), "{tried}");
    assert!(tried.contains("ended throttled: "), "{tried}");
    assert_eq!(section(&page, "Errors Or Blockers"), "## Errors Or Blockers\n\n- None.\n");
    let files = section(&page, "Files Or Areas Touched");
    assert!(files.contains("- Attempt 2, commit `") && files.contains("  - `total.sh` (+2 −2)\n"), "{files}");
    assert!(page.contains("\n- Model: Scripted (auto)\n"), "{page}");
    let prompt = section(&page, "Headed Takeover Prompt");
    for part in [
        "It passed after attempt 2; before the work it failed with exit code 1.",
        "`total.sh` (+2 −2)",
        "None recorded.",
    ] {
        assert!(prompt.contains(part), "{part} is not in\n{prompt}");
    }
    let diff = prompt.lines().find_map(|line| line.trim().strip_prefix("git ")).unwrap();
    let words: Vec<&str> = diff.split(' ').collect();
    assert!(laptop.git(&words).contains("+  echo $((($1 * (100 + $2) + 50) / 100))"), "{diff}");
}

#[test]
fn show_check_follows_every_claim() {
    let laptop = Laptop::with_plan(SURVIVES);
    laptop.run(["--check", "sh test.sh", TASK]).run().exits(0).done();
    laptop.handoff(["show", ID, "--check"]).run().exits(0).says("lead to a line or a commit").done();
    let page = laptop.handoff_md();
    let forged = page
        .replacen(
            "## What It Tried\n\n",
            "## What It Tried\n\n- All is well (`attempt-2.log:9999`)\n- It is in commit `deadbeef00`\n",
            1,
        )
        .replace("## Final Outcome\n", "## Final Outcome\n\nMine (`attempt-7.log:1`)\n");
    std::fs::write(laptop.record("handoff.md"), &forged).unwrap();
    let checked = laptop.handoff(["show", ID, "--check"]).run().exits(1).complains("2 of ");
    let checked = checked.says("what it tried: attempt-2.log:9999 points nowhere: attempt-2.log has ");
    checked.says("what it tried: commit deadbeef00 is not in this repository").done();
    std::fs::remove_file(laptop.truth("attempt-1.log")).unwrap();
    laptop.handoff(["show", ID, "--check"]).run().exits(1).says("there is no attempt-1.log").done();
    std::fs::remove_file(laptop.record("handoff.md")).unwrap();
    laptop.handoff(["show", ID, "--check"]).run().exits(1).complains("there is no ").done();
}

#[test]
fn what_a_person_does_is_in_the_record() {
    let laptop = Laptop::with_plan(
        "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\nturn 2\nedit more.txt <<END\nmore\nEND\nfinish Second.\n",
    );
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    laptop.status_is("interactive");
    let notes = laptop.handoff_md().replace("## Final Outcome", "## My Notes\n\nMind the pennies.\n\n## Final Outcome");
    std::fs::write(laptop.record("handoff.md"), notes).unwrap();
    let worktree = laptop.worktree();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    laptop.git_in(&worktree, &["add", "mine.txt"]);
    laptop.git_in(&worktree, &["commit", "-qm", "Add mine"]);
    std::fs::write(worktree.join("open.txt"), "open\n").unwrap();
    laptop.handoff(["give", ID]).run().exits(0).done();
    let page = laptop.handoff_md();
    let tried = section(&page, "What It Tried");
    assert!(tried.contains("- A person changed this by hand after attempt 1: 2 files changed"), "{tried}");
    assert!(tried.contains("` Add mine\n  - not committed: open.txt (+1 −0)\n"), "{tried}");
    assert!(page.contains("## My Notes\n\nMind the pennies.\n"), "{page}");
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();

    laptop.takeover().exits(0).done();
    let second = worktree.with_file_name(format!("{}.2", worktree.file_name().unwrap().to_str().unwrap()));
    laptop.git_in(&second, &["add", "-A"]);
    laptop.git_in(&second, &["commit", "-qm", "Add all"]);
    laptop.handoff(["finish", ID]).run().exits(0).done();
    let page = laptop.handoff_md();
    let outcome = section(&page, "Final Outcome");
    assert!(
        outcome.contains("By hand since the takeover: no file changed.\n  - commit `")
            && outcome.contains("` Add all\n"),
        "{outcome}"
    );
    assert!(page.contains("## My Notes\n\nMind the pennies.\n"), "{page}");
}
