//! Edits that the user told git to ignore.

use std::path::Path;

use super::scratch::{Scratch, path_of};
use crate::git::{Repository, Result};

/// Clears assume-unchanged and skip-worktree in the copied index for files that exist, so that `add -A` sees their
/// edits. Files outside a sparse checkout keep the flag and their staged content.
pub(super) fn clear_flags(repo: &Repository, scratch: &Scratch) -> Result<()> {
    let printed = scratch.git("ls-files").index(scratch.files()).args(["-v", "-z"]).run()?;
    let (mut assumed, mut skipped) = (Vec::new(), Vec::new());
    for entry in printed.split(|b| *b == 0) {
        let [tag, b' ', path @ ..] = entry else { continue };
        if !(tag.is_ascii_lowercase() || *tag == b'S') || !exists(repo, path) {
            continue;
        }
        for (applies, list) in
            [(tag.is_ascii_lowercase(), &mut assumed), (tag.eq_ignore_ascii_case(&b'S'), &mut skipped)]
        {
            if applies {
                list.extend_from_slice(path);
                list.push(0);
            }
        }
    }
    for (option, paths) in [("--no-assume-unchanged", assumed), ("--no-skip-worktree", skipped)] {
        if !paths.is_empty() {
            scratch.git("update-index").index(scratch.files()).args([option, "-z", "--stdin"]).stdin(paths).run()?;
        }
    }
    Ok(())
}

fn exists(repo: &Repository, path: &[u8]) -> bool {
    let path: &Path = path_of(path);
    repo.top().join(path).symlink_metadata().is_ok()
}
