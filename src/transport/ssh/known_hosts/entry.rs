//! One line of a known_hosts file.

use hmac::{Hmac, KeyInit, Mac};
use russh::keys::PublicKey;
use russh::keys::ssh_key::public::KeyData;
use sha1::Sha1;

/// Maximum bytes of a line that is read; an RSA key of 16384 bits takes 2,800.
const LONGEST: usize = 64 * 1024;

/// The role of a line's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// It is the host's key.
    None,
    /// It signs certificates for the host.
    Authority,
    /// It must never be accepted from the host.
    Revoked,
}

/// A key and the hosts that it is listed for.
#[derive(Clone, Debug)]
pub struct Entry {
    pub marker: Marker,
    pub key: KeyData,
    /// `file:line`, for messages.
    pub place: String,
    hosts: Hosts,
}

#[derive(Clone, Debug)]
enum Hosts {
    /// Patterns in lower case with `*` and `?`, and whether `!` negates them.
    Patterns(Vec<(bool, String)>),
    /// HMAC-SHA1 of one name, keyed with the salt.
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl Entry {
    /// Parses `[marker] hosts keytype base64 [comment]`, separated by spaces or tabs. `None` for a comment, an empty
    /// line, or a malformed one.
    pub fn parse(line: &[u8], place: &str) -> Option<Self> {
        if line.len() > LONGEST {
            return None;
        }
        let text = String::from_utf8_lossy(line);
        let mut words = text.split([' ', '\t', '\r']).filter(|word| !word.is_empty());
        let first = words.next().filter(|word| !word.starts_with('#'))?;
        let (marker, hosts) = match first {
            "@cert-authority" => (Marker::Authority, words.next()?),
            "@revoked" => (Marker::Revoked, words.next()?),
            other if other.starts_with('@') => return None,
            hosts => (Marker::None, hosts),
        };
        let key = format!("{} {}", words.next()?, words.next()?);
        let key = PublicKey::from_openssh(&key).ok()?.key_data().clone();
        Some(Entry { marker, key, place: place.to_owned(), hosts: Hosts::parse(hosts)? })
    }

    /// Whether the line is about this host; `name` is in lower case, `[host]:port` for a port other than 22.
    pub fn names(&self, name: &str) -> bool {
        match &self.hosts {
            Hosts::Hashed { salt, hash } => hashed(salt, name).is_some_and(|other| other == *hash),
            Hosts::Patterns(patterns) => {
                let matching = |negated: bool| patterns.iter().any(|(n, p)| *n == negated && glob(p, name));
                matching(false) && !matching(true)
            }
        }
    }
}

impl Hosts {
    fn parse(text: &str) -> Option<Self> {
        if let Some(rest) = text.strip_prefix("|1|") {
            let (salt, hash) = rest.split_once('|')?;
            let (salt, hash) = (base64(salt)?, base64(hash)?);
            return (hash.len() == 20).then_some(Hosts::Hashed { salt, hash });
        }
        let patterns = text.split(',').filter(|pattern| !pattern.is_empty());
        let patterns = patterns.map(|pattern| match pattern.strip_prefix('!') {
            Some(rest) => (true, rest.to_ascii_lowercase()),
            None => (false, pattern.to_ascii_lowercase()),
        });
        Some(Hosts::Patterns(patterns.collect()))
    }
}

fn base64(text: &str) -> Option<Vec<u8>> {
    use russh::keys::ssh_encoding::base64::{Base64, Encoding};
    Base64::decode_vec(text).ok()
}

/// The name as `HashKnownHosts` writes it: HMAC-SHA1 keyed with the salt.
pub fn hashed(salt: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha1>::new_from_slice(salt).ok()?;
    mac.update(name.as_bytes());
    Some(mac.finalize().into_bytes().to_vec())
}

/// Whether a pattern with `*` (any run) and `?` (any one byte) matches all of `name`.
pub fn glob(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    // Where to continue when the run of the last `*` must be one byte longer.
    let mut again: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(b'*') => {
                again = Some((p + 1, n));
                p += 1;
            }
            Some(&c) if c == b'?' || c == name[n] => (p, n) = (p + 1, n + 1),
            _ => match again {
                Some((after, taken)) => {
                    (p, n) = (after, taken + 1);
                    again = Some((after, taken + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}
