//! Other programs that may start and end processes on a host: a batch queue, systemd.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::row::Row;
use crate::support::agent;
use crate::support::site::{PATIENCE, Site};
use crate::support::sshd::Setup;
use crate::support::wait;

/// Submits a job to a process that outlives the agent and has none of its marks, as a queue does. It fails after that.
const SUBMITS_AND_FAILS: &str = "#!/bin/sh\n\
    case \" $* \" in *\" --print \"*) ;; *) exec ~/.local/lib/scripted-agent \"$@\" ;; esac\n\
    echo submitted >>~/submissions\n\
    env -u HANDOFF_MARK setsid sh -c 'until [ -e ~/go ]; do sleep 0.1; done; echo ran >>~/jobs' >/dev/null 2>&1 &\n\
    echo 'Submitted batch job 4711'\n\
    echo 'sbatch: error: Socket timed out on send/recv operation' >&2\n\
    exit 17\n";

#[test]
fn r49_batch_queue() {
    let _row = Row::begin(49);
    let site = Site::new();
    site.host.user.install(".local/bin/agent", SUBMITS_AND_FAILS, 0o755);
    let _ = site.run_checked("false", &["--attempts", "1"]).run().fails();
    let result = site.wait_for_result(1);
    assert!(result.contains("\nreason exit\n") && result.contains("\nexit 17\n"), "{result}");
    let verdicts = site.verdicts();
    assert!(verdicts.len() == 1 && verdicts[0].0 != "lost", "{verdicts:?}");
    let _ = site.handoff(&["watch"]).run().fails();
    site.host.user.install("go", "", 0o644);
    let read = |file| std::fs::read_to_string(site.host.user.home.join(file)).unwrap_or_default();
    wait::until("the job, which is none of the attempt's processes", PATIENCE, || {
        (read("jobs") == "ran\n").then_some(())
    });
    assert_eq!(read("submissions"), "submitted\n");
    site.logs_are_mirrored();
}

/// Whether systemd runs this machine. It makes a user manager for each login through PAM.
fn has_systemd() -> bool {
    let runs = Command::new("systemctl").arg("is-system-running").output();
    Path::new("/run/systemd/system").exists()
        && runs.is_ok_and(|ran| !String::from_utf8_lossy(&ran.stdout).starts_with("offline"))
}

#[test]
fn r50_user_manager_dies() {
    let row = Row::begin(50);
    if !has_systemd() {
        return row.skip("systemd is not this machine's init, so there is no user manager");
    }
    let site = Site::with(Setup::default().setting("UsePAM yes"));
    site.plan(
        "turn 1\nsay Working.\nrun until [ -e ~/go ]; do sleep 0.1; done\nedit new.txt <<END\nnew\nEND\nfinish Done.\n",
    );
    site.run_checked("true", &["--detach"]).run().success();
    site.wait_for_log(1, "Working.");
    let manager = format!("user@{}.service", site.host.user.uid);
    wait::until("a user manager", Duration::from_secs(20), || {
        Command::new("systemctl").args(["--quiet", "is-active", &manager]).status().unwrap().success().then_some(())
    });
    assert!(Command::new("systemctl").args(["stop", &manager]).status().unwrap().success(), "systemctl stop");
    site.host.user.install("go", "", 0o644);
    site.handoff(&["watch"]).run().success();
    assert_eq!((site.verdicts()[0].0.as_str(), agent::prompts(&site.host.user).len()), ("done", 1));
    site.logs_are_mirrored();
}
