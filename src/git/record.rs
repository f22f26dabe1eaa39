//! Hides the record's directory from `git status`.

use std::io::{ErrorKind, Write};

use super::{Error, Repository, Result};

/// Directory of the record, from the top of a work tree. No snapshot or capture contains it.
pub const RECORD: &str = ".cursor/agent-handoffs";

impl Repository {
    /// Adds a line for [`RECORD`] to `info/exclude` unless it is there. The line is appended, so the user's lines stay.
    pub fn exclude_record(&self) -> Result<()> {
        let path = self.git_path("info/exclude");
        let line = format!("/{RECORD}/");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        if text.split(|b| *b == b'\n').any(|present| present.trim_ascii_end() == line.as_bytes()) {
            return Ok(());
        }
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
        }
        let start = if text.last().is_none_or(|last| *last == b'\n') { "" } else { "\n" };
        let mut file =
            std::fs::OpenOptions::new().append(true).create(true).open(&path).map_err(Error::io("open", &path))?;
        file.write_all(format!("{start}{line}\n").as_bytes()).map_err(Error::io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use crate::git::Repository;
    use crate::git::testing::{Repo, status};

    #[test]
    fn the_line_is_added_once_and_other_lines_stay() {
        let repo = Repo::with_commit();
        repo.write(".git/info/exclude", "*.log");
        repo.open().exclude_record().unwrap();
        repo.open().exclude_record().unwrap();
        let text = std::fs::read_to_string(repo.path(".git/info/exclude")).unwrap();
        assert_eq!(text, "*.log\n/.cursor/agent-handoffs/\n");
        repo.write(".cursor/agent-handoffs/x/handoff.md", "");
        assert_eq!(status(repo.top()), "");
    }

    #[test]
    fn a_linked_worktree_shares_the_file_and_a_missing_file_is_created() {
        let repo = Repo::with_commit();
        std::fs::remove_dir_all(repo.path(".git/info")).unwrap();
        let linked = repo.sibling("linked");
        repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
        Repository::discover(&linked).unwrap().exclude_record().unwrap();
        assert_eq!(std::fs::read_to_string(repo.path(".git/info/exclude")).unwrap(), "/.cursor/agent-handoffs/\n");
    }
}
