//! The main job with dropbear as the server. Its packets, windows and behaviour differ from OpenSSH's.

use std::time::Duration;

use crate::skip;
use crate::support::dropbear::{NEEDED, can_run};
use crate::support::proxy::Proxy;
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::Setup;
use crate::support::{agent, processes, wait};

/// Prints a line, is silent for a while, and ends.
const QUIET: &str = "turn 1\nsay Before.\nsleep 7\nsay After.\nedit new.txt <<END\nnew\nEND\nfinish Done.\n";

fn setup() -> Setup {
    Setup::default().dropbear()
}

#[track_caller]
fn job_is_done(site: &Site) {
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
}

#[test]
fn a_task_is_done_and_its_work_comes_back() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup());
    let ran = site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
    assert_eq!(site.host.logins(), 1, "one connection a host and process\n{ran:#?}");
}

#[test]
fn by_the_systems_ssh() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup());
    site.laptop.hosts_toml(&format!("[host.{HOST}]\ntransport = \"openssh\"\n"));
    job_is_done(&site);
}

#[test]
fn stop_ends_the_whole_tree_of_processes() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup());
    site.plan("turn 1\nsay Working.\nrun (setsid sleep 987321 &) ; sleep 987321\n");
    site.run(&["--detach"]).run().success();
    site.wait_for_log(1, "sleep 987321");
    site.handoff(&["stop"]).run().success();
    assert!(site.wait_for_result(1).contains("class stopped"));
    wait::until("the agent's processes to be gone", Duration::from_secs(10), || {
        processes::with_argument(site.host.user.uid, "987321").is_empty().then_some(())
    });
}

#[test]
fn a_takeover_ends_the_agent_and_has_its_files() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup());
    site.plan("turn 1\nedit made.txt <<END\nmade on the host\nEND\nsay Written.\nhang\n");
    site.run_checked("true", &["--detach"]).run().success();
    site.wait_for_log(1, "Written.");
    site.handoff(&["takeover", "--editor", "none"]).run().success();
    let worktrees = site.laptop.git(&["worktree", "list", "--porcelain"]);
    let made = worktrees.lines().filter_map(|line| line.strip_prefix("worktree ")).nth(1).expect("no new worktree");
    let made = std::path::Path::new(made);
    assert_eq!(std::fs::read_to_string(made.join("made.txt")).unwrap(), "made on the host\n");
    assert!(made.join(".cursor/agent-handoffs").join(ID).join("attempt-1.log").exists());
    site.logs_are_mirrored();
    assert!(processes::of_user(site.host.user.uid).iter().all(|pid| !is_agent(*pid)), "the agent still runs");
}

/// Whether a process belongs to the attempt, by its mark.
fn is_agent(pid: i32) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(b"HANDOFF_MARK="))
}

#[test]
fn a_line_that_is_cut_while_the_agent_works() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::unknown(setup());
    let proxy = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, proxy.address));
    site.plan(
        "turn 1\n\
         run i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i + 1)); done\n\
         say Before the cut.\nsleep 2\nsay After the cut.\nedit new.txt <<END\nnew\nEND\nfinish Done.\n",
    );
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Before the cut."));
    proxy.cut();
    running.end().success();
    assert!(proxy.connections() > 1, "it came back by a new connection");
    site.logs_are_mirrored();
    assert_eq!(site.attempts(), [1], "a cut line is no attempt");
    assert_eq!(agent::prompts(&site.host.user).len(), 1);
}

/// Sends more than the window of 24 KiB at once, in both directions.
#[test]
fn a_log_and_a_file_larger_than_its_window() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup());
    let noise: Vec<u8> = (0..3_000_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(site.laptop.repo.join("noise.bin"), &noise).unwrap();
    site.plan(
        "turn 1\nrun i=0; while [ $i -lt 20000 ]; do echo a line of the build, number $i; i=$((i + 1)); done\n\
         run cp noise.bin back.bin\nfinish Done.\n",
    );
    site.run_checked("cmp noise.bin back.bin", &[]).run().success();
    site.logs_are_mirrored();
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname)", &format!("refs/handoff/{ID}/")]);
    let back = refs.lines().any(|name| {
        let show = site.laptop.program("git").args(["show", &format!("{name}:back.bin")]).output().unwrap();
        show.stdout == noise
    });
    assert!(back, "the file is in none of these:\n{refs}");
}

/// `-K`: the server sends keepalives, and disconnects after three without an answer.
#[test]
fn its_questions_for_a_sign_of_life_are_answered() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup().setting("-K").setting("1"));
    site.plan(QUIET);
    site.run_checked("true", &[]).run().success();
    site.logs_are_mirrored();
    assert_eq!(site.host.logins(), 1, "it hung up:\n{}", site.host.log());
}

/// `-I`: the server disconnects an idle connection, even while the client waits for something.
#[test]
fn a_connection_it_closes_for_being_idle_is_made_again() {
    if !can_run() {
        return skip!("{NEEDED}");
    }
    let site = Site::with(setup().setting("-I").setting("2"));
    site.plan(QUIET);
    let ran = site.run_checked("true", &[]).run().success();
    site.logs_are_mirrored();
    assert!(site.host.logins() > 1, "it never hung up:\n{}", site.host.log());
    assert_eq!(site.attempts(), [1], "an idle connection costs no attempt\n{ran:#?}");
}
