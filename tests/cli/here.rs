//! `handoff takeover --here` and `handoff undo`: the work in the user's own checkout, and out of it again.

use std::os::unix::fs::PermissionsExt;

use crate::support::laptop::Laptop;
use crate::support::program::Ran;
use crate::support::{ID, TASK};

/// The agent commits, edits a file of the user's, and leaves a new one.
const WORK: &str = "turn 1\nedit committed.txt <<END\ncommitted\nEND\nrun git add committed.txt && git commit -qm 'by the agent'\n\
                    edit shared.txt <<END\none\ntwo\nthree\nfour\nFIVE\nEND\nedit new.txt <<END\nnew\nEND\nfinish Done.\n\
                    turn 2\nrun cat committed.txt shared.txt mine.txt >\"$HOME/found\"\nedit second.txt <<END\nsecond\n\
                    END\nfinish Second.\n";

fn done(plan: &str) -> Laptop {
    let laptop = Laptop::with_plan(plan);
    laptop.write("shared.txt", "one\ntwo\nthree\nfour\nfive\n");
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-qm", "shared"]);
    laptop.run([TASK]).run().exits(0).done();
    laptop
}

fn here(laptop: &Laptop) -> Ran {
    laptop.handoff(["takeover", ID, "--editor", "none", "--here"]).run()
}

fn read(laptop: &Laptop, name: &str) -> String {
    std::fs::read_to_string(laptop.repository().join(name)).unwrap()
}

fn status(laptop: &Laptop) -> String {
    laptop.git(&["--no-optional-locks", "status", "--porcelain"])
}

#[test]
fn the_work_is_merged_into_a_dirty_checkout_that_moved_on_and_undone_exactly() {
    let laptop = done(WORK);
    laptop.write("shared.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    laptop.write("mine.txt", "mine\n");
    laptop.git(&["add", "mine.txt"]);
    laptop.git(&["commit", "-qm", "moved on"]);
    laptop.write("mine.txt", "mine, later\n");
    let (before, index, head) = (status(&laptop), laptop.index(), laptop.git(&["rev-parse", "HEAD", "main"]));

    let ran = here(&laptop).exits(0).says("files here: change 1, add 2, delete 0; paths in the index: 1");
    let ran = ran.says("note: add committed.txt").says("is yours").says("1 changed, 2 added, 0 deleted");
    ran.says("your branch did not move").says("git log HEAD..").says(&format!("undo:     handoff undo {ID}")).done();
    assert_eq!(status(&laptop), "A  committed.txt\n M mine.txt\n M shared.txt\n?? new.txt\n");
    assert_eq!(read(&laptop, "shared.txt"), "ONE\ntwo\nthree\nfour\nFIVE\n");
    assert_eq!(laptop.git(&["rev-parse", "HEAD", "main"]), head);
    assert!(!laptop.worktree().exists());
    laptop.status_is("interactive");
    laptop.handoff(["show", ID]).run().exits(0).says("since `takeover --here`").done();
    here(&laptop).exits(0).says("checkout: ").done();
    let elsewhere = laptop.handoff(["takeover", ID, "--editor", "none", "--branch", "x"]).run();
    elsewhere.exits(2).complains("since `takeover --here`").complains(&format!("handoff undo {ID}")).done();

    laptop.handoff(["undo"]).run().exits(0).says("restored ").says("handoff diff").done();
    assert_eq!((laptop.index(), status(&laptop)), (index, before));
    assert_eq!(read(&laptop, "shared.txt"), "ONE\ntwo\nthree\nfour\nfive\n");
    laptop.handoff(["undo", ID]).run().exits(0).says("was undone before").done();
    laptop.handoff(["show", ID]).run().exits(0).says("(undone)").done();
    laptop.status_is("interactive");
    laptop.takeover().exits(0).says("worktree: ").done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("new.txt")).unwrap(), "new\n");
    // What the user does in the worktree is part of it.
    std::fs::write(laptop.worktree().join("new.txt"), "by the user\n").unwrap();
    here(&laptop).exits(0).done();
    assert_eq!(read(&laptop, "new.txt"), "by the user\n");
}

/// The user changes the takeover's worktree, takes the work into the checkout, and undoes that.
fn there_and_back() -> Laptop {
    let laptop = done(WORK);
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "in the worktree\n").unwrap();
    here(&laptop).exits(0).done();
    let shown = laptop.handoff(["show", ID]).run().exits(0).says("its work is in the checkout");
    assert!(!shown.text().contains("given back"), "{}", shown.text());
    let undone = laptop.handoff(["undo", ID]).run().exits(0);
    undone.says(&format!("worktree: {}", laptop.worktree().display())).done();
    assert_eq!(status(&laptop), "");
    laptop
}

#[test]
fn after_an_undo_the_worktree_that_was_changed_is_finished() {
    let laptop = there_and_back();
    let shown = laptop.handoff(["show", ID]).run().exits(0).says(&format!("worktree  {}", laptop.worktree().display()));
    assert!(!shown.text().contains("given back"), "{}", shown.text());
    laptop.handoff(["takeover", ID, "--return"]).run().exits(2).complains("its work has changed").done();
    laptop.handoff(["finish", ID, "--branch", "fix"]).run().exits(2).complains("--message TEXT").done();
    laptop.handoff(["finish", ID, "--branch", "fix", "--message", "Fix."]).run().exits(0).done();
    assert_eq!(laptop.git(&["show", "fix:mine.txt"]), "in the worktree\n");
}

#[test]
fn after_an_undo_the_worktree_that_was_changed_is_given_back() {
    let laptop = there_and_back();
    laptop.handoff(["give", ID]).run().exits(0).done();
    let found = std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap();
    assert_eq!(found, "committed\none\ntwo\nthree\nfour\nFIVE\nin the worktree\n");
    laptop.handoff(["show", ID]).run().exits(0).says("(given back)").done();
}

#[test]
fn a_conflict_is_listed_with_the_command_that_helps_and_nothing_is_touched() {
    let laptop = done(WORK);
    laptop.write("shared.txt", "one\ntwo\nthree\nfour\nmine\n");
    laptop.write("new.txt", "mine\n");
    let (before, index) = (status(&laptop), laptop.index());
    let ran = here(&laptop).exits(1).complains("nothing was touched").complains("\n  new.txt is added on both sides");
    let ran = ran.complains("\n  shared.txt is changed on both sides, in the same lines");
    ran.complains(&format!("try: handoff takeover {ID}")).done();
    assert_eq!((laptop.index(), status(&laptop)), (index, before));
    assert_eq!(read(&laptop, "shared.txt"), "one\ntwo\nthree\nfour\nmine\n");
    laptop.handoff(["undo", ID]).run().exits(2).complains("there is nothing to undo").done();
    laptop.takeover().exits(0).says("worktree: ").done();
}

#[test]
fn undo_does_not_lose_what_the_user_changed_since() {
    let laptop = done(WORK);
    here(&laptop).exits(0).done();
    laptop.write("new.txt", "by the user\n");
    let ran = laptop.handoff(["undo", ID]).run().exits(2).complains("nothing was undone:\n  new.txt\n");
    ran.complains(&format!("git show refs/handoff/{ID}/undo:PATH")).done();
    assert_eq!(read(&laptop, "committed.txt"), "committed\n");
    laptop.write("new.txt", "new\n");
    laptop.handoff(["undo", ID]).run().exits(0).done();
    assert_eq!(status(&laptop), "");
}

#[test]
fn an_unfinished_merge_is_refused_before_the_agent_is_stopped() {
    let laptop = done(WORK);
    laptop.git(&["checkout", "-qb", "side"]);
    laptop.git(&["commit", "-q", "--allow-empty", "-m", "side"]);
    laptop.git(&["checkout", "-q", "main"]);
    laptop.git(&["commit", "-q", "--allow-empty", "-m", "main"]);
    laptop.git(&["merge", "-q", "--no-commit", "--no-ff", "side"]);
    here(&laptop)
        .exits(2)
        .complains("a merge is not finished")
        .complains(&format!("git -C {} merge --abort", laptop.repository().display()))
        .done();
    laptop.status_is("done");
}

#[test]
fn it_is_given_back_from_the_checkout_and_the_next_work_is_merged_from_there() {
    let laptop = done(WORK);
    here(&laptop).exits(0).done();
    laptop.write("mine.txt", "mine\n");
    laptop.handoff(["give", ID]).run().exits(0).done();
    let host = &laptop.hosts[0];
    let found = std::fs::read_to_string(host.home.join("found")).unwrap();
    assert_eq!(found, "committed\none\ntwo\nthree\nfour\nFIVE\nmine\n");
    assert!(host.prompts()[1].contains("took your files into another checkout"), "{}", host.prompts()[1]);
    laptop.write("mine.txt", "mine, later\n");
    here(&laptop).exits(0).says("0 changed, 1 added, 0 deleted").done();
    assert_eq!(read(&laptop, "second.txt"), "second\n");
    laptop.handoff(["undo", ID]).run().exits(0).done();
    assert_eq!(status(&laptop), "A  committed.txt\n M shared.txt\n?? mine.txt\n?? new.txt\n");
    assert_eq!(read(&laptop, "mine.txt"), "mine, later\n");
}

#[test]
fn a_second_takeover_that_is_rolled_back_does_not_cost_the_undo_of_the_first() {
    let laptop = done(WORK);
    here(&laptop).exits(0).done();
    laptop.handoff(["give", ID]).run().exits(0).done();
    let snapshot = laptop.git(&["rev-parse", &format!("refs/handoff/{ID}/undo")]);
    laptop.write(".git/index.lock", "");
    here(&laptop).exits(2).complains("index.lock exists").done();
    std::fs::remove_file(laptop.repository().join(".git/index.lock")).unwrap();
    assert!(!laptop.repository().join("second.txt").exists());
    assert_eq!(laptop.git(&["rev-parse", &format!("refs/handoff/{ID}/undo")]), snapshot);
    laptop.handoff(["undo", ID]).run().exits(0).says("restored ").done();
    assert_eq!(status(&laptop), "");
}

#[test]
fn the_record_in_the_checkout_of_another_worktree_is_forgotten_too() {
    let laptop = done(WORK);
    let other = laptop.top().join("other");
    laptop.git(&["worktree", "add", "-q", other.to_str().unwrap()]);
    let directory = other.to_str().unwrap();
    laptop.handoff(["-C", directory, "takeover", ID, "--editor", "none", "--here"]).run().exits(0).done();
    let record = other.join(".cursor/agent-handoffs").join(ID);
    assert!(record.join("handoff.md").exists());
    laptop.handoff(["finish", ID]).run().exits(0).done();
    let forgotten = laptop.handoff(["forget", ID, "--discard"]).run().exits(0);
    assert!(!record.exists(), "{}", forgotten.text());
}

#[test]
fn the_undo_of_a_finished_handoff_advises_no_takeover() {
    let laptop = done(WORK);
    here(&laptop).exits(0).done();
    laptop.handoff(["finish", ID]).run().exits(0).done();
    let undone = laptop.handoff(["undo", ID]).run().exits(0);
    assert!(!undone.text().contains("handoff takeover"), "{}", undone.text());
}

/// A `PATH` with a `git` that kills its caller if a shell command says no. `git` there is the real one.
fn deadly_git_unless(laptop: &Laptop, lives: &str) -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|directory| directory.join("git")).find(|file| file.exists()).unwrap();
    let bin = laptop.home().join("deadly");
    std::fs::create_dir_all(&bin).unwrap();
    let (git, file) = (git.display(), bin.join("git"));
    let text =
        format!("#!/bin/sh\ngit() {{ {git} \"$@\"; }}\n{lives} || {{ kill -9 $PPID; exit 9; }}\nexec {git} \"$@\"\n");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap()
}

/// The same, which kills from its call number `n`.
fn deadly_git(laptop: &Laptop, n: u32) -> std::ffi::OsString {
    let count = laptop.home().join("count");
    let _ = std::fs::remove_file(&count);
    let count = count.display();
    deadly_git_unless(laptop, &format!("{{ echo >>'{count}'; [ \"$(wc -l <'{count}')\" -lt {n} ]; }}"))
}

/// The refs of the snapshots that undo and rollback use.
fn undo_refs(laptop: &Laptop) -> Vec<String> {
    let all = laptop.git(&["for-each-ref", "--format=%(refname)", &format!("refs/handoff/{ID}")]);
    all.lines()
        .filter_map(|name| name.split_once(&format!("/{ID}/")))
        .map(|(_, name)| name.to_owned())
        .filter(|name| name.starts_with("undo"))
        .collect()
}

/// Takes the work over in a worktree and commits it there.
fn commit_in_worktree(laptop: &Laptop) {
    laptop.takeover().exits(0).done();
    laptop.git_in(&laptop.worktree(), &["add", "-A"]);
    laptop.git_in(&laptop.worktree(), &["commit", "-qm", "by hand"]);
}

#[test]
fn a_rollback_keeps_the_snapshot_only_if_the_user_changed_a_file_since() {
    let laptop = done(WORK);
    laptop.write("shared.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    let begun = format!("[ -z \"$(git for-each-ref refs/handoff/{ID}/undo-begun)\" ]");
    let kill = || {
        let killed = laptop.handoff(["takeover", ID, "--editor", "none", "--here"]);
        assert_eq!(killed.env("PATH", deadly_git_unless(&laptop, &begun)).run().code, None);
        assert_eq!(undo_refs(&laptop)[0], "undo-begun");
    };
    kill();
    let shown = laptop.handoff(["show", ID, "--offline", "--json"]).run().exits(0);
    assert_eq!(shown.json().len(), 1, "the report is not on stdout");
    shown.complains("rolled back an interrupted takeover into ").done();
    assert_eq!(undo_refs(&laptop), [""; 0]);
    for n in 1..=2 {
        kill();
        laptop.write("shared.txt", format!("by the user, {n}\n"));
        let shown = laptop.handoff(["show", ID, "--offline", "--json"]).run().exits(0);
        let kept = format!("refs/handoff/{ID}/undo-kept/{n}");
        shown.complains("and kept: shared.txt").complains(&format!("git show {kept}:PATH")).done();
        assert_eq!(laptop.git(&["show", &format!("{kept}:shared.txt")]), "ONE\ntwo\nthree\nfour\nfive\n");
        laptop.write("shared.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    }
    here(&laptop).exits(0).done();
    assert_eq!(undo_refs(&laptop), ["undo", "undo-kept/1", "undo-kept/2"]);
    laptop.handoff(["undo", ID]).run().exits(0).done();
    assert_eq!(undo_refs(&laptop), ["undo-kept/1", "undo-kept/2"]);
    commit_in_worktree(&laptop);
    laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0).done();
    let forget = laptop.handoff(["forget", ID]).run().exits(2);
    forget.complains(&format!("refs/handoff/{ID}/undo-kept/1")).done();
    laptop.handoff(["forget", ID, "--discard"]).run().exits(0).done();
    assert_eq!(undo_refs(&laptop), [""; 0]);
}

#[test]
fn a_handoff_whose_takeover_was_rolled_back_is_forgotten_without_a_question() {
    let laptop = done(WORK);
    laptop.write("shared.txt", "ONE\ntwo\nthree\nfour\nfive\n");
    laptop.write(".git/index.lock", "");
    here(&laptop).exits(2).complains("index.lock exists").done();
    std::fs::remove_file(laptop.repository().join(".git/index.lock")).unwrap();
    commit_in_worktree(&laptop);
    laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0).done();
    laptop.handoff(["forget", ID]).run().exits(0).done();
}

#[test]
fn a_kill_at_any_call_of_git_is_rolled_back_or_finished_by_the_next_command() {
    let laptop = done(WORK);
    laptop.write("mine.txt", "mine\n");
    let (before, index) = (status(&laptop), laptop.index());
    let is_as_before = |when: &str| {
        assert_eq!(laptop.index(), index, "{when}");
        assert_eq!(status(&laptop), before, "{when}");
        assert!(!laptop.repository().join("new.txt").exists(), "{when}");
    };
    let mut kills = 0;
    for n in (1..).step_by(3) {
        let takeover = laptop.handoff(["takeover", ID, "--editor", "none", "--here"]);
        let ran = takeover.env("PATH", deadly_git(&laptop, n)).run();
        let is_whole = ran.code == Some(0);
        laptop.handoff(["undo", ID]).run().done();
        is_as_before(&format!("takeover killed at call {n}: {}", ran.text()));
        if is_whole {
            break;
        }
        kills += 1;
    }
    assert!(kills > 5, "{kills}");
    for n in (1..).step_by(2) {
        here(&laptop).exits(0).done();
        let ran = laptop.handoff(["undo", ID]).env("PATH", deadly_git(&laptop, n)).run();
        let is_whole = ran.code == Some(0);
        laptop.handoff(["undo", ID]).run().exits(0).done();
        is_as_before(&format!("undo killed at call {n}: {}", ran.text()));
        if is_whole {
            break;
        }
    }
}
