use std::time::Duration;

use bytes::Bytes;

use crate::transport::fixture::{Fixture, finish, within};
use crate::transport::{Exit, Output, TransportError};

fn code(output: &Output) -> Option<u32> {
    match output {
        Output::Exit(Exit::Code(code)) => Some(*code),
        _ => None,
    }
}

/// Bytes that reveal a lost, repeated or swapped piece.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|i| (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32) as u8).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_mebibytes_are_echoed_unchanged() {
    let fixture = Fixture::new().await;
    let connected = fixture.connect().await;
    let exec = connected.transport.exec("cat").await.unwrap();
    let sent = pattern(20 << 20);
    let bytes = Bytes::from(sent.clone());
    let crate::transport::Exec { stdin, output } = exec;
    tokio::spawn(async move {
        let mut at = 0;
        while at < bytes.len() {
            let end = (at + 100_003).min(bytes.len());
            stdin.send(bytes.slice(at..end)).await.unwrap();
            at = end;
        }
    });
    let exec = crate::transport::Exec { stdin: tokio::sync::mpsc::channel(1).0, output };
    let (out, err, end) = finish(exec).await;
    assert!(out == sent, "{} bytes came back", out.len());
    assert!(err.is_empty());
    assert_eq!(code(&end), Some(0), "{end:?}");
}

#[tokio::test]
async fn codes_signals_and_stderr_are_distinguished() {
    let fixture = Fixture::new().await;
    let transport = fixture.connect().await.transport;
    let (out, err, end) = finish(transport.exec("echo out; echo err >&2; exit 7").await.unwrap()).await;
    assert_eq!((out.as_slice(), err.as_slice(), code(&end)), (&b"out\n"[..], &b"err\n"[..], Some(7)));
    let (_, _, end) = finish(transport.exec("exit 255").await.unwrap()).await;
    assert_eq!(code(&end), Some(255));
    let (_, _, end) = finish(transport.exec("kill -KILL $$").await.unwrap()).await;
    assert!(matches!(&end, Output::Exit(Exit::Signal(name)) if name == "KILL"), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_commands_at_once_respect_the_limit_and_keep_their_codes() {
    let fixture = Fixture::with(|setup| setup.sessions = Some(crate::transport::MAX_CHANNELS)).await;
    let connected = fixture.connect().await;
    let mut all = tokio::task::JoinSet::new();
    for n in 0..40u32 {
        let transport = connected.transport.clone();
        all.spawn(async move {
            let exec = transport.exec(&format!("echo {n}; exit {n}")).await.unwrap();
            let (out, _, end) = finish(exec).await;
            (String::from_utf8(out).unwrap() == format!("{n}\n"), code(&end) == Some(n))
        });
    }
    while let Some(result) = within(all.join_next()).await {
        assert_eq!(result.unwrap(), (true, true));
    }
    assert_eq!(connected.counters.now().execs, 40);
    assert_eq!(fixture.server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unread_channel_does_not_freeze_another() {
    let fixture = Fixture::new().await;
    let transport = fixture.connect().await.transport;
    let unread = transport.exec("head -c 30000000 /dev/zero").await.unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    // A frozen channel would never end.
    let (out, _, end) = finish(transport.exec("echo here").await.unwrap()).await;
    assert_eq!((out.as_slice(), code(&end)), (&b"here\n"[..], Some(0)));
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn unread_input_does_not_delay_the_end() {
    let fixture = Fixture::new().await;
    let transport = fixture.connect().await.transport;
    let exec = transport.exec("exit 4").await.unwrap();
    let stdin = exec.stdin.clone();
    let upload = tokio::spawn(async move { while stdin.send(Bytes::from(vec![0; 1 << 20])).await.is_ok() {} });
    let (_, _, end) = finish(exec).await;
    assert_eq!(code(&end), Some(4));
    within(upload).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_connection_is_severed_and_never_a_code() {
    let fixture = Fixture::new().await;
    let transport = fixture.connect().await.transport;
    let mark = fixture.directory.path().join("lived");
    let command = format!("echo up; sleep 0.4; echo >'{}'; exec sleep 0.1", mark.display());
    let mut exec = transport.exec(&command).await.unwrap();
    assert!(matches!(within(exec.output.recv()).await, Some(Output::Stdout(_))));
    fixture.server.drop_connections();
    let (_, _, end) = finish(exec).await;
    assert!(matches!(&end, Output::Severed(TransportError::Unreachable { .. })), "{end:?}");
    let again = within(transport.exec("true")).await;
    assert!(matches!(again, Err(TransportError::Unreachable { .. })));
    within(async {
        while !mark.exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_waits_for_the_only_session() {
    let fixture = Fixture::with(|setup| setup.sessions = Some(1)).await;
    let transport = fixture.connect().await.transport;
    let exec = transport.exec("cat").await.unwrap();
    let mut second = std::pin::pin!(transport.exec("true"));
    assert!(tokio::time::timeout(Duration::from_millis(200), &mut second).await.is_err(), "it did not wait");
    assert_eq!(transport.at_once(), 1);
    drop(exec.stdin);
    let (_, _, end) = finish(within(second).await.unwrap()).await;
    assert_eq!(code(&end), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_never_opens_a_session_is_not_retried() {
    let fixture = Fixture::with(|setup| setup.sessions = Some(0)).await;
    let refused = within(fixture.connect().await.transport.exec("true")).await;
    assert!(matches!(refused, Err(TransportError::Config { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_command_returns_its_permit() {
    let fixture = Fixture::new().await;
    let transport = fixture.connect().await.transport;
    for _ in 0..20 {
        drop(within(transport.exec("sleep 1")).await.unwrap());
    }
    let (_, _, end) = finish(transport.exec("true").await.unwrap()).await;
    assert_eq!(code(&end), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_the_server_never_started_ends_without_output() {
    let fixture = Fixture::with(|setup| setup.unheard = 1).await;
    let transport = fixture.connect().await.transport;
    let mut first = transport.exec("echo never").await.unwrap();
    assert!(within(first.output.recv()).await.is_none());
    let (out, _, end) = finish(transport.exec("echo here").await.unwrap()).await;
    assert_eq!((out.as_slice(), code(&end)), (&b"here\n"[..], Some(0)));
    assert_eq!(fixture.server.connections(), 1);
}
