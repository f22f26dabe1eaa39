mod hang_ups;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::Bytes;

use crate::transport::fixture::{DEADLINE, Fixture, Person, finish, host_of};
use crate::transport::ssh::server::{Server, Setup, key};
use crate::transport::{Exec, Exit, NonInteractive, Output, TransportError, WhyUnknown};

async fn works(fixture: &Fixture) {
    let connected = fixture.connect().await;
    let (out, _, end) = finish(connected.transport.exec("echo $HOME; exit 9").await.unwrap()).await;
    assert_eq!(String::from_utf8(out).unwrap().trim(), fixture.directory.path().to_str().unwrap());
    assert!(matches!(end, Output::Exit(Exit::Code(9))), "{end:?}");
    assert!(connected.notes.is_empty(), "{:?}", connected.notes);
}

#[tokio::test]
async fn an_unknown_key_is_an_error_with_its_fingerprint() {
    let fixture = Fixture::new().await;
    std::fs::remove_file(fixture.known_hosts()).unwrap();
    let person = Arc::new(Person { yes: Some(false), ..Person::default() });
    for prompter in [Arc::new(NonInteractive) as Arc<dyn crate::transport::Prompter>, person] {
        let error = fixture.connect_asking(prompter).await.err().unwrap();
        match error {
            TransportError::UnknownHostKey { algorithm, fingerprint, .. } => {
                assert_eq!((algorithm.as_str(), fingerprint), ("ssh-ed25519", fixture.server.fingerprint()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(!fixture.known_hosts().exists());
    assert_eq!(fixture.server.served().execs, 0);
}

#[tokio::test]
async fn an_accepted_key_is_remembered_in_a_private_file() {
    use std::os::unix::fs::PermissionsExt;
    let mut fixture = Fixture::new().await;
    let file = fixture.directory.path().join("new/known_hosts");
    fixture.options.known_hosts = Some(file.clone());
    let person = Arc::new(Person { yes: Some(true), ..Person::default() });
    fixture.connect_asking(person.clone()).await.unwrap();
    fixture.connect_asking(person.clone()).await.unwrap();
    assert_eq!(person.asked.load(Ordering::Relaxed), 1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), fixture.server.known_hosts_line() + "\n");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
}

#[tokio::test]
async fn a_changed_or_revoked_key_is_refused_without_asking() {
    let fixture = Fixture::new().await;
    let other = key::random().unwrap().public_key().to_openssh().unwrap();
    let place = format!("[127.0.0.1]:{}", fixture.server.port());
    let changed = format!("{place} {other}\n");
    let revoked = format!("{0}\n@revoked {0}\n", fixture.server.known_hosts_line());
    for text in [changed, revoked] {
        std::fs::write(fixture.known_hosts(), text).unwrap();
        let person = Arc::new(Person { yes: Some(true), ..Person::default() });
        let error = fixture.connect_asking(person.clone()).await.err().unwrap();
        assert!(matches!(&error, TransportError::ChangedHostKey { .. }), "{error:?}");
        assert!(error.to_string().contains("known_hosts:"), "{error}");
        assert_eq!(person.asked.load(Ordering::Relaxed), 0);
    }
}

#[tokio::test]
async fn an_unreachable_host_may_be_retried() {
    let mut fixture = Fixture::new().await;
    fixture.server.refuse(true);
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(&error, TransportError::Unreachable { .. }), "{error:?}");
    fixture.server.refuse(false);
    works(&fixture).await;
    // A port without a listener: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    fixture.host.port = Some(free);
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(&error, TransportError::Unreachable { .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_behind_the_jump_host() {
    let mut fixture = Fixture::new().await;
    let hop = fixture.hop().await;
    fixture.host.jump = Some("hop".to_owned());
    works(&fixture).await;
    assert_eq!((hop.served().tunnels, hop.served().execs), (1, 0));
    let connected = fixture.connect().await;
    assert_eq!(connected.counters.now().connections, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn large_transfers_both_ways_over_a_jump_host_do_not_deadlock() {
    let mut fixture = Fixture::new().await;
    let _hop = fixture.hop().await;
    fixture.host.jump = Some("hop".to_owned());
    let connected = fixture.connect().await;
    let Exec { stdin, output } = connected.transport.exec("cat").await.unwrap();
    const PIECES: usize = 320;
    tokio::spawn(async move {
        for _ in 0..PIECES {
            stdin.send(Bytes::from(vec![7; 64 * 1024])).await.unwrap();
        }
    });
    let (out, _, end) = finish(Exec { stdin: tokio::sync::mpsc::channel(1).0, output }).await;
    assert_eq!(out.len(), PIECES * 64 * 1024);
    assert!(matches!(end, Output::Exit(Exit::Code(0))), "{end:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_jump_host_are_checked_too() {
    let mut fixture = Fixture::new().await;
    let hop = fixture.hop().await;
    fixture.host.jump = Some("hop".to_owned());
    std::fs::write(fixture.known_hosts(), fixture.server.known_hosts_line() + "\n").unwrap();
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(&error, TransportError::UnknownHostKey { host, .. } if host == "hop"), "{error:?}");
    assert_eq!((hop.served().tunnels, fixture.server.connections()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_command_is_used_for_the_connection() {
    let fixture = Fixture::new().await;
    // Uses the first installed one; each connects its streams to a socket.
    let ways = [("socat", "socat - TCP:%h:%p"), ("nc", "nc %h %p")];
    let found = ways.iter().find(|(name, _)| {
        let paths = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&paths).any(|directory| directory.join(name).exists())
    });
    let bash = "bash -c 'exec 3<>/dev/tcp/%h/%p; cat <&3 & exec cat >&3'";
    let command = found.map_or(bash, |(_, command)| *command);
    let config = fixture.options.ssh_config.clone().unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("ProxyCommand {command}\n{text}")).unwrap();
    works(&fixture).await;
    std::fs::write(&config, format!("ProxyCommand echo no such tunnel >&2; exit 1\n{text}")).unwrap();
    let begun = Instant::now();
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(&error, TransportError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < DEADLINE / 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_certificate_needs_only_its_authority_in_the_file() {
    let mut fixture = Fixture::new().await;
    let directory = fixture.directory.path().to_owned();
    let (authority, host_key) = (directory.join("ca"), directory.join("host"));
    let public = key::generate(&authority).unwrap();
    key::generate(&host_key).unwrap();
    let keygen = |arguments: &[&str]| {
        let mut keygen = std::process::Command::new("ssh-keygen");
        keygen.args(["-q", "-h", "-I", "test", "-s"]).arg(&authority).args(arguments);
        keygen.arg(host_key.with_extension("pub")).stderr(std::process::Stdio::null());
        keygen.status().is_ok_and(|status| status.success())
    };
    let cases: [(&[&str], bool); 4] = [
        (&["-n", "127.0.0.1"], true),
        (&["-n", "elsewhere"], false),
        (&["-n", "127.0.0.1", "-V", "-2d:-1d"], false),
        (&["-n", "127.0.0.1", "-O", "critical:nobody@knows=1"], false),
    ];
    for (arguments, valid) in cases {
        if !keygen(arguments) {
            skip!("no ssh-keygen here that does {arguments:?}");
            continue;
        }
        let identity = fixture.host.identity.clone().unwrap();
        let authorized = vec![std::fs::read_to_string(identity.with_extension("pub")).unwrap()];
        let host_key_text = Some(std::fs::read_to_string(&host_key).unwrap());
        let host_certificate = Some(std::fs::read_to_string(directory.join("host-cert.pub")).unwrap());
        let home = directory.clone();
        let setup = Setup { authorized, home, host_key: host_key_text, host_certificate, ..Setup::default() };
        fixture.server = Server::start(setup).await.unwrap();
        fixture.host = host_of(&fixture.server, &identity);
        std::fs::write(fixture.known_hosts(), format!("@cert-authority 127.0.0.1,[127.0.0.1]:* {public}\n")).unwrap();
        if valid {
            works(&fixture).await;
        } else {
            let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
            assert!(matches!(&error, TransportError::Config { .. }), "{arguments:?}: {error:?}");
        }
        std::fs::write(fixture.known_hosts(), format!("@revoked * {public}\n@cert-authority * {public}\n")).unwrap();
        let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
        assert!(matches!(&error, TransportError::ChangedHostKey { .. }), "{arguments:?}: {error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_russh_does_not_support_uses_ssh_and_is_reported() {
    let fixture = Fixture::new().await;
    let config = fixture.options.ssh_config.clone().unwrap();
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("BindAddress 127.0.0.1\n{text}")).unwrap();
    let connected = fixture.connect().await;
    assert!(connected.notes.iter().any(|note| note.contains("bindaddress")), "{:?}", connected.notes);
    let (_, _, end) = finish(connected.transport.exec("exit 6").await.unwrap()).await;
    assert!(matches!(end, Output::Exit(Exit::Code(6))), "{end:?}");
}

/// Configures the fixture's known_hosts files and `StrictHostKeyChecking` in the configuration instead of the options.
fn configure(fixture: &mut Fixture, checking: &str, file: &std::path::Path) {
    let text = format!(
        "IdentityAgent none\nIdentitiesOnly yes\nIdentityFile none\nGlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking {checking}\nUserKnownHostsFile \"{}\"\n",
        file.display()
    );
    std::fs::write(fixture.options.ssh_config.as_ref().unwrap(), text).unwrap();
    fixture.options.known_hosts = None;
}

#[tokio::test]
async fn strict_host_key_checking_may_accept_an_unknown_key_and_reports_it_once() {
    for checking in ["no", "off", "accept-new"] {
        let mut fixture = Fixture::new().await;
        for name in ["/dev/null", "my home/known_hosts", "id/is a file/known_hosts"] {
            let file = fixture.directory.path().join(name);
            configure(&mut fixture, checking, &file);
            fixture.options.accepted = Default::default();
            let said = fixture.connect().await.notes;
            let is_said = said.iter().any(|note| note.contains("is new and was accepted (ssh-ed25519 SHA256:"));
            assert!(is_said, "{checking} {name}: {said:?}");
            let lost = said.iter().any(|note| note.contains("could not be saved: cannot write"));
            assert_eq!(lost, name.starts_with("id/"), "{said:?}");
            assert_eq!(fixture.connect().await.notes, Vec::<String>::new(), "a reconnection repeats nothing");
        }
        let kept = std::fs::read_to_string(fixture.directory.path().join("my home/known_hosts")).unwrap();
        assert_eq!(kept, fixture.server.known_hosts_line() + "\n", "{checking}");
    }
}

#[tokio::test]
async fn an_accepted_key_is_remembered_without_a_file() {
    let mut fixture = Fixture::new().await;
    configure(&mut fixture, "ask", std::path::Path::new("/dev/null"));
    match fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap() {
        TransportError::UnknownHostKey { why, .. } => assert_eq!(why, WhyUnknown::NotKept),
        other => panic!("{other:?}"),
    }
    let person = Arc::new(Person { yes: Some(true), ..Person::default() });
    fixture.connect_asking(person.clone()).await.unwrap();
    fixture.connect_asking(person.clone()).await.unwrap();
    assert_eq!(person.asked.load(Ordering::Relaxed), 1, "once in this process");
    configure(&mut fixture, "yes", std::path::Path::new("/dev/null"));
    fixture.options.accepted = Default::default();
    match fixture.connect_asking(person.clone()).await.err().unwrap() {
        TransportError::UnknownHostKey { why, .. } => assert_eq!(why, WhyUnknown::Strict),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_changed_key_is_accepted_only_without_strict_checking_and_a_revoked_one_never() {
    let mut fixture = Fixture::new().await;
    let file = fixture.known_hosts();
    let other = key::random().unwrap().public_key().to_openssh().unwrap();
    let place = format!("[127.0.0.1]:{}", fixture.server.port());
    let revoked = format!("{0}\n@revoked {0}\n", fixture.server.known_hosts_line());
    for (checking, text, enters) in [
        ("no", format!("{place} {other}\n"), true),
        ("accept-new", format!("{place} {other}\n"), false),
        ("ask", format!("{place} {other}\n"), false),
        ("no", revoked, false),
    ] {
        std::fs::write(&file, &text).unwrap();
        configure(&mut fixture, checking, &file);
        match fixture.connect_asking(Arc::new(NonInteractive)).await {
            Ok(connected) => assert!(enters && connected.notes.iter().any(|note| note.contains("has CHANGED"))),
            Err(error) => {
                assert!(!enters && matches!(error, TransportError::ChangedHostKey { .. }), "{checking}: {error:?}");
            }
        }
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "the file stays as it is");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_a_changed_key_gets_no_password() {
    let mut fixture =
        Fixture::with(|setup| (setup.authorized.clear(), setup.password = Some("hunter2".to_owned())).1).await;
    let file = fixture.known_hosts();
    let other = key::random().unwrap().public_key().to_openssh().unwrap();
    std::fs::write(&file, format!("[127.0.0.1]:{} {other}\n", fixture.server.port())).unwrap();
    configure(&mut fixture, "no", &file);
    let person = Arc::new(Person { secret: Some("hunter2"), yes: Some(true), ..Person::default() });
    let error = fixture.connect_asking(person.clone()).await.err().unwrap();
    assert!(matches!(error, TransportError::Auth { .. }), "{error:?}");
    assert_eq!(person.asked.load(Ordering::Relaxed), 0);
}
