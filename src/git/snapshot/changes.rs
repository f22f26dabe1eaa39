//! Counts the files with changes that are not committed, for people.

use super::scratch::Scratch;
use crate::git::{Error, Result};
use crate::model::snapshot::{Changes, Oid};

/// Compares the tree of HEAD with the tree of the index, and that with the tree of the files.
pub(super) fn count(scratch: &Scratch, head: &Oid, index_tree: &Oid, files_tree: &Oid) -> Result<Changes> {
    let (in_index, in_files) = std::thread::scope(|scope| {
        let in_index = scope.spawn(|| differences(scratch, head, index_tree));
        let in_files = differences(scratch, index_tree, files_tree);
        (in_index.join(), in_files)
    });
    let (added, other) = in_index.unwrap_or_else(|_| differences(scratch, head, index_tree))?;
    let (untracked, unstaged) = in_files?;
    Ok(Changes { staged: added + other, unstaged, untracked })
}

/// Numbers of the files that only the second tree has, and of those that differ otherwise.
fn differences(scratch: &Scratch, from: &Oid, to: &Oid) -> Result<(u64, u64)> {
    let ask = scratch.git("diff-tree").args(["-r", "-z", "--no-renames", "--name-status", from.as_str(), to.as_str()]);
    let printed = ask.run()?;
    // `<status>\0<path>\0` for each file.
    let fields: Vec<&[u8]> = printed.split(|byte| *byte == 0).collect();
    let (mut added, mut other) = (0, 0);
    for status in fields.iter().step_by(2).filter(|status| !status.is_empty()) {
        match *status {
            b"A" => added += 1,
            [_] => other += 1,
            _ => return Err(Error::untrusted("git diff-tree printed no list of files".to_owned())),
        }
    }
    Ok((added, other))
}
