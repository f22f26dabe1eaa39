//! An SSH server in this process: a host to try the program on without having one, and what the tests talk to.
//!
//! It listens on the loopback interface, lets in only the keys it was given, and runs commands as whoever runs this
//! program. A cut connection leaves its commands running, as sshd does.

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

/// What a server lets in and runs.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    /// Public keys in OpenSSH's one-line format.
    pub authorized: Vec<String>,
    /// A password that is taken too, for any user.
    pub password: Option<String>,
    /// A one-time code asked for through keyboard-interactive.
    pub code: Option<String>,
    /// Where commands start; `HOME` of their environment.
    pub home: PathBuf,
    /// The rest of their environment; nothing else is inherited but `PATH`.
    pub env: Vec<(OsString, OsString)>,
    /// SessionLimit at once on one connection; more are refused, as sshd's MaxSessions does. None: no limit.
    pub sessions: Option<usize>,
    /// So many of a connection's first commands are not heard: their channels are closed instead.
    pub unheard: usize,
    /// The private host key in OpenSSH's format, to come back under the same identity. None: a new one.
    pub host_key: Option<String>,
    /// A host certificate in OpenSSH's one-line format, shown to clients that ask for one.
    pub host_certificate: Option<String>,
}

/// What has happened on a server so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Served {
    /// Connections taken.
    pub connections: u64,
    /// Connections open now.
    pub open: u64,
    /// Tries to log in that were refused.
    pub refused: u64,
    /// Commands started.
    pub execs: u64,
    /// Tunnels to other servers opened.
    pub tunnels: u64,
}

/// A running server; it stops when this is dropped.
pub struct Server {
    port: u16,
    host_key: PrivateKey,
    shared: Arc<Shared>,
    accept: tokio::task::JoinHandle<()>,
}

/// What the connections of a server have in common.
struct Shared {
    setup: Setup,
    connections: AtomicU64,
    refused: AtomicU64,
    execs: AtomicU64,
    tunnels: AtomicU64,
    refusing: AtomicBool,
    /// Second handles on the sockets, to cut them.
    sockets: Mutex<HashMap<u64, std::net::TcpStream>>,
}

impl Server {
    /// Starts on a free port of 127.0.0.1. Needs a tokio runtime, and lives in it.
    ///
    /// # Errors
    /// No port, or a host key or certificate in `setup` that is none.
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
            // The delay is against guessing over a network, and there is none here.
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

    /// Its line for a known_hosts file.
    pub fn known_hosts_line(&self) -> String {
        format!("[127.0.0.1]:{} {}", self.port, self.host_key_openssh_line())
    }

    /// `SHA256:…` of the host key.
    pub fn fingerprint(&self) -> String {
        self.host_key.fingerprint(HashAlg::Sha256).to_string()
    }

    /// What has happened so far.
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

    /// Connections taken so far.
    pub fn connections(&self) -> u64 {
        self.served().connections
    }

    /// Cuts every connection without a word, as a network does. Commands live on; new connections are taken.
    pub fn drop_connections(&self) {
        for (_, socket) in self.shared.sockets().drain() {
            // A socket that is gone already is as good.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    /// Closes new connections at once, or takes them again: a host that is out of reach for a while.
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

/// The methods worth offering.
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

/// Takes connections until the server is dropped.
async fn accept(listener: TcpListener, config: Arc<Config>, shared: Arc<Shared>) {
    loop {
        let Ok((socket, _)) = listener.accept().await else {
            // Out of file descriptors, say; some may be free again soon.
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
                // How a client left is of no interest here.
                let _ = running.await;
            }
            shared.sockets().remove(&number);
        });
    }
}

/// A socket and a second handle on it.
fn twice(socket: TcpStream) -> Option<(TcpStream, std::net::TcpStream)> {
    socket.set_nodelay(true).ok()?;
    let socket = socket.into_std().ok()?;
    let second = socket.try_clone().ok()?;
    Some((TcpStream::from_std(socket).ok()?, second))
}
