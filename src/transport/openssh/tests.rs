use super::*;
use crate::model::host::TransportKind;
use crate::transport::fixture::{Fixture, finish, within};
use crate::transport::{Exit, Output};

/// A fixture that is reached with the system's `ssh`; `None` if that is not installed.
async fn fixture() -> Option<Fixture> {
    if std::process::Command::new("ssh").arg("-V").output().is_err() {
        skip!("no ssh here");
        return None;
    }
    let mut fixture = Fixture::new().await;
    fixture.host.transport = TransportKind::Openssh;
    Some(fixture)
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_share_one_login() {
    let Some(fixture) = fixture().await else { return };
    let connected = fixture.connect().await;
    for n in [0, 3, 254] {
        let exec = connected.transport.exec(&format!("cat; echo err >&2; exit {n}")).await.unwrap();
        exec.stdin.send("typed".into()).await.unwrap();
        let Exec { stdin, output } = exec;
        drop(stdin);
        let (out, err, end) = finish(Exec { stdin: tokio::sync::mpsc::channel(1).0, output }).await;
        assert_eq!((out.as_slice(), err.as_slice()), (&b"typed"[..], &b"err\n"[..]));
        assert!(matches!(end, Output::Exit(Exit::Code(code)) if code == n), "{end:?}");
    }
    assert_eq!(fixture.server.connections(), 1);
    assert_eq!(connected.counters.now().execs, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn status_255_of_ssh_is_a_severed_connection() {
    let Some(fixture) = fixture().await else { return };
    let transport = fixture.connect().await.transport;
    let (_, _, end) = finish(transport.exec("exit 255").await.unwrap()).await;
    assert!(matches!(end, Output::Severed(_)), "{end:?}");
    let mut exec = transport.exec("echo up; sleep 20").await.unwrap();
    assert!(matches!(within(exec.output.recv()).await, Some(Output::Stdout(_))));
    fixture.server.drop_connections();
    let (_, _, end) = finish(exec).await;
    assert!(matches!(&end, Output::Severed(TransportError::Unreachable { .. })), "{end:?}");
    // Without the master, no session logs in by itself.
    let (_, _, end) = finish(transport.exec("true").await.unwrap()).await;
    assert!(matches!(&end, Output::Severed(TransportError::Unreachable { .. })), "{end:?}");
    assert_eq!(fixture.server.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn host_key_errors_and_login_errors_differ() {
    let Some(mut fixture) = fixture().await else { return };
    let nobody = std::sync::Arc::new(crate::transport::NonInteractive);
    let line = fixture.server.known_hosts_line();
    let other = crate::transport::ssh::server::key::random().unwrap().public_key().to_openssh().unwrap();
    let place = format!("[127.0.0.1]:{}", fixture.server.port());
    std::fs::write(fixture.known_hosts(), "").unwrap();
    let error = fixture.connect_asking(nobody.clone()).await.err().unwrap();
    assert!(matches!(error, TransportError::UnknownHostKey { .. }), "{error:?}");
    std::fs::write(fixture.known_hosts(), format!("{place} {other}\n")).unwrap();
    let error = fixture.connect_asking(nobody.clone()).await.err().unwrap();
    assert!(matches!(error, TransportError::ChangedHostKey { .. }), "{error:?}");
    std::fs::write(fixture.known_hosts(), format!("{line}\n@revoked {line}\n")).unwrap();
    let error = fixture.connect_asking(nobody.clone()).await.err().unwrap();
    assert!(matches!(error, TransportError::ChangedHostKey { .. }), "{error:?}");
    std::fs::write(fixture.known_hosts(), format!("{line}\n")).unwrap();
    let wrong = fixture.directory.path().join("wrong");
    crate::transport::ssh::server::key::generate(&wrong).unwrap();
    fixture.host.identity = Some(wrong);
    let error = fixture.connect_asking(nobody.clone()).await.err().unwrap();
    assert!(matches!(error, TransportError::Auth { .. }), "{error:?}");
    fixture.host.port = Some(std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
    let error = fixture.connect_asking(nobody).await.err().unwrap();
    assert!(matches!(error, TransportError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_of_the_user_is_used_and_not_ended() {
    let Some(fixture) = fixture().await else { return };
    let socket = fixture.directory.path().join("m");
    let config = fixture.options.ssh_config.clone().unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("ControlPath {}\n{text}", socket.display())).unwrap();
    let known_hosts = format!("-oUserKnownHostsFile={}", fixture.known_hosts().display());
    let mut ssh = std::process::Command::new("ssh");
    ssh.arg("-F").arg(&config).args(["-M", "-N", "-f", "-oBatchMode=yes", "-oControlPersist=60", &known_hosts]);
    ssh.arg("-i").arg(fixture.host.identity.as_ref().unwrap()).args(["-p", &fixture.server.port().to_string()]);
    ssh.args(["tester@127.0.0.1"]).stderr(std::process::Stdio::null());
    let status = tokio::task::spawn_blocking(move || ssh.status()).await.unwrap().unwrap();
    assert!(status.success());
    let connected = fixture.connect().await;
    let (out, _, _) = finish(connected.transport.exec("echo there").await.unwrap()).await;
    assert_eq!(out, b"there\n");
    assert_eq!((fixture.server.connections(), connected.counters.now().connections), (1, 0));
    drop(connected);
    assert!(socket.exists(), "the user's master was ended");
    let mut exit = std::process::Command::new("ssh");
    exit.args(["-O", "exit", "-S"]).arg(&socket).arg("x").stderr(std::process::Stdio::null()).status().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn ssh_uses_a_jump_host_too() {
    let Some(mut fixture) = fixture().await else { return };
    let hop = fixture.hop().await;
    fixture.host.jump = Some("hop".to_owned());
    let connected = fixture.connect().await;
    let (_, _, end) = finish(connected.transport.exec("exit 8").await.unwrap()).await;
    assert!(matches!(end, Output::Exit(Exit::Code(8))), "{end:?}");
    assert_eq!((hop.served().tunnels, hop.served().execs), (1, 0));
}
