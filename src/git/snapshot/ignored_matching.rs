//! The ignored files that patterns select.

use std::path::Path;

use super::scratch::Scratch;
use crate::git::{Repository, Result};

/// The ignored files that match a file of patterns, without the record and other repositories. `files` is an index of
/// everything that is not ignored.
pub(super) fn matching(repo: &Repository, scratch: &Scratch, files: &Path, patterns: &Path) -> Result<Vec<Vec<u8>>> {
    let mut question = std::ffi::OsString::from("--exclude-from=");
    question.push(patterns);
    let printed = scratch.git("ls-files").index(files).args(["-z", "-o", "-i"]).arg(question).run()?;
    let other_repository = |path: &[u8]| path.ends_with(b"/");
    let paths = printed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty() && !other_repository(path) && !super::left_behind::is_record(repo, path));
    Ok(paths.map(<[u8]>::to_vec).collect())
}
