//! Connections to a host: slow, cut, through another host, with other keys.

use std::process::{Child, Stdio};
use std::time::Duration;

use crate::support::agent;
use crate::support::laptop::Laptop;
use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, Site};
use crate::support::ssh_config::{Route, known_host};
use crate::support::sshd::{Setup, keygen};
use crate::support::wait;

/// A site that is reachable only through a proxy.
fn by_proxy() -> (Site, Proxy) {
    let site = Site::unknown(Setup::default());
    let proxy = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, proxy.address));
    (site, proxy)
}

#[track_caller]
fn job_is_done(site: &Site) {
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
}

#[test]
fn a_slow_line() {
    let (site, proxy) = by_proxy();
    proxy.round_trip(Duration::from_millis(100));
    job_is_done(&site);
    assert_eq!(proxy.connections(), 1, "one connection a host and process");
}

#[test]
fn a_line_that_is_cut_while_the_agent_works() {
    let (site, proxy) = by_proxy();
    site.plan(
        "turn 1\n\
         run i=0; while [ $i -lt 40 ]; do echo line $i; i=$((i + 1)); done\n\
         say Before the cut.\nsleep 2\nsay After the cut.\nratelimit\n\
         turn 2\nedit new.txt <<END\nnew\nEND\nfinish Done.\n",
    );
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Before the cut."));
    proxy.cut();
    running.end().success();
    assert!(proxy.connections() > 1, "it came back by a new connection");
    site.logs_are_mirrored();
    assert_eq!(site.attempts(), [1, 2], "a cut line is no attempt");
}

#[test]
fn a_line_that_is_cut_at_many_points_of_the_dispatch() {
    for bytes in [3_000, 6_000, 12_000, 24_000] {
        for way in [Direction::Up, Direction::Down] {
            let (site, proxy) = by_proxy();
            proxy.cut_after(way, bytes);
            let ran = site.run(&[]).run();
            if ran.code() != 0 {
                // Nothing may continue by itself before the host knows the task. The user reads that, and gives the
                // command again.
                assert!(!proxy.cut_is_due(way), "failed without a cut: {ran:#?}");
                assert_eq!(site.attempts(), [] as [u32; 0], "cut {way:?} at {bytes}, given up, but started: {ran:#?}");
                continue;
            }
            site.logs_are_mirrored();
            site.work_is_back();
            assert_eq!(agent::prompts(&site.host.user).len(), 1, "cut {way:?} at {bytes}: started more than once");
        }
    }
}

#[test]
fn a_line_that_stalls_for_a_while() {
    let (site, proxy) = by_proxy();
    site.plan("turn 1\nsay Before.\nsleep 3\nsay After.\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Before."));
    proxy.stall(true);
    site.wait_for_result(1);
    proxy.stall(false);
    running.end().success();
    site.logs_are_mirrored();
}

#[test]
fn a_server_that_allows_one_session_at_a_time() {
    job_is_done(&Site::with(Setup::default().setting("MaxSessions 1")));
}

#[test]
fn a_server_that_allows_one_session_at_a_time_by_the_systems_ssh() {
    let site = Site::with(Setup::default().setting("MaxSessions 1"));
    site.laptop.hosts_toml(&format!("[host.{HOST}]\ntransport = \"openssh\"\n"));
    job_is_done(&site);
    assert_eq!(site.host.logins(), 1, "a session that is refused is no reason to log in again");
}

#[test]
fn a_server_that_allows_no_session() {
    let site = Site::with(Setup::default().setting("MaxSessions 0"));
    let ran = site.run(&[]).run().fails().says(&["opens no session"]);
    assert!(ran.took < wait::stretched(Duration::from_secs(20)), "{:?}", ran.took);
}

#[test]
fn the_systems_ssh() {
    let site = Site::new();
    site.laptop.hosts_toml(&format!("[host.{HOST}]\ntransport = \"openssh\"\n"));
    job_is_done(&site);
}

#[test]
fn a_jump_host() {
    let gate = Setup::default().start();
    let site = Site::unknown(Setup::default());
    site.laptop.knows(&gate.route("gate"));
    site.laptop.knows(&site.host.route(HOST).with("ProxyJump gate"));
    job_is_done(&site);
    assert_eq!(gate.logins(), site.host.logins(), "every way led through the gate");
    assert_eq!(site.host.logins(), 1, "one connection a host and process");
}

#[test]
fn a_proxy_command() {
    let gate = Setup::default().start();
    let site = Site::unknown(Setup::default());
    site.laptop.knows(&gate.route("gate"));
    let config = site.laptop.path("home/.ssh/config");
    let command = format!("ProxyCommand ssh -F {} -W %h:%p gate", config.display());
    site.laptop.knows(&site.host.route(HOST).with(&command));
    job_is_done(&site);
    assert_eq!(gate.logins(), site.host.logins(), "every way led through the gate");
    assert_eq!(site.host.logins(), 1, "one connection a host and process");
}

/// A site whose laptop has a known_hosts file with this text.
fn with_known_hosts(text: &str) -> Site {
    let site = Site::unknown(Setup::default());
    let route = site.host.route(HOST);
    std::fs::write(&route.known_hosts, text).unwrap();
    site.laptop.knows(&route);
    site
}

#[test]
fn an_unknown_host_key_is_shown_and_not_accepted() {
    let site = with_known_hosts("");
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.contains(&fingerprint(&site)), "its fingerprint is shown:\n{}", ran.stderr);
    assert_nothing_was_sent(&site);
}

#[test]
fn a_changed_host_key_is_a_hard_failure() {
    let site = Site::unknown(Setup::default());
    let route: Route = site.host.route(HOST);
    keygen(&site.laptop.path("other_key"), "");
    std::fs::write(&route.known_hosts, known_host(site.host.address, &site.laptop.path("other_key.pub"))).unwrap();
    site.laptop.knows(&route);
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.to_lowercase().contains("changed"), "{}", ran.stderr);
    assert_nothing_was_sent(&site);
}

#[test]
fn a_revoked_host_key_is_a_hard_failure() {
    let site = Site::unknown(Setup::default());
    let route = site.host.route(HOST);
    let known = std::fs::read_to_string(&route.known_hosts).unwrap();
    std::fs::write(&route.known_hosts, format!("@revoked {known}{known}")).unwrap();
    site.laptop.knows(&route);
    site.run(&[]).run().fails();
    assert_nothing_was_sent(&site);
}

fn fingerprint(site: &Site) -> String {
    let shown = site.laptop.program("ssh-keygen").arg("-lf").arg(site.host.host_key()).output().unwrap();
    String::from_utf8(shown.stdout).unwrap().split(' ').nth(1).unwrap().to_owned()
}

#[track_caller]
fn assert_nothing_was_sent(site: &Site) {
    assert_eq!(site.host.logins(), 0, "logged in all the same");
    assert!(!site.host.user.home.join(".handoff").exists());
}

#[test]
fn an_encrypted_key_without_a_terminal_names_the_host_and_what_to_do() {
    let site = Site::with(Setup::default().passphrase("correct horse"));
    let ran = site.run(&[]).run().fails();
    assert!(ran.stderr.contains(HOST) && ran.stderr.contains("ssh"), "{}", ran.stderr);
    assert_nothing_was_sent(&site);
}

#[test]
fn an_encrypted_key_in_an_agent() {
    let site = Site::unknown(Setup::default().passphrase("correct horse"));
    let agent = SshAgent::with(&site.laptop, &site.host.file("login_key"), "correct horse");
    let mut route = site.host.route(HOST);
    route.identity = site.host.file("login_key.pub");
    site.laptop.knows(&route.with(&format!("IdentityAgent {}", agent.socket.display())));
    job_is_done(&site);
}

/// Signs a public key with a new certificate authority. Returns the authority's key.
fn certify(site: &Site, options: &[&str], key: &std::path::Path) -> std::path::PathBuf {
    let authority = site.host.file("authority");
    keygen(&authority, "");
    let sign = site.laptop.program("ssh-keygen").arg("-q").arg("-s").arg(&authority).args(options).arg(key).status();
    assert!(sign.unwrap().success(), "ssh-keygen -s");
    site.host.file("authority.pub")
}

#[test]
fn a_users_certificate() {
    let mut site = Site::new();
    let login = site.host.user.name.clone();
    let authority = certify(&site, &["-I", "test", "-n", &login], &site.host.file("login_key.pub"));
    std::fs::copy(authority, site.host.file("trusted")).unwrap();
    site.host.down();
    // Only the certificate allows the login. The bare key is no longer known.
    std::fs::write(site.host.file("authorized_keys"), "").unwrap();
    let trusted = format!("TrustedUserCAKeys {}", site.host.file("trusted").display());
    site.host.set(&trusted);
    site.host.up();
    job_is_done(&site);
}

#[test]
fn a_hosts_certificate() {
    let mut site = Site::unknown(Setup::default());
    let authority = certify(&site, &["-h", "-I", "test", "-n", "127.0.0.1"], &site.host.host_key());
    site.host.down();
    site.host.set(&format!("HostCertificate {}", site.host.file("host_key-cert.pub").display()));
    site.host.up();
    let route = site.host.route(HOST);
    let trust = std::fs::read_to_string(authority).unwrap();
    std::fs::write(&route.known_hosts, format!("@cert-authority [127.0.0.1]:{} {trust}", site.host.address.port()))
        .unwrap();
    site.laptop.knows(&route);
    job_is_done(&site);
}

/// An ssh-agent with one key, ended by its pid.
struct SshAgent {
    socket: std::path::PathBuf,
    child: Child,
}

impl SshAgent {
    fn with(laptop: &Laptop, key: &std::path::Path, passphrase: &str) -> SshAgent {
        let socket = laptop.path("agent.sock");
        let child = laptop.program("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        crate::support::wait::until("ssh-agent", Duration::from_secs(5), || socket.exists().then_some(()));
        let answer = laptop.path("askpass");
        std::fs::write(&answer, format!("#!/bin/sh\necho '{passphrase}'\n")).unwrap();
        std::fs::set_permissions(&answer, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut add = laptop.program("ssh-add");
        add.arg("-q").arg(key).env("SSH_AUTH_SOCK", &socket).env("SSH_ASKPASS", answer);
        add.env("SSH_ASKPASS_REQUIRE", "force").stdin(Stdio::null());
        let agent = SshAgent { socket, child };
        assert!(add.status().unwrap().success(), "ssh-add");
        agent
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
