//! A server that closes the connection before its banner gives the same error in every way of closing, with the
//! server's text if any.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use russh::client;
use rustix::net::sockopt::set_socket_linger;

use crate::model::host::TransportKind;
use crate::transport::fixture::{Fixture, within};
use crate::transport::ssh::connect::banner::Banner;
use crate::transport::ssh::connect::verifier::{DisconnectCause, Verifier};
use crate::transport::ssh::known_hosts::accepted::Accepted;
use crate::transport::ssh::known_hosts::{KnownHosts, Name};
use crate::transport::ssh::nonblocking_writes::NonblockingWrites;
use crate::transport::ssh::resolve::UnknownKeys;
use crate::transport::{NonInteractive, TransportError, UnreachableKind};

const WORDS: &[u8] = b"Exceeded MaxStartups\r\n";

/// What a server does with an accepted connection.
#[derive(Clone, Copy, Debug)]
struct HangUp {
    /// Whether it reads our banner first.
    listens: bool,
    says: &'static [u8],
    resets: bool,
}

impl HangUp {
    /// All combinations.
    fn kinds() -> impl Iterator<Item = HangUp> {
        let says: [&[u8]; 3] = [b"", WORDS, b"SSH"];
        says.into_iter().flat_map(|says| {
            [(false, false), (false, true), (true, false), (true, true)].map(|(listens, resets)| HangUp {
                listens,
                says,
                resets,
            })
        })
    }

    fn of(self, mut socket: TcpStream) {
        if self.listens {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
            let _ = socket.read(&mut [0; 4]);
        }
        // The client may have closed the connection already.
        let _ = socket.write_all(self.says);
        if self.resets {
            reset(socket);
        }
    }
}

/// Closes a socket with a reset.
fn reset(socket: TcpStream) {
    set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
}

/// A server that hangs up on every connection, until the test ends.
fn server(how: HangUp) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || listener.incoming().flatten().for_each(|socket| how.of(socket)));
    port
}

fn turned_away(error: &TransportError) -> bool {
    let text = error.to_string();
    matches!(error, TransportError::Unreachable { kind: UnreachableKind::TurnedAway, .. })
        && text.contains("(MaxStartups)")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hang_up_is_a_refusal_whenever_our_banner_is_sent() {
    let mut fixture = Fixture::new().await;
    for how in HangUp::kinds() {
        fixture.host.port = Some(server(how));
        // A race has many outcomes, and each try is short.
        for _ in 0..25 {
            let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
            assert!(turned_away(&error), "{how:?}: {error}");
            assert!(error.to_string().contains("before the server's greeting"), "{how:?}: {error}");
        }
    }
}

/// A socket whose connection is known to be reset: no more bytes can arrive, and those that did are unread.
async fn socket_after(says: &[u8]) -> tokio::net::TcpStream {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut far, _) = listener.accept().unwrap();
    far.write_all(says).unwrap();
    reset(far);
    near.set_nonblocking(true).unwrap();
    let near = tokio::net::TcpStream::from_std(near).unwrap();
    within(near.ready(tokio::io::Interest::ERROR)).await.unwrap();
    near
}

#[tokio::test]
async fn a_write_after_a_reset_does_not_lose_the_servers_text() {
    for says in [WORDS, b""] {
        let (heard, banner) = Banner::of(Box::new(socket_after(says).await));
        let verifier = Verifier {
            name: Name::new("box", 22, None),
            known: KnownHosts::load(&[]).unwrap(),
            unknown_keys: UnknownKeys::Refuse,
            accepted: Accepted::default(),
            disconnect: Arc::new(DisconnectCause::default()),
        };
        let ended = within(client::connect_stream(Arc::default(), NonblockingWrites::new(heard), verifier)).await;
        assert!(ended.is_err());
        let (kind, reason) = banner.turned_away();
        assert_eq!(kind, UnreachableKind::TurnedAway);
        assert_eq!(reason.contains("saying \"Exceeded MaxStartups\""), !says.is_empty(), "{reason}");
    }
}

#[tokio::test]
async fn a_reset_before_the_first_poll_of_the_socket_is_a_refusal() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut connecting = std::pin::pin!(crate::transport::ssh::connect::stream::tcp("127.0.0.1", port));
    // One poll: the connection is established, and we do not know it yet.
    let first = std::future::poll_fn(|cx| std::task::Poll::Ready(connecting.as_mut().poll(cx))).await;
    assert!(first.is_pending());
    reset(listener.accept().unwrap().0);
    match within(connecting).await {
        Err((kind, reason)) => {
            assert_eq!(kind, UnreachableKind::TurnedAway);
            assert!(reason.contains("before the server's greeting"), "{reason}");
        }
        // Where the system reports a reset later, the first read returns it.
        Ok(_) => assert_ne!(std::env::consts::OS, "linux"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hang_up_behind_a_jump_host_is_the_same_refusal() {
    let mut fixture = Fixture::new().await;
    let _hop = fixture.hop().await;
    fixture.host.jump = Some("hop".to_owned());
    // A jump host that sees the reset opens no channel and cannot say why.
    for how in HangUp::kinds().filter(|how| how.listens || !how.resets) {
        fixture.host.port = Some(server(how));
        let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
        assert!(turned_away(&error), "{how:?}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_proxy_command_is_named_and_quoted() {
    let fixture = Fixture::new().await;
    let config = fixture.options.ssh_config.clone().unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    let cases = [
        ("exit 1", UnreachableKind::Lost, "its ProxyCommand ended before the server's greeting"),
        ("sh -c 'echo no such tunnel >&2; exit 1'", UnreachableKind::Lost, "(no such tunnel)"),
        // Its input is closed before our banner is written.
        ("sh -c 'exec <&-; sleep 0.1; echo no such tunnel >&2'", UnreachableKind::Lost, "(no such tunnel)"),
        (
            "sh -c 'echo Exceeded MaxStartups; echo bye >&2'",
            UnreachableKind::TurnedAway,
            "saying \"Exceeded MaxStartups\"",
        ),
    ];
    for (command, expected, part) in cases {
        std::fs::write(&config, format!("ProxyCommand {command}\n{text}")).unwrap();
        match fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap() {
            TransportError::Unreachable { kind, reason, .. } => {
                assert_eq!(kind, expected, "{command}: {reason}");
                assert!(reason.contains(part), "{command}: {reason}");
            }
            other => panic!("{command}: {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_systems_ssh_gives_the_same_refusal() {
    if std::process::Command::new("ssh").arg("-V").output().is_err() {
        return skip!("no ssh here");
    }
    let mut fixture = Fixture::new().await;
    fixture.host.transport = TransportKind::Openssh;
    for how in HangUp::kinds() {
        fixture.host.port = Some(server(how));
        let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
        assert!(turned_away(&error), "{how:?}: {error}");
    }
}
