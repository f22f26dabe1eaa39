//! Host keys that this process has accepted, because a known_hosts file may be `/dev/null` or not writable.

use std::sync::{Arc, Mutex, PoisonError};

use russh::keys::ssh_key::public::KeyData;

/// Names as in known_hosts, each with a key. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Accepted(Arc<Mutex<Vec<(String, KeyData)>>>);

impl Accepted {
    /// Whether this key was accepted for this name.
    pub fn has(&self, name: &str, key: &KeyData) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|(of, accepted)| of == name && accepted == key)
    }

    /// Stores a key; `false` if it was stored before.
    pub fn keep(&self, name: &str, key: &KeyData) -> bool {
        if self.has(name, key) {
            return false;
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((name.to_owned(), key.clone()));
        true
    }
}
