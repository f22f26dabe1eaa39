//! Names: the id for people, the uid for hosts, and both joined.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Maximum bytes of an id. With a uid it still fits every file system and a claim.
pub const MAX_ID: usize = 64;

/// A handoff's name for people, such as `20260407-fix-benchmark-timeout`: `[a-z0-9][a-z0-9-]*`, at most [`MAX_ID`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct HandoffId(String);

/// 80 random bits as 16 letters of Crockford's base 32, made before the first contact with a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct Uid(String);

/// `<id>-<uid>`, the name of directories, refs and marks on a host, because two laptops may choose the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RemoteName(String);

/// Why a string is not a name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not {1}")]
pub struct NotAName(pub String, pub &'static str);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

impl HandoffId {
    /// An id from a date and the first words of a task.
    pub fn from_task(date: jiff::civil::Date, task: &str) -> Self {
        let mut slug = String::new();
        for word in task.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()) {
            if slug.len() + word.len() > 40 {
                break;
            }
            if !slug.is_empty() {
                slug.push('-');
            }
            slug.push_str(&word.to_ascii_lowercase());
        }
        let date = date.strftime("%Y%m%d");
        if slug.is_empty() { Self(format!("{date}-task")) } else { Self(format!("{date}-{slug}")) }
    }

    /// The same id with a number appended, for another handoff of the same task on the same day.
    pub fn numbered(&self, n: u32) -> Self {
        Self(format!("{}-{n}", self.0))
    }

    /// The name of the handoff's refs in the repository of a companion. Handoffs of two repositories may have the same id
    /// and the same companion.
    pub fn in_companion(&self, uid: &Uid) -> Self {
        Self(format!("{}-{}", self.0, uid.0))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Uid {
    /// A uid from ten random bytes.
    pub fn from_random(bytes: [u8; 10]) -> Self {
        let mut text = String::with_capacity(16);
        let (mut bits, mut held) = (0u32, 0u32);
        for byte in bytes {
            bits = (bits << 8) | u32::from(byte);
            held += 8;
            while held >= 5 {
                held -= 5;
                text.push(char::from(ALPHABET[(bits >> held) as usize & 31]));
            }
        }
        Self(text)
    }

    /// The uid as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RemoteName {
    /// Joins an id and a uid.
    pub fn new(id: &HandoffId, uid: &Uid) -> Self {
        Self(format!("{}-{}", id.0, uid.0))
    }

    /// The name of a companion of the handoff; see [`super::companion::word_of`].
    pub fn companion(&self, word: &str) -> Self {
        Self(format!("{}-{word}", self.0))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HandoffId {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        let good = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !text.is_empty() && text.len() <= MAX_ID && text.bytes().all(good) && !text.starts_with('-') {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAName(text.to_owned(), "an id: use up to 64 of a-z, 0-9 and -, not starting with -"))
        }
    }
}

impl TryFrom<String> for HandoffId {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl TryFrom<String> for Uid {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        if text.len() == 16 && text.bytes().all(|c| ALPHABET.contains(&c)) {
            Ok(Self(text))
        } else {
            Err(NotAName(text, "a uid: 16 letters of Crockford's base 32"))
        }
    }
}

impl From<HandoffId> for String {
    fn from(id: HandoffId) -> Self {
        id.0
    }
}

impl From<Uid> for String {
    fn from(uid: Uid) -> Self {
        uid.0
    }
}

impl fmt::Display for HandoffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RemoteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_date_and_the_first_words() {
        let date = jiff::civil::date(2026, 4, 7);
        let id = HandoffId::from_task(date, "Fix benchmark timeout!");
        assert_eq!(id.as_str(), "20260407-fix-benchmark-timeout");
        assert_eq!(HandoffId::from_task(date, "修复").as_str(), "20260407-task");
        assert!(HandoffId::from_task(date, &"word ".repeat(99)).as_str().len() <= MAX_ID);
    }

    #[test]
    fn names_like_options_or_paths_are_refused() {
        for bad in ["", "-x", "a/b", "..", "a b", "A", "ä", &"a".repeat(65)] {
            assert!(bad.parse::<HandoffId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_uid_contains_all_eighty_bits() {
        assert_eq!(Uid::from_random([0; 10]).as_str(), "0000000000000000");
        assert_eq!(Uid::from_random([255; 10]).as_str(), "zzzzzzzzzzzzzzzz");
        assert_ne!(Uid::from_random([1, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Uid::from_random([0; 10]));
    }
}
