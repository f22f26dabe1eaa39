//! Ends that coincide: an agent exits at the moment when a person or a limit ends it.

use std::path::PathBuf;
use std::time::Duration;

use crate::endings::{agent_does, nothing_is_left};
use crate::row::Row;
use crate::support::laptop::Running;
use crate::support::site::{HOST, PATIENCE, Site, TASK};
use crate::support::{agent, wait};

/// Number of handoffs that end at the same moment.
const RACES: usize = 6;

/// Starts that many handoffs and waits for each agent's first output.
fn start_all(site: &Site, more: &[&str]) -> Vec<(String, Running)> {
    let start = |number: usize| {
        let id = format!("race-{number}");
        let words = ["run", "--host", HOST, "--id", &id, "--attempts", "1", "--check", "true", "--again"];
        let running = site.laptop.handoff(&[&words, more, &[TASK]].concat()).start();
        if number == 0 {
            // The first handoff fills the host's cache for all others.
            wait::until("the first agent", PATIENCE, || attempt_of(site, &id)?.join("task").symlink_metadata().ok());
        }
        (id, running)
    };
    (0..RACES).map(start).collect()
}

fn attempt_of(site: &Site, id: &str) -> Option<PathBuf> {
    let all = agent::folders(&site.host.user.home.join(".handoff/work"));
    let begins = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{id}-"));
    Some(all.into_iter().find(begins)?.join("1"))
}

fn result_of(site: &Site, id: &str) -> Option<String> {
    let result = std::fs::read_to_string(attempt_of(site, id)?.join("result")).ok();
    result.filter(|result| result.ends_with("end 1\n"))
}

/// Each handoff has one result of one of two classes. The laptop reports the same class, and it does not change.
/// Returns the classes.
fn each_has_one_end(site: &Site, all: Vec<(String, Running)>, called_off: (&str, &str)) -> Vec<String> {
    let first: Vec<String> =
        all.iter().map(|(id, _)| wait::until("a result", PATIENCE, || result_of(site, id))).collect();
    let mut classes = Vec::new();
    for ((id, running), first) in all.into_iter().zip(first) {
        let _ = running.end();
        let _ = site.laptop.handoff(&["stop", &id]).run();
        let _ = site.laptop.handoff(&["watch", &id]).run();
        assert_eq!(result_of(site, &id).as_ref(), Some(&first), "{id}: a result changed");
        let value = |key: &str| {
            let line = first.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
            line.unwrap_or_default().to_owned()
        };
        let (class, reason, exit) = (value("class"), value("reason"), value("exit"));
        match reason.as_str() {
            "exit" => assert_eq!((class.as_str(), exit.as_str()), ("done", "0"), "{first}"),
            _ => assert!((class.as_str(), reason.as_str()) == called_off, "{first}"),
        }
        let shown = site.laptop.handoff(&["show", &id, "--offline", "--json"]).run().success().json();
        let attempts = shown["handoff"]["attempts"].as_object().unwrap();
        assert_eq!(attempts.len(), 1, "{shown}");
        assert_eq!(attempts.values().next().unwrap()["verdict"]["class"], class.as_str(), "{shown}");
        classes.push(class);
    }
    nothing_is_left(site);
    classes
}

#[test]
fn r38_stop_meets_exit() {
    let _row = Row::begin(38);
    let site = Site::new();
    site.plan("turn 1\nedit new.txt <<END\nwritten\nEND\nsay Working.\nrun while ! [ -e ~/go ]; do sleep 0.05; done\nfinish Done.\n");
    let all = start_all(&site, &[]);
    for (_, running) in &all {
        running.line("the running agent", |line| line.contains("Working."));
    }
    // All agents end at one moment. Each is stopped slightly later than the one before.
    let stops: Vec<Running> = all
        .iter()
        .enumerate()
        .map(|(number, (id, _))| {
            if number == RACES / 2 {
                site.host.user.install("go", "", 0o644);
            }
            let stop = site.laptop.handoff(&["stop", id]).start();
            std::thread::sleep(Duration::from_millis(30));
            stop
        })
        .collect();
    for stop in stops {
        assert_ne!(stop.end().code(), 101);
    }
    let classes = each_has_one_end(&site, all, ("stopped", "stop"));
    println!("ends: {classes:?}");
}

#[test]
fn r39_limit_meets_exit() {
    let _row = Row::begin(39);
    let site = Site::new();
    // Each agent takes slightly longer than the one before. The limit is in the middle.
    agent_does(
        &site,
        "number=0; while ! mkdir ~/turn.$number 2>/dev/null; do number=$((number + 1)); done; \
         tenths=$((28 + 2 * number)); sleep $((tenths / 10)).$((tenths % 10))",
    );
    site.plan("turn 1\nedit new.txt <<END\nwritten\nEND\nfinish Done.\n");
    let all = start_all(&site, &["--timeout", "3s"]);
    let classes = each_has_one_end(&site, all, ("timeout", "timeout"));
    println!("ends: {classes:?}");
}
