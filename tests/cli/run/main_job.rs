//! All aspects of the main job: a rate limit, a wait, the same session again, a check that passes.

use std::time::Duration;

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait};

#[test]
fn a_rate_limit_is_waited_out_and_the_session_goes_on_to_a_passing_check() {
    let laptop = Laptop::new();
    laptop.write("mine.txt", "not committed\n");
    let (status, index) = (laptop.git(&["status", "--porcelain=v2"]), laptop.index());
    let config = laptop.git(&["config", "--local", "--list"]);

    let ran = laptop.run(["--check", "sh test.sh", TASK]).run().exits(0);
    let ran = ran.says("throttled").says("attempt 2 starts in 1 s").says("the check passes").says("handoff takeover");
    assert!(!ran.text().contains("lost contact"), "the host was there all the time:\n{}", ran.text());
    assert_eq!(ran.stderr, "");

    assert_eq!(laptop.verdicts(), ["throttled", "done"]);
    let prompts = laptop.hosts[0].prompts();
    assert_eq!(prompts.len(), 2, "one session, two turns");
    assert!(prompts[0].starts_with("Complete the task below"), "{}", prompts[0]);
    assert!(prompts[1].starts_with("Continue the delegated task below."), "{}", prompts[1]);
    assert!(prompts.iter().all(|prompt| prompt.contains(TASK)));

    for n in [1, 2] {
        let log = laptop.hosts[0].log(n);
        assert!(!log.is_empty());
        assert_eq!(std::fs::read(laptop.record(&format!("attempt-{n}.log"))).unwrap(), log);
        assert_eq!(std::fs::read(laptop.truth(&format!("attempt-{n}.log"))).unwrap(), log);
    }
    laptop.status_is("done");
    assert_sections(&laptop.handoff_md());

    assert_eq!(laptop.git(&["status", "--porcelain=v2"]), status);
    assert_eq!(laptop.index(), index, "not a byte of the index changed");
    assert_eq!(laptop.git(&["config", "--local", "--list"]), config);
    let refs = laptop.git(&["for-each-ref", "--format=%(refname)"]);
    let foreign: Vec<&str> = refs.lines().filter(|name| !name.starts_with("refs/handoff/")).collect();
    assert_eq!(foreign, ["refs/heads/main"]);
    assert!(refs.contains(&format!("refs/handoff/{ID}/2/work")), "{refs}");
}

/// The sections of the skill's template, in its order.
#[track_caller]
fn assert_sections(text: &str) {
    let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let wanted = [
        "Metadata",
        "Commands",
        "Logs",
        "Latest Summary",
        "What It Tried",
        "Files Or Areas Touched",
        "Errors Or Blockers",
        "Recommended Next Step",
        "Resume Prompt",
        "Headed Takeover Prompt",
        "Final Outcome",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn without_an_ssh_on_this_machine_the_hosts_file_is_enough() {
    let laptop = Laptop::with_plan(crate::support::QUICK);
    let path = laptop.path_of(&["git", "sh"]);
    let ran = laptop.run(["--check", "true", TASK]).env("PATH", path).run().exits(0);
    assert!(ran.took < wait::stretched(Duration::from_secs(30)), "{:?}", ran.took);
    laptop.status_is("done");
}
