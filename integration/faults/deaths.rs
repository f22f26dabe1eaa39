//! The watcher, the wrapper and the agent die, one by one and together, and so does the host.

use rustix::process::Signal;

use crate::row::Row;
use crate::support::agent;
use crate::support::processes::{self, signal};
use crate::support::site::{PATIENCE, Site};
use crate::support::sshd::{Setup, can_choose_shell, can_replace_sh};
use crate::support::wait;

/// Edits a file, prints a line, and waits for the file `go` in the home. A second turn ends at once.
const WAITS: &str = "turn 1\nedit new.txt <<END\nwritten\nEND\nsay Written.\n\
    run while ! [ -e ~/go ]; do sleep 0.1; done\nfinish Done.\nturn 2\nfinish Done now.\n";
/// Like [`WAITS`], but its first turn never ends.
const HANGS: &str = "turn 1\nedit new.txt <<END\nwritten\nEND\nsay Written.\nhang\nturn 2\nfinish Done now.\n";

fn turns(site: &Site) -> usize {
    agent::prompts(&site.host.user).iter().map(|(_, prompts)| prompts.len()).sum()
}

fn go(site: &Site) {
    site.host.user.install("go", "", 0o644);
}

#[test]
fn r21_reboot() {
    let row = Row::begin(21);
    if !can_replace_sh() || !can_choose_shell() {
        return row.skip("no mount namespace in which a host has a boot id of its own");
    }
    let mut site = Site::with(Setup::default().boots());
    site.plan(HANGS);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    site.host.reboot();
    running.end().success();
    let verdicts = site.verdicts();
    assert_eq!(verdicts[0].0, "lost", "{verdicts:?}");
    assert!(verdicts[0].1.contains("reboot"), "{verdicts:?}");
    assert_eq!(site.attempts(), [1, 2], "tried again by the policy");
    assert_eq!(site.on_host(1, "exit").unwrap().trim(), "", "no exit code was made up");
    site.logs_are_mirrored();
}

#[test]
fn r22_reboot_after_the_result() {
    let row = Row::begin(22);
    if !can_replace_sh() || !can_choose_shell() {
        return row.skip("no mount namespace in which a host has a boot id of its own");
    }
    let mut site = Site::with(Setup::default().boots());
    site.plan(WAITS);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    running.kill();
    go(&site);
    site.wait_for_result(1);
    site.host.reboot();
    site.handoff(&["watch"]).run().success();
    assert_eq!(site.verdicts()[0].0, "done");
    assert_eq!((site.attempts(), turns(&site)), (vec![1], 1));
    site.logs_are_mirrored();
}

#[test]
fn r24_watcher_killed() {
    let _row = Row::begin(24);
    let site = Site::new();
    site.plan(WAITS);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    signal(site.pid_on_host(1, "watch.1"), Signal::KILL);
    wait::until("a second watcher", PATIENCE, || site.link_on_host(1, "watch.2"));
    go(&site);
    running.end().success();
    assert_eq!(site.verdicts()[0].0, "done", "{:?}", site.verdicts());
    assert_eq!((site.attempts(), turns(&site)), (vec![1], 1), "nothing started twice");
    site.logs_are_mirrored();

    // The same, but no process is left to start another watcher. The wrapper records how the agent ended.
    let alone = Site::new();
    alone.plan(WAITS);
    let running = alone.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    running.kill();
    signal(alone.pid_on_host(1, "watch.1"), Signal::KILL);
    go(&alone);
    wait::until("the exit status", PATIENCE, || alone.on_host(1, "exit").filter(|status| status.trim() == "0"));
    assert_eq!(alone.on_host(1, "result"), None);
    alone.handoff(&["watch"]).run().success();
    assert_eq!((alone.verdicts()[0].0.as_str(), turns(&alone)), ("done", 1));
}

#[test]
fn r25_watcher_and_wrapper_killed() {
    let _row = Row::begin(25);
    let kill_both = |site: &Site| {
        let running = site.run_checked("true", &[]).start();
        running.line("the agent's words", |line| line.contains("Written."));
        let agent = site.agent_pid();
        running.kill();
        signal(site.pid_on_host(1, "watch.1"), Signal::KILL);
        signal(site.pid_on_host(1, "task"), Signal::KILL);
        let again = site.handoff(&["watch"]).start();
        wait::until("a second watcher", PATIENCE, || site.link_on_host(1, "watch.2"));
        // Two ticks of the watcher.
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert!(processes::of_user(site.host.user.uid).contains(&agent), "a running agent was ended");
        assert_eq!(site.on_host(1, "result"), None);
        again
    };
    let site = Site::new();
    site.plan(WAITS);
    let running = kill_both(&site);
    go(&site);
    let _ = running.end();
    let verdicts = site.verdicts();
    assert_eq!(verdicts[0].0, "lost", "no process saw its end: {verdicts:?}");
    assert_eq!(site.on_host(1, "exit").unwrap().trim(), "", "no exit code was made up");
    site.logs_are_mirrored();

    let stopped = Site::new();
    stopped.plan(WAITS);
    let running = kill_both(&stopped);
    let _ = stopped.handoff(&["stop"]).run();
    let _ = running.end();
    assert_eq!(stopped.verdicts()[0].0, "stopped", "{:?}", stopped.verdicts());
    wait::until("an empty host", PATIENCE, || processes::of_user(stopped.host.user.uid).is_empty().then_some(()));
}

#[test]
fn r26_agent_killed() {
    let _row = Row::begin(26);
    let site = Site::new();
    site.plan(WAITS);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    signal(site.agent_pid(), Signal::KILL);
    running.end().success();
    let verdicts = site.verdicts();
    assert_eq!(verdicts[0].0, "crashed", "{verdicts:?}");
    assert!(verdicts[0].1.contains("SIGKILL"), "{verdicts:?}");
    assert_eq!(verdicts[1].0, "done", "tried again, once: {verdicts:?}");
    site.logs_are_mirrored();
}
