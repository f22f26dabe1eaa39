//! The main job, end to end, as an ordinary user of an ordinary host.

use std::time::Duration;

use crate::support::agent;
use crate::support::site::{CHECK, HOST, ID, PATIENCE, Site, TASK};
use crate::support::{processes, wait};

/// Git's view of the user's repository: HEAD, index, files and branches.
fn state_of(site: &Site) -> String {
    let status = site.laptop.git(&["status", "--porcelain=v2", "--branch", "--untracked-files=all"]);
    // A takeover makes a separate branch for its worktree.
    let refs = site.laptop.git(&["for-each-ref", "--exclude=refs/handoff", "--exclude=refs/heads/handoff"]);
    format!("{status}\n{}\n{refs}\n{}", site.laptop.git(&["write-tree"]), site.laptop.git(&["diff", "HEAD"]))
}

#[test]
fn a_task_is_done_and_its_work_comes_back() {
    let site = Site::new();
    let before = state_of(&site);
    let ran = site.run(&[]).run().success();
    assert!(ran.stdout.contains("Both bugs in total.sh are fixed"), "the agent's last word:\n{}", ran.stdout);
    assert_eq!(state_of(&site), before, "the user's repository changed");
    site.logs_are_mirrored();
    site.work_is_back();
}

#[test]
fn the_second_attempt_resumes_the_session_of_the_first() {
    let site = Site::new();
    site.run(&[]).run().success();
    assert_eq!(site.attempts(), [1, 2]);
    let sessions = agent::prompts(&site.host.user);
    let [(session, prompts)] = &sessions[..] else { panic!("not one session: {sessions:?}") };
    let [first, second] = &prompts[..] else { panic!("not two turns: {prompts:?}") };
    assert!(first.contains(TASK) && first.contains(CHECK), "{first}");
    assert_ne!(first, second, "a resumed session does not get the whole prompt again");
    for attempt in [1, 2] {
        assert!(site.on_host(attempt, "log").unwrap().contains(session), "attempt {attempt} has another session");
    }
}

#[test]
fn the_agent_finds_the_repository_as_the_laptop_has_it() {
    let site = Site::new();
    site.plan(
        "turn 1\n\
         run git status --porcelain=v2 --branch --untracked-files=all >\"$HOME/status\"\n\
         run git tag >\"$HOME/tags\"\n\
         run git rev-parse HEAD HEAD^{tree} >\"$HOME/head\"\n\
         finish Seen.\n",
    );
    let status = site.laptop.git(&["status", "--porcelain=v2", "--branch", "--untracked-files=all"]);
    let _ = site.run(&["--attempts", "1"]).run();
    let seen = |file| std::fs::read_to_string(site.host.user.home.join(file)).unwrap_or_default();
    assert_eq!(seen("status").trim_end(), status);
    assert_eq!(seen("tags").trim_end(), site.laptop.git(&["tag"]));
    assert_eq!(seen("head").trim_end(), site.laptop.git(&["rev-parse", "HEAD", "HEAD^{tree}"]));
}

#[test]
fn a_takeover_has_the_files_as_the_agent_left_them() {
    let site = Site::new();
    site.run(&[]).run().success();
    let before = state_of(&site);
    let taken = site.handoff(&["takeover", "--editor", "none"]).run().success();
    let worktrees = site.laptop.git(&["worktree", "list", "--porcelain"]);
    let paths: Vec<_> = worktrees.lines().filter_map(|line| line.strip_prefix("worktree ")).collect();
    let [_, made] = paths[..] else { panic!("not one new worktree:\n{worktrees}\n{}", taken.stdout) };
    let made = std::path::Path::new(made);
    assert!(std::fs::read_to_string(made.join("total.sh")).unwrap().contains("+ 50) / 100"));
    assert_eq!(std::fs::read_to_string(made.join("notes.txt")).unwrap(), "not yet added on the laptop\n");
    let staged = site.laptop.git(&["-C", made.to_str().unwrap(), "diff", "--cached", "--name-only"]);
    assert_eq!(staged, "staged.txt", "only the staged file is staged");
    let record = made.join(".cursor/agent-handoffs").join(ID);
    assert!(record.join("attempt-2.log").exists(), "the record is in the worktree");
    assert!(std::fs::read_to_string(record.join("handoff.md")).unwrap().contains("interactive"));
    assert_eq!(state_of(&site), before, "the user's own files changed");
}

#[test]
fn json_is_one_event_a_line_and_the_listings_are_json() {
    let site = Site::new();
    let ran = site.run(&["--json"]).run().success();
    assert!(ran.json_lines().len() > 5, "{}", ran.stdout);
    let listed = site.laptop.handoff(&["list", "--json"]).run().success();
    assert!(listed.json().to_string().contains(ID), "{}", listed.stdout);
    let shown = site.handoff(&["show", "--json"]).run().success();
    assert!(shown.json().to_string().contains("done"), "{}", shown.stdout);
}

#[test]
fn a_detached_run_is_watched_later() {
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nsleep 3\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    site.laptop.handoff(&["run", "--host", HOST, "--id", ID, "--detach", TASK]).run().success();
    assert!(site.on_host(1, "result").is_none(), "it came back only after the end");
    site.handoff(&["watch"]).run().success();
    site.logs_are_mirrored();
}

#[test]
fn an_interrupt_detaches_and_the_task_goes_on() {
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nsleep 3\nsay Still here.\nfinish Done.\n");
    let running = site.run(&[]).start();
    site.wait_for_log(1, "Working.");
    running.signal(rustix::process::Signal::INT);
    let ran = running.end();
    assert!(
        ran.stderr.contains("handoff watch") || ran.stdout.contains("handoff watch"),
        "{}{}",
        ran.stdout,
        ran.stderr
    );
    site.wait_for_result(1);
    site.wait_for_log(1, "Still here.");
}

#[test]
fn stop_ends_the_whole_tree_of_processes() {
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nrun (setsid sleep 987654 &) ; sleep 987654\n");
    site.run(&["--detach"]).run().success();
    site.wait_for_log(1, "sleep 987654");
    site.handoff(&["stop"]).run().success();
    assert!(site.wait_for_result(1).contains("class stopped"));
    wait::until("the agent's processes to be gone", Duration::from_secs(10), || {
        processes::with_argument(site.host.user.uid, "987654").is_empty().then_some(())
    });
}

#[test]
fn a_log_line_is_seen_while_the_agent_works() {
    let site = Site::new();
    site.plan("turn 1\nsay The first word.\nsleep 5\nfinish Done.\n");
    let running = site.run(&["--attempts", "1"]).start();
    running.line("the first word", |line| line.contains("The first word."));
    assert!(site.on_host(1, "result").is_none(), "the line came only with the end");
    let _ = running.end_within(PATIENCE);
}

#[test]
fn without_an_agent_nothing_runs_and_the_way_to_mend_it_is_said() {
    let site = Site::new();
    std::fs::remove_file(site.host.user.home.join(".local/bin/agent")).unwrap();
    let ran = site.run(&[]).run().fails();
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("agent") && said.contains("install"), "{said}");
    assert_eq!(agent::prompts(&site.host.user), []);
}
