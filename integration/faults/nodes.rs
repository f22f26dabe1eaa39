//! Several machines with one home, and several names for one machine.

use crate::row::Row;
use crate::support::site::{HOST, ID, PATIENCE, Site};
use crate::support::sshd::{Setup, can_name_nodes};
use crate::support::{agent, wait};

/// Edits a file, prints a line, and waits for the file `go` in the home.
const WAITS: &str = "turn 1\nedit new.txt <<END\nwritten\nEND\nsay Written.\n\
    run while ! [ -e ~/go ]; do sleep 0.1; done\nfinish Done.\nturn 2\nfinish Done now.\n";

fn turns(site: &Site) -> usize {
    agent::prompts(&site.host.user).iter().map(|(_, prompts)| prompts.len()).sum()
}

/// A task that runs on one machine, while another machine answers.
fn elsewhere() -> Site {
    let mut site = Site::with(Setup::default().node("login1"));
    site.plan(WAITS);
    site.run_checked("true", &["--detach"]).run().success();
    site.wait_for_log(1, "Written.");
    site.host.becomes("login2");
    site
}

#[track_caller]
fn nothing_was_started(site: &Site) {
    assert_eq!(site.link_on_host(1, "watch.2"), None, "a second watcher");
    assert_eq!((site.attempts(), turns(site)), (vec![1], 1), "a second agent");
}

#[test]
fn r47_claim_of_another_node() {
    let row = Row::begin(47);
    if !can_name_nodes() {
        return row.skip("no namespace in which a machine has another name");
    }
    lives_and_is_followed(&elsewhere());
    died_and_is_not_judged(elsewhere());
    died_and_is_done_without(&elsewhere());
}

fn lives_and_is_followed(site: &Site) {
    let shown = site.answered_show();
    for part in ["another machine", &format!("set `address` of {HOST}"), &format!("`handoff takeover {ID}`")] {
        assert!(shown.contains(part), "no {part:?} in:\n{shown}");
    }
    let resumed = site.handoff(&["resume"]).run().fails();
    assert!(resumed.stderr.contains("is still running"), "{}", resumed.stderr);
    let watching = site.handoff(&["watch"]).start();
    watching.line("the report of the other machine", |line| line.contains("another machine"));
    nothing_was_started(site);
    site.host.user.install("go", "", 0o644);
    watching.end().success();
    assert_eq!(site.verdicts()[0].0, "done", "{:?}", site.verdicts());
    nothing_was_started(site);
    site.logs_are_mirrored();
}

/// The machine that runs the task dies, and an hour passes.
fn die(site: &Site) {
    site.host.user.end_processes();
    let beat = format!("active 5 {}\n", jiff::Timestamp::now().as_second() - 3600);
    std::fs::write(site.work().unwrap().join("1/beat"), beat).unwrap();
}

fn died_and_is_done_without(site: &Site) {
    die(site);
    let taken = site.handoff(&["takeover", "--editor", "none"]).run().success();
    assert!(taken.stdout.contains("could not reach"), "{}", taken.stdout);
    nothing_was_started(site);
}

fn died_and_is_not_judged(mut site: Site) {
    die(&site);
    let stopped = site.handoff(&["stop"]).run().fails();
    let stopped = stopped.says(&["another machine", &format!("set `address` of {HOST}"), "handoff takeover"]);
    assert!(stopped.took < wait::stretched(PATIENCE / 4), "it waited {:?}", stopped.took);
    nothing_was_started(&site);
    assert_eq!(site.on_host(1, "result"), None, "an unknown outcome was judged");

    site.host.becomes("login1");
    let stopped = site.handoff(&["stop"]).run().success();
    assert!(stopped.took < wait::stretched(PATIENCE / 8), "it waited {:?}", stopped.took);
    assert_eq!(turns(&site), 1, "a second agent");
    assert_eq!(site.verdicts()[0].0, "stopped", "{:?}", site.verdicts());
    site.logs_are_mirrored();
}

/// Two names for one machine are two hosts to the laptop. They share one directory on the machine.
#[test]
fn two_names_for_one_host() {
    let site = Site::new();
    site.laptop.knows(&site.host.route("othername"));
    site.plan(WAITS);
    site.run_checked("true", &["--detach"]).run().success();
    site.wait_for_log(1, "Written.");
    let resumed = site.handoff(&["resume", "--host", "othername"]).run().fails();
    assert!(resumed.stderr.contains("is still running"), "{}", resumed.stderr);
    nothing_was_started(&site);

    site.handoff(&["stop"]).run().success();
    assert_eq!(turns(&site), 1);
    site.plan("turn 1\nrun cat new.txt\nedit more.txt <<END\nmore\nEND\nfinish Done.\n");
    site.handoff(&["resume", "--host", "othername"]).run().success();
    assert_eq!(site.attempts(), [1, 2], "one directory for both names");
    assert_eq!(turns(&site), 2, "one agent an attempt");
    assert!(site.on_host(2, "log").unwrap().contains("written"), "the first attempt's work is there");
    site.logs_are_mirrored();
    site.handoff(&["clean"]).run().success();
    assert_eq!(site.work(), None, "both names released the one directory");
}
