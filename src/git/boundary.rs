//! Where a history ends: at the commits in the file `shallow` of a shallow clone, and at those that a ship of a partial
//! clone is cut at.

use std::io::Write;

use super::command::Git;
use super::repository::oid;
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

impl Repository {
    /// The commits at which the history of a shallow clone ends; empty where it is whole.
    pub fn boundary(&self) -> Result<Vec<Oid>> {
        let path = self.common_dir().join("shallow");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            read => read.map_err(Error::io("read", &path))?,
        };
        text.lines().map(oid).collect()
    }
}

/// An end of the history for some commands, which the repository does not have. The file is removed when dropped.
pub(super) struct Boundary(Option<tempfile::NamedTempFile>);

impl Boundary {
    /// The repository's own, and `ends` in addition.
    pub(super) fn with(repo: &Repository, ends: &[Oid]) -> Result<Self> {
        if ends.is_empty() {
            return Ok(Self(None));
        }
        let failed = |error| Error::io("write in", &std::env::temp_dir())(error);
        let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
        let all: String = repo.boundary()?.iter().chain(ends).map(|end| format!("{end}\n")).collect();
        file.write_all(all.as_bytes()).map_err(failed)?;
        Ok(Self(Some(file)))
    }

    /// The command with this end of the history. git passes such a file to its own processes.
    pub(super) fn apply(&self, git: Git) -> Git {
        match &self.0 {
            Some(file) => git.env("GIT_SHALLOW_FILE", file.path()),
            None => git,
        }
    }
}
