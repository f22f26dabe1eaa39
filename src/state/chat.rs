//! Which chat of an editor is told when a handoff comes to rest.
//!
//! The handoff's directory has an empty file for it. `chat`: an agent in an editor started an attempt, and it is not known
//! yet in which chat. `chat-<hash>`: that chat is told. The file changes its name when a chat claims it, and is removed when
//! the chat is told, so that of several hooks at the same moment only one succeeds. Its content is the number of the
//! attempt whose end on the host the chat was told already.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::Error;
use crate::model::attempt::AttemptNo;

const UNCLAIMED: &str = "chat";

/// Lets the next chat whose turn ends be told about the handoff with this directory.
///
/// # Errors
/// The file system fails.
pub fn expect(directory: &Path) -> Result<(), Error> {
    let entries = std::fs::read_dir(directory).map_err(Error::io("read", directory))?;
    for entry in entries.filter_map(Result::ok) {
        // An earlier attempt may have been started in another chat.
        if entry.file_name().to_string_lossy().starts_with("chat-") {
            remove(&entry.path())?;
        }
    }
    let file = directory.join(UNCLAIMED);
    std::fs::write(&file, "").map_err(Error::io("write", &file))
}

/// Whether this chat is to be told. A handoff that no chat has claimed becomes this one's.
///
/// # Errors
/// The file system fails.
pub fn claim(directory: &Path, conversation: &str) -> Result<bool, Error> {
    let (unclaimed, own) = (directory.join(UNCLAIMED), claimed(directory, conversation));
    match std::fs::rename(&unclaimed, &own) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(own.exists()),
        Err(error) => Err(Error::io("rename", &unclaimed)(error)),
    }
}

/// The attempt whose end on its host the chat was told.
pub fn told_end(directory: &Path, conversation: &str) -> Option<AttemptNo> {
    std::fs::read_to_string(claimed(directory, conversation)).ok()?.trim().parse().ok()
}

/// Notes that the chat is told the end of an attempt on its host.
///
/// # Errors
/// The file system fails.
pub fn note_end(directory: &Path, conversation: &str, attempt: AttemptNo) -> Result<(), Error> {
    let file = claimed(directory, conversation);
    std::fs::write(&file, format!("{attempt}\n")).map_err(Error::io("write", &file))
}

/// Notes that this chat is told. `false`: somebody else has just done so.
///
/// # Errors
/// The file system fails.
pub fn told(directory: &Path, conversation: &str) -> Result<bool, Error> {
    remove(&claimed(directory, conversation))
}

/// Removes a file; `false` if it was not there.
fn remove(file: &Path) -> Result<bool, Error> {
    match std::fs::remove_file(file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("remove", file)(error)),
    }
}

/// The editor chooses the conversation's name, so it is not part of a path.
fn claimed(directory: &Path, conversation: &str) -> PathBuf {
    let hash = Sha256::digest(conversation.as_bytes());
    let hex: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    directory.join(format!("{UNCLAIMED}-{hex}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_chat_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        assert!(!claim(at, "a").unwrap() && !told(at, "a").unwrap(), "nobody asked for it");
        expect(at).unwrap();
        assert!(claim(at, "a").unwrap());
        assert!(claim(at, "a").unwrap() && !claim(at, "../b").unwrap() && !told(at, "../b").unwrap());
        assert_eq!(told_end(at, "a"), None);
        note_end(at, "a", 2).unwrap();
        assert_eq!((told_end(at, "a"), told_end(at, "../b")), (Some(2), None));
        assert!(claim(at, "a").unwrap() && told(at, "a").unwrap());
        assert!(!told(at, "a").unwrap() && !claim(at, "a").unwrap());
    }

    #[test]
    fn the_chat_that_started_the_last_attempt_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        expect(at).unwrap();
        assert!(claim(at, "a").unwrap());
        expect(at).unwrap();
        assert!(claim(at, "b").unwrap() && !claim(at, "a").unwrap());
        assert_eq!(std::fs::read_dir(at).unwrap().count(), 1);
    }
}
