//! The keys that may be offered, in the order of offering.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use russh::keys::agent::client::AgentClient;
use russh::keys::agent::{AgentIdentity, AgentSessionBinding};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey, decode_secret_key};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;

use crate::transport::ssh::resolve::{self, Resolved};

/// Maximum bytes of a key file that is read.
const LARGEST: u64 = 64 * 1024;

/// A connection to an SSH agent.
pub type Agent = AgentClient<UnixStream>;

/// A key to offer.
pub struct Candidate {
    pub public: PublicKey,
    pub certificate: Option<Certificate>,
    pub holder: Holder,
    /// A phrase that fits after "tried".
    pub label: String,
}

/// What can sign with a key.
#[derive(Clone)]
pub enum Holder {
    Agent(Box<AgentIdentity>),
    File(KeyFile),
}

/// A private key in a file, still locked.
#[derive(Clone)]
pub struct KeyFile {
    pub path: PathBuf,
    text: SecretString,
    public: PublicKey,
    encrypted: bool,
}

/// The keys to offer.
#[derive(Default)]
pub struct Offer {
    pub candidates: Vec<Candidate>,
    pub agent: Option<Agent>,
    /// Keys that were left out, and why.
    pub remarks: Vec<String>,
    /// A key that only the system's `ssh` can use.
    pub beyond: Option<String>,
}

/// Time limit for an agent's answer. An agent that hangs (a locked password manager, a stale forwarded socket) must not
/// prevent a login with key files.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// An agent, and the keys that it has.
pub type Held = (Agent, Vec<AgentIdentity>);

/// Asks the agent that the configuration names for its keys. `None` if no agent is configured.
///
/// # Errors
/// The agent does not answer; the fragment says which one.
pub async fn agent(resolved: &Resolved, binding: Option<&AgentSessionBinding>) -> Result<Option<Held>, String> {
    let socket = match &resolved.agent {
        resolve::Agent::None => return Ok(None),
        resolve::Agent::Socket(path) => path.clone(),
        resolve::Agent::Environment => match std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()) {
            Some(path) => PathBuf::from(path),
            None => return Ok(None),
        },
    };
    let ask = async {
        let Ok(mut agent) = AgentClient::connect_uds(&socket).await else { return Ok(None) };
        if let Some(binding) = binding {
            // An agent only lists keys that are restricted to some hosts after this. One that does not know the
            // extension has no such keys.
            let _ = agent.bind_session(binding, false).await;
        }
        match agent.request_identities().await {
            Ok(held) => Ok(Some((agent, held))),
            Err(error) => Err(format!("the ssh-agent at {} did not list its keys ({error})", socket.display())),
        }
    };
    let silent = |_| format!("the ssh-agent at {} did not answer within {} s", socket.display(), PATIENCE.as_secs());
    tokio::time::timeout(PATIENCE, ask).await.map_err(silent)?
}

/// Collects the keys in order: configured ones that the agent has, files without a passphrase or named by the user,
/// other keys of the agent, files with a passphrase.
pub fn gather(resolved: &Resolved, held: Option<Held>) -> Offer {
    let (agent, held) = held.map_or((None, Vec::new()), |(agent, held)| (Some(agent), held));
    let mut offer = Offer { agent, ..Offer::default() };
    let mut certificates: Vec<Certificate> = resolved.certificates.iter().filter_map(|p| certificate(p)).collect();
    let (mut by_agent, mut by_file, mut locked) = (Vec::new(), Vec::new(), Vec::new());
    let mut configured: Vec<KeyData> = Vec::new();
    for path in &resolved.identities {
        certificates.extend(certificate(&sibling(path, "-cert.pub")));
        let found = match read(path) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(reason) => {
                offer.remarks.push(reason);
                continue;
            }
        };
        configured.push(found.public().key_data().clone());
        let same: Vec<_> = held.iter().filter(|h| h.public_key().key_data() == found.public().key_data()).collect();
        match found {
            _ if !same.is_empty() => by_agent.extend(same.into_iter().map(of_agent)),
            Found::Public(_) => {}
            Found::Private(file) if is_hardware(&file.public) => {
                offer.beyond = Some(format!("the security key {}", path.display()));
            }
            Found::Private(file) if !file.encrypted || resolved.explicit.as_ref() == Some(path) => {
                by_file.push(of_file(file))
            }
            Found::Private(file) => locked.push(of_file(file)),
        }
    }
    let others = held.iter().filter(|h| !configured.contains(h.public_key().key_data()) && !resolved.identities_only);
    let others: Vec<_> = others.map(of_agent).collect();
    let plain = by_agent.into_iter().chain(by_file).chain(others).chain(locked);
    offer.candidates = plain.flat_map(|candidate| with_certificates(candidate, &certificates)).collect();
    offer
}

fn of_agent(identity: &AgentIdentity) -> Candidate {
    let (public, certificate) = match identity {
        AgentIdentity::PublicKey { key, .. } => (key.clone(), None),
        AgentIdentity::Certificate { certificate, .. } => {
            (PublicKey::new(certificate.public_key().clone(), ""), Some(certificate.clone()))
        }
    };
    let comment = identity.comment().replace(|c: char| c.is_control(), " ");
    Candidate {
        public,
        certificate,
        holder: Holder::Agent(Box::new(identity.clone())),
        label: format!("the agent's {comment:?}"),
    }
}

fn of_file(file: KeyFile) -> Candidate {
    let label = file.path.display().to_string();
    Candidate { public: file.public.clone(), certificate: None, holder: Holder::File(file), label }
}

/// A key with its certificates before it, because a server that trusts an authority may not know the key itself.
fn with_certificates(candidate: Candidate, certificates: &[Certificate]) -> Vec<Candidate> {
    let own = |c: &&Certificate| c.public_key() == candidate.public.key_data() && candidate.certificate.is_none();
    let mut all: Vec<Candidate> = certificates
        .iter()
        .filter(own)
        .map(|certificate| Candidate {
            public: candidate.public.clone(),
            certificate: Some(certificate.clone()),
            holder: candidate.holder.clone(),
            label: format!("{} with its certificate", candidate.label),
        })
        .collect();
    all.push(candidate);
    all
}

enum Found {
    Private(KeyFile),
    /// Only the public key; the agent must have the private one.
    Public(PublicKey),
}

impl Found {
    fn public(&self) -> &PublicKey {
        match self {
            Found::Private(file) => &file.public,
            Found::Public(key) => key,
        }
    }
}

/// Reads the file of an IdentityFile option. `None` if it does not exist, as many defaults do not.
fn read(path: &Path) -> Result<Option<Found>, String> {
    let public = || text_of(&sibling(path, ".pub")).and_then(|t| PublicKey::from_openssh(t.trim()).ok());
    let Some(text) = text_of(path) else { return Ok(public().map(Found::Public)) };
    if let Ok(key) = PublicKey::from_openssh(text.trim()) {
        return Ok(Some(Found::Public(key)));
    }
    let name = path.display();
    let open_to = std::fs::metadata(path).map_or(0, |data| data.mode() & 0o077);
    if open_to != 0 {
        return Err(format!("{name} is readable by other users, so it is not used"));
    }
    let make = |public, encrypted| {
        Ok(Some(Found::Private(KeyFile { path: path.to_owned(), text: text.clone().into(), public, encrypted })))
    };
    if let Ok(key) = PrivateKey::from_openssh(&text) {
        return make(key.public_key().clone(), key.is_encrypted());
    }
    match (decode_secret_key(&text, None), public()) {
        (Ok(key), _) => make(key.public_key().clone(), false),
        (Err(_), Some(public)) => make(public, true),
        (Err(e), None) => Err(format!("{name} cannot be read without its .pub file next to it ({e})")),
    }
}

impl KeyFile {
    /// Whether a passphrase is needed.
    pub fn encrypted(&self) -> bool {
        self.encrypted
    }

    /// Decodes the key. With a passphrase this is slow by design.
    ///
    /// # Errors
    /// The passphrase is wrong, or the file is damaged.
    pub fn unlock(&self, passphrase: Option<&SecretString>) -> Result<PrivateKey, String> {
        decode_secret_key(self.text.expose_secret(), passphrase.map(|p| p.expose_secret())).map_err(|e| e.to_string())
    }
}

fn is_hardware(key: &PublicKey) -> bool {
    matches!(key.algorithm(), Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256)
}

fn certificate(path: &Path) -> Option<Certificate> {
    Certificate::from_openssh(text_of(path)?.trim()).ok()
}

fn text_of(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut text = String::new();
    let file = std::fs::File::open(path).ok()?;
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    Some(text)
}

fn sibling(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
