//! Decides which host keys are trusted, from known_hosts files as described in sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT".
//!
//! russh's own function accepts a revoked key that is also listed plainly, and does not know authorities, wildcards or
//! negation.

pub mod accepted;
pub mod append;
pub mod certificate;
pub mod entry;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use entry::{Entry, Marker};
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, EcdsaCurve, HashAlg};

/// Maximum bytes of a file that are read; 16 MiB are enough for a hundred thousand hosts.
const LARGEST: u64 = 16 << 20;

/// The beginning of the fragment of [`KeyStatus::Changed`]; a place follows.
pub const LISTED_AT: &str = "another key is listed at ";

/// The names of a host in known_hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// `host`, `[host]:port` for a port other than 22, or the HostKeyAlias, in lower case.
    pub full: String,
    /// The host without its port, if `full` has one. As in `ssh`, a match under this name counts, but a mismatch does
    /// not.
    pub bare: Option<String>,
    /// The host or alias that a certificate must contain.
    pub principal: String,
}

impl Name {
    /// The name of a host by address and port, or only by its alias.
    pub fn new(host: &str, port: u16, alias: Option<&str>) -> Self {
        let host = alias.unwrap_or(host).to_ascii_lowercase();
        if alias.is_some() || port == 22 {
            return Name { full: host.clone(), bare: None, principal: host };
        }
        Name { full: format!("[{host}]:{port}"), bare: Some(host.clone()), principal: host }
    }
}

/// What the files say of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyStatus {
    /// Listed for this host, or certified by an authority that is listed for it.
    Known,
    /// Nothing is listed for this host.
    Unknown,
    /// Other keys are listed for this host; the fragment says where.
    Changed(String),
    /// Revoked for this host; the fragment says where.
    Revoked(String),
    /// Signed by an authority that is listed for this host, but the certificate is not valid; the fragment says why.
    Invalid(String),
}

/// The lines of known_hosts files, in order.
#[derive(Debug, Default)]
pub struct KnownHosts {
    entries: Vec<Entry>,
}

impl KnownHosts {
    /// Reads the existing files. As in `ssh`, a malformed line is skipped and trusts no key.
    ///
    /// # Errors
    /// A file exists and cannot be read, because it might contain a revocation.
    pub fn load(files: &[PathBuf]) -> Result<Self, String> {
        let mut known = KnownHosts::default();
        for file in files {
            match read(file) {
                Ok(text) => known.add(&file.display().to_string(), &text),
                Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
                Err(e) => return Err(format!("cannot read {}: {e}", file.display())),
            }
        }
        Ok(known)
    }

    /// Adds the lines of one file.
    pub fn add(&mut self, file: &str, text: &[u8]) {
        let lines = text.split(|byte| *byte == b'\n').enumerate();
        self.entries.extend(lines.filter_map(|(n, line)| Entry::parse(line, &format!("{file}:{}", n + 1))));
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.names(name))
    }

    /// The status of a plain host key.
    pub fn check(&self, name: &Name, key: &KeyData) -> KeyStatus {
        let verdict = self.check_under(&name.full, key);
        match (&verdict, &name.bare) {
            (KeyStatus::Unknown, Some(bare)) => match self.check_under(bare, key) {
                KeyStatus::Changed(_) => verdict,
                other => other,
            },
            _ => verdict,
        }
    }

    fn check_under(&self, name: &str, key: &KeyData) -> KeyStatus {
        if let Some(place) = self.revoked(name, key) {
            return KeyStatus::Revoked(place);
        }
        let mut other = None;
        for entry in self.of(name).filter(|entry| entry.marker == Marker::None) {
            if entry.key == *key {
                return KeyStatus::Known;
            }
            other.get_or_insert(&entry.place);
        }
        other.map_or(KeyStatus::Unknown, |place| KeyStatus::Changed(format!("{LISTED_AT}{place}")))
    }

    fn revoked(&self, name: &str, key: &KeyData) -> Option<String> {
        let entry = self.of(name).find(|entry| entry.marker == Marker::Revoked && entry.key == *key)?;
        Some(format!("the key is revoked at {}", entry.place))
    }

    /// The status of a host certificate at `now` (seconds since 1970). Without a listed authority the certificate is
    /// ignored, and its key is looked up as a plain key.
    pub fn check_certificate(&self, name: &Name, certificate: &Certificate, now: u64) -> KeyStatus {
        let authority = certificate.signature_key();
        for name in std::iter::once(&name.full).chain(&name.bare) {
            let revoked = self.revoked(name, authority).or_else(|| self.revoked(name, certificate.public_key()));
            if let Some(place) = revoked {
                return KeyStatus::Revoked(place);
            }
        }
        let trusts = |name: &str| self.of(name).any(|e| e.marker == Marker::Authority && e.key == *authority);
        if trusts(&name.full) || name.bare.as_deref().is_some_and(trusts) {
            return match certificate::check(certificate, &name.principal, now) {
                Ok(()) => KeyStatus::Known,
                Err(reason) => KeyStatus::Invalid(reason),
            };
        }
        self.check(name, certificate.public_key())
    }

    /// Whether an authority is listed for this host, so that certificates should be requested.
    pub fn has_authority(&self, name: &Name) -> bool {
        let listed = |name: &str| self.of(name).any(|entry| entry.marker == Marker::Authority);
        listed(&name.full) || name.bare.as_deref().is_some_and(listed)
    }

    /// Host key algorithms in the order to offer them. Those of listed keys come first, because a server with several
    /// keys might otherwise show one that is not listed. SHA-1 signatures are never offered.
    pub fn algorithms(&self, name: &Name) -> Vec<Algorithm> {
        let listed = |algorithm: &Algorithm| {
            let same = |entry: &Entry| entry.marker == Marker::None && kind(&entry.key.algorithm()) == kind(algorithm);
            self.of(&name.full).any(same) || name.bare.as_deref().is_some_and(|bare| self.of(bare).any(same))
        };
        let (mut first, rest): (Vec<_>, Vec<_>) = all_algorithms().into_iter().partition(listed);
        first.extend(rest);
        first
    }
}

/// An algorithm without its hash: RSA keys are listed as `ssh-rsa` with any hash.
fn kind(algorithm: &Algorithm) -> Algorithm {
    match algorithm {
        Algorithm::Rsa { .. } => Algorithm::Rsa { hash: None },
        other => other.clone(),
    }
}

/// Every host key algorithm that is offered, in OpenSSH's order of preference.
pub fn all_algorithms() -> Vec<Algorithm> {
    let curve = |curve| Algorithm::Ecdsa { curve };
    let rsa = |hash| Algorithm::Rsa { hash: Some(hash) };
    vec![
        Algorithm::Ed25519,
        curve(EcdsaCurve::NistP256),
        curve(EcdsaCurve::NistP384),
        curve(EcdsaCurve::NistP521),
        rsa(HashAlg::Sha512),
        rsa(HashAlg::Sha256),
    ]
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut text = Vec::new();
    std::fs::File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    Ok(text)
}
