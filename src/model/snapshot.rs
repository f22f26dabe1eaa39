//! A working state as git objects (HEAD, index and files), and what it does not contain.

use serde::{Deserialize, Serialize};

/// A full object id in hexadecimal, SHA-1 or SHA-256.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
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

/// What HEAD is at: a commit, or none on a branch without a commit. The latter is stored as an id of zeros, which git
/// uses for "no object".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct Head(Oid);

impl Head {
    /// The commit; `None` on a branch without a commit.
    pub fn commit(&self) -> Option<&Oid> {
        if self.is_unborn() { None } else { Some(&self.0) }
    }

    /// Whether HEAD is on a branch without a commit.
    pub fn is_unborn(&self) -> bool {
        self.0.0.bytes().all(|digit| digit == b'0')
    }

    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.short()
    }
}

impl From<Oid> for Head {
    /// An id of zeros is a branch without a commit.
    fn from(oid: Oid) -> Self {
        Self(oid)
    }
}

impl std::fmt::Display for Head {
    /// The commit, or `no commit yet`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.commit().map_or("no commit yet", Oid::as_str))
    }
}

/// A working state in the shape of a stash: `commit` has the files, and its parents are HEAD and an index commit, whose
/// parent is HEAD, too. On a branch without a commit, neither has HEAD as a parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Snapshot {
    pub commit: Oid,
    pub head: Head,
    /// Tree of the index.
    pub index_tree: Oid,
    /// Tree of the files in the directory.
    pub files_tree: Oid,
    /// Short branch name; `None` if HEAD is detached.
    pub branch: Option<String>,
    /// How many files differ from HEAD; `None` if they were not counted, as in captures and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// The part of the history that is sent, if a partial clone does not have all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<History>,
    /// Ignored files that the work needs. They are apart from the others and in no capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Extra>,
    /// Contents of files of Git LFS, which are pointers in the trees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lfs: Option<LfsContents>,
    /// A merge, rebase or the like that the user has not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Key of the cache of its objects on hosts. A handoff keeps the one of its base. Release 0.1.0 did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cache_key: Option<String>,
    /// Other repositories that go with it, the outer ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<Companion>,
    /// What the snapshot does not contain, with the reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_behind: Vec<LeftBehind>,
    /// Patterns for ignored files that match nothing of what is sent, such as one with a typing error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmatched: Vec<String>,
}

/// A repository that goes with a handoff, and its state. On the host it is a repository of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Companion {
    /// Its directory, relative to the top of the handoff's repository. One next to it has the form `../name`.
    pub path: String,
    pub work: Box<Snapshot>,
}

/// Numbers of files with changes that are not committed. A file can be staged and unstaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Changes {
    /// Files whose content in the index differs from HEAD.
    pub staged: u64,
    /// Files that differ from the index.
    pub unstaged: u64,
    /// Files that the index does not have.
    pub untracked: u64,
}

/// The part of a partial clone's history that a host gets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct History {
    /// Commits at which it ends: they are sent, their parents are not. Empty if it has a beginning, or no commit.
    pub ends: Vec<Oid>,
    /// Number of commits that are sent.
    pub commits: u64,
    /// Number of tags and remote-tracking refs that are not sent, because their commits are not.
    pub left_refs: u64,
    /// The remote that has the other objects.
    pub remote: String,
    /// Number of objects that the clone lacked, and that are fetched before they are sent.
    pub fetched: u64,
    /// More may be fetched: only a fetch of a directory shows what it contains.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub at_least: bool,
}

/// Ignored files as git objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Extra {
    /// A commit with the tree and no parent.
    pub commit: Oid,
    pub tree: Oid,
    /// Number of files in it.
    pub files: u64,
    /// Their bytes; 0 in older records.
    #[serde(default)]
    pub bytes: u64,
    /// The first of them by name; empty in older records.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub first: Vec<SentFile>,
}

/// Contents of Git LFS as git objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LfsContents {
    /// A commit without a parent. Its tree has each content under its LFS id. `None`: nothing was stored, because this is
    /// a preview.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Oid>,
    /// Number of files.
    pub files: u64,
    /// Bytes of their contents, each counted once.
    pub bytes: u64,
    /// The first of them by name.
    pub first: Vec<SentFile>,
}

/// A file that is sent in addition to those that git tracks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct SentFile {
    /// Path from the top of the repository. Invalid UTF-8 is replaced.
    pub path: String,
    pub bytes: u64,
}

/// An unfinished operation of git as a git object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Operation {
    /// A commit. Its tree has `files`, for the git directory, and `unmerged`, the input of `update-index` that makes the
    /// conflicts of the index. Its parents are HEAD, if that is a commit, and the commits that the files name.
    pub commit: Oid,
    /// A fragment such as "a merge in progress".
    pub what: String,
    /// Hash of what `git ls-files -s -z` prints of the index; `None` if it has no conflicts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listing: Option<Oid>,
    /// Branches that the operation changes or returns to, with full names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<(Oid, String)>,
}

/// A path of the user's that the host does not get.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LeftBehind {
    /// Path from the top of the repository. Invalid UTF-8 is replaced.
    pub path: String,
    /// A fragment such as "ignored" or "nested repository".
    pub reason: String,
    /// The item stands for this number of paths that are not listed; 0 if it is a path.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more: u64,
    /// Not recorded, because only a new snapshot may decide what is deleted.
    #[serde(skip)]
    pub kind: LeftBehindKind,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What is lost if a path that a snapshot does not contain is deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftBehindKind {
    /// Something that git could not store, or that is elsewhere than in files.
    #[default]
    Content,
    /// Files that git ignores.
    Ignored,
    /// Nothing, as with an empty directory.
    Nothing,
}
