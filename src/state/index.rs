//! The list of this user's repositories with handoffs, for `list --all`. The repositories themselves are the truth.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::Error;

const NAME: &str = "repositories";

/// Adds a repository's common git directory, once.
///
/// # Errors
/// The state directory cannot be written.
pub fn remember(state_dir: &Path, common_dir: &Path) -> Result<(), Error> {
    let path = state_dir.join(NAME);
    if read(&path)?.iter().any(|known| known == common_dir) {
        return Ok(());
    }
    std::fs::create_dir_all(state_dir).map_err(Error::io("make", state_dir))?;
    let mut line = common_dir.as_os_str().as_bytes().to_vec();
    line.push(0);
    let file = OpenOptions::new().append(true).create(true).open(&path);
    file.and_then(|mut file| file.write_all(&line)).map_err(Error::io("write", &path))
}

/// Removes a repository that has no handoffs left. A concurrent [`remember`] may be lost; the next command repeats it.
///
/// # Errors
/// The list cannot be read or written.
pub fn forget(state_dir: &Path, common_dir: &Path) -> Result<(), Error> {
    let path = state_dir.join(NAME);
    let known = read(&path)?;
    let mut bytes = Vec::new();
    for kept in known.iter().filter(|kept| *kept != common_dir) {
        bytes.extend_from_slice(kept.as_os_str().as_bytes());
        bytes.push(0);
    }
    if known.iter().all(|kept| kept != common_dir) {
        return Ok(());
    }
    let replace = || -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
        file.write_all(&bytes)?;
        file.persist(&path)?;
        Ok(())
    };
    replace().map_err(Error::io("write", &path))
}

/// The repositories that still exist, the oldest first.
///
/// # Errors
/// The list cannot be read.
pub fn repositories(state_dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut known = read(&state_dir.join(NAME))?;
    known.retain(|path| path.join("handoff").is_dir());
    let mut seen = std::collections::HashSet::new();
    known.retain(|path| seen.insert(path.clone()));
    Ok(known)
}

/// Each path ends with a NUL, because a directory's name may contain a newline.
fn read(path: &Path) -> Result<Vec<PathBuf>, Error> {
    let bytes = match std::fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
        bytes => bytes.map_err(Error::io("read", path))?,
    };
    let paths = bytes.split(|byte| *byte == 0).filter(|path| !path.is_empty());
    Ok(paths.map(|path| PathBuf::from(std::ffi::OsString::from_vec(path.to_vec()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_is_remembered_once_and_forgotten_when_gone() {
        let directory = tempfile::tempdir().unwrap();
        let repository = directory.path().join("a\nb");
        std::fs::create_dir_all(repository.join("handoff")).unwrap();
        for _ in 0..3 {
            remember(directory.path(), &repository).unwrap();
        }
        remember(directory.path(), Path::new("/nowhere")).unwrap();
        assert_eq!(repositories(directory.path()).unwrap(), std::slice::from_ref(&repository));
        let other = directory.path().join("other");
        std::fs::create_dir_all(other.join("handoff")).unwrap();
        remember(directory.path(), &other).unwrap();
        for _ in 0..2 {
            forget(directory.path(), &repository).unwrap();
            assert_eq!(repositories(directory.path()).unwrap(), std::slice::from_ref(&other));
        }
    }
}
