//! Refuses a checkout that is in the middle of something of its own.

use crate::git::{Error, Repository, Result};

/// Fails if work cannot be brought into this checkout, with the command that helps.
///
/// # Errors
/// [`Error::Unfit`] if an operation is not finished or the index has conflicts; git fails.
pub fn check(repo: &Repository) -> Result<()> {
    repo.need_no_operation()?;
    let conflicts = repo.git("ls-files").args(["-u", "-z"]).run()?;
    match conflicts.split(|byte| *byte == 0).next().and_then(|entry| entry.splitn(2, |byte| *byte == b'\t').nth(1)) {
        Some(path) => {
            let what = format!("the index has merge conflicts, such as {}", String::from_utf8_lossy(path));
            Err(Error::unfit(what, "git add PATH, after you have resolved it; or git reset --merge"))
        }
        None => Ok(()),
    }
}
