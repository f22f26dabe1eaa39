//! Makes a logged-in connection from a host entry.

mod banner;
mod duplex;
mod prompt;
pub mod stream;
#[cfg(test)]
mod tests;
mod verifier;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use banner::Banner;
use duplex::BoxStream;
use russh::client;
use russh::keys::HashAlg;
use russh::keys::ssh_key::public::KeyData;
use stream::Stop;
pub use verifier::{DisconnectCause, Verifier};

use super::auth;
use super::channel::Connection;
use super::known_hosts::{KeyStatus, KnownHosts, LISTED_AT, Name, append};
use super::nonblocking_writes::NonblockingWrites;
use super::resolve::{Proxy, Resolved, Target, UnknownKeys, resolve};
use crate::model::host::Host;
use crate::transport::{Counters, Listed, Options, Prompter, TransportError, UnreachableKind, WhyUnknown};

/// Time limit until the server has proved its key: TCP, proxy and key exchange together.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Maximum jump hosts on the way to one host, which ends a loop in the configuration.
const HOPS: usize = 8;

/// The window of each channel in bytes. It is refilled at half, so 16 MiB give 3.5 times OpenSSH's download rate at 50
/// ms of latency; 2 MiB give half of it (measured).
const WINDOW: u32 = 16 << 20;

/// Why a connection failed.
#[derive(Debug)]
pub enum Failure {
    Failed(TransportError),
    /// The configuration or the server needs the system's `ssh`; the text fits after "because of".
    Beyond(String),
}

impl From<TransportError> for Failure {
    fn from(error: TransportError) -> Self {
        Failure::Failed(error)
    }
}

/// A logged-in handle and what it runs over.
pub struct Link {
    pub(super) handle: client::Handle<Verifier>,
    pub(super) disconnect: Arc<DisconnectCause>,
    // Owned so that the hop below or the proxy command lives as long as this link.
    _under: Option<Box<Link>>,
    _stop: Option<Stop>,
}

/// Connects and logs in once. Also returns notes for the user.
pub async fn connect(
    host: &Host,
    options: &Options,
    prompter: Arc<dyn Prompter>,
    counters: Arc<Counters>,
) -> Result<(Connection, Vec<String>), Failure> {
    let dialer = Dialer { options, prompter, counters, notes: Mutex::default() };
    let link = dialer.dial(&host.name, &Target::of(host), 0).await?;
    let notes = dialer.notes.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok((Connection::new(&host.name, link, dialer.counters), notes))
}

struct Dialer<'a> {
    options: &'a Options,
    prompter: Arc<dyn Prompter>,
    counters: Arc<Counters>,
    /// Notes for the user about a connection that was made.
    notes: Mutex<Vec<String>>,
}

/// Why a handshake failed.
enum Refusal {
    /// The key is unknown; everything else succeeded.
    Unknown(Box<KeyData>),
    Failure(Failure),
}

impl Dialer<'_> {
    /// `label` is the host's name in errors and prompts.
    async fn dial(&self, label: &str, target: &Target, depth: usize) -> Result<Link, Failure> {
        let config = |reason: String| TransportError::Config { host: label.to_owned(), reason };
        if depth > HOPS {
            return Err(config(format!("more than {HOPS} jump hosts on the way")).into());
        }
        let mut resolved = resolve(target, self.options).await?;
        if let Some(beyond) = resolved.beyond {
            return Err(Failure::Beyond(beyond));
        }
        let under = match &resolved.proxy {
            Proxy::Jump(hop) => Some(Box::new(Box::pin(self.dial(&hop.address, hop, depth + 1)).await?)),
            Proxy::Direct | Proxy::Command(_) => None,
        };
        let name = Name::new(&resolved.hostname, resolved.port, resolved.host_key_alias.as_deref());
        let (mut handle, disconnect, stop) = match self.handshake(label, &resolved, &name, under.as_deref()).await {
            Ok(done) => done,
            Err(Refusal::Failure(failure)) => return Err(failure),
            Err(Refusal::Unknown(key)) => {
                self.accept(label, &resolved, &name, &key).await?;
                // Tries again, because the server's login time may have run out while the user was reading the prompt.
                match self.handshake(label, &resolved, &name, under.as_deref()).await {
                    Ok(done) => done,
                    Err(Refusal::Failure(failure)) => return Err(failure),
                    Err(Refusal::Unknown(key)) => return Err(unknown(label, &resolved, &key).into()),
                }
            }
        };
        if let Some((verdict, key)) = disconnect.let_in() {
            self.on_let_in(label, &resolved, &name, &verdict, &key);
        }
        if disconnect.is_doubtful() {
            (resolved.password, resolved.keyboard_interactive) = (false, false);
        }
        let person = auth::Person {
            prompter: &self.prompter,
            answers: &self.options.answers,
            last_keys: self.options.last_keys.as_deref(),
        };
        let notes = auth::login(&mut handle, label, &resolved, &disconnect, person).await?;
        notes.into_iter().for_each(|note| self.note(note));
        Ok(Link { handle, disconnect, _under: under, _stop: stop })
    }

    /// Opens the stream and exchanges keys, all within [`HANDSHAKE`].
    async fn handshake(
        &self,
        label: &str,
        resolved: &Resolved,
        name: &Name,
        under: Option<&Link>,
    ) -> Result<(client::Handle<Verifier>, Arc<DisconnectCause>, Option<Stop>), Refusal> {
        let files: Vec<PathBuf> =
            resolved.user_known_hosts.iter().chain(&resolved.global_known_hosts).cloned().collect();
        let known = KnownHosts::load(&files)
            .map_err(|reason| TransportError::Config { host: label.to_owned(), reason })
            .map_err(|e| Refusal::Failure(e.into()))?;
        let disconnect = Arc::new(DisconnectCause::default());
        let config = Arc::new(config(&known, name));
        let (unknown_keys, accepted) = (resolved.unknown_keys, self.options.accepted.clone());
        let verifier = Verifier { name: name.clone(), known, unknown_keys, accepted, disconnect: disconnect.clone() };
        self.counters.connection();
        let attempt = async {
            let (stream, stop): (BoxStream, _) = stream::open(resolved, under).await?;
            let (stream, banner) = Banner::of(stream);
            Ok((client::connect_stream(config, NonblockingWrites::new(stream), verifier).await, stop, banner))
        };
        let unreachable = |(kind, reason): (UnreachableKind, String)| {
            Refusal::Failure(TransportError::Unreachable { host: label.to_owned(), reason, kind }.into())
        };
        match tokio::time::timeout(HANDSHAKE, attempt).await {
            Err(_) => Err(unreachable((UnreachableKind::Lost, format!("no answer within {} s", HANDSHAKE.as_secs())))),
            Ok(Err(reason)) => Err(unreachable(reason)),
            Ok(Ok((Ok(handle), stop, _))) => Ok((handle, disconnect, stop)),
            Ok(Ok((Err(_), None, banner))) if !banner.came() => Err(unreachable(banner.turned_away())),
            Ok(Ok((Err(error), stop, banner))) => {
                let said = match stop {
                    Some(stop) => stop.said().await,
                    None => String::new(),
                };
                let said = if said.is_empty() { said } else { format!(" ({said})") };
                if banner.came() {
                    return Err(refusal(label, name, &disconnect, &error, &said));
                }
                Err(unreachable(silent_proxy(&banner, &said)))
            }
        }
    }

    /// Asks the user about an unknown key, and stores the key after a yes.
    async fn accept(&self, label: &str, resolved: &Resolved, name: &Name, key: &KeyData) -> Result<(), Failure> {
        if resolved.unknown_keys != UnknownKeys::Ask {
            return Err(unknown(label, resolved, key).into());
        }
        let keeper =
            keeper(resolved).map_or_else(String::new, |file| format!(", and remember it in {}", file.display()));
        let question = format!(
            "The host key of {label} ({}) is not known.\nIts {} key has the fingerprint {}.\nTrust it{keeper}?",
            name.full,
            key.algorithm(),
            key.fingerprint(HashAlg::Sha256),
        );
        let prompter = self.prompter.clone();
        let answer = tokio::task::spawn_blocking(move || prompter.confirm(&question)).await;
        if !matches!(answer, Ok(Some(true))) {
            return Err(unknown(label, resolved, key).into());
        }
        self.remember(label, resolved, name, key);
        Ok(())
    }

    /// Stores an accepted key for this process and, if the configuration names a file, for later ones. As in `ssh`, a
    /// file that cannot be written does not prevent the login. `false`: the key was already stored.
    fn remember(&self, label: &str, resolved: &Resolved, name: &Name, key: &KeyData) -> bool {
        let is_new = self.options.accepted.keep(&name.full, key);
        if let Some(file) = keeper(resolved).filter(|_| is_new)
            && let Err(reason) = append::append(file, &name.full, key, resolved.hash_known_hosts)
        {
            self.note(format!("the host key of {label} could not be saved: {reason}"));
        }
        is_new
    }

    /// Adds a key that `StrictHostKeyChecking` accepted to the user's file, and reports it once.
    fn on_let_in(&self, label: &str, resolved: &Resolved, name: &Name, verdict: &KeyStatus, key: &KeyData) {
        let shown = format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
        match verdict {
            KeyStatus::Changed(reason) if self.options.accepted.keep(&name.full, key) => self.note(format!(
                "the host key of {label} has CHANGED ({reason}; it showed {shown}); the ssh configuration lets it in \
                 (StrictHostKeyChecking no), and it gets no password"
            )),
            KeyStatus::Unknown if self.remember(label, resolved, name, key) => {
                self.note(format!("the host key of {label} is new and was accepted ({shown})"));
            }
            _ => {}
        }
    }

    fn note(&self, text: String) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }
}

/// The file that stores keys; `None` if the configuration has none.
fn keeper(resolved: &Resolved) -> Option<&PathBuf> {
    resolved.user_known_hosts.first().filter(|file| *file != Path::new("/dev/null"))
}

fn unknown(label: &str, resolved: &Resolved, key: &KeyData) -> TransportError {
    let why = match resolved.unknown_keys {
        UnknownKeys::Refuse => WhyUnknown::Strict,
        _ if keeper(resolved).is_none() => WhyUnknown::NotKept,
        _ => WhyUnknown::Unanswered,
    };
    TransportError::UnknownHostKey {
        host: label.to_owned(),
        algorithm: key.algorithm().to_string(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        why,
    }
}

/// A proxy command that ended before a banner: only the bytes that it passed on are the server's.
fn silent_proxy(banner: &Banner, said: &str) -> (UnreachableKind, String) {
    if banner.words().is_empty() {
        return (UnreachableKind::Lost, format!("its ProxyCommand ended before the server's greeting{said}"));
    }
    let (kind, reason) = banner.turned_away();
    (kind, format!("{reason}{said}"))
}

/// The error for a failed key exchange: the verdict on the key if there is one, else russh's message with `said`.
fn refusal(label: &str, name: &Name, disconnect: &DisconnectCause, error: &russh::Error, said: &str) -> Refusal {
    let host = label.to_owned();
    let failed = |error: TransportError| Refusal::Failure(error.into());
    match disconnect.refused() {
        Some((KeyStatus::Unknown, key)) => Refusal::Unknown(Box::new(key)),
        Some((KeyStatus::Changed(reason) | KeyStatus::Revoked(reason), key)) => {
            let place = reason.strip_prefix(LISTED_AT).and_then(|place| place.rsplit_once(':'));
            let listed = place.map(|(file, _)| Listed { file: file.to_owned(), name: name.full.clone() });
            let reason = format!("{reason}; it showed {} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256));
            failed(TransportError::ChangedHostKey { host, reason, listed })
        }
        Some((KeyStatus::Invalid(reason), _)) => failed(TransportError::Config { host, reason }),
        Some((KeyStatus::Known, _)) | None => match error {
            russh::Error::NoCommonAlgo { kind, .. } => {
                Refusal::Failure(Failure::Beyond(format!("the server's {kind:?} algorithms")))
            }
            other => failed(TransportError::lost(&host, format!("{}{said}", lower(other)))),
        },
    }
}

/// russh's message as a lower-case fragment.
pub(super) fn lower(error: &russh::Error) -> String {
    let cut = matches!(error, russh::Error::IO(e) if e.kind() == std::io::ErrorKind::UnexpectedEof);
    if cut || matches!(error, russh::Error::HUP | russh::Error::Disconnect) {
        return "the connection was cut".to_owned();
    }
    let text = error.to_string();
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_lowercase().chain(rest).collect())
}

/// russh's ciphers, with AES-GCM before ChaCha20 if this machine has AES in hardware, because a large log then costs
/// both ends much less CPU time.
fn ciphers() -> Vec<russh::cipher::Name> {
    #[cfg(target_arch = "x86_64")]
    let in_hardware = std::arch::is_x86_feature_detected!("aes") && std::arch::is_x86_feature_detected!("pclmulqdq");
    #[cfg(target_arch = "aarch64")]
    let in_hardware = std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let in_hardware = false;
    let mut ciphers = russh::Preferred::DEFAULT.cipher.to_vec();
    // The sort is stable, so the other ciphers keep their order.
    ciphers.sort_by_key(|cipher| !in_hardware || *cipher != russh::cipher::AES_256_GCM);
    ciphers
}

fn config(known: &KnownHosts, name: &Name) -> client::Config {
    let defaults = russh::Preferred::DEFAULT;
    let mut preferred = russh::Preferred { key: known.algorithms(name).into(), cipher: ciphers().into(), ..defaults };
    if known.has_authority(name) {
        preferred.host_key_certificates = super::known_hosts::all_algorithms().into();
    }
    client::Config {
        window_size: WINDOW,
        // 15 s × 4 notice a dead connection within a minute. A server that is silent for longer than that never
        // finished the handshake.
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 4,
        inactivity_timeout: Some(Duration::from_secs(90)),
        nodelay: true,
        preferred,
        ..client::Config::default()
    }
}
