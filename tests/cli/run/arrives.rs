//! The host receives exactly the files of the laptop.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait_for};

/// A plan that reports what the agent finds.
fn looks() -> String {
    "turn 1\nrun git status --porcelain=v2 --branch >\"$HOME/status\"; cat total.sh mine.txt >\"$HOME/files\"\n\
     finish Looked.\n"
        .to_owned()
}

#[test]
fn staged_unstaged_and_untracked_work_arrives_as_it_is() {
    let laptop = Laptop::with_plan(&looks());
    laptop.write("total.sh", "staged\n");
    laptop.write("gone.txt", "gone\n");
    laptop.git(&["add", "."]);
    laptop.write("total.sh", "staged, then changed\n");
    laptop.write("mine.txt", "untracked\n");
    std::fs::remove_file(laptop.repository().join("README.md")).unwrap();
    let here = laptop.git(&["status", "--porcelain=v2", "--branch"]);
    laptop.run(["--attempts", "1", TASK]).run().exits(1).done();
    let home = &laptop.hosts[0].home;
    assert_eq!(std::fs::read_to_string(home.join("status")).unwrap(), here);
    assert_eq!(std::fs::read_to_string(home.join("files")).unwrap(), "staged, then changed\nuntracked\n");
    assert_eq!(laptop.verdicts(), ["no-work"], "looking changes nothing");
}

#[test]
fn a_task_of_200_kib_from_a_file_and_from_standard_input() {
    let task: String = (0..7000).map(|n| format!("line {n:05} of 'a' \"long\" $task\n")).collect();
    assert!(task.len() > 200 << 10, "{}", task.len());
    for from in ["task.md", "-"] {
        let laptop = Laptop::with_plan(crate::support::QUICK);
        std::fs::write(laptop.home().join("task.md"), &task).unwrap();
        let file = if from == "-" { from.into() } else { laptop.home().join(from) };
        let run = laptop.run(["--task-file"]).args([file]);
        let run = if from == "-" { run.stdin(task.clone()) } else { run };
        run.run().exits(0).done();
        let prompt = laptop.hosts[0].prompts().remove(0);
        assert!(prompt.contains(task.trim_end()), "the prompt has the task whole, from {from}");
    }
}

#[test]
fn a_handoff_starts_where_its_user_stood() {
    let laptop = Laptop::with_plan("turn 1\nrun pwd >\"$HOME/where\"\nedit ok.txt <<E\nok\nE\nfinish Done.\n");
    std::fs::create_dir(laptop.repository().join("deep")).unwrap();
    laptop.write("deep/file", "x\n");
    let deep = laptop.repository().join("deep");
    laptop.run([TASK]).directory(&deep).run().exits(0).done();
    let place = laptop.hosts[0].home.join("where");
    wait_for("the agent's word", || place.exists());
    let found = std::fs::read_to_string(place).unwrap();
    assert!(found.ends_with("/till/deep\n"), "{found}");
}

#[test]
fn ignored_files_that_the_work_needs_go_too_and_never_come_back_as_work() {
    let plan = "turn 1\nrun cat .env local/a.conf >seen.txt; git status --porcelain >\"$HOME/status\"\nfinish Done.\n";
    let mut laptop = Laptop::with_plan(plan);
    let other = laptop.add_host("other");
    other.write_plan("turn 1\nrun cp .env \"$HOME/env\"\nedit ok.txt <<E\nok\nE\nfinish Done.\n");
    laptop.write_hosts();
    laptop.write(".gitignore", ".env\nlocal/\n");
    laptop.git(&["add", ".gitignore"]);
    laptop.git(&["commit", "-qm", "ignore"]);
    laptop.write(".env", "KEY=1\n");
    std::fs::create_dir(laptop.repository().join("local")).unwrap();
    laptop.write("local/a.conf", "a\n");
    laptop.write("local/b.conf", "b\n");
    let ran = laptop.run(["--include", ".env", "--include", "a.conf", TASK]).run().exits(0);
    let ran = ran.says(", with 2 ignored files\n  ignored, and sent: .env (6B), local/a.conf (2B), 8B in total\n");
    ran.says("excluded: local/b.conf (ignored)\n").done();
    let work = format!("refs/handoff/{ID}/1/work");
    assert_eq!(laptop.git(&["show", &format!("{work}:seen.txt")]), "KEY=1\na\n");
    let names = laptop.git(&["ls-tree", "-r", "--name-only", &work]);
    assert!(!names.contains(".env") && !names.contains("local"), "{names}");
    assert_eq!(std::fs::read_to_string(laptop.hosts[0].home.join("status")).unwrap(), "?? seen.txt\n");
    // The files have their content from the start, even if they have changed on the laptop since. None of them prevents
    // the reuse of the tree.
    laptop.write(".env", "KEY=2\n");
    laptop.git(&["gc", "-q", "--prune=now"]);
    laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.hosts[1].home.join("env")).unwrap(), "KEY=1\n");
    laptop.handoff(["clean", ID]).run().exits(0).says("on box: released").says("on other: released").done();
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join(".env")).unwrap(), "KEY=1\n");
    assert_eq!(laptop.git_in(&laptop.worktree(), &["status", "--porcelain"]), "?? ok.txt\n?? seen.txt\n");
}

#[test]
fn what_is_not_sent_is_said() {
    let laptop = Laptop::with_plan(crate::support::QUICK);
    laptop.write(".gitignore", "*.secret\n");
    laptop.write("mine.secret", "x\n");
    laptop.run([TASK]).run().exits(0).says("mine.secret").says("ignored").done();
    assert_eq!(std::fs::read_to_string(laptop.repository().join("mine.secret")).unwrap(), "x\n");
}

#[test]
fn from_a_linked_worktree_the_record_lies_in_it() {
    let laptop = Laptop::with_plan(crate::support::QUICK);
    let second = laptop.top().join("work/second");
    laptop.git(&["worktree", "add", "--quiet", "-b", "second", "../second"]);
    std::fs::write(second.join("only here.txt"), "x\n").unwrap();
    let home = laptop.home();
    laptop.run([TASK]).directory(&home).args(["-C".as_ref(), second.as_path()]).run().exits(0).done();
    assert!(second.join(".cursor/agent-handoffs").join(ID).join("handoff.md").exists());
    assert!(laptop.truth("journal.jsonl").exists(), "the truth is shared by all worktrees");
    assert_eq!(laptop.git_in(&second, &["status", "--porcelain"]), "?? \"only here.txt\"\n");
    let names = laptop.git(&["ls-tree", "--name-only", &format!("refs/handoff/{ID}/1/work")]);
    assert!(names.contains("only here.txt") && names.contains("notes.txt"), "{names}");
}
