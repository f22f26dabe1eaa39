//! An SSH server in this process, for trying the program without a host and for tests.
//!
//! It listens on the loopback interface, accepts only the keys in its setup, and runs commands as the user who runs
//! this program. Its commands keep running when a connection is cut, as with sshd.

pub mod key;
mod session;

use std::collections::HashMap;
use std::ffi::OsString;
use std::net::Shutdown;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::{Certificate, HashAlg, PrivateKey};
use russh::server::{Config, run_stream};
use russh::{MethodKind, MethodSet};
use session::Session;
use tokio::net::{TcpListener, TcpStream};

use super::nonblocking_writes::NonblockingWrites;

/// What a server accepts and runs.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Public keys in OpenSSH's one-line format.
    pub authorized: Vec<String>,
    /// A password that is also accepted, for any user.
    pub password: Option<String>,
    /// A one-time code for keyboard-interactive.
    pub code: Option<String>,
    /// The working directory of commands and their `HOME`.
    pub home: PathBuf,
    /// The rest of their environment; only `PATH` is inherited.
    pub env: Vec<(OsString, OsString)>,
    /// Maximum sessions at once on one connection; more are refused, as with sshd's MaxSessions. `None`: no limit.
    pub sessions: Option<usize>,
    /// Number of a connection's first commands that are not started: their channels are closed instead.
    pub unheard: usize,
    /// The private host key in OpenSSH's format, for restarting with the same identity. `None`: a new one.
    pub host_key: Option<String>,
    /// A host certificate in OpenSSH's one-line format, sent to clients that request one.
    pub host_certificate: Option<String>,
}

/// Counts of what a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections accepted.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Login attempts that were refused.
    pub refused: u64,
    /// Commands started.
    pub execs: u64,
    /// Tunnels opened to other servers.
    pub tunnels: u64,
}

/// A running server, which stops when this is dropped.
pub struct Server {
    port: u16,
    host_key: PrivateKey,
    shared: Arc<Shared>,
    accept: tokio::task::JoinHandle<()>,
}

/// State that a server's connections share.
struct Shared {
    setup: Setup,
    connections: AtomicU64,
    refused: AtomicU64,
    execs: AtomicU64,
    tunnels: AtomicU64,
    refusing: AtomicBool,
    /// Duplicates of the sockets, to cut them.
    sockets: Mutex<HashMap<u64, std::net::TcpStream>>,
}

impl Server {
    /// Starts on a free port of 127.0.0.1, inside a tokio runtime.
    ///
    /// # Errors
    /// No port is free, or the host key or certificate in `setup` is malformed.
    pub async fn start(setup: Setup) -> std::io::Result<Self> {
        let invalid =
            |e: russh::keys::ssh_key::Error| std::io::Error::new(std::io::ErrorKind::InvalidInput, e.to_string());
        let host_key = match &setup.host_key {
            Some(text) => PrivateKey::from_openssh(text).map_err(invalid)?,
            None => key::random()?,
        };
        let certificates = setup.host_certificate.iter().map(|text| Certificate::from_openssh(text));
        let certificates = certificates.collect::<Result<_, _>>().map_err(invalid)?;
        let config = Arc::new(Config {
            keys: vec![host_key.clone()],
            certificates,
            methods: methods(&setup),
            // The delay protects against guessing over a network, which is not possible here.
            auth_rejection_time: Duration::from_millis(1),
            auth_rejection_time_initial: Some(Duration::ZERO),
            max_auth_attempts: 6,
            window_size: 16 << 20,
            inactivity_timeout: None,
            nodelay: true,
            ..Config::default()
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared {
            setup,
            connections: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            execs: AtomicU64::new(0),
            tunnels: AtomicU64::new(0),
            refusing: AtomicBool::new(false),
            sockets: Mutex::new(HashMap::new()),
        });
        let accept = tokio::spawn(accept(listener, config, shared.clone()));
        Ok(Server { port, host_key, shared, accept })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The public host key, as in a `.pub` file.
    pub fn host_key_openssh_line(&self) -> String {
        self.host_key.public_key().to_openssh().unwrap_or_default()
    }

    /// The host's line for a known_hosts file.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.host_key_openssh_line())
    }

    /// `SHA256:…` of the host key.
    pub fn fingerprint(&self) -> String {
        self.host_key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// The counts now.
    pub fn served(&self) -> Served {
        let shared = &self.shared;
        Served {
            connections: shared.connections.load(Ordering::Relaxed),
            open: shared.sockets().len() as u64,
            refused: shared.refused.load(Ordering::Relaxed),
            execs: shared.execs.load(Ordering::Relaxed),
            tunnels: shared.tunnels.load(Ordering::Relaxed),
        }
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.served().connections
    }

    /// Cuts every connection without a message, as a network failure does. Commands keep running, and new connections
    /// are accepted.
    pub fn drop_connections(&self) {
        for (_, socket) in self.shared.sockets().drain() {
            // A socket may be closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Closes new connections at once, or accepts them again, like a host that is unreachable for a while.
    pub fn refuse(&self, refusing: bool) {
        self.shared.refusing.store(refusing, Ordering::Relaxed);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accept.abort();
        self.drop_connections();
    }
}

impl Shared {
    fn sockets(&self) -> std::sync::MutexGuard<'_, HashMap<u64, std::net::TcpStream>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The methods that the server offers.
fn methods(setup: &Setup) -> MethodSet {
    let mut methods = MethodSet::from(&[MethodKind::PublicKey][..]);
    if setup.password.is_some() {
        methods.push(MethodKind::Password);
    }
    if setup.code.is_some() {
        methods.push(MethodKind::KeyboardInteractive);
    }
    methods
}

/// Accepts connections until the server is dropped.
async fn accept(listener: TcpListener, config: Arc<Config>, shared: Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // For instance, there may be no free file descriptor; one may be free soon.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if shared.refusing.load(Ordering::Relaxed) {
            continue;
        }
        let number = shared.connections.fetch_add(1, Ordering::Relaxed);
        let Some((socket, second)) = twice(socket) else { continue };
        shared.sockets().insert(number, second);
        let (config, shared) = (config.clone(), shared.clone());
        tokio::spawn(async move {
            let session = Session::new(shared.clone());
            if let Ok(running) = run_stream(config, NonblockingWrites::new(socket), session).await {
                // It does not matter how a client ended.
                let _ = running.await;
            }
            shared.sockets().remove(&number);
        });
    }
}

/// A socket and a duplicate of it.
fn twice(socket: TcpStream) -> Option<(TcpStream, std::net::TcpStream)> {
    socket.set_nodelay(true).ok()?;
    let socket = socket.into_std().ok()?;
    let second = socket.try_clone().ok()?;
    Some((TcpStream::from_std(socket).ok()?, second))
}
