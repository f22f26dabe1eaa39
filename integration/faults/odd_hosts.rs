//! Hosts with an unusual setup: login shells, missing tools, tools that hang, wrong clocks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::row::Row;
use crate::support::processes;
use crate::support::site::{PATIENCE, Site};
use crate::support::sshd::{Setup, can_choose_shell};
use crate::support::wait;

/// A shell of this machine.
fn find(name: &str) -> Option<PathBuf> {
    ["/bin", "/usr/bin"].map(|dir| Path::new(dir).join(name)).into_iter().find(|path| path.exists())
}

#[test]
fn r19_odd_login_shells() {
    let row = Row::begin(19);
    if !can_choose_shell() {
        return row.skip("only root can give a user a login shell");
    }
    let noise = "echo Welcome to the farm.\necho '@handoff 0000000000000000 begin'\n";
    let cases = [
        ("fish", ".config/fish/config.fish", format!("{noise}false\n")),
        ("tcsh", ".tcshrc", format!("{noise}false\n")),
        ("zsh", ".zshenv", format!("{noise}false\n")),
        ("bash", ".bashrc", format!("{noise}set -u\nfalse\nreturn 1\n")),
    ];
    for (shell, rc, text) in cases {
        let Some(path) = find(shell) else { return row.skip(&format!("{shell} is not installed")) };
        let site = Site::with(Setup::default().login_shell(path.to_str().unwrap()));
        site.host.user.install(rc, text, 0o644);
        site.run(&[]).run().success();
        site.logs_are_mirrored();
        site.work_is_back();
    }
    // The user sees the output of a shell that exits before it runs any command.
    let site = Site::with(Setup::default().login_shell("/bin/bash"));
    site.host.user.install(".bashrc", "echo No entry today.\nexit 1\n", 0o644);
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.contains("No entry today."), "its output is shown: {}", ran.stderr);
    assert!(!site.host.user.home.join(".handoff").exists(), "nothing is half-made");
}

/// Runs a task with many descendants, stops it, and looks for processes that remain.
fn stop_ends_all(site: &Site, what: &str) {
    site.plan("turn 1\nsay Working.\nrun sleep 600 & (sleep 601 &) ; sleep 602\nfinish Done.\n");
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    let _ = site.handoff(&["stop"]).run();
    let _ = running.end();
    assert_eq!(site.verdicts()[0].0, "stopped", "{what}");
    let left = || processes::of_user(site.host.user.uid);
    wait::until(&format!("an empty host ({what})"), PATIENCE, || left().is_empty().then_some(()));
}

#[test]
fn r20_missing_tools() {
    let row = Row::begin(20);
    let (Some(busybox), Some(git)) = (find("busybox"), find("git")) else {
        return row.skip("busybox is not installed");
    };
    if !can_choose_shell() {
        return row.skip("only root can make a user whose processes can be counted");
    }
    let missing: [&[&str]; 4] = [
        &["flock", "setsid"],
        &["flock", "setsid", "perl"],
        &["flock", "setsid", "perl", "bash", "rbash"],
        &["flock", "setsid", "perl", "bash", "rbash", "python3"],
    ];
    for missing in missing {
        let site = Site::with(Setup::default().jailed());
        site.host.all_but(missing);
        stop_ends_all(&site, &format!("without {missing:?}"));
    }
    let site = Site::with(Setup::default().jailed());
    let applets = std::process::Command::new(&busybox).arg("--list").output().unwrap().stdout;
    for applet in String::from_utf8(applets).unwrap().lines() {
        std::os::unix::fs::symlink(&busybox, site.host.bin().join(applet)).unwrap();
    }
    std::os::unix::fs::symlink(git, site.host.bin().join("git")).unwrap();
    stop_ends_all(&site, "with busybox and git alone");
}

#[test]
fn r48_tools_that_hang() {
    let _row = Row::begin(48);
    const HANGS: &str = "#!/bin/sh\nexec sleep 9999\n";
    let site = Site::with(Setup::default().jailed());
    site.host.all_but(&[]);
    site.host.shim("df", HANGS);
    site.host.shim("flock", HANGS);
    site.run(&[]).run().success();
    site.work_is_back();

    let stuck = Site::with(Setup::default().jailed());
    stuck.host.all_but(&[]);
    stuck.host.shim("setsid", HANGS);
    let ran = stuck.run(&[]).run().fails();
    assert!(ran.took < wait::stretched(Duration::from_secs(60)), "{:?}", ran.took);
    assert!(ran.stderr.contains("watcher did not start"), "{}", ran.stderr);
    assert_eq!(crate::support::agent::prompts(&stuck.host.user), [], "nothing was started");
    stuck.host.shim("setsid", "#!/bin/sh\nexec /usr/bin/setsid \"$@\"\n");
    stuck.handoff(&["watch"]).run().success();
}

#[test]
fn r51_clock_skew() {
    let _row = Row::begin(51);
    let site = Site::with(Setup::default().jailed());
    site.host.all_but(&[]);
    site.host.shim(
        "date",
        "#!/bin/sh\noffset=$(cat ~/offset 2>/dev/null) || offset=0\n\
         case $* in\n+%s) echo $(($(/bin/date +%s) + offset)) ;;\n*) exec /bin/date \"$@\" ;;\nesac\n",
    );
    let step = |offset: &str| site.host.user.install("offset", offset, 0o644);
    step("86400");
    site.plan(
        "turn 1\nsay Working.\nrun while ! [ -e ~/go ]; do sleep 0.1; done\nratelimit\n\
         turn 2\nedit new.txt <<END\nnew\nEND\nfinish Done.\n",
    );
    let running = site.run_checked("true", &["--timeout", "10m"]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    for offset in ["-86400", "86400", "0", "-86400"] {
        step(offset);
        // Longer than a tick of the watcher.
        std::thread::sleep(Duration::from_millis(1500));
        let shown = site.answered_show();
        assert!(!shown.contains(" h ") && !shown.contains(" d "), "an age of hours in {offset}:\n{shown}");
    }
    site.host.user.install("go", "", 0o644);
    running.end().success();
    let classes: Vec<String> = site.verdicts().into_iter().map(|(class, _)| class).collect();
    assert_eq!(classes, ["throttled", "done"], "no limit was met, and the order is that of the numbers");
    site.logs_are_mirrored();
}
