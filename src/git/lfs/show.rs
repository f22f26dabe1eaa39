//! Writes contents over the pointers of a takeover. git-lfs would download what is not here, so it is not asked for it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::LfsFile;
use super::store::{Store, sum};
use crate::git::{Error, Repository, Result};

/// The reason why a file is still a pointer, where the content is not on the laptop.
const ABSENT: &str = "its content is not on this laptop; run: git lfs pull";
/// The same where the filter is not set up: git would take the content for a change.
const NO_FILTER: &str = "Git LFS is not set up here; run: git lfs install && git lfs checkout";

/// What became of the pointers in a directory.
#[derive(Default)]
pub(in crate::git) struct Shown {
    /// Paths that have their content now.
    pub written: Vec<Vec<u8>>,
    /// Paths that are still pointers, with the reason.
    pub left: Vec<(Vec<u8>, &'static str)>,
}

/// Replaces the pointers in `directory` that are these files by their contents. A file with other bytes stays.
pub(in crate::git) fn show_in(repo: &Repository, directory: &Path, files: &[LfsFile]) -> Result<Shown> {
    let mut shown = Shown::default();
    if files.is_empty() {
        return Ok(shown);
    }
    let has_filter = repo.config()?.filters().contains(super::FILTER);
    let store = Store::of(repo)?;
    for file in files {
        let path = directory.join(OsStr::from_bytes(&file.path));
        let is_pointer = path.symlink_metadata().is_ok_and(|it| it.is_file())
            && std::fs::read(&path).is_ok_and(|bytes| bytes == file.pointer.to_string().into_bytes());
        if !is_pointer {
            continue;
        }
        match store.find(&file.pointer) {
            Some(content) if has_filter && sum(&content)? == file.pointer.id => {
                replace(&path, &content)?;
                shown.written.push(file.path.clone());
            }
            Some(_) if !has_filter => shown.left.push((file.path.clone(), NO_FILTER)),
            None if !has_filter => {}
            _ => shown.left.push((file.path.clone(), ABSENT)),
        }
    }
    Ok(shown)
}

/// Puts a copy of a content in the place of a file, with its mode.
fn replace(path: &Path, content: &Path) -> Result<()> {
    let write = || Error::io("write", path);
    let mode = path.metadata().map_err(write())?.permissions();
    let above = path.parent().unwrap_or(path);
    let made = tempfile::NamedTempFile::new_in(above).map_err(write())?;
    std::fs::copy(content, made.path()).map_err(write())?;
    made.as_file().set_permissions(mode).map_err(write())?;
    made.persist(path).map_err(|error| write()(error.error))?;
    Ok(())
}
