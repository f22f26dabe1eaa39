use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::transport::fixture::{Fixture, Person, finish};
use crate::transport::ssh::server::key;
use crate::transport::{Exit, Nobody, Output, TransportError};

#[tokio::test]
async fn a_key_the_server_does_not_know_is_refused_over_one_connection() {
    let mut fixture = Fixture::new().await;
    let other = fixture.directory.path().join("other");
    key::generate(&other).unwrap();
    fixture.host.identity = Some(other);
    let error = fixture.connect_asking(Arc::new(Nobody)).await.err().unwrap();
    assert!(matches!(&error, TransportError::Auth { user, .. } if user == "tester"), "{error:?}");
    assert!(error.to_string().contains("other"), "{error}");
    assert!(!error.may_retry());
    assert_eq!(fixture.server.connections(), 1);
}

/// Locks the fixture's key with a passphrase, by `ssh-keygen`; false where there is none.
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
async fn nobody_there_for_a_passphrase_is_said() {
    let fixture = Fixture::new().await;
    if !lock(&fixture, "open sesame") {
        return skip!("no ssh-keygen here");
    }
    let error = fixture.connect_asking(Arc::new(Nobody)).await.err().unwrap();
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

    let error = code.connect_asking(Arc::new(Nobody)).await.err().unwrap();
    assert!(matches!(error, TransportError::Auth { .. }), "{error:?}");
}
