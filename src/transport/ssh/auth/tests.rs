use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::transport::fixture::{Fixture, Person, finish};
use crate::transport::ssh::server::key;
use crate::transport::{Exit, NonInteractive, Output, TransportError};

#[tokio::test]
async fn a_key_the_server_does_not_know_is_refused_over_one_connection() {
    let mut fixture = Fixture::new().await;
    let other = fixture.directory.path().join("other");
    key::generate(&other).unwrap();
    fixture.host.identity = Some(other);
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(&error, TransportError::Auth { user, .. } if user == "tester"), "{error:?}");
    assert!(error.to_string().contains("other"), "{error}");
    assert_eq!(fixture.server.connections(), 1);
}

/// Locks the fixture's key with a passphrase, with `ssh-keygen`; `false` if that is not installed.
fn lock(fixture: &Fixture, passphrase: &str) -> bool {
    let mut keygen = std::process::Command::new("ssh-keygen");
    keygen.args(["-q", "-p", "-P", "", "-N", passphrase, "-f"]).arg(fixture.host.identity.as_ref().unwrap());
    keygen.stdout(std::process::Stdio::null()).status().is_ok_and(|status| status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passphrase_is_asked_for_once_and_not_again_on_reconnection() {
    let fixture = Fixture::new().await;
    if !lock(&fixture, "open sesame") {
        return skip!("no ssh-keygen here");
    }
    let person = Arc::new(Person { secret: Some("open sesame"), ..Person::default() });
    for _ in 0..2 {
        let connected = fixture.connect_asking(person.clone()).await.unwrap();
        let (_, _, end) = finish(connected.transport.exec("exit 5").await.unwrap()).await;
        assert!(matches!(end, Output::Exit(Exit::Code(5))), "{end:?}");
    }
    assert_eq!(person.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_key_without_a_user_is_reported() {
    let fixture = Fixture::new().await;
    if !lock(&fixture, "open sesame") {
        return skip!("no ssh-keygen here");
    }
    let error = fixture.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(error, TransportError::Auth { .. }), "{error:?}");
    assert!(error.to_string().contains("ssh-add"), "{error}");
    let wrong = Arc::new(Person { secret: Some("open barley"), ..Person::default() });
    let error = fixture.connect_asking(wrong.clone()).await.err().unwrap();
    assert!(error.to_string().contains("was wrong"), "{error}");
    assert_eq!(wrong.asked.load(Ordering::Relaxed), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_codes_are_asked_for() {
    let password =
        Fixture::with(|setup| (setup.authorized.clear(), setup.password = Some("hunter2".to_owned())).1).await;
    let person = Arc::new(Person { secret: Some("hunter2"), ..Person::default() });
    password.connect_asking(person.clone()).await.unwrap();
    password.connect_asking(person.clone()).await.unwrap();
    assert_eq!(person.asked.load(Ordering::Relaxed), 1, "a right password is remembered");

    let code = Fixture::with(|setup| (setup.authorized.clear(), setup.code = Some("123456".to_owned())).1).await;
    let person = Arc::new(Person { secret: Some("123456"), ..Person::default() });
    code.connect_asking(person.clone()).await.unwrap();
    code.connect_asking(person.clone()).await.unwrap();
    assert_eq!(person.asked.load(Ordering::Relaxed), 2, "a code is good for one login");

    let error = code.connect_asking(Arc::new(NonInteractive)).await.err().unwrap();
    assert!(matches!(error, TransportError::Auth { .. }), "{error:?}");
}

/// How a broken agent behaves.
#[derive(Clone, Copy, PartialEq)]
enum Broken {
    Silent,
    /// It lists one key and does not sign.
    SilentAtSigning,
    /// It lists one key and then closes the connection.
    DeadAtSigning,
    DeadAtOnce,
}

/// An agent at `socket` that has `key`; the protocol is draft-ietf-sshm-ssh-agent.
fn broken_agent(socket: &std::path::Path, key: Vec<u8>, broken: Broken) {
    let listener = tokio::net::UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            while let Some(kind) = read_request(&mut stream).await {
                let answer = match (broken, kind) {
                    // A request for identities, and an extension.
                    (Broken::SilentAtSigning | Broken::DeadAtSigning, 11) => identities(&key),
                    (Broken::SilentAtSigning | Broken::DeadAtSigning, 27) => vec![5],
                    (Broken::DeadAtSigning | Broken::DeadAtOnce, _) => return,
                    (Broken::Silent | Broken::SilentAtSigning, _) => break,
                };
                let mut frame = u32::try_from(answer.len()).unwrap().to_be_bytes().to_vec();
                frame.extend(answer);
                tokio::io::AsyncWriteExt::write_all(&mut stream, &frame).await.unwrap();
            }
            open.push(stream);
        }
    });
}

async fn read_request(stream: &mut tokio::net::UnixStream) -> Option<u8> {
    use tokio::io::AsyncReadExt;
    let length = stream.read_u32().await.ok()?;
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await.ok()?;
    body.first().copied()
}

fn identities(key: &[u8]) -> Vec<u8> {
    let mut answer = vec![12, 0, 0, 0, 1];
    for text in [key, b"mine"] {
        answer.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
        answer.extend(text);
    }
    answer
}

#[tokio::test]
async fn a_silent_agent_is_reported_and_key_files_are_tried() {
    let tries = [
        (Broken::Silent, "did not answer within 10 s"),
        (Broken::SilentAtSigning, "did not sign within 10 s"),
        (Broken::DeadAtSigning, "went away"),
        (Broken::DeadAtOnce, "did not list its keys"),
    ];
    // Two of the cases take ten seconds, so all run at once.
    let tries = tries.map(|(broken, word)| async move {
        let fixture = Fixture::new().await;
        let identity = fixture.host.identity.clone().unwrap();
        let text = std::fs::read_to_string(identity.with_extension("pub")).unwrap();
        let public = russh::keys::PublicKey::from_openssh(text.trim()).unwrap();
        let socket = fixture.directory.path().join("my agent");
        broken_agent(&socket, public.to_bytes().unwrap(), broken);
        // The agent has the key of the first file; the second file is a copy of it.
        let second = fixture.directory.path().join("second");
        std::fs::copy(&identity, &second).unwrap();
        let mut host = fixture.host.clone();
        if broken == Broken::SilentAtSigning || broken == Broken::DeadAtSigning {
            // The key's own file is not tried if the agent has that key.
            host.identity = Some(other_key(&fixture));
        }
        let config = format!("IdentityAgent \"{}\"\nIdentityFile {}\n", socket.display(), second.display());
        std::fs::write(fixture.options.ssh_config.as_ref().unwrap(), config).unwrap();
        let began = std::time::Instant::now();
        let connected = crate::transport::connect(&host, &fixture.options, Arc::new(NonInteractive)).await;
        let took = began.elapsed();
        (broken, word, connected, took)
    });
    for tried in tries.map(tokio::spawn) {
        let (_, word, connected, took) = tried.await.unwrap();
        let notes = connected.map(|connected| connected.notes).unwrap_or_else(|error| vec![error.to_string()]);
        assert!(notes.iter().any(|note| note.contains(word)), "{word}: {notes:?}");
        assert!(took < std::time::Duration::from_secs(25), "{word}: {took:?}");
    }
}

#[tokio::test]
async fn the_key_that_was_accepted_is_offered_first_the_next_time() {
    let mut fixture = Fixture::new().await;
    let file = fixture.directory.path().join("state/keys");
    fixture.options.last_keys = Some(file.clone());
    let config = format!("IdentityAgent none\nIdentityFile {}\n", fixture.host.identity.as_ref().unwrap().display());
    std::fs::write(fixture.options.ssh_config.as_ref().unwrap(), config).unwrap();
    fixture.host.identity = Some(other_key(&fixture));
    fixture.connect().await;
    let refused = fixture.server.served().refused;
    assert!(refused > 0, "the other key was not offered first");
    fixture.connect().await;
    assert_eq!(fixture.server.served().refused, refused);
    // A damaged file is no reason to fail, and is replaced.
    std::fs::write(&file, b"\xff\n\n one\n").unwrap();
    fixture.connect().await;
    assert!(std::fs::read_to_string(&file).unwrap().starts_with("SHA256:"));
}

/// A key that the server does not accept.
fn other_key(fixture: &Fixture) -> std::path::PathBuf {
    let other = fixture.directory.path().join("other");
    key::generate(&other).unwrap();
    other
}
