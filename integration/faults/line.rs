//! The connection to the host: asleep, silently dropped, moved, destroyed.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::row::Row;
use crate::server::{count_of, go, one_attempt, under_way};
use crate::starts::{by_proxy, none_twice};
use crate::support::proxy::Proxy;
use crate::support::site::HOST;
use crate::support::ssh_config::known_host;
use crate::support::sshd::Setup;
use crate::support::wait;

/// The program reconnects within seconds after the network is back.
const SECONDS: Duration = Duration::from_secs(8);

#[test]
fn r07_laptop_sleeps() {
    let _row = Row::begin(7);
    let (site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    running.signal(Signal::STOP);
    let asleep = Instant::now();
    // A night of sleep leaves a dead connection without any notice. Without a look at the clocks, keepalives detect it
    // after a minute.
    proxy.deaden();
    let before = proxy.connections();
    go(&site);
    let result = site.wait_for_result(1);
    assert!(result.contains("class "), "the host went on alone: {result}");
    std::thread::sleep(Duration::from_secs(6).saturating_sub(asleep.elapsed()));
    running.signal(Signal::CONT);
    let awake = Instant::now();
    wait::until("a new connection", SECONDS, || (proxy.connections() > before).then_some(()));
    running.end().success();
    assert!(awake.elapsed() < wait::stretched(2 * SECONDS), "the end came {:?} after the waking", awake.elapsed());
    assert_eq!(count_of(&site, "unreachable"), 0, "a short sleep is not reported");
    one_attempt(&site, "the laptop slept");
    none_twice(&site.host.user, "the laptop slept");
}

#[test]
fn r08_black_hole_for_a_day() {
    // `supervise/attempt_loop/tests.rs` tests a whole day with a fake clock. The sleep here is real and short.
    let _row = Row::begin(8);
    let (site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    proxy.stall(true);
    proxy.cut();
    std::thread::sleep(Duration::from_secs(6));
    assert!(proxy.connections() <= 3, "{} connections into the hole", proxy.connections());
    let list = site.laptop.handoff(&["list", "--json"]).run().success().json();
    assert_eq!(list["status"], "running", "{list}");
    proxy.stall(false);
    let back = Instant::now();
    go(&site);
    running.line("the words after the hole", |line| line.contains("After."));
    assert!(back.elapsed() < wait::stretched(SECONDS), "the stream went on {:?} after the hole", back.elapsed());
    running.end().success();
    assert!(count_of(&site, "unreachable") <= 1);
    one_attempt(&site, "a black hole");
    none_twice(&site.host.user, "a black hole");
}

#[test]
fn r09_address_changes() {
    let _row = Row::begin(9);
    let (site, first) = by_proxy(Setup::default());
    let second = Proxy::to(site.host.address);
    let running = under_way(&site);
    let route = site.host.route_by(HOST, second.address);
    // Both names of the host are known, as they are after a machine has moved.
    let known = [first.address, second.address].map(|address| known_host(address, &site.host.host_key()));
    std::fs::write(&route.known_hosts, known.concat()).unwrap();
    std::fs::write(site.laptop.path("home/.ssh/config"), route.block()).unwrap();
    first.refuse(true);
    first.cut();
    wait::until("a connection by the new address", SECONDS, || (second.connections() > 0).then_some(()));
    go(&site);
    running.end().success();
    assert_eq!(second.connections(), 1);
    one_attempt(&site, "the address changed");
    none_twice(&site.host.user, "the address changed");
}

/// Runs `ss -K` on the sockets that are connected to an address.
fn destroy(address: SocketAddr) -> bool {
    let port = address.port().to_string();
    let mut ss = Command::new("ss");
    ss.args(["-K", "-t", "-n", "dst", "127.0.0.1", "dport", "=", &port]).stdout(Stdio::null()).stderr(Stdio::null());
    ss.status().is_ok_and(|status| status.success())
}

/// Whether this kernel allows a socket to be destroyed. The probe uses a socket of its own.
fn can_destroy() -> bool {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut socket = TcpStream::connect(address).unwrap();
    let _other = listener.accept().unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let gone =
        |error: std::io::Error| !matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    destroy(address) && socket.read(&mut [0]).is_err_and(gone)
}

#[test]
fn r12_socket_destroyed() {
    let row = Row::begin(12);
    if !can_destroy() {
        return row.skip("`ss -K` destroys no socket here (INET_DIAG_DESTROY and root)");
    }
    let (site, proxy) = by_proxy(Setup::default());
    let running = under_way(&site);
    for time in 1..=2 {
        let before = proxy.connections();
        assert!(destroy(proxy.address), "ss -K");
        wait::until(&format!("connection {} of {time}", before + 1), SECONDS, || {
            (proxy.connections() > before).then_some(())
        });
    }
    go(&site);
    running.end().success();
    one_attempt(&site, "the socket was destroyed");
    none_twice(&site.host.user, "the socket was destroyed");
}
