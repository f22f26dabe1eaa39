//! The whole life of one handoff, as its user types it: out, back in the middle, out again, into the checkout, undone,
//! again, and onto a branch of the remote.

use std::path::Path;

use crate::support::agent;
use crate::support::site::{ID, Site};

const PLAN: &str = "turn 1\nedit first.txt <<END\nby the agent\nEND\nsay Half of it is done.\nhang\n\
                    turn 2\nrun cat first.txt mine.txt >~/found\nedit second.txt <<END\nsecond\nEND\nfinish Done.\n";

/// Everything that `undo` must restore: the commit, the index, and every file with its content.
fn state(site: &Site) -> String {
    let git = |args: &[&str]| site.laptop.git(args);
    let files = git(&["ls-files", "-co", "--exclude-standard"]);
    let read = |name: &str| std::fs::read_to_string(site.laptop.repo.join(name)).unwrap_or_default();
    let contents: Vec<String> = files.lines().map(|name| format!("{name}: {}", read(name))).collect();
    [git(&["rev-parse", "HEAD"]), git(&["status", "--porcelain"]), git(&["ls-files", "-s"]), contents.join("\n")]
        .join("\n")
}

#[track_caller]
fn has(directory: &Path, name: &str, text: &str) {
    assert_eq!(std::fs::read_to_string(directory.join(name)).unwrap_or_default(), text, "{name}");
}

#[test]
fn one_handoff_from_its_start_to_a_branch_of_the_remote() {
    let site = Site::new();
    site.plan(PLAN);
    let (laptop, repo) = (&site.laptop, site.laptop.repo.as_path());
    let origin = laptop.path("origin.git");
    laptop.git(&["init", "-q", "--bare", origin.to_str().unwrap()]);
    laptop.git(&["remote", "add", "origin", origin.to_str().unwrap()]);
    laptop.git(&["push", "-q", "-u", "origin", "main"]);

    let running = site.run_checked("test -e second.txt", &[]).start();
    running.line("the agent's words", |line| line.contains("Half of it is done."));
    site.handoff(&["takeover"]).run().success();
    running.end().success();
    let worktree = laptop.path(&format!("greeter-handoff-{ID}"));
    has(&worktree, "first.txt", "by the agent\n");
    has(&worktree, "staged.txt", "staged on the laptop\n");
    has(&worktree, "notes.txt", "not yet added on the laptop\n");

    let in_worktree = |args: &[&str]| laptop.git(&[&["-C", worktree.to_str().unwrap()], args].concat());
    std::fs::write(worktree.join("first.txt"), "by the agent and me\n").unwrap();
    in_worktree(&["add", "first.txt"]);
    in_worktree(&["commit", "-qm", "by hand"]);
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    site.handoff(&["give", "--message", "Mind the pennies."]).run().success();
    has(&site.host.user.home, "found", "by the agent and me\nmine\n");
    let prompt = site.on_host(2, "prompt").unwrap();
    assert!(prompt.contains("+by the agent and me") && prompt.contains("Mind the pennies."), "{prompt}");

    // Meanwhile the user goes on in the checkout.
    std::fs::write(repo.join("meanwhile.txt"), "a commit\n").unwrap();
    laptop.git(&["add", "meanwhile.txt"]);
    laptop.git(&["commit", "-qm", "Meanwhile"]);
    std::fs::write(repo.join("README.md"), "edited meanwhile\n").unwrap();
    let before = state(&site);
    for _ in 0..2 {
        site.handoff(&["takeover", "--here"]).run().success();
        has(repo, "first.txt", "by the agent and me\n");
        has(repo, "mine.txt", "mine\n");
        has(repo, "second.txt", "second\n");
        has(repo, "README.md", "edited meanwhile\n");
        site.handoff(&["undo"]).run().success();
        assert_eq!(state(&site), before);
    }

    site.handoff(&["takeover"]).run().success();
    let finished = site.handoff(&["finish", "--branch", "fix-total", "--pr", "-m", "Fix the total"]).run().success();
    assert!(finished.stdout.contains("pushed to origin"), "{}", finished.stdout);
    let at_remote = |name: &str| laptop.git(&["-C", origin.to_str().unwrap(), "show", &format!("fix-total:{name}")]);
    for (name, text) in [("first.txt", "by the agent and me"), ("mine.txt", "mine"), ("second.txt", "second")] {
        assert_eq!(at_remote(name), text, "{name}");
    }
    assert_eq!(state(&site), before, "the checkout is as it was");
    assert_eq!(laptop.git(&["worktree", "list", "--porcelain"]).matches("worktree ").count(), 1);
    let trees = agent::folders(&site.host.user.home.join(".handoff/work"));
    assert_eq!(trees.len(), 0, "the host has nothing of it: {trees:?}");
    let page = std::fs::read_to_string(laptop.mirror(ID).join("handoff.md")).unwrap();
    for line in ["fix-total", "Attempt 1 on buildbox", "Attempt 2 on buildbox", "by hand"] {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
    site.handoff(&["show", "--check"]).run().success();
    assert_eq!(site.verdicts().iter().map(|(class, _)| class.as_str()).collect::<Vec<_>>(), ["stopped", "done"]);
}
