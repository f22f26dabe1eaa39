//! Shared parts of this layer's tests: an embedded server, a key that it accepts, and files apart from the user's own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::ssh::server::{Server, Setup, key};
use super::{Connected, Exec, NonInteractive, Options, Output, Prompter, TransportError, connect};
use crate::model::host::Host;

/// Far more than any test here takes, and less than the test runner's limit.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A server, the client's configuration, and the directory of both.
pub struct Fixture {
    pub server: Server,
    pub directory: tempfile::TempDir,
    pub host: Host,
    pub options: Options,
}

impl Fixture {
    /// A server with the default setup.
    pub async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// A server whose setup can be changed before it starts. It accepts the fixture's key.
    pub async fn with(change: impl FnOnce(&mut Setup)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let identity = directory.path().join("id");
        let public = key::generate(&identity).unwrap();
        let mut setup = Setup { authorized: vec![public], home: directory.path().to_owned(), ..Setup::default() };
        change(&mut setup);
        let server = Server::start(setup).await.unwrap();
        let config = directory.path().join("config");
        // Neither the agent nor the keys of whoever runs the tests are used.
        std::fs::write(&config, "IdentityAgent none\nIdentitiesOnly yes\nIdentityFile none\n").unwrap();
        let known_hosts = directory.path().join("known_hosts");
        std::fs::write(&known_hosts, server.known_hosts_line() + "\n").unwrap();
        let options = Options { ssh_config: Some(config), known_hosts: Some(known_hosts), ..Options::default() };
        let host = host_of(&server, &identity);
        Fixture { server, directory, host, options }
    }

    /// A second server in front of this one. The configuration calls it `hop` and knows its key.
    pub async fn hop(&self) -> Server {
        let identity = self.host.identity.clone().unwrap();
        let authorized = vec![std::fs::read_to_string(identity.with_extension("pub")).unwrap()];
        let home = self.directory.path().to_owned();
        let hop = Server::start(Setup { authorized, home, ..Setup::default() }).await.unwrap();
        let (port, identity, known_hosts) = (hop.port(), identity.display(), self.known_hosts());
        let block = format!(
            "Host hop\n  HostName 127.0.0.1\n  Port {port}\n  User guest\n  IdentityFile {identity}\n\
             Host *\n  UserKnownHostsFile {}\n  IdentityAgent none\n  IdentitiesOnly yes\n",
            known_hosts.display()
        );
        std::fs::write(self.options.ssh_config.as_ref().unwrap(), block).unwrap();
        let both = format!("{}\n{}\n", hop.known_hosts_line(), self.server.known_hosts_line());
        std::fs::write(known_hosts, both).unwrap();
        hop
    }

    /// The known_hosts file of the client.
    pub fn known_hosts(&self) -> PathBuf {
        self.directory.path().join("known_hosts")
    }

    /// Connects to the server; panics if that fails.
    pub async fn connect(&self) -> Connected {
        self.connect_asking(Arc::new(NonInteractive)).await.unwrap()
    }

    /// Connects to the server with a prompter.
    pub async fn connect_asking(&self, prompter: Arc<dyn Prompter>) -> Result<Connected, TransportError> {
        within(connect(&self.host, &self.options, prompter)).await
    }
}

/// The host entry for a server and a key.
pub fn host_of(server: &Server, identity: &Path) -> Host {
    let mut host = Host::bare("box");
    host.address = "127.0.0.1".to_owned();
    host.port = Some(server.port());
    host.user = Some("tester".to_owned());
    host.identity = Some(identity.to_owned());
    host
}

/// A prompter that gives the same answer to every question, and counts the questions.
#[derive(Default)]
pub struct Person {
    pub secret: Option<&'static str>,
    pub yes: Option<bool>,
    pub asked: AtomicUsize,
}

impl Prompter for Person {
    fn secret(&self, _: &str, _: bool) -> Option<secrecy::SecretString> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.secret.map(Into::into)
    }

    fn confirm(&self, _: &str) -> Option<bool> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.yes
    }
}

/// Waits for a future, and panics after [`DEADLINE`].
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("nothing takes this long unless it hangs")
}

/// Everything that an exec returns: stdout, stderr, and its last message.
pub async fn finish(mut exec: Exec) -> (Vec<u8>, Vec<u8>, Output) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    loop {
        match within(exec.output.recv()).await.expect("an output has an end") {
            Output::Stdout(bytes) => out.extend_from_slice(&bytes),
            Output::Stderr(bytes) => err.extend_from_slice(&bytes),
            end => return (out, err, end),
        }
    }
}
