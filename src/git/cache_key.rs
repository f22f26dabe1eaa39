//! The key of a repository on a host, which is made of its first commits.

use std::io::Write;

use sha2::{Digest, Sha256};

use super::{Error, Repository, Result};
use crate::model::snapshot::{Head, Oid};

impl Repository {
    /// The first 40 hex digits of SHA-256 over the object format and the sorted root commits of HEAD, one a line.
    /// Clones of one history have the same key, so a host stores their objects once. A branch without a commit has a
    /// random key: a key made of the place would give another repository that is made there later the old one's files.
    ///
    /// Walking a long history takes seconds, so the key is remembered in `<common dir>/handoff/roots` together with the
    /// HEAD that it was computed for. A malformed memo is computed again.
    pub fn cache_key(&self) -> Result<String> {
        self.cache_key_of(&self.head()?)
    }

    /// Like [`Repository::cache_key`], for a commit: a handoff keeps its cache, whatever the user checks out later.
    pub fn cache_key_of(&self, head: &Head) -> Result<String> {
        let id = head.commit().map_or(self.format().zero(), Oid::as_str);
        if let Some(known) = self.remembered(id) {
            return Ok(known);
        }
        let lines = match head.commit() {
            Some(head) => self.git("rev-list").args(["--max-parents=0", head.as_str()]).line()?,
            None => format!("unborn {}", random()?),
        };
        let key = self.key_over(lines.lines().map(str::to_owned).collect());
        self.remember(id, &key)?;
        Ok(key)
    }

    /// Like [`Repository::cache_key_of`], for a commit of a repository whose history ends at the commits `shallow`.
    ///
    /// Each boundary has its own cache: a pack leaves out what the tips in a cache reach, so all of them must reach the
    /// same commits. It is not remembered, because the boundary of a commit moves.
    pub fn cache_key_for(&self, head: &Head, shallow: &[Oid]) -> Result<String> {
        match shallow {
            [] => self.cache_key_of(head),
            ends => Ok(self.key_over(ends.iter().map(|end| format!("shallow {end}")).collect())),
        }
    }

    fn key_over(&self, mut lines: Vec<String>) -> String {
        lines.sort_unstable();
        let mut hash = Sha256::new();
        hash.update(format!("{}\n", self.format().word()));
        lines.iter().for_each(|line| hash.update(format!("{line}\n")));
        hash.finalize().iter().take(20).map(|byte| format!("{byte:02x}")).collect()
    }

    fn remembered(&self, head: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.state_dir().join("roots")).ok()?;
        let key = text.strip_suffix('\n')?.strip_prefix(head)?.strip_prefix(' ')?;
        let good = key.len() == 40 && key.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        good.then(|| key.to_owned())
    }

    fn remember(&self, head: &str, key: &str) -> Result<()> {
        let directory = self.state_dir();
        let path = directory.join("roots");
        std::fs::create_dir_all(&directory).map_err(Error::io("make", &directory))?;
        let mut file = tempfile::NamedTempFile::new_in(&directory).map_err(Error::io("write in", &directory))?;
        writeln!(file, "{head} {key}").map_err(Error::io("write", &path))?;
        file.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
        Ok(())
    }
}

/// 80 random bits.
fn random() -> Result<String> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|error| Error::io("read", "/dev/urandom".as_ref())(error.into()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use crate::git::Repository;
    use crate::git::testing::{Repo, git_in};

    #[test]
    fn a_handoff_keeps_its_cache_when_another_history_is_checked_out() {
        let repo = Repo::with_commit();
        let (head, key) = (repo.open().head_commit(), repo.open().cache_key().unwrap());
        repo.git(["checkout", "-q", "--orphan", "other"]);
        repo.git(["commit", "-q", "--allow-empty", "-m", "another root"]);
        assert_ne!(repo.open().cache_key().unwrap(), key);
        assert_eq!(repo.open().cache_key_of(&head.into()).unwrap(), key);
    }

    #[test]
    fn a_branch_without_a_commit_has_a_key_of_its_own_until_it_has_one() {
        let (repo, other) = (Repo::empty(), Repo::empty());
        let key = repo.open().cache_key().unwrap();
        assert_eq!(repo.open().cache_key().unwrap(), key);
        assert_ne!(other.open().cache_key().unwrap(), key);
        repo.commit("first");
        assert_ne!(repo.open().cache_key().unwrap(), key);
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
        let head = repo.open().head_commit();
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

    #[test]
    fn the_key_of_a_shallow_clone_changes_with_its_end_and_not_with_its_tip() {
        let repo = Repo::with_commit();
        for message in ["second", "third"] {
            repo.commit(message);
        }
        let clone = repo.sibling("clone");
        let url = format!("file://{}", repo.top().display());
        repo.git(["clone", "-q", "--depth=1", &url, clone.to_str().unwrap()]);
        let key = || {
            let git = Repository::discover(&clone).unwrap();
            let head = git.head_commit();
            git.cache_key_for(&head.into(), &git.boundary().unwrap()).unwrap()
        };
        let first = key();
        assert_ne!(first, repo.open().cache_key().unwrap());
        git_in(&clone, ["-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "more"]);
        assert_eq!(key(), first);
        git_in(&clone, ["fetch", "-q", "--deepen=1"]);
        assert_ne!(key(), first);
        git_in(&clone, ["fetch", "-q", "--unshallow"]);
        assert_eq!(key(), repo.open().cache_key().unwrap());
    }
}
