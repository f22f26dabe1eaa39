//! Turns the messages of a failed `ssh` into an error that says who must act.

use crate::model::host::Host;
use crate::transport::{TURNED_AWAY, TransportError, UnreachableKind, WhyUnknown};

/// Maximum characters of `ssh`'s messages in an error.
const SAID: usize = 300;

/// The host that an error is about.
#[derive(Clone, Debug)]
pub struct Place {
    host: String,
    user: String,
}

impl Place {
    /// The host of an entry.
    pub fn of(host: &Host) -> Self {
        Place { host: host.name.clone(), user: host.user.clone().unwrap_or_else(|| "its default user".to_owned()) }
    }

    /// The error of a host that cannot be reached.
    pub fn unreachable(&self, reason: &str) -> TransportError {
        TransportError::lost(&self.host, reason)
    }

    /// The error of a configuration that cannot be used.
    pub fn config(&self, reason: String) -> TransportError {
        TransportError::Config { host: self.host.clone(), reason }
    }

    /// Reads the end of `ssh`'s stderr. OpenSSH does not translate its messages. The command's own stderr comes before
    /// them, so only lines in OpenSSH's exact wording count.
    pub fn read(&self, stderr: &[u8]) -> TransportError {
        let text = String::from_utf8_lossy(stderr);
        let host = self.host.clone();
        let reason = last_line(&text);
        if text.contains("REMOTE HOST IDENTIFICATION HAS CHANGED") || text.contains("host key was REVOKED") {
            return TransportError::ChangedHostKey {
                host,
                reason: "ssh refuses its key (run `ssh` by hand to see why)".to_owned(),
                listed: None,
            };
        }
        if text.contains("REVOKED HOST KEY DETECTED") {
            return TransportError::ChangedHostKey { host, reason: "its key is revoked".to_owned(), listed: None };
        }
        if let Some(algorithm) = between(&text, "No ", " host key is known for ") {
            let (algorithm, fingerprint) = (algorithm.to_owned(), fingerprint(&text));
            return TransportError::UnknownHostKey { host, algorithm, fingerprint, why: WhyUnknown::Unanswered };
        }
        if text.contains("Host key verification failed") {
            let algorithm = between(&text, "\n", " key fingerprint is ").unwrap_or("its").to_owned();
            return TransportError::UnknownHostKey {
                host,
                algorithm,
                fingerprint: fingerprint(&text),
                why: WhyUnknown::Unanswered,
            };
        }
        if text.contains("Permission denied (") || text.contains("Too many authentication failures") {
            return TransportError::Auth { host, user: self.user.clone(), reason };
        }
        if text.contains("Session open refused by peer") {
            return TransportError::Busy { host, reason: "the server refuses another session".to_owned() };
        }
        if text.contains("Bad configuration option") || text.contains("terminating, ") {
            return TransportError::Config { host, reason };
        }
        match kind(&text) {
            UnreachableKind::TurnedAway => self.turned_away(&reason),
            kind => TransportError::Unreachable { host, reason, kind },
        }
    }

    /// The server closed the connection before its banner; `said` is `ssh`'s message.
    pub fn turned_away(&self, said: &str) -> TransportError {
        let reason = format!("{said}: {TURNED_AWAY}");
        TransportError::Unreachable { host: self.host.clone(), reason, kind: UnreachableKind::TurnedAway }
    }
}

/// The kind of failure in OpenSSH's message about a connection.
fn kind(text: &str) -> UnreachableKind {
    if text.contains("Could not resolve hostname") {
        return UnreachableKind::Nameless;
    }
    if text.contains("Connection refused") {
        return UnreachableKind::Refused;
    }
    // The first name is from OpenSSH before 7.9. The last one appears when `ssh` cannot write its own banner.
    let marks = ["ssh_exchange_identification: ", "kex_exchange_identification: ", "banner exchange: "];
    let reset = text.contains("connect to host ") && text.contains("Connection reset by peer");
    if reset || marks.iter().any(|mark| text.contains(mark)) {
        return UnreachableKind::TurnedAway;
    }
    UnreachableKind::Lost
}

/// The text between two marks.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (head, _) = text.split_once(after)?;
    let (_, found) = head.rsplit_once(before)?;
    (!found.contains('\n')).then_some(found)
}

/// The first `SHA256:…` of a text.
fn fingerprint(text: &str) -> String {
    let word = text.split(|c: char| c.is_whitespace()).find(|word| word.starts_with("SHA256:"));
    word.map_or_else(|| "of unknown fingerprint".to_owned(), |word| word.trim_end_matches('.').to_owned())
}

/// The last line that is not empty, without control characters.
fn last_line(text: &str) -> String {
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ssh ended without a message");
    line.chars().filter(|c| !c.is_control()).take(SAID).collect()
}
