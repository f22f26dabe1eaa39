//! `handoff pull` writes only refs below refs/handoff.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

#[test]
fn brings_nothing_but_refs_and_can_be_repeated() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let (index, status) = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]));
    let work = format!("refs/handoff/{ID}/1/work");
    laptop.handoff(["pull", ID]).run().exits(0).says("nothing new").says(&work).done();
    assert_eq!(laptop.git(&["show", &format!("{work}:notes.txt")]), "by the agent\n");
    assert_eq!((laptop.index(), laptop.git(&["status", "--porcelain=v2"])), (index, status));
}

/// A plan whose side branch has an object that fsck refuses.
const BAD_BRANCH: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run b=$(echo x | git hash-object -w --stdin); t=$(printf '100644 blob %s\\t.git\\n' $b | git mktree); \
    git branch side $(git -c user.name=a -c user.email=a@b commit-tree $t -p HEAD -m x)\nfinish All done.\n";

#[test]
fn a_ref_that_git_refuses_is_named_and_kept_and_the_work_comes() {
    let laptop = Laptop::with_plan(BAD_BRANCH);
    let accept = "git config fetch.fsck.hasDotgit warn && handoff pull";
    laptop.run([TASK]).run().exits(0).says("refused:   heads/side (tree ").says(accept).done();
    assert_eq!(laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:notes.txt")]), "by the agent\n");
    laptop.handoff(["pull", ID]).run().exits(0).says("git refused heads/side (tree ").done();
    laptop.handoff(["show", ID]).run().exits(0).says("hasDotgit: contains '.git'").says(accept).done();
    let kept = laptop.handoff(["clean", ID]).run().exits(1).says("heads/side (tree ").says("box keeps what it had");
    kept.says(accept).says("--discard-ignored").done();
    laptop.handoff(["takeover", ID, "--editor", "none"]).run().exits(0).says("is yours").done();
    // The printed command works exactly as printed.
    laptop.git(&["config", "fetch.fsck.hasDotgit", "warn"]);
    laptop.handoff(["pull", ID]).run().exits(0).done();
    laptop.git(&["rev-parse", "--verify", &format!("refs/handoff/{ID}/1/heads/side")]);
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}

#[test]
fn a_refused_ref_goes_with_its_host_when_the_handoff_is_discarded_by_name() {
    let laptop = Laptop::with_plan(BAD_BRANCH);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["clean", "--all"]).run().exits(1).says("heads/side").done();
    let gone = laptop.handoff(["clean", ID, "--discard-ignored"]).run().exits(0).says("released");
    gone.says("deleted: 1 ref that git refused here").says("heads/side").done();
    laptop.handoff(["show", ID, "--offline"]).run().exits(0).done();
}

#[test]
fn work_that_git_refuses_stops_what_would_be_built_without_it_until_it_is_accepted() {
    let plan = "turn 1\nrun printf '[submodule \"../../hooks\"]\\n\\tpath = s\\n\\turl = https://example.com/s\\n' \
                >.gitmodules\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    let accept = "git config fetch.fsck.gitmodulesName warn";
    laptop.run([TASK]).run().exits(1).says("refused:   work (blob ").says(accept).done();
    for _ in 0..2 {
        let refused = laptop.handoff(["pull", ID]).run().exits(1).complains("git refused the work of attempt 1");
        refused.complains(&format!("try: {accept}")).complains(&format!("try: handoff pull {ID}")).done();
    }
    laptop.handoff(["takeover", ID, "--editor", "none"]).run().exits(1).complains(accept).done();
    let status = &laptop.shown()["status"];
    assert_eq!(status, "done", "a refused takeover changes no owner");
    laptop.handoff(["clean", ID]).run().exits(1).says("git refused its work here").says("box keeps").done();
    laptop.git(&["config", "fetch.fsck.gitmodulesName", "warn"]);
    laptop.handoff(["takeover", ID, "--editor", "none"]).run().exits(0).says("is yours").done();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}
