//! Ignored files that the work needs. They have their own tree, so that no capture takes them for work.

use std::path::PathBuf;

use super::Include;
use super::ignored_matching::matching;
use super::scratch::{Scratch, path_of};
use super::worktree_include::{self, Selected};
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::{Extra, Oid, SentFile};

/// Maximum files that are named. The tree has all of them.
const NAMED: usize = 20;

/// The ignored files of a snapshot.
pub(super) struct Ignored {
    /// Those that are sent.
    pub extra: Option<Extra>,
    /// An index that has them and all other files.
    pub sent: PathBuf,
    /// Those that `.worktreeinclude` selects and that are left behind, with the reason.
    pub withheld: Vec<(Vec<u8>, &'static str)>,
}

/// Finds the ignored files to send.
pub(super) fn take(repo: &Repository, scratch: &Scratch, include: Include) -> Result<Ignored> {
    let files = scratch.files().to_owned();
    let Selected { sent: mut wanted, mut withheld } = match include.run.is_some() {
        true => worktree_include::select(repo, scratch, &files)?,
        false => Selected::default(),
    };
    if !include.patterns.is_empty() {
        let patterns = scratch.place("include");
        std::fs::write(&patterns, include.patterns.join("\n") + "\n").map_err(Error::io("write", &patterns))?;
        wanted.extend(matching(repo, scratch, &files, &patterns)?);
        wanted.sort_unstable();
        wanted.dedup();
        withheld.retain(|(path, _)| wanted.binary_search(path).is_err());
    }
    if wanted.is_empty() {
        return Ok(Ignored { extra: None, sent: files, withheld });
    }
    let index = scratch.place("extra");
    scratch.add_these(&index, &wanted)?;
    let entries = scratch.entries(&index)?;
    if entries.is_empty() {
        return Ok(Ignored { extra: None, sent: files, withheld });
    }
    let tree = scratch.write_tree(&index)?;
    let commit = scratch.commit("handoff: ignored files that the work needs", &tree, &[])?;
    let size = |path: &[u8]| repo.top().join(path_of(path)).symlink_metadata().map_or(0, |metadata| metadata.len());
    let sizes: Vec<(&Vec<u8>, u64)> = entries.keys().map(|path| (path, size(path))).collect();
    let bytes = sizes.iter().map(|(_, bytes)| bytes).sum();
    let named = sizes.iter().take(NAMED);
    let first = named.map(|(path, bytes)| SentFile { path: String::from_utf8_lossy(path).into_owned(), bytes: *bytes });
    let first = first.collect();
    let sent = scratch.with_entries(&files, &entries)?;
    Ok(Ignored { extra: Some(Extra { commit, tree, files: entries.len() as u64, bytes, first }), sent, withheld })
}

impl Repository {
    /// Patterns as in .gitignore that match exactly the paths of a tree.
    ///
    /// # Errors
    /// git cannot read the tree.
    pub fn patterns_of(&self, tree: &Oid) -> Result<Vec<String>> {
        let printed = self.git("ls-tree").args(["-r", "-z", "--name-only", "--full-tree", tree.as_str()]).run()?;
        Ok(printed.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(pattern).collect())
    }
}

/// A pattern for one path. Bytes that a line of patterns cannot have are matched by `*`.
fn pattern(path: &[u8]) -> String {
    let mut text = String::from("/");
    for c in String::from_utf8_lossy(path).chars() {
        match c {
            '\n' | '\r' | char::REPLACEMENT_CHARACTER => text.push('*'),
            '\\' | '*' | '?' | '[' | ' ' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn the_patterns_of_a_tree_find_its_files_again_and_no_others() {
        let repo = Repo::with_commit();
        repo.write(".gitignore", "*.env\n");
        for name in ["a [b]*.env", "#x.env", "!y.env", "dir/ z .env"] {
            repo.write(name, "1\n");
        }
        let git = repo.open();
        let first = snapshot::take(&git, &["*.env".to_owned()]).unwrap().extra.unwrap();
        assert_eq!(first.files, 4);
        repo.write("#x.env", "2\n");
        repo.write("other.env", "not sent\n");
        let again = snapshot::take(&git, &git.patterns_of(&first.tree).unwrap()).unwrap().extra.unwrap();
        assert_eq!(again.files, 4);
        assert_ne!(again.tree, first.tree);
    }
}
