//! A mirror loses no byte and duplicates none, however its writer ends.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::row::Row;
use crate::support::site::{ID, PATIENCE, Site};
use crate::support::wait;

/// Number of times that the program is killed before it may finish.
const KILLS: u64 = 8;
/// Longest time from the first new byte in the mirror to the kill, in microseconds.
const LATEST: u64 = 60_000;

#[test]
fn r06_controller_killed_while_mirroring() {
    let _row = Row::begin(6);
    let site = Site::new();
    // Numbered lines at full speed until the kills are over, then the scripted agent's own work.
    let wrapper = "#!/bin/sh\nexport SCRIPTED_AGENT_PAUSE=0 SCRIPTED_AGENT_PLAN=\"$HOME/plan\"\n\
        case \" $* \" in *' --print '*)\n\
        burst=0\n\
        until [ -e ~/go ]; do\n\
        burst=$((burst + 1))\n\
        awk -v burst=$burst 'BEGIN { for (i = 0; i < 20000; i++) print \"line\", burst, i }'\n\
        sleep 0.05\n\
        done ;; esac\n\
        exec ~/.local/lib/scripted-agent \"$@\"\n";
    site.host.user.install(".local/bin/agent", wrapper, 0o755);
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");

    let path = site.laptop.record(ID).join("attempt-1.log");
    let length = || std::fs::metadata(&path).map_or(0, |meta| meta.len());
    let mut running = site.run_checked("true", &[]).start();
    let mut delays = Vec::new();
    for kill in 0..KILLS {
        let before = length();
        wait::until("more of the mirror", PATIENCE, || (length() > before).then_some(()));
        let delay = RandomState::new().hash_one(kill) % LATEST;
        delays.push(delay);
        std::thread::sleep(Duration::from_micros(delay));
        running.kill();
        let mirror = std::fs::read(&path).unwrap();
        let log = std::fs::read(site.work().unwrap().join("1/log")).unwrap();
        assert!(log.starts_with(&mirror), "{} bytes are no prefix after kills at {delays:?} µs", mirror.len());
        running = site.handoff(&["watch"]).start();
    }
    site.host.user.install("go", "", 0o644);
    running.end().success();
    let log = std::fs::read(site.work().unwrap().join("1/log")).unwrap();
    assert!(std::fs::read(&path).unwrap() == log, "the mirror differs after kills at {delays:?} µs");
    assert!(!path.with_file_name("attempt-1.2.log").exists(), "one log, one mirror");
    site.logs_are_mirrored();
    assert_eq!(site.attempts(), [1]);
}
