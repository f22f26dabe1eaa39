//! A branch without a commit: it is sent whole, stays without a commit on the laptop, and its work comes back.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK};

/// The agent notes what it finds, and commits only in its second turn.
const SEES: &str = "turn 1\nrun git symbolic-ref HEAD >\"$HOME/head\"; git rev-parse -q --verify HEAD >>\"$HOME/head\"; \
                    git --no-optional-locks status --porcelain >\"$HOME/status\"; git log --all --oneline >\"$HOME/log\" 2>&1\n\
                    edit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                    turn 2\nrun cat notes.txt >\"$HOME/found\"\nrun git add -A && git commit -qm 'By the agent'\nfinish Second.\n";

/// A laptop whose repository has no commit: a staged file that was changed since, and an untracked one.
fn unborn(options: &[&str]) -> Laptop {
    let laptop = Laptop::with_plan(SEES);
    std::fs::remove_dir_all(laptop.repository()).unwrap();
    std::fs::create_dir(laptop.repository()).unwrap();
    laptop.git(&[&["init", "-q", "-b", "main"], options].concat());
    laptop.write("staged.txt", "staged\n");
    laptop.git(&["add", "staged.txt"]);
    laptop.write("staged.txt", "changed\n");
    laptop.write("untracked.txt", "untracked\n");
    laptop
}

fn status(laptop: &Laptop) -> String {
    laptop.git(&["--no-optional-locks", "status", "--porcelain"])
}

fn on_host(laptop: &Laptop, name: &str) -> String {
    std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap()
}

/// Checks that the user's branch has no commit.
fn is_unborn(laptop: &Laptop) {
    assert_eq!(laptop.git(&["symbolic-ref", "HEAD"]), "refs/heads/main\n");
    assert_eq!(laptop.git(&["for-each-ref", "refs/heads/main"]), "");
}

#[test]
fn a_repository_without_a_commit_goes_out_and_comes_back_as_often_as_one_likes() {
    let laptop = unborn(&[]);
    let (before, index) = (status(&laptop), laptop.index());
    laptop
        .run([TASK])
        .run()
        .exits(0)
        .says("main without a commit")
        .says("verified (files, index and HEAD match)")
        .done();
    assert_eq!((on_host(&laptop, "head"), on_host(&laptop, "log")), ("refs/heads/main\n".into(), String::new()));
    assert_eq!(on_host(&laptop, "status"), before);
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    laptop.handoff(["show", ID]).run().exits(0).says("no commit yet on main").done();
    assert!(laptop.handoff_md().contains("- Base: a branch without a commit"), "{}", laptop.handoff_md());

    laptop.takeover().exits(0).done();
    let first = laptop.worktree();
    assert_eq!(laptop.git_in(&first, &["symbolic-ref", "HEAD"]), format!("refs/heads/handoff/{ID}\n"));
    assert_eq!(laptop.git_in(&first, &["status", "--porcelain"]), "AM staged.txt\n?? notes.txt\n?? untracked.txt\n");
    std::fs::write(first.join("notes.txt"), "by the agent and me\n").unwrap();
    laptop.handoff(["give", ID]).run().exits(0).done();
    assert_eq!(on_host(&laptop, "found"), "by the agent and me\n");

    laptop.takeover().exits(0).says(&format!("{}.2", first.display())).done();
    let second = format!("handoff/{ID}.2");
    assert_eq!(laptop.git(&["log", "--format=%s", &second]), "By the agent\n");
    assert_eq!(laptop.git(&["show", &format!("{second}:staged.txt")]), "changed\n");
    laptop.handoff(["finish", ID, "--branch", "main"]).run().exits(2).complains("main is checked out").done();
    laptop
        .handoff(["finish", ID, "--branch", "start"])
        .run()
        .exits(0)
        .says("branch start is at")
        .says("released")
        .done();
    assert_eq!(laptop.git(&["log", "--format=%s", "start"]), "By the agent\n");
    is_unborn(&laptop);
    assert_eq!((status(&laptop), laptop.index()), (before, index));
    laptop.handoff(["clean", ID]).run().exits(0).done();
    // The state between the two turns is in no commit of the user's.
    laptop.handoff(["forget", ID]).run().exits(2).complains("/1/work").done();
    laptop.handoff(["forget", ID, "--discard"]).run().exits(0).done();
    assert_eq!(laptop.git(&["for-each-ref", "refs/handoff"]), "");
}

#[test]
fn work_without_a_commit_comes_into_the_checkout_out_of_it_and_onto_a_branch() {
    let laptop = unborn(&[]);
    laptop.run([TASK]).run().exits(0).done();
    let (before, index) = (status(&laptop), laptop.index());
    laptop.write("staged.txt", "changed again\n");
    let here = || laptop.handoff(["takeover", ID, "--editor", "none", "--here"]).run();
    here().exits(0).says("1 added").says("your branch did not move").done();
    assert_eq!(status(&laptop), "AM staged.txt\n?? notes.txt\n?? untracked.txt\n");
    laptop.handoff(["undo"]).run().exits(0).says("restored ").done();
    assert_eq!((status(&laptop), laptop.index()), (before, index));
    is_unborn(&laptop);
    laptop.takeover().exits(0).done();
    laptop.handoff(["takeover", "--return", ID]).run().exits(0).says("removed the worktree").done();
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).done();
    // The agent's commits come into the checkout as files, because no branch of the user's moves.
    here().exits(0).says("  commits:  git log ").done();
    laptop.handoff(["undo"]).run().exits(0).done();
    is_unborn(&laptop);
}

#[test]
fn the_work_becomes_the_first_commit_of_a_branch() {
    let laptop = unborn(&[]);
    laptop.run([TASK]).run().exits(0).done();
    let finish = |branch: &str| laptop.handoff(["finish", ID, "--branch", branch]).run();
    finish("main").exits(2).complains("main is checked out, and has no commit yet").done();
    is_unborn(&laptop);
    finish("start").exits(0).says("also has your changes").done();
    assert_eq!(laptop.git(&["log", "--format=%p%an %s", "start"]), format!("Laptop {TASK}\n"));
    assert_eq!(laptop.git(&["ls-tree", "--name-only", "start"]), "notes.txt\nstaged.txt\nuntracked.txt\n");
    is_unborn(&laptop);
}

#[test]
fn other_formats_an_orphan_branch_and_an_empty_repository_are_sent_without_a_commit() {
    for options in [&["--object-format=sha256"][..], &["--ref-format=reftable"], &[]] {
        let laptop = unborn(options);
        if options.is_empty() {
            std::fs::remove_file(laptop.repository().join(".git/index")).unwrap();
            std::fs::remove_file(laptop.repository().join("staged.txt")).unwrap();
            std::fs::remove_file(laptop.repository().join("untracked.txt")).unwrap();
        }
        laptop.run([TASK]).run().exits(0).done();
        assert_eq!(on_host(&laptop, "head"), "refs/heads/main\n", "{options:?}");
        assert_eq!(on_host(&laptop, "status"), status(&laptop), "{options:?}");
        laptop.takeover().exits(0).done();
        assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
    }
    let laptop = Laptop::with_plan(SEES);
    laptop.git(&["tag", "before"]);
    laptop.git(&["checkout", "-q", "--orphan", "fresh"]);
    let before = status(&laptop);
    laptop.run([TASK]).run().exits(0).says("fresh without a commit").done();
    assert_eq!(on_host(&laptop, "head"), "refs/heads/fresh\n");
    assert_eq!(on_host(&laptop, "status"), before);
    assert_eq!(on_host(&laptop, "log"), laptop.git(&["log", "before", "--oneline"]));
    laptop.takeover().exits(0).done();
    assert_eq!(laptop.git_in(&laptop.worktree(), &["symbolic-ref", "HEAD"]), format!("refs/heads/handoff/{ID}\n"));
}
