//! The task outlives the laptop's program, its connection, and the server that it came through.

use crate::support::agent;
use crate::support::site::{CHECK, Site, TASK};

#[test]
fn attempt_two_happens_before_anybody_returns() {
    let site = Site::new();
    let running = site.run(&[]).start();
    site.wait_for_log(1, "I'll read the code");
    running.kill();
    let first = site.wait_for_result(1);
    assert!(first.contains("class throttled"), "{first}");
    // From here on no process of handoff runs on the laptop.
    let second = site.wait_for_result(2);
    assert!(second.contains("class done"), "{second}");

    let sessions = agent::prompts(&site.host.user);
    let [(session, prompts)] = &sessions[..] else { panic!("not one session: {sessions:?}") };
    let [first, second] = &prompts[..] else { panic!("not two turns: {prompts:?}") };
    assert!(first.contains(TASK) && first.contains(CHECK), "{first}");
    assert_ne!(first, second, "a resumed session does not get the whole prompt again");
    assert!(site.on_host(2, "log").unwrap().contains(session));

    let ran = site.handoff(&["watch"]).run().success();
    assert!(ran.stdout.contains("Both bugs in total.sh are fixed"), "{}", ran.stdout);
    site.logs_are_mirrored();
    site.work_is_back();
    assert_eq!(agent::prompts(&site.host.user)[0].1.len(), 2, "coming back started nothing");
}

#[test]
fn the_server_may_go_away_and_come_back() {
    let mut site = Site::new();
    site.plan("turn 1\nsay Working.\nsleep 2\nsay Nobody listens.\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    site.host.down();
    let result = site.wait_for_result(1);
    assert!(result.contains("class "), "{result}");
    site.host.up();
    running.end().success();
    site.logs_are_mirrored();
}

#[test]
fn a_second_command_attaches_and_reads() {
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nsleep 3\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    let running = site.run_checked("true", &[]).start();
    site.wait_for_log(1, "Working.");
    // The host has the line. The mirror gets it a moment later.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while !site.handoff(&["logs"]).run().success().stdout.contains("Working.") {
        assert!(std::time::Instant::now() < deadline, "the line never reached the mirror");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let _ = site.handoff(&["show"]).run().success();
    let _ = running.end();
    assert_eq!(site.attempts().first(), Some(&1));
}

#[test]
fn a_host_whose_processes_all_die_loses_no_work() {
    let site = Site::new();
    site.plan(
        "turn 1\nedit new.txt <<END\nmade before the reboot\nEND\nsay Written.\nhang\n\
         turn 2\nfinish Done.\n",
    );
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    site.host.user.end_processes();
    let ran = running.end();
    let _ = site.handoff(&["pull"]).run();
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname)", "refs/handoff/"]);
    let kept = refs.lines().any(|name| {
        let show = site.laptop.program("git").args(["show", &format!("{name}:new.txt")]).output().unwrap();
        show.stdout == b"made before the reboot\n"
    });
    assert!(kept, "the file is in none of these:\n{refs}\n{ran:#?}");
}
