//! Reads a working state that came back from a host from its commit.

use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::snapshot::{Head, Oid};

/// Maximum bytes of a commit object that is read; ours have about 400.
const LARGEST: u64 = 64 * 1024;

/// What an agent left: the three states of a stash-shaped commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Captured {
    pub commit: Oid,
    /// The commit that was checked out, if there was one.
    pub head: Head,
    /// Tree of the index.
    pub index_tree: Oid,
    /// Tree of the files in the directory.
    pub files_tree: Oid,
}

impl Repository {
    /// Reads a capture. [`Error::Untrusted`] unless the commit has exactly two parents: HEAD, and an index commit whose
    /// only parent is HEAD. On a branch without a commit, its only parent is an index commit without a parent.
    pub fn read_capture(&self, commit: &Oid) -> Result<Captured> {
        let (files_tree, parents) = self.read_commit(commit)?;
        let (head, index) = match parents.as_slice() {
            [head, index] => (Some(head), index),
            [index] => (None, index),
            _ => {
                let what = format!("capture {} has {} parents, not 1 or 2", commit.short(), parents.len());
                return Err(Error::untrusted(what));
            }
        };
        let (index_tree, below) = self.read_commit(index)?;
        if below.iter().ne(head) {
            return Err(Error::untrusted(format!("capture {} is not built on one HEAD", commit.short())));
        }
        let head = match head {
            Some(head) => self.read_commit(head).map(|_| head.clone().into())?,
            None => self.unborn()?,
        };
        Ok(Captured { commit: commit.clone(), head, index_tree, files_tree })
    }

    /// Tree and parents of a commit. Its length is checked before it is read.
    fn read_commit(&self, commit: &Oid) -> Result<(Oid, Vec<Oid>)> {
        let question = format!("{commit}\n");
        let facts = self.git("cat-file").arg("--batch-check=%(objecttype) %(objectsize)").stdin(question).line()?;
        let size = facts.strip_prefix("commit ").and_then(|size| size.parse::<u64>().ok());
        if size.is_none_or(|size| size > LARGEST) {
            return Err(Error::untrusted(format!("{} is not a commit of a capture ({facts})", commit.short())));
        }
        let bytes = self.git("cat-file").args(["commit", commit.as_str()]).run()?;
        parse(&bytes).ok_or_else(|| Error::untrusted(format!("commit {} cannot be read", commit.short())))
    }
}

/// Parses the head of a commit object: one `tree` line, then `parent` lines, then the author.
fn parse(bytes: &[u8]) -> Option<(Oid, Vec<Oid>)> {
    let id = |line: &[u8], key: &str| {
        let value = line.strip_prefix(key.as_bytes())?;
        oid(std::str::from_utf8(value).ok()?).ok()
    };
    let mut lines = bytes.split(|b| *b == b'\n');
    let tree = id(lines.next()?, "tree ")?;
    let mut parents = Vec::new();
    for line in lines {
        if line.starts_with(b"author ") {
            return Some((tree, parents));
        }
        parents.push(id(line, "parent ")?);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot;
    use crate::git::testing::Repo;
    use proptest::prelude::*;

    #[test]
    fn a_snapshot_is_read_as_it_was_made() {
        let repo = Repo::with_commit();
        repo.write("README", "staged");
        repo.git(["add", "-A"]);
        repo.write("README", "unstaged");
        let git = repo.open();
        let taken = snapshot::take(&git, &[]).unwrap();
        let read = git.read_capture(&taken.commit).unwrap();
        let expected = (taken.head.clone(), taken.index_tree.clone(), taken.files_tree.clone());
        assert_eq!((read.head, read.index_tree, read.files_tree), expected);
        let missing: Oid = "1".repeat(40).parse().unwrap();
        for wrong in [taken.head.commit().unwrap(), &taken.files_tree, &missing] {
            assert!(matches!(git.read_capture(wrong), Err(Error::Untrusted { .. })), "{wrong}");
        }
    }

    #[test]
    fn a_commit_of_another_shape_is_refused() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let commit = |parents: &[&str]| -> Oid {
            let mut words = vec!["commit-tree", "HEAD^{tree}", "-m", "x"];
            parents.iter().for_each(|parent| words.extend(["-p", parent]));
            repo.git(words).trim().parse().unwrap()
        };
        let (a, b) = (commit(&[]), git.head_commit());
        let on_other = commit(&[a.as_str()]);
        for parents in
            [vec![], vec![on_other.as_str()], vec![b.as_str(), on_other.as_str()], vec![b.as_str(), a.as_str()]]
        {
            assert!(matches!(git.read_capture(&commit(&parents)), Err(Error::Untrusted { .. })), "{parents:?}");
        }
        let long = repo.git(["commit-tree", "HEAD^{tree}", "-m", &"x".repeat(70_000)]);
        assert!(git.read_capture(&long.trim().parse().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(parse(&bytes).is_none());
            let id = "a".repeat(40);
            let mut commit = format!("tree {id}\nparent {id}\nauthor ").into_bytes();
            commit.extend(&bytes);
            prop_assert_eq!(parse(&commit).unwrap().1.len(), 1);
        }
    }
}
