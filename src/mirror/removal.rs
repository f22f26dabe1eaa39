//! Removes the readable files of a record from a worktree, as far as handoff wrote them.

use std::ffi::OsStr;
use std::io::Read;
use std::path::Path;

use super::directory::{Directory, is_temporary};
use super::files::DOCUMENT;
use super::{Error, RECORD};
use crate::model::id::HandoffId;
use crate::state::log_reader;

/// Bytes of two logs that are compared at once.
const CHUNK: usize = 1 << 16;

/// Removes `.cursor/agent-handoffs/<id>/` of a worktree, unless it has a file that handoff did not write or that was
/// edited. Returns the names of these files; then nothing is removed. `page`: `handoff.md` without words of people.
/// `logs`: the directory with the originals of the logs.
///
/// # Errors
/// A file cannot be read or removed.
pub fn remove(worktree: &Path, id: &HandoffId, page: &[u8], logs: &Path) -> Result<Vec<String>, Error> {
    let mut directories = vec![Directory::top(worktree)?];
    for name in Path::new(RECORD).iter().chain([id.as_str().as_ref()]) {
        let Some(next) = directories.last().map(|directory| directory.existing(name)).transpose()?.flatten() else {
            return Ok(vec![]);
        };
        directories.push(next);
    }
    let Some(record) = directories.pop() else { return Ok(vec![]) };
    let names = record.names()?;
    let mut foreign = Vec::new();
    for name in &names {
        if !is_ours(&record, name, page, logs)? {
            foreign.push(name.to_string_lossy().into_owned());
        }
    }
    if !foreign.is_empty() {
        foreign.sort();
        return Ok(foreign);
    }
    names.iter().try_for_each(|name| record.remove(name))?;
    if let Some(records) = directories.pop() {
        records.remove_empty(id.as_str().as_ref())?;
        // Other handoffs may have their records there.
        if let (Some(parent), Some(name)) = (directories.pop(), Path::new(RECORD).file_name()) {
            let _ = parent.remove_empty(name);
        }
    }
    Ok(vec![])
}

fn is_ours(record: &Directory, name: &OsStr, page: &[u8], logs: &Path) -> Result<bool, Error> {
    let text = name.to_string_lossy();
    if is_temporary(&text) {
        return Ok(true);
    }
    let Some(mut file) = record.file(name)? else { return Ok(false) };
    if name == DOCUMENT {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &record.path().join(name)))?;
        return Ok(bytes == page);
    }
    let original = logs.join(name);
    if !text.ends_with(".log") || !original.is_file() {
        return Ok(false);
    }
    let mut original = log_reader::open(&original).map_err(Error::io("read", &original))?;
    is_prefix(&mut file, &mut original).map_err(Error::io("read", &record.path().join(name)))
}

/// Whether everything in `copy` is at the start of `original`.
fn is_prefix(copy: &mut impl Read, original: &mut impl Read) -> std::io::Result<bool> {
    let (mut mine, mut theirs) = (vec![0; CHUNK], vec![0; CHUNK]);
    loop {
        let length = copy.read(&mut mine)?;
        if length == 0 {
            return Ok(true);
        }
        match original.read_exact(&mut theirs[..length]) {
            Ok(()) if mine[..length] == theirs[..length] => {}
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_handoff_wrote_is_removed() {
        let id: HandoffId = "20261121-x".parse().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (worktree, logs) = (folder.path().join("w"), folder.path().join("logs"));
        let record = worktree.join(RECORD).join(id.as_str());
        let fill = || {
            std::fs::create_dir_all(&record).unwrap();
            std::fs::create_dir_all(&logs).unwrap();
            std::fs::write(logs.join("attempt-1.log"), "one\ntwo\n").unwrap();
            std::fs::write(record.join("attempt-1.log"), "one\n").unwrap();
            std::fs::write(record.join("handoff.md"), "page\n").unwrap();
            std::fs::write(record.join(".handoff-7-0"), "").unwrap();
        };
        fill();
        let forget = || remove(&worktree, &id, b"page\n", &logs).unwrap();
        for (name, text) in [
            ("handoff.md", "page\nmine\n"),
            ("attempt-1.log", "one\nmine\n"),
            ("attempt-1.log", "one\ntwo\nmine\n"),
            ("attempt-2.log", ""),
            ("notes.md", ""),
            (".handoff-notes", "mine\n"),
        ] {
            fill();
            std::fs::write(record.join(name), text).unwrap();
            assert_eq!(forget(), [name], "{text:?}");
            assert_eq!(std::fs::read_to_string(record.join(name)).unwrap(), text);
            std::fs::remove_dir_all(&record).unwrap();
        }
        fill();
        std::fs::create_dir(record.join("sub")).unwrap();
        assert_eq!(forget(), ["sub"]);
        std::fs::remove_dir(record.join("sub")).unwrap();
        let other = worktree.join(RECORD).join("other");
        std::fs::create_dir(&other).unwrap();
        assert!(forget().is_empty() && !record.exists() && other.exists());
        std::fs::remove_dir(&other).unwrap();
        fill();
        assert!(forget().is_empty() && !worktree.join(RECORD).exists() && worktree.join(".cursor").exists());
        assert!(forget().is_empty());
        std::os::unix::fs::symlink(&logs, worktree.join(RECORD)).unwrap();
        assert!(forget().is_empty() && logs.join("attempt-1.log").exists(), "no link is followed");
    }
}
