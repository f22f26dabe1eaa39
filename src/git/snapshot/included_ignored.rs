//! Ignored files that the work needs. They have their own tree, so that no capture takes them for work.

use std::path::PathBuf;

use super::scratch::Scratch;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Extra;

/// The ignored files to ship, and an index that has them and all other files.
pub(super) fn take(repo: &Repository, scratch: &Scratch, include: &[String]) -> Result<(Option<Extra>, PathBuf)> {
    let files = scratch.files().to_owned();
    if include.is_empty() {
        return Ok((None, files));
    }
    let patterns = scratch.place("include");
    std::fs::write(&patterns, include.join("\n") + "\n").map_err(Error::io("write", &patterns))?;
    let mut question = std::ffi::OsString::from("--exclude-from=");
    question.push(&patterns);
    // This index already has everything that is not ignored.
    let printed = scratch.git("ls-files").index(&files).args(["-z", "-o", "-i"]).arg(question).run()?;
    let other_repository = |path: &[u8]| path.ends_with(b"/");
    let wanted: Vec<_> = printed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty() && !other_repository(path) && !super::left_behind::is_record(repo, path))
        .collect();
    if wanted.is_empty() {
        return Ok((None, files));
    }
    let index = scratch.place("extra");
    scratch.add_these(&index, &wanted)?;
    let entries = scratch.entries(&index)?;
    if entries.is_empty() {
        return Ok((None, files));
    }
    let tree = scratch.write_tree(&index)?;
    let commit = scratch.commit("handoff: ignored files that the work needs", &tree, &[])?;
    let all = scratch.with_entries(&files, &entries)?;
    Ok((Some(Extra { commit, tree, files: entries.len() as u64 }), all))
}
