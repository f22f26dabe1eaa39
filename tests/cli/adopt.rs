//! `handoff adopt`: a directory that was made by hand with the skill becomes a handoff.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

/// The page of the skill after one attempt that ended.
const WHOLE: &str = include_str!("../fixtures/hand-made/whole.md");

/// A section that is no part of the template.
const OWN_SECTION: &str = "\n## Notes Of Mine\n\nAsk Kim about the rounding.\n";

/// The output of a real CLI.
fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/agents/{name}.stdout", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// Makes a directory as the skill does, below .cursor of the repository.
fn hand_made(laptop: &Laptop, name: &str, page: &str, logs: &[(&str, &[u8])]) -> PathBuf {
    let directory = laptop.repository().join(".cursor/agent-handoffs").join(name);
    std::fs::create_dir_all(&directory).unwrap();
    if !page.is_empty() {
        std::fs::write(directory.join("handoff.md"), page).unwrap();
    }
    for (name, log) in logs {
        std::fs::write(directory.join(name), log).unwrap();
    }
    directory
}

/// A laptop with the complete directory.
fn whole(plan: &str) -> (Laptop, PathBuf) {
    let laptop = Laptop::with_plan(plan);
    let directory = hand_made(&laptop, ID, WHOLE, &[("attempt-1.log", &fixture("cursor-ok"))]);
    (laptop, directory)
}

fn adopt(laptop: &Laptop, directory: &Path, more: &[&str]) -> crate::support::program::Program {
    laptop.handoff(["adopt"]).args([directory]).args(more)
}

/// What `adopt --json` found.
#[track_caller]
fn found(laptop: &Laptop, directory: &Path, more: &[&str]) -> Value {
    adopt(laptop, directory, more).args(["--json"]).run().exits(0).json().remove(0)
}

#[test]
fn a_directory_of_the_skill_is_adopted_shown_resumed_and_taken_over() {
    let plan = "turn 1\nrun cat mine.txt >\"$HOME/found\"\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";
    let (laptop, directory) = whole(plan);
    laptop.write("mine.txt", "not committed\n");
    let log = fixture("cursor-ok");
    let ran = adopt(&laptop, &directory, &[]).run().exits(0).says(&format!("{ID} is adopted: done"));
    ran.says("attempt 1: cursor, unchecked").says(&format!("handoff resume {ID} --host HOST")).done();
    assert_eq!(std::fs::read(laptop.truth("attempt-1.log")).unwrap(), log);
    assert_eq!(std::fs::read(directory.join("attempt-1.log")).unwrap(), log);
    assert_eq!(std::fs::read_to_string(laptop.truth("adopted.md")).unwrap(), WHOLE);
    laptop.status_is("done");
    let page = laptop.handoff_md();
    for kept in [
        "## Notes Of Mine\n\nAsk Kim about the rounding.",
        "> - It ran `sh test.sh`, which still fails for half a cent.",
        "Attempt 1, run by hand with cursor (Composer 2.5), ended unchecked",
        "agent --resume \"$chat_id\" --print",
        ", started 2026-04-07T09:12:00Z; its status was done",
        "- Session ID: 22222222-2222-4222-8222-222222222222",
    ] {
        assert!(page.contains(kept), "{kept} is not in\n{page}");
    }
    assert!(!page.contains("- Host:") && !page.contains("- Ended:"), "no host had it, and none saw its end:\n{page}");
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    laptop.handoff(["show", ID]).run().exits(0).says("attempt 1, run by hand: unchecked").says("no host yet").done();
    laptop.handoff(["list"]).run().exits(0).says("by hand  attempt 1").done();
    laptop.handoff(["logs", ID]).run().exits(0).says("noforce.md").done();
    assert!(laptop.git(&["status", "--porcelain"]).trim() == "?? mine.txt");

    let refused = laptop.handoff(["resume", ID, "--again"]).run().exits(2).complains("was run by hand");
    refused.complains(&format!("handoff resume {ID} --host HOST")).done();
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    let prompt = laptop.hosts[0].prompts().remove(0);
    for told in [
        TASK,
        "was adopted at commit",
        "> Round half up in total.sh",
        "Attempt 1, run by hand, ended unchecked",
        "Ask Kim",
        "noforce.md",
    ] {
        assert!(prompt.contains(told), "{told} is not in\n{prompt}");
    }
    assert_eq!(std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap(), "not committed\n");
    assert_eq!(laptop.verdicts(), ["unchecked", "unchecked"]);
    assert!(!laptop.home().join(".handoff").exists(), "this machine is no host of the handoff");
    let shown = laptop.shown();
    assert_eq!(shown["handoff"]["attempts"]["2"]["host"], "box");
    assert_eq!(shown["handoff"]["attempts"]["1"]["by_hand"], true);
    assert_eq!(std::fs::read(directory.join("attempt-1.log")).unwrap(), log, "the original is as it was");
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();

    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
    let there = laptop.worktree().join(".cursor/agent-handoffs").join(ID);
    assert!(std::fs::read_to_string(there.join("handoff.md")).unwrap().contains(OWN_SECTION));
    assert_eq!(std::fs::read(there.join("attempt-1.log")).unwrap(), log);
    laptop.handoff(["clean", ID]).run().exits(0).says("on box: released").done();
    laptop.handoff(["finish", ID, "--branch", "till"]).run().exits(2).complains("not committed").done();
}

#[test]
fn adopting_twice_is_adopting_once() {
    let (laptop, directory) = whole(QUICK);
    adopt(&laptop, &directory, &[]).run().exits(0).done();
    let journal = std::fs::read(laptop.truth("journal.jsonl")).unwrap();
    adopt(&laptop, &directory, &[]).run().exits(0).says(&format!("{ID} is a handoff already")).done();
    let again = found(&laptop, Path::new(&format!(".cursor/agent-handoffs/{ID}/")), &["--id", "other"]);
    assert_eq!((&again["id"], &again["already"], &again["adopted"]), (&ID.into(), &true.into(), &false.into()));
    assert_eq!(std::fs::read(laptop.truth("journal.jsonl")).unwrap(), journal);
    // A killed command left the handoff without its page.
    std::fs::remove_file(directory.join("handoff.md")).unwrap();
    adopt(&laptop, &directory, &[]).run().exits(0).done();
    assert!(laptop.handoff_md().contains(OWN_SECTION));

    laptop.run([TASK, "--again"]).run().exits(2).complains("already exists").done();
    let copy = laptop.home().join(ID);
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join("handoff.md"), WHOLE).unwrap();
    let refused = adopt(&laptop, &copy, &[]).run().exits(2).complains("another handoff has that id");
    refused.complains(&format!("--id {ID}-2")).done();
    adopt(&laptop, &copy, &["--id", &format!("{ID}-2")]).run().exits(0).done();
    assert_eq!(
        std::fs::read_to_string(copy.join("handoff.md")).unwrap(),
        WHOLE,
        "a directory elsewhere is not changed"
    );
    let document = directory.with_file_name(format!("{ID}-2")).join("handoff.md");
    assert!(std::fs::read_to_string(document).unwrap().contains(OWN_SECTION));
}

#[test]
fn an_adopted_handoff_is_taken_over_given_and_finished_without_a_host_before() {
    let (laptop, directory) = whole(QUICK);
    adopt(&laptop, &directory, &["--check", "grep -q agent notes.txt"]).run().exits(0).done();
    let taken = laptop.handoff(["takeover", ID, "--print-prompt"]).run().exits(0);
    taken.says("Ask Kim").says("noforce.md exists").done();
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--again"]).run().exits(2).complains("no host has it yet").done();
    laptop.hosts[0].out_of_reach(true);
    let journal = std::fs::read(laptop.truth("journal.jsonl")).unwrap();
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(5).done();
    assert_eq!(std::fs::read(laptop.truth("journal.jsonl")).unwrap(), journal, "nothing changed");
    laptop.hosts[0].out_of_reach(false);
    laptop.takeover().exits(0).done();
    laptop.status_is("interactive");
    std::fs::write(laptop.worktree().join("half.txt"), "mine\n").unwrap();
    laptop.handoff(["give", ID]).run().exits(2).complains(&format!("handoff give {ID} --host HOST")).done();
    laptop.handoff(["give", ID, "--host", "box", "--message", "Now the rest."]).run().exits(0).done();
    let prompt = laptop.hosts[0].prompts().remove(0);
    assert!(prompt.contains("+mine") && prompt.contains("Now the rest.") && prompt.contains("Ask Kim"), "{prompt}");
    assert_eq!(laptop.verdicts(), ["unchecked", "done"]);
    laptop.handoff(["finish", ID, "--branch", "till"]).run().exits(0).done();
    assert_eq!(laptop.git(&["show", "till:half.txt"]), "mine\n");
    assert_eq!(laptop.git(&["show", "till:notes.txt"]), "by the agent\n");
    assert!(laptop.handoff_md().contains(OWN_SECTION));
}

#[test]
fn forgetting_leaves_the_directory_as_it_was_found() {
    let (laptop, directory) = whole(QUICK);
    std::fs::write(directory.join("notes.txt"), "mine\n").unwrap();
    let ran = adopt(&laptop, &directory, &[]).run().exits(0).says("not taken notes.txt");
    ran.done();
    assert_ne!(laptop.handoff_md(), WHOLE);
    laptop.handoff(["forget", ID]).run().exits(0).says("attempt-1.log").done();
    assert_eq!(laptop.handoff_md(), WHOLE);
    assert_eq!(std::fs::read(directory.join("attempt-1.log")).unwrap(), fixture("cursor-ok"));
    assert!(directory.join("notes.txt").exists() && !laptop.truth("").exists());
    adopt(&laptop, &directory, &[]).run().exits(0).says("is adopted").done();
    // What people wrote since stays theirs.
    std::fs::write(directory.join("handoff.md"), laptop.handoff_md() + "\nIt was good.\n").unwrap();
    laptop.handoff(["finish", ID]).run().exits(0).done();
    laptop.handoff(["forget", ID]).run().exits(0).done();
    assert!(laptop.handoff_md().ends_with("It was good.\n"));
}

#[test]
fn a_copy_in_a_worktree_that_was_cut_is_made_whole() {
    let (laptop, directory) = whole(QUICK);
    adopt(&laptop, &directory, &[]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let below = directory.strip_prefix(laptop.repository()).unwrap();
    let copy = laptop.worktree().join(below).join("attempt-1.log");
    // As after a kill in the middle of the copy.
    std::fs::remove_file(&copy).unwrap();
    std::fs::write(&copy, &fixture("cursor-ok")[..100]).unwrap();
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read(&copy).unwrap(), fixture("cursor-ok"));
}

#[test]
fn a_repository_that_was_moved_keeps_the_directory() {
    let (laptop, directory) = whole(QUICK);
    adopt(&laptop, &directory, &[]).run().exits(0).done();
    let below = directory.strip_prefix(laptop.repository()).unwrap();
    let moved = laptop.repository().with_file_name("moved");
    std::fs::rename(laptop.repository(), &moved).unwrap();
    laptop.handoff(["forget", ID]).directory(&moved).run().exits(0).says("attempt-1.log").done();
    assert_eq!(std::fs::read_to_string(moved.join(below).join("handoff.md")).unwrap(), WHOLE);
    assert_eq!(std::fs::read(moved.join(below).join("attempt-1.log")).unwrap(), fixture("cursor-ok"));
}

#[test]
fn a_page_without_logs_and_a_log_without_a_page_are_enough() {
    let laptop = Laptop::with_plan(QUICK);
    let page = "# Till\n\nStatus: stopped\nTask: Fix the till.\n\nKim knows more.\n";
    let directory = hand_made(&laptop, "Fix_The Till", page, &[]);
    let ran = adopt(&laptop, &directory, &[]).run().exits(0).says("fix-the-till is adopted: stopped");
    ran.done();
    assert_eq!(std::fs::read_to_string(directory.join("handoff.md")).unwrap(), page, "its name is no id");
    let document = laptop.repository().join(".cursor/agent-handoffs/fix-the-till/handoff.md");
    assert!(std::fs::read_to_string(document).unwrap().contains("> Kim knows more."));
    laptop.handoff(["takeover", "fix-the-till"]).run().exits(2).complains("nothing to take over").done();
    laptop.handoff(["resume", "fix-the-till", "--host", "box"]).run().exits(0).done();
    let prompt = laptop.hosts[0].prompts().remove(0);
    assert!(prompt.contains("Fix the till.") && prompt.contains("Kim knows more."), "{prompt}");

    let log = hand_made(&laptop, "only-a-log", "", &[("attempt-3.log", &fixture("codex-ok"))]);
    let refused = adopt(&laptop, &log, &[]).run().exits(2).complains("no task is named");
    refused.complains("--task \"TASK\"").done();
    let report = found(&laptop, &log, &["--task", "Make hello.txt."]);
    assert_eq!((&report["found"]["agent"], &report["found"]["attempts"][0]["attempt"]), (&"codex".into(), &3.into()));
    let empty = hand_made(&laptop, "empty", "", &[]);
    adopt(&laptop, &empty, &[]).run().exits(2).complains("neither handoff.md nor attempt-1.log").done();
}

#[test]
fn a_task_that_may_still_run_is_not_adopted_as_ended() {
    let laptop = Laptop::with_plan(QUICK);
    let page = WHOLE.replace("- Status: done", "- Status: running");
    let cut = fixture("cursor-truncated");
    let directory = hand_made(&laptop, ID, &page, &[("attempt-1.log", &cut)]);
    let refused =
        adopt(&laptop, &directory, &[]).run().exits(1).complains("`running`, and attempt-1.log has no final event");
    refused.complains("handoff adopt --ended").done();
    assert!(!laptop.truth("").exists());
    adopt(&laptop, &directory, &["--dry-run"]).run().exits(0).says("needs     --ended").done();

    // Whatever the user says, a process that writes the log is running.
    if cfg!(target_os = "linux") {
        let log = std::fs::File::options().append(true).open(directory.join("attempt-1.log")).unwrap();
        let mut worker = std::process::Command::new("sleep").arg("600").stdout(log).spawn().unwrap();
        let refused = adopt(&laptop, &directory, &["--ended"]).run();
        worker.kill().unwrap();
        worker.wait().unwrap();
        refused.exits(1).complains(&format!("process {} is writing its log", worker.id())).done();
        assert!(!laptop.truth("").exists());
    }

    adopt(&laptop, &directory, &["--ended"]).run().exits(0).says("do not show how it ended").done();
    laptop.status_is("stopped");
    let page = laptop.handoff_md();
    assert!(page.contains("its status was running; you said that nothing of it runs any more"), "{page}");
    assert!(page.contains("nothing shows how it ended"), "{page}");
    assert_eq!(laptop.verdicts(), ["none"]);
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    assert_eq!(laptop.verdicts(), ["none", "unchecked"]);

    // The log shows the end, which the page does not know of yet.
    let laptop = Laptop::new();
    let page = WHOLE.replace("- Status: done", "- Status: running");
    let directory = hand_made(&laptop, ID, &page, &[("attempt-1.log", &fixture("claude-ok"))]);
    adopt(&laptop, &directory, &[]).run().exits(0).says("claude, unchecked").done();
}

#[test]
fn every_log_is_judged_by_its_own_cli_and_an_unknown_one_is_not() {
    let laptop = Laptop::new();
    let logs = [
        ("cursor-ok", Some("cursor"), Some("unchecked")),
        ("cursor-f-auth", Some("cursor"), Some("auth")),
        ("claude-ok", Some("claude"), Some("unchecked")),
        ("claude-noperm", Some("claude"), Some("blocked")),
        ("codex-ok", Some("codex"), Some("unchecked")),
        ("codex-f-401", Some("codex"), Some("auth")),
        ("gemini-ok", None, None),
        ("opencode-f-401", None, None),
        ("qwen-f-401", None, None),
        ("cursor-truncated", Some("cursor"), None),
    ];
    let named: Vec<(String, Vec<u8>)> =
        (1..).zip(&logs).map(|(n, (name, ..))| (format!("attempt-{n}.log"), fixture(name))).collect();
    let files: Vec<(&str, &[u8])> = named.iter().map(|(name, log)| (name.as_str(), &log[..])).collect();
    let page =
        "## Metadata\n- Status: stalled\n- Task: Try them all.\n## Commands\n```\nagent -p x > attempt-2.log\n```\n";
    let directory = hand_made(&laptop, ID, page, &files);
    let report = found(&laptop, &directory, &[]);
    for (n, (name, agent, class)) in (0..).zip(&logs) {
        let run = &report["found"]["attempts"][n];
        assert_eq!((run["agent"].as_str(), run["verdict"]["class"].as_str()), (*agent, *class), "{name}: {run}");
    }
    assert_eq!(laptop.shown()["status"], "stopped");
    let page = laptop.handoff_md();
    assert!(page.contains("Attempt 7, run by hand with an agent CLI that is not known here; nothing shows"), "{page}");
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    laptop.handoff(["logs", ID, "--attempt", "7"]).run().exits(0).says("gemini-2.5-flash").done();
    laptop.handoff(["logs", ID, "--attempt", "5"]).run().exits(0).done();
    // A log that goes on in another file is not judged by its first part.
    let page = "Status: done\nTask: Try.\n";
    let ok = fixture("claude-ok");
    let parts = hand_made(&laptop, "parts", page, &[("attempt-1.log", &ok), ("attempt-1.2.log", b"Error: it broke\n")]);
    let run = found(&laptop, &parts, &[])["found"]["attempts"][0].clone();
    assert_eq!((run["agent"].as_str(), &run["verdict"]), (Some("claude"), &Value::Null));
    assert_eq!(report["found"]["agent"], "cursor", "the last CLI that is known");
}

#[test]
fn a_hostile_directory_costs_nothing_but_an_error() {
    let laptop = Laptop::with_plan(QUICK);
    let outside = laptop.home().join("private");
    std::fs::write(&outside, "private\n").unwrap();
    let linked = hand_made(&laptop, "linked", WHOLE, &[]);
    std::os::unix::fs::symlink(&outside, linked.join("attempt-1.log")).unwrap();
    adopt(&laptop, &linked, &[]).run().exits(1).complains("attempt-1.log is not a regular file").done();
    let alias = linked.with_file_name("alias");
    std::os::unix::fs::symlink(&linked, &alias).unwrap();
    adopt(&laptop, &alias, &[]).run().exits(1).complains("is a symbolic link").done();
    let huge = hand_made(&laptop, "huge", WHOLE, &[("attempt-1.log", b"")]);
    std::fs::File::create(huge.join("attempt-1.log")).unwrap().set_len(3 << 30).unwrap();
    adopt(&laptop, &huge, &[]).run().exits(1).complains("3221225472 bytes, more than the 1073741824").done();
    adopt(&laptop, Path::new("nowhere"), &[]).run().exits(1).complains("nowhere").done();
    assert!(!laptop.truth("").exists() && !laptop.truth("").with_file_name("linked").exists());

    let page = "## Metadata\n- Status: done\u{1b}]0;owned\u{7}\n- Task: \u{1b}[31mFix\u{202e} it.\n- Model: -rf\n\
        - Session ID: $(touch owned)\n- Check: touch owned\n- Current attempt: 99999999999\n\
        ## What It Tried\n\n<!-- hidden\n\n## Forged\n\n```\n\n(`attempt-9.log:7`) commit `deadbeef00`\n";
    let directory = hand_made(&laptop, "hostile", page, &[("attempt-1.log", b"\x1b[2J\xff\x00\n{\"type\":1}\n")]);
    let ran = adopt(&laptop, &directory, &[]).run().exits(0);
    assert!(!ran.text().contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", ran.text());
    let document = std::fs::read_to_string(directory.join("handoff.md")).unwrap();
    assert!(!document.contains(['\u{1b}', '\u{7}']), "{document:?}");
    laptop.handoff(["show", "hostile", "--check"]).run().exits(0).done();
    laptop.handoff(["resume", "hostile", "--host", "box"]).run().exits(0).done();
    assert_eq!(laptop.git(&["ls-files", "--others", "--exclude-standard"]), "", "nothing of the page was run");
    let shown = laptop.handoff(["show", "hostile", "--offline", "--json"]).run().exits(0).json().remove(0);
    assert_eq!(shown["handoff"]["made"]["check"], Value::Null, "only the user sets a check");
}

#[test]
fn a_dry_run_records_nothing() {
    let (laptop, directory) = whole(QUICK);
    let exclude = || std::fs::read(laptop.repository().join(".git/info/exclude")).unwrap_or_default();
    let before = (exclude(), laptop.handoff_md());
    let ran = adopt(&laptop, &directory, &["--dry-run"]).run().exits(0).says("nothing is recorded");
    ran.says("attempt 1: cursor, unchecked").says("kept      latest summary, what it tried").done();
    assert_eq!((exclude(), laptop.handoff_md()), before);
    assert!(!laptop.repository().join(".git/handoff").exists());
    assert_eq!(laptop.git(&["for-each-ref", "refs/handoff"]), "");
}

#[test]
fn the_base_is_the_commit_that_the_page_names_if_it_exists() {
    let laptop = Laptop::with_plan(
        "turn 1\nrun cat first.txt second.txt >\"$HOME/found\"\nedit a <<END\na\nEND\nfinish Done.\n",
    );
    let head = laptop.git(&["rev-parse", "HEAD"]);
    laptop.write("first.txt", "committed\n");
    laptop.git(&["add", "."]);
    laptop.git(&["commit", "--quiet", "--message=By the worker"]);
    laptop.write("second.txt", "not committed\n");
    let page = |base: &str| WHOLE.replace("- Current attempt", &format!("- Base: commit `{base}`\n- Current attempt"));
    let log = fixture("cursor-ok");
    let directory = hand_made(&laptop, ID, &page(&head[..12]), &[("attempt-1.log", &log)]);
    let report = found(&laptop, &directory, &[]);
    assert_eq!(report["found"]["base"], head.trim());
    laptop.handoff(["diff", ID]).run().exits(0).says("+committed").says("+not committed").done();
    assert!(
        laptop.handoff_md().contains("In the checkout when the record was adopted, commit"),
        "{}",
        laptop.handoff_md()
    );
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    let found_there = std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap();
    assert_eq!(found_there, "committed\nnot committed\n", "the host has the present state");
    laptop.handoff(["diff", ID, "--attempt", "2", "--stat"]).run().exits(0).says("1 file changed").done();

    let other = hand_made(&laptop, "other", &page(&"1".repeat(40)), &[("attempt-1.log", &log)]);
    assert_eq!(found(&laptop, &other, &[])["found"]["base"], Value::Null);
}

#[test]
fn a_secret_of_a_host_is_not_written_down() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.hosts[0].keys = "[host.box.secrets]\nTOKEN = \"TOKEN\"\n".to_owned();
    laptop.write_hosts();
    let page = WHOLE.replace("Ask Kim about", "The token is hunter2-hunter2, ask Kim about");
    let page = page.replace("chat_id=", "export TOKEN=hunter2-hunter2\nchat_id=");
    let page = page.replace("- Status: done", "- Status: done with hunter2-hunter2");
    let page = page + "\n## About hunter2-hunter2\n\nMore.\n";
    let directory = hand_made(&laptop, ID, &page, &[("attempt-1.log", &fixture("cursor-ok"))]);
    adopt(&laptop, &directory, &[]).env("TOKEN", "hunter2-hunter2").run().exits(0).done();
    let journal = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    assert!(journal.contains("ask Kim about") && !journal.contains("hunter2-hunter2"), "{journal}");
    assert!(journal.contains("done with ***"), "{journal}");
}

#[test]
fn a_page_of_handoff_itself_is_adopted_where_the_record_is_not() {
    let laptop = Laptop::with_plan(QUICK);
    let task = "Fix <b>total.sh</b>.\n\n- round [half](up)\n# and nothing else";
    laptop.run([task]).run().exits(0).done();
    let head = laptop.git(&["rev-parse", "HEAD"]);
    let log = std::fs::read(laptop.truth("attempt-1.log")).unwrap();
    // As in another clone, to which the directory came with a commit.
    std::fs::remove_dir_all(laptop.repository().join(".git/handoff")).unwrap();
    laptop.shell("git for-each-ref --format='delete %(refname)' refs/handoff | git update-ref --stdin");
    let directory = laptop.record("handoff.md").parent().unwrap().to_owned();
    let found = found(&laptop, &directory, &[]);
    assert_eq!((&found["found"]["task"], &found["found"]["base"]), (&task.into(), &head.trim().into()));
    assert_eq!(found["found"]["attempts"][0]["verdict"]["class"], "unchecked");
    assert_eq!(std::fs::read(laptop.truth("attempt-1.log")).unwrap(), log);
    laptop.status_is("done");
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    laptop.handoff(["show", ID, "--check"]).run().exits(0).done();
}
