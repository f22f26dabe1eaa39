//! The driver's lock: one process drives a handoff, and others only read.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::Error;

const NAME: &str = "driver.lock";
/// A file that exists while a process asks for the lock.
const WANTED: &str = "driver.wanted";

/// Locked while this exists; the kernel releases the lock when the process dies.
#[derive(Debug)]
pub struct DriverLock {
    _file: File,
}

impl DriverLock {
    /// Takes the lock in a handoff's directory; `None` if another process has it.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn try_take(directory: &Path) -> Result<Option<DriverLock>, Error> {
        DriverLock::try_take_as(directory, NAME)
    }

    /// The same of another file, for what only one process does at a time and does not need the driver.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn try_take_as(directory: &Path, name: &str) -> Result<Option<DriverLock>, Error> {
        let path = directory.join(name);
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(Error::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(Error::io("lock", &path)(error)),
        }
        // The pid is only used in messages, so an error is ignored.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Some(DriverLock { _file: file }))
    }

    /// Asks the process that has the lock to give it up. Only `watch --all` does.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn ask_for(directory: &Path) -> Result<(), Error> {
        let path = directory.join(WANTED);
        File::create(&path).map(drop).map_err(Error::io("write", &path))
    }

    /// Whether a process asks for the lock. Reading takes the request away.
    pub fn take_request(directory: &Path) -> bool {
        std::fs::remove_file(directory.join(WANTED)).is_ok()
    }

    /// The pid of the process that took it last.
    pub fn holder(directory: &Path) -> Option<u32> {
        DriverLock::holder_of(directory, NAME)
    }

    /// The same of another file.
    pub fn holder_of(directory: &Path, name: &str) -> Option<u32> {
        let mut text = String::new();
        File::open(directory.join(name)).ok()?.take(20).read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_drives_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = DriverLock::try_take(directory.path()).unwrap().unwrap();
        assert!(DriverLock::try_take(directory.path()).unwrap().is_none());
        assert_eq!(DriverLock::holder(directory.path()), Some(std::process::id()));
        drop(first);
        assert!(DriverLock::try_take(directory.path()).unwrap().is_some());
        assert!(!DriverLock::take_request(directory.path()));
        DriverLock::ask_for(directory.path()).unwrap();
        assert!(DriverLock::take_request(directory.path()) && !DriverLock::take_request(directory.path()));
    }
}
