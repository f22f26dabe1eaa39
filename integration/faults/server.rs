//! Servers that refuse connections, sessions or keys.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::row::Row;
use crate::starts::{by_proxy, none_twice, starts};
use crate::support::laptop::Running;
use crate::support::site::{HOST, ID, PATIENCE, Site};
use crate::support::sshd::{Setup, keygen};
use crate::support::{agent, processes, wait};

/// Prints a line, waits until `~/go` exists, prints another line and ends.
pub const WAITS: &str = "turn 1\nsay Before.\nrun while ! [ -e ~/go ]; do sleep 0.05; done\nsay After.\n\
    edit new.txt <<END\nnew\nEND\nfinish Done.\n";

/// Starts a handoff whose agent waits for [`go`], and waits for its first output.
pub fn under_way(site: &Site) -> Running {
    site.plan(WAITS);
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Before."));
    running
}

/// Makes the agent continue.
pub fn go(site: &Site) {
    site.host.user.install("go", "", 0o644);
}

/// Checks that the task was done in one attempt without a disturbance, and that the laptop has all of it.
#[track_caller]
pub fn one_attempt(site: &Site, what: &str) {
    site.logs_are_mirrored();
    assert_eq!(site.attempts(), [1], "{what}: no attempt was counted");
    let result = site.on_host(1, "result").unwrap();
    assert!(result.contains("class done\n"), "{what}: {result}");
    let log = site.on_host(1, "log").unwrap();
    assert!(log.contains("Before.") && log.contains("After."), "{what}: {log}");
}

/// The kinds of the journal's events, in order.
pub fn events(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.laptop.record(ID).join("journal.jsonl")).unwrap();
    let kind = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event.get("event").or_else(|| event.get("kind")).and_then(|kind| kind.as_str()).unwrap_or_default().to_owned()
    };
    text.lines().map(kind).collect()
}

/// Number of events of this kind in the journal.
pub fn count_of(site: &Site, kind: &str) -> usize {
    events(site).iter().filter(|event| *event == kind).count()
}

#[test]
fn r10_session_killed() {
    let _row = Row::begin(10);
    let (site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    let sessions = site.host.sessions();
    assert!(!sessions.is_empty(), "no session of the server's was found");
    sessions.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
    wait::until("a new connection", Duration::from_secs(10), || (proxy.connections() > 1).then_some(()));
    go(&site);
    running.end().success();
    one_attempt(&site, "the session was killed");
    none_twice(&site.host.user, "the session was killed");
}

#[test]
fn r11_sshd_restarted() {
    let _row = Row::begin(11);
    let (mut site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    site.host.down();
    go(&site);
    site.wait_for_result(1);
    site.host.up();
    running.end().success();
    assert!(proxy.connections() > 1);
    one_attempt(&site, "the server was restarted");
    none_twice(&site.host.user, "the server was restarted");
}

#[test]
fn r13_max_startups() {
    let _row = Row::begin(13);
    let (site, proxy) = by_proxy(Setup::default().setting("MaxStartups 1:100:1"));
    let held = wait::until("the one connection that may log in", Duration::from_secs(10), || {
        let mut socket = TcpStream::connect(site.host.address).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        let mut greeting = [0; 4];
        (socket.read_exact(&mut greeting).is_ok() && &greeting == b"SSH-").then_some(socket)
    });
    let running = site.run(&[]).start();
    wait::until("three refused tries", Duration::from_secs(20), || (proxy.connections() >= 3).then_some(()));
    drop(held);
    running.end().success();
    assert_eq!(site.host.logins(), 1, "one connection a host");
    site.logs_are_mirrored();
    site.work_is_back();
    none_twice(&site.host.user, "MaxStartups");
}

#[test]
fn r14_max_sessions() {
    let _row = Row::begin(14);
    let site = Site::with(Setup::default().setting("MaxSessions 1"));
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
    assert_eq!(site.host.logins(), 1, "commands take turns on one connection");
    assert_eq!(agent::prompts(&site.host.user).len(), 1);
}

#[test]
fn r15_address_penalised() {
    let _row = Row::begin(15);
    let (site, proxy) = by_proxy(Setup::default());
    // Before anything is recorded a person is waiting, so handoff gives up soon, with one clear message.
    proxy.refuse(true);
    let began = Instant::now();
    let ran = site.run(&[]).run().fails_with(5).says(&["before the server's greeting", "MaxStartups", "try:"]);
    assert_eq!(ran.stderr.matches("error:").count(), 1, "{}", ran.stderr);
    let tries = proxy.refused();
    assert!((3..=8).contains(&tries), "{tries} connections in {:?}", began.elapsed());
    assert!(began.elapsed() < wait::stretched(Duration::from_secs(45)), "{:?}", began.elapsed());
    assert!(!site.laptop.record(ID).exists(), "nothing is recorded of a host that was never reached");
    // While a task runs, handoff tries for as long as necessary, with growing pauses.
    proxy.refuse(false);
    let running = under_way(&site);
    proxy.refuse(true);
    proxy.cut();
    let (began, looked) = (Instant::now(), Duration::from_secs(8));
    wait::until("three tries", looked, || (proxy.refused() - tries >= 3).then_some(()));
    std::thread::sleep(looked.saturating_sub(began.elapsed()));
    let tries = proxy.refused() - tries;
    // Six tries in the eight seconds, and fewer than one in each extra second that a busy machine took.
    let most = 6 + began.elapsed().saturating_sub(looked).as_secs() as usize;
    assert!(tries <= most, "{tries} connections in {:?}", began.elapsed());
    proxy.refuse(false);
    go(&site);
    running.line("the report of the reconnection", |line| line.contains(&format!("reconnected to {HOST}")));
    let ran = running.end().success();
    assert_eq!(ran.stdout.matches("lost contact").count(), 1, "one message: {}", ran.stdout);
    assert_eq!((count_of(&site, "unreachable"), count_of(&site, "reachable")), (1, 1), "{:?}", events(&site));
    one_attempt(&site, "the address was penalised");
}

#[test]
fn r16_key_removed() {
    let _row = Row::begin(16);
    let (site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    let keys = site.host.file("authorized_keys");
    let key = std::fs::read(&keys).unwrap();
    std::fs::write(&keys, "").unwrap();
    let before = proxy.connections();
    proxy.cut();
    let ran = running.end_within(Duration::from_secs(30)).fails_with(5);
    let ran = ran.says(&["refused the login", &format!("handoff watch {ID}")]);
    assert_eq!(proxy.connections() - before, 1, "a second try: {}", ran.stderr);
    let shown = site.handoff(&["show"]).run().success();
    assert!(shown.stdout.contains("host unreachable"), "{}", shown.stdout);
    assert_eq!(site.on_host(1, "result"), None, "the task keeps running");
    std::fs::write(&keys, key).unwrap();
    go(&site);
    site.handoff(&["watch"]).run().success();
    one_attempt(&site, "the key was removed");
    none_twice(&site.host.user, "the key was removed");
}

#[test]
fn r17_host_key_swapped() {
    let _row = Row::begin(17);
    let (mut site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    site.host.down();
    for name in ["host_key", "host_key.pub"] {
        std::fs::rename(site.host.file(name), site.host.file(&format!("{name}.old"))).unwrap();
    }
    keygen(&site.host.file("host_key"), "");
    let logins = site.host.logins();
    site.host.up();
    let ran = running.end_within(PATIENCE).fails_with(5).says(&["CHANGED", "ssh-keygen -f ", &format!("watch {ID}")]);
    assert_eq!(site.host.logins(), logins, "logged in all the same: {}", ran.stderr);
    assert!(!site.host.log().contains("Failed publickey"), "no key was shown to it either");
    let tries = proxy.connections();
    go(&site);
    site.wait_for_result(1);
    assert_eq!(proxy.connections(), tries, "nothing is tried behind the error");
    assert_eq!(starts(&site.host.user).len(), 1);
}

#[test]
fn r18_idle_channels_closed() {
    let row = Row::begin(18);
    let setup = Setup::default().setting("ChannelTimeout session=3s").setting("UnusedConnectionTimeout 2s");
    if !Setup::understood("ChannelTimeout session=3s") {
        return row.skip("sshd has no ChannelTimeout (OpenSSH 9.2)");
    }
    let (site, _proxy) = by_proxy(setup);
    let running = under_way(&site);
    // Long enough for two idle channels to be closed.
    std::thread::sleep(Duration::from_secs(8));
    go(&site);
    let ran = running.end().success();
    assert!(!ran.stdout.contains("lost contact"), "{}", ran.stdout);
    assert_eq!(count_of(&site, "unreachable"), 0, "{:?}", events(&site));
    assert_eq!(site.host.logins(), 1, "the connection stood");
    one_attempt(&site, "idle channels were closed");
    none_twice(&site.host.user, "idle channels were closed");
}
