//! `handoff give`: the work goes back to the background with what the user changed.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

const ROUNDS: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                      turn 2\nrun cat notes.txt mine.txt >\"$HOME/found\"\nrun git log --format=%s >\"$HOME/log\"\n\
                      edit second.txt <<END\nsecond\nEND\nfinish Second.\n\
                      turn 3\nedit third.txt <<END\nthird\nEND\nfinish Third.\n";

#[test]
fn three_round_trips_under_one_id() {
    let laptop = Laptop::with_plan(ROUNDS);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let first = laptop.worktree();
    std::fs::write(first.join("notes.txt"), "by the agent and me\n").unwrap();
    std::fs::write(first.join("mine.txt"), "mine\n").unwrap();
    laptop.git_in(&first, &["add", "mine.txt"]);
    laptop.git_in(&first, &["commit", "-qm", "by hand"]);
    laptop.handoff(["give", ID, "--message", "Mind the pennies."]).run().exits(0).done();

    let host = &laptop.hosts[0];
    let read = |name: &str| std::fs::read_to_string(host.home.join(name)).unwrap();
    assert_eq!(read("found"), "by the agent and me\nmine\n");
    assert!(read("log").starts_with("by hand\n"), "{}", read("log"));
    let prompt = &host.prompts()[1];
    assert!(prompt.contains("-by the agent\n+by the agent and me\n") && prompt.contains("+mine\n"), "{prompt}");
    assert!(prompt.contains("The person says:\n\nMind the pennies.") && prompt.contains(TASK), "{prompt}");
    let attempts = &laptop.shown()["handoff"]["attempts"];
    assert!(attempts["1"]["session"].is_string() && attempts["1"]["session"] == attempts["2"]["session"], "{attempts}");
    assert_eq!(host.home.join(".handoff/trees").read_dir().unwrap().count(), 1, "the same checkout is used");
    laptop.status_is("done");

    laptop.takeover().exits(0).says(&format!("{}.2", first.display())).done();
    let second = first.with_file_name(format!("{}.2", first.file_name().unwrap().to_str().unwrap()));
    assert_eq!(std::fs::read_to_string(second.join("second.txt")).unwrap(), "second\n");
    assert!(!first.join("second.txt").exists(), "the earlier worktree is the user's");
    assert_eq!(laptop.git_in(&second, &["branch", "--show-current"]), format!("handoff/{ID}.2\n"));

    laptop.handoff(["give", ID]).run().exits(0).done();
    assert!(host.prompts()[2].contains("returns it unchanged"), "{}", host.prompts()[2]);
    laptop.takeover().exits(0).says(&format!("{}.3", first.display())).done();
    let third = first.with_file_name(format!("{}.3", first.file_name().unwrap().to_str().unwrap()));
    let contents = |name: &str| std::fs::read_to_string(third.join(name)).unwrap();
    assert_eq!((contents("third.txt"), contents("mine.txt")), ("third\n".into(), "mine\n".into()));
    assert_eq!(laptop.verdicts(), ["unchecked"; 3]);
}

/// Bytes of the packs in the host's cache.
fn packed(laptop: &Laptop) -> u64 {
    let caches = std::fs::read_dir(laptop.hosts[0].home.join(".handoff/cache")).unwrap().flatten();
    let packs = caches.flat_map(|cache| std::fs::read_dir(cache.path().join("objects/pack")).into_iter().flatten());
    packs.map(|pack| pack.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn what_the_agent_made_is_not_sent_back_to_its_host() {
    let plan = "turn 1\nrun head -c 3000000 /dev/urandom >big.bin\nedit notes.txt <<END\nby the agent\nEND\n\
                finish First.\nturn 2\nedit more.txt <<END\nmore\nEND\nfinish Second.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("notes.txt"), "by the agent and me\n").unwrap();
    let before = packed(&laptop);
    laptop.handoff(["give", ID]).run().exits(0).done();
    assert!(packed(&laptop) < before + 100_000, "{before} bytes became {}", packed(&laptop));
}

#[test]
fn it_is_refused_before_a_takeover_and_without_the_worktree() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["give", ID]).run().exits(2).complains("was not taken over").done();
    laptop.takeover().exits(0).done();
    let resumed = laptop.handoff(["resume", ID]).run().exits(2);
    resumed.complains("was taken over").complains(&format!("try: handoff give {ID}")).done();
    std::fs::remove_dir_all(laptop.worktree()).unwrap();
    let refused = laptop.handoff(["give", ID]).run().exits(1).complains("the worktree of");
    refused.complains(&format!("try: handoff takeover {ID}")).done();
}

#[test]
fn another_host_gets_the_work_and_what_the_user_changed() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    let plan = "turn 1\nrun cat notes.txt mine.txt >\"$HOME/found\"\nedit more.txt <<END\nmore\nEND\nfinish Done.\n";
    laptop.add_host("other").write_plan(plan);
    laptop.write_hosts();
    laptop.handoff(["give", ID, "--host", "nobody"]).run().exits(6).done();
    laptop.status_is("interactive");
    let given = laptop.handoff(["give", ID, "--host", "other"]).run().exits(0);
    given.says("a new one starts from the resume prompt").done();
    assert_eq!(std::fs::read_to_string(laptop.hosts[1].home.join("found")).unwrap(), "by the agent\nmine\n");
    assert!(laptop.hosts[1].prompts()[0].contains("+mine"), "{}", laptop.hosts[1].prompts()[0]);
}

#[test]
fn a_give_that_was_killed_is_sent_again_or_resumed() {
    let laptop = Laptop::with_plan(ROUNDS);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    laptop.hosts[0].out_of_reach(true);
    let giving = laptop.handoff(["give", ID, "--message", "Mind the pennies."]).spawn();
    let journal = || std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    crate::support::wait_for("the second attempt's number", || {
        journal().matches("\"event\":\"dispatched\"").count() == 2
    });
    assert_eq!(giving.kill().code, None);
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["watch", ID]).run().exits(0).done();
    let found = std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap();
    assert_eq!(found, "by the agent\nmine\n");
    assert!(laptop.hosts[0].prompts()[1].contains("Mind the pennies."));
}

#[test]
fn a_takeover_while_the_next_attempt_runs_has_that_work() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                turn 2\nedit more.txt <<END\nmore\nEND\nsay Now I wait.\nhang\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let giving = laptop.handoff(["give", ID]).spawn();
    crate::support::wait_for("the agent's words", || giving.stdout().contains("Now I wait."));
    laptop.takeover().exits(0).says(&format!("{}.2", laptop.worktree().display())).done();
    giving.wait().exits(0).done();
    let second = laptop.worktree().with_extension("2");
    assert_eq!(std::fs::read_to_string(second.join("more.txt")).unwrap(), "more\n");
    laptop.takeover().exits(0).says(&second.display().to_string()).done();
}

#[test]
fn it_works_inside_the_worktree_and_uses_the_same_checkout() {
    let laptop = Laptop::with_plan(ROUNDS);
    laptop.write(".gitignore", "*.env\n");
    laptop.write("my.env", "old\n");
    laptop.run(["--include", "*.env", TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("my.env"), "new\n").unwrap();
    let inside = laptop.worktree().display().to_string();
    laptop.handoff(["-C", &inside, "give", ID]).run().exits(0).done();
    let trees: Vec<_> = laptop.hosts[0].home.join(".handoff/trees").read_dir().unwrap().flatten().collect();
    assert_eq!(trees.len(), 1, "{trees:?}");
    assert_eq!(std::fs::read_to_string(trees[0].path().join("till/my.env")).unwrap(), "new\n");
    let taken = laptop.handoff(["-C", &inside, "takeover", ID, "--editor", "none"]).run().exits(0);
    taken.says(&format!("{inside}.2")).done();
    let second = std::fs::read_to_string(format!("{inside}.2/my.env")).unwrap();
    assert_eq!(second, "new\n", "what the user gave back last");
}

#[test]
fn another_agent_gets_the_work() {
    let laptop = Laptop::with_plan(ROUNDS);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    let path = laptop.hosts[0].home.join(".local/bin/fixer");
    std::fs::write(&path, "#!/bin/sh\ncat >\"$HOME/fixer-prompt\"\ncat notes.txt mine.txt >fixed.txt\n").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let directory = laptop.home().join(".config/handoff");
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("agents.toml"), "[agent.fixer]\nbinary = [\"fixer\"]\nstart = []\n").unwrap();
    let given = laptop.handoff(["give", ID, "--agent", "fixer"]).run().exits(0);
    given.says("fixer continues in a new session, from the resume prompt").done();
    let fixed = laptop.git(&["show", &format!("refs/handoff/{ID}/2/work:fixed.txt")]);
    assert_eq!(fixed, "by the agent\nmine\n");
    let prompt = std::fs::read_to_string(laptop.hosts[0].home.join("fixer-prompt")).unwrap();
    assert!(prompt.contains("+mine\n") && prompt.contains(TASK), "{prompt}");
}
