//! Logging in: ssh-agents that do not answer, known_hosts files as `ssh` reads them, and names without a server.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::row::Row;
use crate::support::processes;
use crate::support::site::{HOST, Site};
use crate::support::sshd::Setup;

#[test]
fn r82_silent_ssh_agent() {
    let row = Row::begin(82);
    let site = Site::unknown(Setup::default());
    let socket = site.laptop.path("agent");
    let started = Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn();
    let Ok(mut agent) = started else { return row.skip("ssh-agent is not installed") };
    crate::support::wait::until("a socket of the agent", Duration::from_secs(10), || socket.exists().then_some(()));
    let pid = i32::try_from(agent.id()).unwrap();
    processes::signal(pid, Signal::STOP);
    let route = site.host.route(HOST).with(&format!("IdentityAgent {}", socket.display()));
    site.laptop.knows(&route);
    let ran = site.run_checked("true", &[]).run();
    processes::signal(pid, Signal::KILL);
    agent.wait().unwrap();
    let ran = ran.success();
    assert!(format!("{}{}", ran.stdout, ran.stderr).contains("did not answer within 10 s"), "{}", ran.stderr);
}

#[test]
fn r83_known_hosts_of_all_kinds() {
    let _row = Row::begin(83);
    for (checking, file, stays) in [
        ("ask", "my home/known_hosts", true),
        ("no", "/dev/null", false),
        ("accept-new", "new folder/known_hosts", true),
        ("accept-new", "home/.gitconfig/not a folder", false),
    ] {
        let site = Site::unknown(Setup::default());
        let route = site.host.route(HOST);
        let path = if file.starts_with('/') { file.into() } else { site.laptop.path(file) };
        if checking == "ask" {
            std::fs::create_dir(path.parent().unwrap()).unwrap();
            std::fs::copy(&route.known_hosts, &path).unwrap();
        }
        let known = format!("UserKnownHostsFile \"{}\"", path.display());
        site.laptop.knows(&route.with(&known).with(&format!("StrictHostKeyChecking {checking}")));
        assert_eq!(site.laptop.ssh(HOST, "true").code(), 0, "ssh itself, with {file}");
        site.run_checked("true", &[]).run().success();
        assert_eq!(std::fs::read_to_string(&path).is_ok_and(|text| !text.is_empty()), stays, "{file}");
    }
}

#[test]
fn r84_name_without_address() {
    let _row = Row::begin(84);
    let site = Site::new();
    site.run_checked("true", &[]).run().success();
    let before = site.attempts();
    let wrong = format!("{HOST}y");
    for command in [&["run", "--again", "--host", &wrong, "a task"][..], &["resume", "--host", &wrong]] {
        let began = Instant::now();
        let ran = site.laptop.handoff(command).run().fails_with(6);
        assert!(ran.stderr.contains(&format!("try: did you mean {HOST}?")), "{}", ran.stderr);
        assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    }
    assert_eq!(site.attempts(), before);
}
