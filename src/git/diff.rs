//! Differences between two working states, for people.

use super::{Repository, Result, refs};
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::snapshot::{Head, Oid};

/// A file that differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct ChangedFile {
    /// Its path from the top of the repository. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Number of added lines; `null` if git takes it for binary.
    pub added: Option<u64>,
    /// Number of removed lines; `null` if git takes it for binary.
    pub removed: Option<u64>,
}

/// The files that differ between two commits, with renamed files as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    pub from: Oid,
    pub to: Oid,
    /// The first files, in git's order.
    pub files: Vec<Change>,
    /// Number of all files.
    pub count: usize,
}

/// A file that was changed or renamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its path from the top of the repository. Bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its former path, if it was renamed or copied.
    pub was: Option<String>,
    /// Number of added lines; `None` if git takes it for binary.
    pub added: Option<u64>,
    pub removed: Option<u64>,
}

impl std::fmt::Display for Change {
    /// The path with the numbers of lines.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.added, self.removed) {
            (Some(added), Some(removed)) => write!(f, "{} (+{added} −{removed})", self.path),
            _ => write!(f, "{} (binary)", self.path),
        }
    }
}

impl Repository {
    /// The files that differ, at most `most` of them.
    pub fn changes(&self, from: &Oid, to: &Oid, most: usize) -> Result<Changes> {
        let listed = self.compare(from, to, &["--numstat", "-z", "--find-renames"])?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut changes = Changes { from: from.clone(), to: to.clone(), files: vec![], count: 0 };
        let mut entries = listed.split(|byte| *byte == 0);
        while let Some(entry) = entries.next().filter(|entry| !entry.is_empty()) {
            let mut columns = entry.splitn(3, |byte| *byte == b'\t').map(text);
            let (added, removed) = (columns.next().unwrap_or_default(), columns.next().unwrap_or_default());
            let (was, path) = match columns.next().unwrap_or_default() {
                // Two entries follow: the former path and the present one.
                path if path.is_empty() => (entries.next().map(text), entries.next().map(text).unwrap_or_default()),
                path => (None, path),
            };
            changes.count += 1;
            if changes.files.len() < most {
                changes.files.push(Change { path, was, added: added.parse().ok(), removed: removed.parse().ok() });
            }
        }
        Ok(changes)
    }

    /// The patch from one commit or tree to another, as `git diff` prints it. It contains bytes of files unchanged; the
    /// screen makes them harmless.
    pub fn diff(&self, from: &Oid, to: &Oid) -> Result<Vec<u8>> {
        self.compare(from, to, &["--patch"])
    }

    /// The patch with paths as they are seen from the top of an outer repository, where this one is at `inside`.
    pub fn diff_inside(&self, inside: &str, from: &Oid, to: &Oid) -> Result<Vec<u8>> {
        let (src, dst) = (format!("--src-prefix=a/{inside}/"), format!("--dst-prefix=b/{inside}/"));
        self.compare(from, to, &["--patch", &src, &dst])
    }

    /// The changed paths with counts.
    pub fn diff_stat(&self, from: &Oid, to: &Oid) -> Result<Vec<u8>> {
        self.compare(from, to, &["--stat", "--summary"])
    }

    /// The changed files with the numbers of their lines; a renamed file is two.
    pub fn diff_files(&self, from: &Oid, to: &Oid) -> Result<Vec<ChangedFile>> {
        let listed = self.compare(from, to, &["--numstat", "-z", "--no-renames"])?;
        let file = |entry: &[u8]| {
            let entry = String::from_utf8_lossy(entry);
            let mut columns = entry.splitn(3, '\t');
            let (added, removed) = (columns.next()?.parse().ok(), columns.next()?.parse().ok());
            Some(ChangedFile { path: columns.next()?.to_owned(), added, removed })
        };
        Ok(listed.split(|byte| *byte == 0).filter_map(file).collect())
    }

    /// One line with the number of changed files and lines; empty if nothing differs.
    pub fn diff_count(&self, from: &Oid, to: &Oid) -> Result<String> {
        Ok(String::from_utf8_lossy(&self.compare(from, to, &["--shortstat"])?).trim().to_owned())
    }

    /// The difference as text of about `most` bytes: the patch, or the changed paths where the patch is longer. Empty if
    /// nothing differs.
    pub fn brief_diff(&self, from: &Oid, to: &Oid, most: usize) -> Result<String> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let patch = text(self.diff(from, to)?);
        let mut text = if patch.len() > most { text(self.diff_stat(from, to)?) } else { patch };
        if text.len() > most {
            let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            text.truncate(end);
            text.push_str("\n(more files changed)\n");
        }
        Ok(text)
    }

    /// The subjects of the commits that `to` has and `from` has not, newest first, at most `most`.
    pub fn commits_since(&self, from: &Head, to: &Head, most: usize) -> Result<Vec<String>> {
        let Some(to) = to.commit() else { return Ok(Vec::new()) };
        let log =
            self.git("log").args(["--no-decorate", "--no-show-signature", "--format=%h %s", &format!("-n{most}")]);
        let range = from.commit().map_or_else(|| to.to_string(), |from| format!("{from}..{to}"));
        let printed = log.arg(range).run()?;
        Ok(String::from_utf8_lossy(&printed).lines().map(str::to_owned).collect())
    }

    fn compare(&self, from: &Oid, to: &Oid, form: &[&str]) -> Result<Vec<u8>> {
        // No command of the user's runs on content that an agent wrote, and submodules are not entered.
        let guards = ["--no-ext-diff", "--no-textconv", "--submodule=short", "--color=never"];
        let between = ["--end-of-options", from.as_str(), to.as_str(), "--"];
        self.git("diff").args(guards).args(form).args(between).run()
    }
}

/// The command that shows what was changed up to an attempt, for use after a pull.
pub fn how_to_see(id: &HandoffId, n: AttemptNo) -> String {
    format!("git diff {} {}{n}/work", refs::base(id), refs::of(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn a_diff_runs_no_command_of_the_user() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let base = snapshot::take(&git, &[]).unwrap().commit;
        repo.write("README", "changed\n");
        repo.write(".gitattributes", "README diff=mine\n");
        let tool = repo.script("tool", "echo ran");
        repo.git(["config", "diff.external", &tool]);
        repo.git(["config", "diff.mine.textconv", &tool]);
        let work = snapshot::take(&git, &[]).unwrap().commit;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let patch = text(git.diff(&base, &work).unwrap());
        assert!(patch.contains("-hello\n+changed\n") && !patch.contains("ran"), "{patch}");
        assert!(text(git.diff_stat(&base, &work).unwrap()).contains("README         | 2 +-"));
    }

    #[test]
    fn changed_files_are_listed_with_their_lines() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let base = snapshot::take(&git, &[]).unwrap().commit;
        repo.write("README", "changed\n");
        repo.write("a\tb \u{e9}", "1\n2\n");
        repo.write("binary", "\0");
        let work = snapshot::take(&git, &[]).unwrap().commit;
        let file = |path: &str, added, removed| ChangedFile { path: path.into(), added, removed };
        let wanted =
            [file("README", Some(1), Some(1)), file("a\tb \u{e9}", Some(2), Some(0)), file("binary", None, None)];
        assert_eq!(git.diff_files(&base, &work).unwrap(), wanted);
        assert_eq!(git.diff_files(&work, &work).unwrap(), []);
    }

    #[test]
    fn a_renamed_file_is_one_change_and_the_list_is_bounded() {
        let repo = Repo::with_commit();
        let git = repo.open();
        repo.write("old name", "1\n2\n3\n4\n5\n6\n7\n8\n");
        let base = snapshot::take(&git, &[]).unwrap().commit;
        std::fs::rename(repo.path("old name"), repo.path("new\nname")).unwrap();
        repo.write("binary", "\0");
        let work = snapshot::take(&git, &[]).unwrap().commit;
        let change = |path: &str, was: Option<&str>, lines| Change {
            path: path.into(),
            was: was.map(str::to_owned),
            added: lines,
            removed: lines,
        };
        let wanted = vec![change("binary", None, None), change("new\nname", Some("old name"), Some(0))];
        let changes = |most| git.changes(&base, &work, most).unwrap();
        assert_eq!((changes(9).files, changes(9).count), (wanted.clone(), 2));
        assert_eq!((changes(1).files, changes(1).count), (wanted[..1].to_vec(), 2));
        assert_eq!(git.changes(&work, &work, 9).unwrap().count, 0);
    }

    #[test]
    fn a_short_difference_is_shown_whole_and_a_long_one_by_its_files() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let between = |change: &dyn Fn()| {
            let before = snapshot::take(&git, &[]).unwrap().files_tree;
            change();
            git.brief_diff(&before, &snapshot::take(&git, &[]).unwrap().files_tree, 4096).unwrap()
        };
        let short = between(&|| repo.write("README", "changed\n"));
        assert!(short.contains("-hello\n+changed\n"), "{short}");
        let long = between(&|| repo.write("big", "a line\n".repeat(1000)));
        assert!(long.contains("big | 1000 +") && !long.contains("+a line"), "{long}");
        let many = between(&|| (0..200).for_each(|n| repo.write(format!("{n}-{}", "é".repeat(40)), "x\n")));
        assert!(many.len() < 4200 && many.ends_with("(more files changed)\n"), "{many}");
        assert_eq!(between(&|| ()), "");
        let (old, new) = (snapshot::take(&git, &[]).unwrap(), git.head_commit());
        let counted = git.diff_count(&new, &old.files_tree).unwrap();
        assert!(counted.starts_with("202 files changed, "), "{counted}");
    }

    #[test]
    fn the_command_that_is_shown_works() {
        let repo = Repo::with_commit();
        let (git, id) = (repo.open(), "x".parse().unwrap());
        git.keep_ref(&refs::base(&id), &snapshot::take(&git, &[]).unwrap().commit).unwrap();
        repo.write("README", "changed\n");
        repo.commit("by the agent");
        git.keep_ref("refs/handoff/x/1/work", &snapshot::take(&git, &[]).unwrap().commit).unwrap();
        let diff = repo.git(how_to_see(&id, 1).split(' ').skip(1));
        assert!(diff.contains("+changed"), "{diff}");
    }
}
