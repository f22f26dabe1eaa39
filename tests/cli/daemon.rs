//! `handoff watch --all`, and the service that runs it. The service manager is a stand-in.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::laptop::Laptop;
use crate::support::program::Program;
use crate::support::{ID, QUICK, TASK, wait_for};

/// A `systemctl` that notes its arguments, and does `body`.
fn with_systemctl(laptop: &Laptop, body: &str) {
    let file = laptop.home().join("manager/systemctl");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, format!("#!/bin/sh\necho \"$*\" >>\"$HOME/calls\"\n{body}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn daemon(laptop: &Laptop, words: &[&str]) -> Program {
    let path = std::env::var_os("PATH").unwrap();
    let own = [laptop.home().join("manager")];
    let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path))).unwrap();
    laptop.handoff(["watch", "--daemon"].iter().chain(words)).env("PATH", path)
}

fn calls(laptop: &Laptop) -> Vec<String> {
    let text = std::fs::read_to_string(laptop.home().join("calls")).unwrap_or_default();
    _ = std::fs::remove_file(laptop.home().join("calls"));
    text.lines().map(str::to_owned).collect()
}

fn unit(laptop: &Laptop) -> PathBuf {
    laptop.home().join(".config/systemd/user/handoff-watch.service")
}

const PROBE: &str = "--user show-environment";

#[test]
fn install_writes_a_unit_and_remove_takes_it_away() {
    if cfg!(target_os = "macos") {
        return;
    }
    let laptop = Laptop::new();
    with_systemctl(&laptop, "case $2 in is-enabled) exit 1 ;; esac");
    daemon(&laptop, &["status"]).run().exits(1).says("installed: no").says("running:   no").done();
    calls(&laptop);
    daemon(&laptop, &["install"]).run().exits(0).says("installed ").says("handoffs are followed from now on").done();
    let enable = "--user enable --now handoff-watch.service";
    assert_eq!(calls(&laptop), [PROBE, "--user daemon-reload", enable]);
    let text = std::fs::read_to_string(unit(&laptop)).unwrap();
    let start = format!("\nExecStart=\"{}\" \"watch\" \"--all\"\n", env!("CARGO_BIN_EXE_handoff"));
    assert!(text.contains(&start) && text.contains("\nEnvironment=\"PATH="), "{text}");

    // The same again replaces an older unit and restarts the program.
    daemon(&laptop, &["install"]).run().exits(0).done();
    assert_eq!(calls(&laptop)[2..], [enable, "--user restart handoff-watch.service"]);
    let state = daemon(&laptop, &["status", "--json"]).run().exits(1).json().remove(0);
    assert_eq!(
        (&state["installed"], &state["changed"], &state["running"]),
        (&true.into(), &false.into(), &false.into())
    );
    calls(&laptop);

    daemon(&laptop, &["remove"]).run().exits(0).says("stopped and removed").done();
    assert_eq!(calls(&laptop), [PROBE, "--user disable --now handoff-watch.service", "--user daemon-reload"]);
    assert!(!unit(&laptop).exists());
    daemon(&laptop, &["remove"]).run().exits(0).says("nothing was installed").done();
}

#[test]
fn a_unit_that_someone_changed_is_kept() {
    if cfg!(target_os = "macos") {
        return;
    }
    let laptop = Laptop::new();
    with_systemctl(&laptop, "");
    daemon(&laptop, &["install"]).run().exits(0).done();
    let mine = std::fs::read_to_string(unit(&laptop)).unwrap().replace("RestartSec=30", "RestartSec=5");
    std::fs::write(unit(&laptop), &mine).unwrap();
    calls(&laptop);
    for action in ["install", "remove"] {
        let refused = daemon(&laptop, &[action]).run().exits(1).complains("handoff-watch.service was changed");
        refused.complains("systemctl --user disable --now handoff-watch.service && rm ").done();
    }
    assert_eq!(calls(&laptop), [""; 0], "nothing was stopped");
    assert_eq!(std::fs::read_to_string(unit(&laptop)).unwrap(), mine);
}

#[test]
fn without_a_user_manager_nothing_is_left() {
    if cfg!(target_os = "macos") {
        return;
    }
    let laptop = Laptop::new();
    let bin = laptop.path_of(&["git", "ssh"]);
    let refused = laptop.handoff(["watch", "--daemon", "install"]).env("PATH", bin).run().exits(1);
    refused.complains("there is no `systemctl` on PATH").complains("try: handoff watch --all").done();
    assert!(!laptop.home().join(".config/systemd").exists());

    with_systemctl(&laptop, "echo 'Failed to connect to bus: No medium found' >&2; exit 1");
    let refused = daemon(&laptop, &["install"]).run().exits(1);
    refused.complains("no user manager answers: Failed to connect to bus: No medium found").done();
    assert!(!laptop.home().join(".config/systemd").exists());
    daemon(&laptop, &["status"]).run().exits(1).says("enabled:   unknown").done();

    with_systemctl(&laptop, "case $2 in enable) echo 'Unit is masked' >&2; exit 1 ;; esac");
    daemon(&laptop, &["install"]).run().exits(1).complains("the service manager refused: Unit is masked").done();
    assert!(!unit(&laptop).exists());
    assert_eq!(calls(&laptop).last().unwrap(), "--user daemon-reload");
}

#[test]
fn a_handoff_whose_process_was_killed_is_followed_to_its_end() {
    // The first attempt needs a second one, which the policy allows.
    let laptop = Laptop::new();
    let all = laptop.handoff(["watch", "--all"]).spawn();
    wait_for("the loop", || all.stdout().contains("watching all repositories; 0 handoffs are active"));
    laptop.handoff(["watch", "--all"]).run().exits(1).complains("already watches all handoffs").done();
    let running = laptop.run(["--check", "sh test.sh", TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    assert!(!all.stdout().contains("following"), "its own process drives it");
    assert_eq!(running.kill().code, None);
    wait_for("the end", || all.stdout().contains(&format!("{ID}: done")));
    assert!(all.stdout().contains(&format!("{ID}: following it, in ")), "{}", all.stdout());
    assert!(all.stdout().contains(&format!("{ID}: attempt 2: done")), "{}", all.stdout());
    assert_eq!(laptop.verdicts(), ["throttled", "done"]);
    for n in [1, 2] {
        assert_eq!(std::fs::read(laptop.record(&format!("attempt-{n}.log"))).unwrap(), laptop.hosts[0].log(n));
    }
    let state = laptop.handoff(["watch", "--daemon", "status", "--json"]).run().json().remove(0);
    assert_eq!((&state["running"], &state["active"]), (&true.into(), &serde_json::json!([])));
    assert!(all.interrupt().exits(0).text().contains("no longer watching"));
}

#[test]
fn a_second_terminal_shares_what_the_loop_follows() {
    let plan = "turn 1\nedit a <<END\na\nEND\nsay Now I wait.\n\
        run while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let all = laptop.handoff(["watch", "--all"]).spawn();
    wait_for("the driver", || all.stdout().contains("following it"));
    let second = laptop.handoff(["watch", ID]).spawn();
    wait_for("the log", || second.stdout().contains("Now I wait."));
    let status = laptop.handoff(["watch", "--daemon", "status"]).run();
    assert!(status.text().contains(&format!("{ID}  running on box")), "{status:?}");
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    second.wait().exits(0).complains("is already following").done();
    wait_for("the end", || all.stdout().contains(&format!("{ID}: done")));
    assert_eq!(laptop.verdicts(), ["unchecked"]);
    // The agent's own words are only in the log.
    assert!(!all.stdout().contains("Now I wait."), "{}", all.stdout());
    drop(all);
}

#[test]
fn a_command_gets_a_handoff_from_the_loop_and_the_loop_has_it_again_afterwards() {
    let plan = "turn 1\nedit a <<END\na\nEND\nsay Now I wait.\nhang\n";
    let mut laptop = Laptop::with_plan(plan);
    let other = laptop.add_host("other");
    other.write_plan(QUICK);
    laptop.write_hosts();
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let all = laptop.handoff(["watch", "--all"]).spawn();
    let following = || all.stdout().matches(&format!("{ID}: following it")).count();
    wait_for("the driver", || following() == 1);
    laptop.handoff(["pull", ID]).run().exits(0).says("attempt 1 has not ended").done();
    wait_for("the driver again", || following() == 2);
    // The host is gone, and only a move helps.
    laptop.hosts[0].out_of_reach(true);
    laptop.hosts[0].cut();
    let moved = laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0);
    moved.says("attempt 4 runs on other").done();
    assert!(all.stdout().contains(&format!("{ID}: another command has it now")), "{}", all.stdout());
    assert_eq!(laptop.shown()["status"], "done");
    laptop.hosts[0].out_of_reach(false);
    drop(all);
}

#[test]
fn a_takeover_gets_its_place_from_the_loop() {
    let laptop = Laptop::with_plan(crate::support::HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let all = laptop.handoff(["watch", "--all"]).spawn();
    wait_for("the driver", || all.stdout().contains("following it"));
    laptop.takeover().exits(0).done();
    wait_for("the end", || all.stdout().contains(&format!("{ID}: interactive")));
    drop(all);
    let laptop = Laptop::with_plan(QUICK);
    let all = laptop.handoff(["watch", "--all"]).spawn();
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(0).done();
    drop(all);
}
