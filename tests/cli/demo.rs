//! `handoff demo`: the first output that a new user sees.

use std::time::Duration;

use crate::support::laptop::Laptop;
use crate::support::{processes, wait};

#[test]
fn shows_the_main_job_and_the_takeover_it_prints_works() {
    let laptop = Laptop::new();
    let place = laptop.top().join("the demo");
    let ran = laptop.handoff(["demo"]).args([&place]).run().exits(0);
    let ran = ran.says("throttled").says("the check passes").says("handoff.md").says("the verdict: done");
    assert!(ran.took < wait::stretched(Duration::from_secs(20)), "{:?}", ran.took);
    laptop.handoff(["demo"]).args([&place]).run().exits(2).complains("already contains a demo").done();

    let text = ran.text();
    let command = text.lines().rfind(|line| line.contains(" takeover ")).unwrap().trim();
    let words = shlex::split(command).unwrap();
    assert_eq!(words[0], env!("CARGO_BIN_EXE_handoff"));
    let taken = laptop.handoff(&words[1..]).args(["--editor", "none"]).directory(&laptop.home()).run();
    let taken = taken.exits(0).says("is yours");
    let worktree = std::fs::read_dir(place.join("laptop")).unwrap().flatten().map(|entry| entry.path());
    let worktree = worktree.into_iter().find(|path| path.join(".cursor").exists() && !path.ends_with("till"));
    let worktree = worktree.unwrap_or_else(|| panic!("no worktree:\n{}", taken.text()));
    let test = std::process::Command::new("sh").arg("test.sh").current_dir(worktree).output().unwrap();
    assert!(test.status.success(), "the fix is in the worktree");
    processes::end(&place.join("demobox"));
}
