//! Abnormal ends: an agent that is stopped, and one that never exits.

use std::time::Duration;

use rustix::process::Signal;

use crate::row::Row;
use crate::support::processes;
use crate::support::site::{HOST, PATIENCE, Site};
use crate::support::wait;

/// Gives the host an agent that runs `work` before the scripted agent begins.
pub fn agent_does(site: &Site, work: &str) {
    let script = format!(
        "#!/bin/sh\nexport SCRIPTED_AGENT_PAUSE=0 SCRIPTED_AGENT_PLAN=\"$HOME/plan\"\n\
         case \" $* \" in *' --print '*) {work} ;; esac\nexec ~/.local/lib/scripted-agent \"$@\"\n"
    );
    site.host.user.install(".local/bin/agent", script, 0o755);
}

fn limits(site: &Site, lines: &str) {
    site.laptop.hosts_toml(&format!("[host.{HOST}]\n{lines}\n"));
}

pub fn nothing_is_left(site: &Site) {
    wait::until("an empty host", PATIENCE, || processes::of_user(site.host.user.uid).is_empty().then_some(()));
}

#[test]
fn r27_agent_stopped() {
    let _row = Row::begin(27);
    let site = Site::new();
    // `show` must find the agent stopped. A busy host answers only the second or third `show`.
    limits(&site, "no-progress = \"10s\"");
    agent_does(&site, "echo Working.; while :; do echo x >>busy; sleep 0.2; done");
    let running = site.run_checked("true", &["--attempts", "1"]).start();
    site.wait_for_log(1, "Working.");
    processes::signal(site.agent_pid(), Signal::STOP);
    let shown = site.answered_show();
    assert!(shown.contains("agent stopped, watcher running"), "{shown}");
    let _ = running.end();
    let result = site.on_host(1, "result").unwrap();
    assert!(result.contains("class hung\n") && result.contains("reason no-progress\n"), "{result}");
    let verdicts = site.verdicts();
    assert!(
        verdicts[0].0 == "hung" && verdicts[0].1.contains("no progress: no output, no CPU time and no changed file"),
        "{verdicts:?}"
    );
    nothing_is_left(&site);
}

#[test]
fn r37_agent_does_not_exit() {
    let _row = Row::begin(37);
    let site = Site::new();
    limits(&site, "grace = \"2s\"");
    agent_does(&site, "sleep 100000 &");
    site.plan("turn 1\nedit new.txt <<END\nwritten\nEND\nnoexit\nfinish All is done.\n");
    let ran = site.run_checked("test -e new.txt", &[]).run().success();
    assert!(ran.took < wait::stretched(Duration::from_secs(60)), "{:?}", ran.took);
    let result = site.on_host(1, "result").unwrap();
    assert!(result.contains("reason grace\n") && result.contains("class done\n"), "{result}");
    assert_eq!(site.verdicts()[0].0, "done", "{:?}", site.verdicts());
    assert_eq!(site.attempts(), [1]);
    nothing_is_left(&site);
    site.logs_are_mirrored();
}
