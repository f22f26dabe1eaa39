//! A host that loses `~/.handoff` for good or for a while, and handoff's own processes while they are stopped.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::endings::nothing_is_left;
use crate::row::Row;
use crate::starts;
use crate::support::disk::Disk;
use crate::support::processes::{self, signal};
use crate::support::site::{PATIENCE, Site};
use crate::support::{skip, wait};

/// Prints a line. The first turn decides the rest.
fn first(command: &str) -> String {
    format!(
        "turn 1\nedit new.txt <<END\nwritten\nEND\nsay Written.\n\
         run [ -e ~/once ] || {{ touch ~/once; {command}; }}\nfinish Done.\nturn 2\nfinish Done now.\n"
    )
}

/// Waits for the file `go` in the home.
const WAITS: &str = "while ! [ -e ~/go ]; do sleep 0.1; done";

fn site(plan: &str) -> Site {
    let site = Site::new();
    starts::count(&site.host.user);
    site.plan(plan);
    site
}

fn root(site: &Site) -> PathBuf {
    site.host.user.home.join(".handoff")
}

fn go(site: &Site) {
    site.host.user.install("go", "", 0o644);
}

#[test]
fn r57_root_lost() {
    let _row = Row::begin(57);
    // The agent deletes all of it. The attempt waits, and the user confirms that it was deleted.
    let deleted = site(&first("rm -rf ~/.handoff"));
    let running = deleted.run_checked("true", &["--attempts", "3"]).start();
    running.line("the report of the missing root", |line| line.contains("its file system is not mounted"));
    running.kill();
    nothing_is_left(&deleted);
    assert_eq!(starts::unique(&deleted.host.user, "deleted").len(), 1);
    deleted.handoff(&["resume", "--host", "buildbox"]).run().success();
    ended(&deleted, &["lost", "done"]);

    // Only the handoff's part is deleted. The attempt is lost, and another one starts if the policy allows it.
    for (attempts, classes) in [("1", &["lost"][..]), ("3", &["lost", "done"])] {
        let site = site(&first("rm -rf ~/.handoff/work; sleep 2"));
        let _ = site.run_checked("true", &["--attempts", attempts]).run();
        ended(&site, classes);
    }

    // An older state of the directory comes back, and another machine answers under its name.
    for is_older in [true, false] {
        let site = site(&first(WAITS));
        site.run_checked("true", &["--attempts", "2", "--detach"]).run().success();
        // An attempt that is killed before it has noted that it was there would make the next one wait.
        wait::until("the agent's wait", PATIENCE, || site.host.user.home.join("once").exists().then_some(()));
        let text = std::fs::read_to_string(root(&site).join("instance")).unwrap();
        let id = if is_older { text.lines().next().unwrap() } else { "fedcba9876543210fedcba9876543210" };
        std::fs::remove_dir_all(root(&site)).unwrap();
        site.host.user.install(".handoff/instance", format!("{id}\n"), 0o600);
        site.handoff(&["watch"]).run().success();
        ended(&site, &["lost", "done"]);
    }
}

/// The attempts ended with these classes, each was started once, and none of their processes runs.
#[track_caller]
fn ended(site: &Site, classes: &[&str]) {
    let verdicts = site.verdicts();
    assert_eq!(verdicts.iter().map(|(class, _)| class.as_str()).collect::<Vec<_>>(), classes, "{verdicts:?}");
    assert_eq!(starts::unique(&site.host.user, "a lost root").len(), classes.len());
    nothing_is_left(site);
}

#[test]
fn r58_root_away() {
    let _row = Row::begin(58);
    for ends_meanwhile in [false, true] {
        let moved = site(&first(WAITS));
        let there = moved.host.user.home.join("away");
        let (from, to) = (root(&moved), there.clone());
        away(&moved, ends_meanwhile, || std::fs::rename(&from, &to).unwrap(), || std::fs::rename(&to, &from).unwrap());

        let mounted = site(&first(WAITS));
        let Some(disk) = Disk::mount(&mounted.host.user, 256, None) else {
            skip::record("row 58, an unmounted file system", "no loop device can be mounted");
            continue;
        };
        let keep = tempfile::tempdir().unwrap();
        assert!(mount(&["--bind"], &disk.path, keep.path()));
        let unmount = || assert!(run(Command::new("umount").arg("-l").arg(&disk.path)));
        away(&mounted, ends_meanwhile, unmount, || assert!(mount(&["--bind"], keep.path(), &disk.path)));
        assert!(run(Command::new("umount").arg("-l").arg(keep.path())));
    }
}

fn mount(options: &[&str], from: &Path, to: &Path) -> bool {
    run(Command::new("mount").args(options).arg(from).arg(to))
}

fn run(command: &mut Command) -> bool {
    command.status().is_ok_and(|status| status.success())
}

fn away(site: &Site, ends_meanwhile: bool, leave: impl Fn(), come_back: impl Fn()) {
    let running = site.run_checked("true", &["--attempts", "2"]).start();
    running.line("the agent's words", |line| line.contains("Written."));
    let waits = site.host.user.home.join("once");
    wait::until("the running agent", PATIENCE, || waits.exists().then_some(()));
    let agent = site.agent_pid();
    let before = std::fs::read_dir(root(site)).unwrap().count();
    leave();
    assert!(before > 0 && std::fs::read_dir(root(site)).map_or(0, Iterator::count) == 0);
    if ends_meanwhile {
        go(site);
        nothing_is_left_but_connections(site, agent);
    }
    running.line("the report of the missing root", |line| line.contains("its file system is not mounted"));
    assert_eq!(std::fs::read_dir(root(site)).map_or(0, Iterator::count), 0, "something was made there");
    come_back();
    go(site);
    running.end().success();
    ended(site, &["done"]);
    site.logs_are_mirrored();
}

fn nothing_is_left_but_connections(site: &Site, agent: i32) {
    wait::until("the agent's end", PATIENCE, || {
        (!processes::of_user(site.host.user.uid).contains(&agent)).then_some(())
    });
}

#[test]
fn r59_own_processes_stopped() {
    let _row = Row::begin(59);
    for command in [&["stop"][..], &["takeover", "--editor", "none"]] {
        for names in [&["watch.1"][..], &["task"], &["watch.1", "task"]] {
            let site = at_work();
            names.iter().for_each(|name| signal(site.pid_on_host(1, name), Signal::STOP));
            stopped(&site, command);
        }
        let site = at_work();
        let watcher = site.pid_on_host(1, "watch.1");
        match Frozen::hold(watcher) {
            Some(_frozen) => {
                stopped(&site, command);
                assert!(site.link_on_host(1, "watch.2").is_some(), "another took its place");
            }
            None => skip::record("row 59, a frozen cgroup", "no cgroup can be frozen"),
        }
    }
    // No command runs on the laptop. The agent's end is recorded, and the next command reads it.
    for name in ["watch.1", "task"] {
        let site = site(&first(WAITS));
        let running = site.run_checked("true", &["--attempts", "1"]).start();
        running.line("the agent's words", |line| line.contains("Written."));
        signal(site.pid_on_host(1, name), Signal::STOP);
        go(&site);
        running.end().success();
        ended(&site, &["done"]);
    }
}

fn at_work() -> Site {
    let site = site(&first(WAITS));
    site.run_checked("true", &["--attempts", "1", "--detach"]).run().success();
    site.wait_for_log(1, "Written.");
    site
}

#[track_caller]
fn stopped(site: &Site, command: &[&str]) {
    let ran = site.handoff(command).run().success();
    assert!(ran.took < Duration::from_secs(60), "{command:?} took {:?}", ran.took);
    ended(site, &["stopped"]);
    assert_eq!(site.laptop.git(&["show", "refs/handoff/fix/1/work:new.txt"]).trim(), "written");
}

/// A process in a frozen cgroup of its own.
struct Frozen(PathBuf);

impl Frozen {
    fn hold(pid: i32) -> Option<Frozen> {
        let mounts = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let mount = mounts.into_iter().find(|mount| mount.join("cgroup.procs").exists())?;
        let dir = mount.join(format!("handoff-t-frozen-{pid}"));
        std::fs::create_dir(&dir).ok()?;
        let frozen = Frozen(dir);
        std::fs::write(frozen.0.join("cgroup.procs"), pid.to_string()).ok()?;
        std::fs::write(frozen.0.join("cgroup.freeze"), "1").ok()?;
        Some(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = std::fs::write(self.0.join("cgroup.freeze"), "0");
        for _ in 0..100 {
            if std::fs::remove_dir(&self.0).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
