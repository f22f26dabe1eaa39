//! A working state as git objects (HEAD, index and files), and what it does not contain.

use serde::{Deserialize, Serialize};

/// A full object id in hexadecimal, SHA-1 or SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Oid(String);

/// The error for a text that is not an object id.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an object id")]
pub struct NotAnOid(String);

impl Oid {
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl std::str::FromStr for Oid {
    type Err = NotAnOid;

    fn from_str(text: &str) -> Result<Self, NotAnOid> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        if matches!(text.len(), 40 | 64) && text.bytes().all(hex) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAnOid(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for Oid {
    type Error = NotAnOid;

    fn try_from(text: String) -> Result<Self, NotAnOid> {
        text.parse()
    }
}

impl From<Oid> for String {
    fn from(oid: Oid) -> Self {
        oid.0
    }
}

impl std::fmt::Display for Oid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// A working state in the shape of a stash: `commit` has the files, and its parents are HEAD and an index commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    pub commit: Oid,
    pub head: Oid,
    /// Tree of the index.
    pub index_tree: Oid,
    /// Tree of the files in the directory.
    pub files_tree: Oid,
    /// Short branch name; `None` if HEAD is detached.
    pub branch: Option<String>,
    /// Ignored files that the work needs. They are apart from the others and in no capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Extra>,
    /// What the snapshot does not contain, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
}

/// Ignored files as git objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extra {
    /// A commit with the tree and no parent.
    pub commit: Oid,
    pub tree: Oid,
    /// Number of files in it.
    pub files: u64,
}

/// A path of the user's that the host does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// Path from the top of the repository. Invalid UTF-8 is replaced.
    pub path: String,
    /// A fragment such as "ignored" or "nested repository".
    pub reason: String,
}
