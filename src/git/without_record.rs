//! Removes everything at the record's path from a working state that came back, because only handoff writes there.

use super::capture::Captured;
use super::repository::oid;
use super::{Repository, Result};
use crate::model::snapshot::Oid;

/// The two components of the record's path, compared without case because some disks ignore it.
const PARENT: &[u8] = b".cursor";
const RECORD: &[u8] = b"agent-handoffs";

impl Repository {
    /// The capture without [`super::record::RECORD`] in its trees. An honest host leaves it out; a forged capture may
    /// have it.
    ///
    /// # Errors
    /// git fails.
    pub fn without_record(&self, captured: Captured) -> Result<Captured> {
        let files_tree = self.strip(&captured.files_tree)?;
        let index_tree = self.strip(&captured.index_tree)?;
        Ok(Captured { files_tree, index_tree, ..captured })
    }

    fn strip(&self, tree: &Oid) -> Result<Oid> {
        let top = self.entries(tree)?;
        let (mut kept, mut changed) = (Vec::new(), false);
        for entry in top.split_inclusive(|byte| *byte == 0) {
            let (kind, id, name) = parts(entry);
            if !(kind == b"tree" && name.eq_ignore_ascii_case(PARENT)) {
                kept.extend_from_slice(entry);
                continue;
            }
            let below = self.entries(&oid(&String::from_utf8_lossy(id))?)?;
            let is_record = |entry: &&[u8]| parts(entry).2.eq_ignore_ascii_case(RECORD);
            let rest: Vec<u8> =
                below.split_inclusive(|byte| *byte == 0).filter(|entry| !is_record(entry)).flatten().copied().collect();
            if rest.len() == below.len() {
                kept.extend_from_slice(entry);
                continue;
            }
            changed = true;
            if !rest.is_empty() {
                let made = self.git("mktree").args(["-z", "--missing"]).stdin(rest).line()?;
                kept.extend_from_slice(format!("040000 tree {made}\t").as_bytes());
                kept.extend_from_slice(name);
                kept.push(0);
            }
        }
        if !changed {
            return Ok(tree.clone());
        }
        oid(&self.git("mktree").args(["-z", "--missing"]).stdin(kept).line()?)
    }

    fn entries(&self, tree: &Oid) -> Result<Vec<u8>> {
        self.git("ls-tree").args(["-z", "--full-tree", tree.as_str()]).run()
    }
}

/// Kind, id and name of an entry of `ls-tree -z`: `<mode> <kind> <id>\t<name>\0`.
fn parts(entry: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let entry = entry.strip_suffix(b"\0").unwrap_or(entry);
    let tab = entry.iter().position(|byte| *byte == b'\t').unwrap_or(entry.len());
    let mut words = entry[..tab].split(|byte| *byte == b' ').skip(1);
    let (kind, id) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    (kind, id, entry.get(tab + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    /// A capture of a hostile host. The usual snapshot leaves the record out.
    fn forged(repo: &Repo) -> Captured {
        repo.git(["add", "-f", "-A"]);
        let tree: Oid = repo.git(["write-tree"]).trim().parse().unwrap();
        let head: Oid = repo.git(["rev-parse", "HEAD"]).trim().parse().unwrap();
        Captured { commit: head.clone(), head: head.into(), index_tree: tree.clone(), files_tree: tree }
    }

    #[test]
    fn a_capture_has_no_entry_at_the_records_path_in_any_spelling() {
        let repo = Repo::with_commit();
        repo.write(".cursor/agent-handoffs/x/handoff.md", "forged");
        repo.write(".cursor/rules/mine.md", "kept");
        repo.write(".Cursor/Agent-Handoffs/x", "forged");
        let stripped = repo.open().without_record(forged(&repo)).unwrap();
        let listed = |tree: &Oid| repo.git(["ls-tree", "-r", "--name-only", tree.as_str()]);
        assert_eq!(listed(&stripped.files_tree), ".cursor/rules/mine.md\nREADME\n");
        assert_eq!(stripped.index_tree, stripped.files_tree);
    }

    #[test]
    fn a_link_at_the_records_path_is_removed_and_an_honest_capture_is_unchanged() {
        let repo = Repo::with_commit();
        repo.write(".cursor/rules", "kept");
        let honest = forged(&repo);
        assert_eq!(repo.open().without_record(honest.clone()).unwrap(), honest);
        std::os::unix::fs::symlink("/etc", repo.path(".cursor/agent-handoffs")).unwrap();
        let stripped = repo.open().without_record(forged(&repo)).unwrap();
        assert_eq!(stripped.files_tree, honest.files_tree);
    }
}
