//! `handoff forget`: the record of a handoff that is over.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// A laptop with a handoff that is finished, with its work on a branch.
fn finished() -> Laptop {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0).done();
    laptop
}

fn refs(laptop: &Laptop) -> String {
    laptop.git(&["for-each-ref", "--format=%(refname)", "refs/handoff"])
}

#[test]
fn everything_of_a_finished_handoff_is_removed_and_its_branch_stays() {
    let laptop = finished();
    laptop.write(".cursor/rules.md", "mine\n");
    laptop.handoff(["forget", ID]).run().exits(0).says("is forgotten").done();
    assert_eq!(refs(&laptop), "");
    assert!(!laptop.truth("").exists() && !laptop.record("").exists());
    assert!(laptop.repository().join(".cursor/rules.md").exists());
    assert_eq!(laptop.git(&["show", "fix-till:notes.txt"]), "by the agent\n");
    assert_eq!(laptop.handoff(["list", "--all", "--json"]).run().exits(0).json().len(), 0);
    let index = std::fs::read(laptop.home().join(".local/state/handoff/repositories")).unwrap();
    assert!(index.is_empty(), "{}", String::from_utf8_lossy(&index));
    laptop.handoff(["forget", ID]).run().exits(2).done();
    laptop.run([TASK]).run().exits(0).done();
}

#[test]
fn work_that_is_nowhere_else_is_listed_first() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["forget", ID]).run().exits(2).complains(&format!("try: handoff clean {ID}")).done();
    laptop.handoff(["clean", ID]).run().exits(0).done();
    let before = refs(&laptop);
    let refused = laptop.handoff(["forget", ID]).run().exits(2).complains(&format!("refs/handoff/{ID}/1/work"));
    refused.complains(&format!("try: handoff forget {ID} --discard")).done();
    assert_eq!(refs(&laptop), before);
    laptop.status_is("done");
    laptop.git(&["branch", "kept", &format!("refs/handoff/{ID}/1/work")]);
    laptop.handoff(["forget", ID]).run().exits(0).done();
    assert_eq!(laptop.git(&["show", "kept:notes.txt"]), "by the agent\n");

    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(0).done();
    let forgotten = laptop.handoff(["forget", ID, "--discard"]).run().exits(0);
    forgotten.says(&format!("removing refs/handoff/{ID}/1/work")).done();
    assert_eq!(refs(&laptop), "");
}

#[test]
fn what_people_wrote_stays() {
    let laptop = finished();
    std::fs::write(laptop.record("notes.md"), "mine\n").unwrap();
    let page = laptop.handoff_md() + "\nIt was a good one.\n";
    std::fs::write(laptop.record("handoff.md"), page).unwrap();
    let forgotten = laptop.handoff(["forget", ID, "--discard"]).run().exits(0);
    forgotten
        .says(&format!(".cursor/agent-handoffs/{ID}: not written by handoff, or edited"))
        .says("notes.md")
        .says("handoff.md")
        .done();
    assert!(laptop.handoff_md().contains("It was a good one.") && laptop.record("attempt-1.log").exists());
    assert!(!laptop.truth("").exists());
}

#[test]
fn a_handoff_that_is_not_over_keeps_its_record() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    laptop.handoff(["forget", ID, "--discard"]).run().exits(1).complains("is already following").done();
    laptop.takeover().exits(0).done();
    running.wait().done();
    let refused = laptop.handoff(["forget", ID, "--discard"]).run().exits(2).complains("is not finished");
    refused.complains(&format!("try: handoff finish {ID}")).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    laptop.handoff(["finish", ID]).run().exits(0).says("kept the worktree").done();
    laptop.handoff(["forget", ID, "--discard"]).run().exits(2).complains("still has the worktree").done();
    assert!(laptop.truth("journal.jsonl").exists() && laptop.worktree().join("mine.txt").exists());
}

#[test]
fn an_interrupted_forget_is_completed_by_the_same_command() {
    // Killed after the readable files, and after the refs.
    for with_refs in [true, false] {
        let laptop = finished();
        std::fs::remove_dir_all(laptop.record("")).unwrap();
        if !with_refs {
            for name in refs(&laptop).lines() {
                laptop.git(&["update-ref", "-d", name]);
            }
        }
        laptop.handoff(["forget", ID]).run().exits(0).says("is forgotten").done();
        assert!(refs(&laptop).is_empty() && !laptop.truth("").exists() && !laptop.record("").exists());
    }
}

#[test]
fn the_result_is_one_json_object() {
    let laptop = finished();
    let forgotten = laptop.handoff(["forget", ID, "--json"]).run().exits(0).json();
    assert_eq!((forgotten.len(), &forgotten[0]["kept"]), (1, &serde_json::json!([])));
    assert!(forgotten[0]["refs"].as_u64().unwrap() >= 3, "{}", forgotten[0]);
}

#[test]
fn a_later_handoff_does_not_need_the_objects_of_a_forgotten_one() {
    let laptop = finished();
    laptop.git(&["branch", "-D", "fix-till"]);
    laptop.handoff(["forget", ID, "--discard"]).run().exits(0).done();
    laptop.git(&["reflog", "expire", "--expire=now", "--all"]);
    laptop.git(&["gc", "-q", "--prune=now"]);
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:notes.txt")]), "by the agent\n");
}
