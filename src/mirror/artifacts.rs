//! Build results as files in the directory of a handoff. No link there is followed.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::Error;
use super::directory::Directory;
use crate::model::attempt::AttemptNo;

const NAME: &str = "artifacts";

/// `artifacts/<n>/` in the directory of a handoff.
pub struct ArtifactFiles {
    directory: Directory,
}

/// A file that is there now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub sha256: String,
    /// Whether it was not there before, or was different.
    pub is_new: bool,
    /// Device and inode.
    place: (u64, u64),
}

impl ArtifactFiles {
    /// Opens the directory, and creates what is missing.
    ///
    /// # Errors
    /// Something else has its name, or the disk fails.
    pub fn open(handoff: &Path, n: AttemptNo) -> Result<ArtifactFiles, Error> {
        let top = Directory::top(handoff)?.make(NAME.as_ref())?;
        Ok(ArtifactFiles { directory: top.make(n.to_string().as_ref())? })
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Makes sure that a file has some content: unless `is_there` finds it in the file of that name, what `fill` writes
    /// replaces the file, whole or not at all.
    ///
    /// # Errors
    /// A directory on the way is something else, the disk fails, or one of the functions fails.
    pub fn write<E: From<Error>>(
        &self,
        path: &Path,
        is_executable: bool,
        is_there: impl FnOnce(File) -> Result<bool, E>,
        fill: impl FnOnce(&File) -> Result<(), E>,
    ) -> Result<Written, E> {
        let (directory, name) = self.place_of(path)?;
        let shown = directory.path().join(name);
        let has_mode = |file: &File| file.metadata().is_ok_and(|meta| (meta.mode() & 0o100 != 0) == is_executable);
        let is_new = match directory.file(name)? {
            Some(file) if has_mode(&file) => !is_there(file)?,
            _ => true,
        };
        if is_new {
            directory.replace_with(name, if is_executable { 0o755 } else { 0o644 }, |file| fill(file))?;
        }
        let file = directory.file(name)?;
        let mut file = file.ok_or_else(|| Error::io("read", &shown)(ErrorKind::NotFound.into()))?;
        let sha256 = sha256_of(&mut file).map_err(Error::io("read", &shown))?;
        let meta = file.metadata().map_err(Error::io("read", &shown))?;
        Ok(Written { sha256, is_new, place: (meta.dev(), meta.ino()) })
    }

    /// Whether a written file is still what its name leads to. It is not if another name of the same commit is the same
    /// on this file system.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn still_has(&self, path: &Path, written: &Written) -> Result<bool, Error> {
        let (directory, name) = self.place_of(path)?;
        let meta = directory.file(name)?.and_then(|file| file.metadata().ok());
        Ok(meta.is_some_and(|meta| (meta.dev(), meta.ino()) == written.place))
    }

    /// The directory of a file, which is made where it is missing, and the file's name.
    fn place_of<'a>(&self, path: &'a Path) -> Result<(Directory, &'a OsStr), Error> {
        let mut directory = Directory::top(self.directory.path())?;
        for part in path.parent().unwrap_or(Path::new("")).components() {
            directory = directory.make(part.as_os_str())?;
        }
        Ok((directory, path.file_name().unwrap_or_default()))
    }
}

fn sha256_of(file: &mut File) -> std::io::Result<String> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
            read => hash.update(&buffer[..read]),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    fn write(files: &ArtifactFiles, path: &str, text: &str) -> Result<Written, Error> {
        let is_there = |mut file: File| {
            let mut bytes = String::new();
            Ok(file.read_to_string(&mut bytes).is_ok() && bytes == text)
        };
        let fill = |mut file: &File| file.write_all(text.as_bytes()).map_err(Error::io("write", Path::new(path)));
        files.write(Path::new(path), text == "run", is_there, fill)
    }

    #[test]
    fn files_are_replaced_when_they_differ_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::create_dir(&outside).unwrap();
        std::fs::write(outside.join("b"), "private").unwrap();
        let handoff = folder.path().join("x");
        std::fs::create_dir(&handoff).unwrap();
        let files = ArtifactFiles::open(&handoff, 3).unwrap();
        let first = write(&files, "a/b", "one").unwrap();
        assert_eq!(first.sha256, "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed");
        assert!(first.is_new && !write(&files, "a/b", "one").unwrap().is_new);
        let other = write(&files, "a/b", "run").unwrap();
        assert!(other.is_new && files.still_has(Path::new("a/b"), &other).unwrap());
        assert!(!files.still_has(Path::new("a/b"), &first).unwrap());
        let mode = std::fs::metadata(handoff.join("artifacts/3/a/b")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o755);

        symlink(outside.join("b"), handoff.join("artifacts/3/link")).unwrap();
        write(&files, "link", "ours").unwrap();
        symlink(&outside, handoff.join("artifacts/3/c")).unwrap();
        assert!(matches!(write(&files, "c/b", "ours"), Err(Error::Symlink(_))));
        assert_eq!(std::fs::read_to_string(outside.join("b")).unwrap(), "private");
        assert_eq!(std::fs::read_to_string(handoff.join("artifacts/3/link")).unwrap(), "ours");
    }
}
