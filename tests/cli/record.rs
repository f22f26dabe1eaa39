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
        "turn 1\nrun printf %s \"$S\" >work.txt\nstderr I saw ZQXJ55abc.\nfinish I used ZQXJ55abc.\n",
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
