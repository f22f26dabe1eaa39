//! Removes directories that belong to this program.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use super::{Error, Result};

/// A process that is ending, such as the git of a killed program, may still write into a directory.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Removes a directory with everything in it. A missing one is no error.
///
/// # Errors
/// The file system fails, or somebody keeps writing there for two seconds.
pub(super) fn remove_directory(path: &Path) -> Result<()> {
    let mut removed = Ok(());
    for _ in 0..TRIES {
        removed = std::fs::remove_dir_all(path);
        match &removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => std::thread::sleep(PAUSE),
            _ => break,
        }
    }
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}
