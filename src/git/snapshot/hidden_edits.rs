//! Edits that the user told git to ignore.

use std::path::Path;

use super::scratch::{Scratch, path_of};
use crate::git::{Repository, Result};

/// Paths whose flag was cleared, each followed by a NUL.
pub(super) struct Flags {
    assumed: Vec<u8>,
    skipped: Vec<u8>,
}

impl Flags {
    /// Sets the flags again, in another index.
    pub(super) fn set(&self, scratch: &Scratch, index: &Path) -> Result<()> {
        self.update(scratch, index, ["--assume-unchanged", "--skip-worktree"])
    }

    fn update(&self, scratch: &Scratch, index: &Path, options: [&str; 2]) -> Result<()> {
        for (option, paths) in options.into_iter().zip([&self.assumed, &self.skipped]) {
            if !paths.is_empty() {
                let update = scratch.git("update-index").index(index).args([option, "-z", "--stdin"]);
                update.stdin(paths.as_slice()).run()?;
            }
        }
        Ok(())
    }
}

/// Clears assume-unchanged and skip-worktree in the copied index for files that exist, so that `add -A` sees their
/// edits. Files outside a sparse checkout keep the flag and their staged content.
pub(super) fn clear_flags(repo: &Repository, scratch: &Scratch) -> Result<Flags> {
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
    let flags = Flags { assumed, skipped };
    flags.update(scratch, scratch.files(), ["--no-assume-unchanged", "--no-skip-worktree"])?;
    Ok(flags)
}

fn exists(repo: &Repository, path: &[u8]) -> bool {
    let path: &Path = path_of(path);
    repo.top().join(path).symlink_metadata().is_ok()
}
