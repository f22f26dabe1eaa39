//! Wrong input, before the start or during it. Each fault is reported with the command that helps, and nothing
//! half-made remains.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::{Duration, Instant};

use crate::skip;
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::{self, Setup};
use crate::support::{agent, wait};

/// The handoff needs a person.
const BLOCKED: i32 = 3;

#[test]
fn a_host_without_git() {
    if !sshd::can_choose_shell() {
        return skip!("only root can give a user another shell");
    }
    let tools = tempfile::tempdir().unwrap();
    std::fs::set_permissions(tools.path(), PermissionsExt::from_mode(0o755)).unwrap();
    for program in ["/usr/bin", "/bin"].iter().flat_map(|dir| std::fs::read_dir(dir).unwrap().flatten()) {
        if !program.file_name().to_string_lossy().starts_with("git") {
            // Both directories may be the same one.
            let _ = symlink(program.path(), tools.path().join(program.file_name()));
        }
    }
    let shell = tools.path().join("login");
    let text = format!("#!/bin/sh\nPATH={}\nexport PATH\nexec /bin/sh \"$@\"\n", tools.path().display());
    std::fs::write(&shell, text).unwrap();
    std::fs::set_permissions(&shell, PermissionsExt::from_mode(0o755)).unwrap();
    let site = Site::with(Setup::default().login_shell(shell.to_str().unwrap()));
    site.run(&[]).run().fails().says(&["git was not found", &format!("handoff hosts check {HOST}")]);
    assert_eq!(agent::prompts(&site.host.user), []);
    site.handoff(&["stop"]).run().success();
    let listed = site.laptop.handoff(&["list"]).run().success().stdout;
    assert!(listed.contains("stopped"), "{listed}");
}

#[test]
fn a_host_without_the_agent() {
    let site = Site::new();
    std::fs::remove_file(site.host.user.home.join(".local/bin/agent")).unwrap();
    let resume = format!("handoff resume {ID}");
    site.run(&[]).run().fails_with(BLOCKED).says(&["needs you: ", "not found on buildbox", "install", &resume]);
}

#[test]
fn an_agent_that_is_not_logged_in() {
    let site = Site::new();
    site.plan("turn 1\nfail 1 Error: Authentication required. Please run 'agent login' first.\n");
    // The agent has an absolute path: the shell of `ssh HOST COMMAND` does not search ~/.local/bin.
    let login = format!("{HOST} {}/.local/bin/agent login`", site.host.user.home.display());
    site.run(&[]).run().fails_with(BLOCKED).says(&[
        "needs you: ",
        "not logged in",
        "`ssh -t ",
        &login,
        "handoff resume",
    ]);
    assert_eq!(site.attempts(), [1]);
}

#[test]
fn a_home_that_cannot_be_written() {
    let site = Site::new();
    std::fs::set_permissions(&site.host.user.home, PermissionsExt::from_mode(0o555)).unwrap();
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.contains("could not be written") && ran.stderr.contains("hosts check"), "{}", ran.stderr);
    std::fs::set_permissions(&site.host.user.home, PermissionsExt::from_mode(0o755)).unwrap();
    site.handoff(&["watch"]).run().success();
    site.work_is_back();
}

#[test]
fn an_interrupt_at_any_moment_leaves_a_record_to_go_on_with() {
    for moment in [5, 60, 150, 300, 500, 800, 1_200, 2_000, 3_500] {
        let site = Site::new();
        let running = site.run(&[]).start();
        std::thread::sleep(Duration::from_millis(moment));
        running.signal(rustix::process::Signal::INT);
        let began = Instant::now();
        let ran = running.end_within(Duration::from_secs(30));
        assert!(
            began.elapsed() < wait::stretched(Duration::from_secs(5)),
            "after {moment} ms: {:?} to leave",
            began.elapsed()
        );
        let listed = site.laptop.handoff(&["list", "--json"]).run().success().stdout;
        if !listed.contains(ID) {
            assert!(!site.laptop.record(ID).exists(), "after {moment} ms: a record that is not listed: {ran:#?}");
            continue;
        }
        site.handoff(&["watch"]).run().success();
        site.logs_are_mirrored();
        site.work_is_back();
        assert_eq!(agent::prompts(&site.host.user).len(), 1, "after {moment} ms: started more than once");
    }
}

#[test]
fn a_push_that_was_cut_off_is_finished_by_watch() {
    let site = Site::new();
    let running = site.run(&[]).start();
    wait::until("the record", Duration::from_secs(20), || site.laptop.record(ID).exists().then_some(()));
    running.kill();
    site.handoff(&["watch"]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
}

#[test]
fn a_host_whose_disk_is_read_only_says_so_once() {
    let site = Site::new();
    site.run(&[]).run().success();
    // The runner is installed. Nothing else can be written.
    let root = site.host.user.home.join(".handoff");
    for folder in [root.clone(), root.join("work"), root.join("cache")] {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o555)).unwrap();
    }
    let call = site.laptop.handoff(&["run", "--host", HOST, "--id", "second", "another task"]);
    let ran = call.run().fails().says(&["the request could not be stored", "handoff watch second"]);
    assert!(ran.took < wait::stretched(Duration::from_secs(10)), "{:?}", ran.took);
    for folder in [root.clone(), root.join("work"), root.join("cache")] {
        std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
    }
}
