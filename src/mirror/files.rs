//! Writes the record into a worktree. Copies are read-only and rebuilt when they differ: editing one harms nothing.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::{Error, RECORD};
use crate::model::id::HandoffId;

const DOCUMENT: &str = "handoff.md";
/// Bytes of a copy that are compared with the truth before it grows.
const COMPARED: u64 = 4096;

/// `.cursor/agent-handoffs/<id>/` of one worktree.
pub struct Record {
    directory: PathBuf,
}

impl Record {
    /// Opens it, making what is missing.
    ///
    /// # Errors
    /// [`Error::Symlink`] where a directory on the way is a link; the disk fails.
    pub fn open(worktree: &Path, id: &HandoffId) -> Result<Record, Error> {
        let mut directory = worktree.to_owned();
        for name in Path::new(RECORD).components().map(|part| part.as_os_str()).chain([id.as_str().as_ref()]) {
            directory.push(name);
            match std::fs::create_dir(&directory) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                    let kind = std::fs::symlink_metadata(&directory).map_err(Error::io("read", &directory))?;
                    if kind.is_symlink() {
                        return Err(Error::Symlink(directory));
                    }
                }
                made => made.map_err(Error::io("make", &directory))?,
            }
        }
        Ok(Record { directory })
    }

    /// `handoff.md` as it stands.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub fn document(&self) -> Result<Option<String>, Error> {
        let path = self.directory.join(DOCUMENT);
        match std::fs::read(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            bytes => Ok(Some(String::from_utf8_lossy(&bytes.map_err(Error::io("read", &path))?).into_owned())),
        }
    }

    /// Replaces `handoff.md`, when it differs.
    ///
    /// # Errors
    /// The disk fails; the old one is still there.
    pub fn write_document(&self, text: &str) -> Result<(), Error> {
        let path = self.directory.join(DOCUMENT);
        if std::fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            let mut file = tempfile::NamedTempFile::new_in(&self.directory)?;
            file.write_all(text.as_bytes())?;
            file.as_file().set_permissions(Permissions::from_mode(0o644))?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(Error::io("write", &path))
    }

    /// Brings the copies of every `*.log` in `truth` up to date.
    ///
    /// # Errors
    /// A log cannot be read or a copy not written.
    pub fn copy_logs(&self, truth: &Path) -> Result<(), Error> {
        for entry in std::fs::read_dir(truth).map_err(Error::io("read", truth))? {
            let path = entry.map_err(Error::io("read", truth))?.path();
            if path.extension().is_some_and(|end| end == "log")
                && let Some(name) = path.file_name()
            {
                copy(&path, &self.directory.join(name))?;
            }
        }
        Ok(())
    }
}

/// Lets a copy grow to its original, or makes it anew where it is no beginning of it.
fn copy(original: &Path, copy: &Path) -> Result<(), Error> {
    let mut from = File::open(original).map_err(Error::io("read", original))?;
    let length = from.metadata().map_err(Error::io("read", original))?.len();
    let (there, have) = match std::fs::symlink_metadata(copy) {
        Ok(meta) if meta.is_file() => (true, meta.len()),
        Ok(_) => (true, length + 1),
        Err(_) => (false, 0),
    };
    let begins = there && have <= length && same_end(&mut from, copy, have).unwrap_or(false);
    if begins && have == length {
        return Ok(());
    }
    if !begins && there {
        std::fs::remove_file(copy).map_err(Error::io("replace", copy))?;
    }
    let append = || -> std::io::Result<()> {
        if begins {
            // It is read-only for people, not for us.
            std::fs::set_permissions(copy, Permissions::from_mode(0o644))?;
        }
        // Not opened for appending: the kernel copies between files only where it may choose the place.
        let mut to = OpenOptions::new().write(true).create(true).truncate(false).open(copy)?;
        let done = if begins { have } else { 0 };
        from.seek(SeekFrom::Start(done))?;
        to.seek(SeekFrom::Start(done))?;
        std::io::copy(&mut from, &mut to)?;
        to.set_permissions(Permissions::from_mode(0o444))
    };
    let mut append = append;
    append().map_err(Error::io("write", copy))
}

/// Whether the last bytes of a copy of `length` stand in the original too.
fn same_end(original: &mut File, copy: &Path, length: u64) -> std::io::Result<bool> {
    let from = length.saturating_sub(COMPARED);
    let size = usize::try_from(length - from).unwrap_or(0);
    let (mut here, mut there) = (vec![0; size], vec![0; size]);
    original.seek(SeekFrom::Start(from))?;
    original.read_exact(&mut there)?;
    let mut file = File::open(copy)?;
    file.seek(SeekFrom::Start(from))?;
    file.read_exact(&mut here)?;
    Ok(here == there)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> (tempfile::TempDir, Record) {
        let directory = tempfile::tempdir().unwrap();
        let record = Record::open(directory.path(), &"20261121-x".parse().unwrap()).unwrap();
        (directory, record)
    }

    #[test]
    fn copies_grow_are_read_only_and_are_rebuilt_when_edited() {
        let (_directory, record) = record();
        let truth = tempfile::tempdir().unwrap();
        let log = truth.path().join("attempt-1.log");
        let copy = record.directory.join("attempt-1.log");
        for text in ["", "one\n", "one\ntwo\n"] {
            std::fs::write(&log, text).unwrap();
            record.copy_logs(truth.path()).unwrap();
            assert_eq!(std::fs::read_to_string(&copy).unwrap(), text);
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o444);
        }
        std::fs::remove_file(&copy).unwrap();
        std::fs::write(&copy, "lies\nlies").unwrap();
        record.copy_logs(truth.path()).unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n", "the truth is unharmed");
    }

    #[test]
    fn a_link_out_of_the_worktree_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join(".cursor")).unwrap();
        let opened = Record::open(directory.path(), &"20261121-x".parse().unwrap());
        assert!(matches!(opened, Err(Error::Symlink(_))));
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
