//! Files that did not pass the filter that their attributes ask for. A host has neither the filters nor the keys of the
//! user, so what an agent writes there is stored as it is: plain text of git-crypt, content of Git LFS.

use super::attributes;
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// The longest blob that is read to look at its beginning. A pointer of Git LFS has less than 1,024 bytes, see its
/// `docs/spec.md`.
const LONGEST: u64 = 64 << 20;

/// The first bytes of a file as its filter stores it; `None` for an unknown filter.
fn stored_form(filter: &str) -> Option<&'static [u8]> {
    match filter {
        "lfs" => Some(b"version https://git-lfs.github.com/spec/"),
        name if name == "git-crypt" || name.starts_with("git-crypt-") => Some(b"\0GITCRYPT\0"),
        _ => None,
    }
}

/// A file that differs, with its blobs.
struct Changed {
    path: Vec<u8>,
    /// `None`: there was no file.
    before: Option<String>,
    after: String,
}

impl Repository {
    /// The files of the tree `to` that differ from the tree `from` and are not stored as their filter stores them. A file
    /// that was stored without its filter before is left out: nothing is lost by another one.
    ///
    /// # Errors
    /// git fails.
    pub fn unfiltered(&self, from: &Oid, to: &Oid) -> Result<Vec<String>> {
        let changed = self.changed_blobs(from, to)?;
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let paths: Vec<u8> = changed.iter().flat_map(|file| file.path.iter().copied().chain([0])).collect();
        let scratch = tempfile::tempdir().map_err(Error::io("write in", &std::env::temp_dir()))?;
        let index = scratch.path().join("index");
        self.git("read-tree").index(&index).arg(to.as_str()).run()?;
        let attributes = attributes::of(self.git("check-attr").index(&index).arg("--cached"), paths)?;
        let mut found = Vec::new();
        for Changed { path, before, after } in changed {
            let form = attributes.get(&path).and_then(|attributes| stored_form(&attributes.filter));
            if let Some(form) = form
                && !self.begins_with(&after, form)?
                && before.map_or(Ok(true), |before| self.begins_with(&before, form))?
            {
                found.push(String::from_utf8_lossy(&path).into_owned());
            }
        }
        Ok(found)
    }

    /// Files of `to` that are new or differ. Links and submodules have no filter.
    fn changed_blobs(&self, from: &Oid, to: &Oid) -> Result<Vec<Changed>> {
        let options = ["-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--diff-filter=AMT"];
        let printed = self.git("diff-tree").args(options).args([from.as_str(), to.as_str()]).run()?;
        let mut fields = printed.split(|byte| *byte == 0);
        let mut changed = Vec::new();
        // git-diff-tree(1): `:<mode> <mode> <object> <object> <status> NUL <path> NUL`.
        while let (Some(entry), Some(path)) = (fields.next(), fields.next()) {
            let entry = String::from_utf8_lossy(entry);
            let words: Vec<&str> = entry.split(' ').collect();
            if let [mode_before, mode, before, after, _] = words[..]
                && mode.starts_with("100")
            {
                let before = mode_before.starts_with(":100").then(|| before.to_owned());
                changed.push(Changed { path: path.to_vec(), before, after: after.to_owned() });
            }
        }
        Ok(changed)
    }

    /// Whether a blob is empty, as filters leave an empty file, or begins like this.
    fn begins_with(&self, blob: &str, form: &[u8]) -> Result<bool> {
        let size = self.git("cat-file").args(["-s", blob]).line()?;
        match size.parse::<u64>() {
            Ok(0) => Ok(true),
            Ok(size) if size <= LONGEST => Ok(self.git("cat-file").args(["blob", blob]).run()?.starts_with(form)),
            _ => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn only_changed_files_that_lack_the_form_of_their_filter_are_found() {
        let repo = Repo::with_commit();
        let git = repo.open();
        repo.write(".gitattributes", "*.bin filter=lfs\n*.key filter=git-crypt-team\n*.txt filter=mine\n");
        repo.write("old.bin", "stored before, without a filter\n");
        repo.write("raw.bin", "stored before, without a filter\n");
        let sealed = b"\0GITCRYPT\0cipher text";
        repo.write("opened.key", sealed);
        let before = snapshot::take(&git, &[]).unwrap().files_tree;
        let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{:064}\nsize 9\n", 7);
        repo.write("pointer.bin", &pointer);
        repo.write("content.bin", "content\n");
        repo.write("empty.bin", "");
        repo.write("sealed.key", sealed);
        repo.write("opened.key", "plain text\n");
        repo.write("raw.bin", "still without one\n");
        repo.write("open.key", "plain text\n");
        repo.write("other.txt", "x\n");
        repo.write("no filter", "x\n");
        std::os::unix::fs::symlink("elsewhere", repo.path("link.bin")).unwrap();
        let after = snapshot::take(&git, &[]).unwrap().files_tree;
        assert_eq!(git.unfiltered(&before, &after).unwrap(), ["content.bin", "open.key", "opened.key"]);
        assert_eq!(git.unfiltered(&after, &after).unwrap(), Vec::<String>::new());
    }
}
