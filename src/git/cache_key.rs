//! The key of a repository on a host, which is made of its first commits.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

impl Repository {
    /// The first 40 hex digits of SHA-256 over the object format and the sorted root commits of HEAD, one a line.
    /// Clones of one history have the same key, so a host stores their objects once.
    ///
    /// Walking a long history takes seconds, so the key is remembered in `<common dir>/handoff/roots` together with the
    /// HEAD that it was computed for. A malformed memo is computed again.
    pub fn cache_key(&self) -> Result<String> {
        self.cache_key_of(&self.head()?)
    }

    /// Like [`Repository::cache_key`], for a commit: a handoff keeps its cache, whatever the user checks out later.
    pub fn cache_key_of(&self, head: &Oid) -> Result<String> {
        if let Some(known) = self.remembered(head) {
            return Ok(known);
        }
        let printed = self.git("rev-list").args(["--max-parents=0", head.as_str()]).line()?;
        let mut roots: Vec<_> = printed.lines().collect();
        roots.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(format!("{}\n", self.format().word()));
        roots.iter().for_each(|root| hash.update(format!("{root}\n")));
        let key: String = hash.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect();
        self.remember(head, &key)?;
        Ok(key)
    }

    fn remembered(&self, head: &Oid) -> Option<String> {
        let text = std::fs::read_to_string(self.state_dir().join("roots")).ok()?;
        let key = text.strip_suffix('\n')?.strip_prefix(head.as_str())?.strip_prefix(' ')?;
        let good = key.len() == 40 && key.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        good.then(|| key.to_owned())
    }

    fn remember(&self, head: &Oid, key: &str) -> Result<()> {
        let directory = self.state_dir();
        let path = directory.join("roots");
        std::fs::create_dir_all(&directory).map_err(Error::io("make", &directory))?;
        let mut file = tempfile::NamedTempFile::new_in(&directory).map_err(Error::io("write in", &directory))?;
        writeln!(file, "{head} {key}").map_err(Error::io("write", &path))?;
        file.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::git::Repository;
    use crate::git::testing::{Repo, git_in};

    #[test]
    fn a_handoff_keeps_its_cache_when_another_history_is_checked_out() {
        let repo = Repo::with_commit();
        let (head, key) = (repo.open().head().unwrap(), repo.open().cache_key().unwrap());
        repo.git(["checkout", "-q", "--orphan", "other"]);
        repo.git(["commit", "-q", "--allow-empty", "-m", "another root"]);
        assert_ne!(repo.open().cache_key().unwrap(), key);
        assert_eq!(repo.open().cache_key_of(&head).unwrap(), key);
    }

    #[test]
    fn clones_of_one_history_have_the_same_key() {
        let repo = Repo::with_commit();
        let key = repo.open().cache_key().unwrap();
        assert_eq!(key.len(), 40);
        let clone = repo.sibling("clone");
        repo.git(["clone", "-q", repo.top().to_str().unwrap(), clone.to_str().unwrap()]);
        git_in(&clone, ["-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "more"]);
        assert_eq!(Repository::discover(&clone).unwrap().cache_key().unwrap(), key);
        assert_ne!(Repo::with_format("sha256").open().cache_key().unwrap(), key);
    }

    #[test]
    fn the_memo_is_used_for_its_head_only_and_a_broken_one_is_replaced() {
        let repo = Repo::with_commit();
        let key = repo.open().cache_key().unwrap();
        let head = repo.open().head().unwrap();
        let memo = repo.path(".git/handoff/roots");
        let other = "0123456789012345678901234567890123456789";
        std::fs::write(&memo, format!("{head} {other}\n")).unwrap();
        assert_eq!(repo.open().cache_key().unwrap(), other);
        std::fs::write(&memo, format!("{head} ../../evil\n")).unwrap();
        assert_eq!(repo.open().cache_key().unwrap(), key);
        std::fs::write(&memo, format!("{head} {other}\n")).unwrap();
        repo.git(["checkout", "-q", "--orphan", "second"]);
        repo.git(["commit", "-q", "-m", "another root"]);
        assert_ne!(repo.open().cache_key().unwrap(), other);
        repo.git(["merge", "-q", "--allow-unrelated-histories", "--no-edit", "main"]);
        assert_ne!(repo.open().cache_key().unwrap(), key, "a second root is another history");
    }
}
