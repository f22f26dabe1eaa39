//! What arrives on the host is what was here.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait_for};

/// A plan that tells what the agent finds.
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
