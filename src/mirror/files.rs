//! Writes the record into a worktree. Copies of logs are read-only and rebuilt if they differ, so editing one does no
//! harm.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use super::{Error, RECORD};
use crate::config::mask::Mask;
use crate::model::id::HandoffId;
use crate::state::log_reader;

pub(super) const DOCUMENT: &str = "handoff.md";
/// Bytes at the end of a copy that are compared with the original before it grows.
const COMPARED: u64 = 4096;
/// Bytes that are masked at once.
const CHUNK: u64 = 4 << 20;

/// `.cursor/agent-handoffs/<id>/` of one worktree. No link in it or on the way to it is followed.
pub struct RecordFiles {
    directory: Directory,
}

impl RecordFiles {
    /// Opens the directory, and creates what is missing.
    ///
    /// # Errors
    /// [`Error::Symlink`] or [`Error::NoDirectory`] if a directory on the way is something else; the disk fails.
    pub fn open(worktree: &Path, id: &HandoffId) -> Result<RecordFiles, Error> {
        let mut directory = Directory::top(worktree)?;
        for name in Path::new(RECORD).components().map(|part| part.as_os_str()).chain([id.as_str().as_ref()]) {
            directory = directory.make(name)?;
        }
        Ok(RecordFiles { directory })
    }

    /// The record in the git directory, for a worktree that cannot have it.
    ///
    /// # Errors
    /// The directory does not exist.
    pub fn in_git_directory(truth: &Path) -> Result<RecordFiles, Error> {
        Ok(RecordFiles { directory: Directory::top(truth)? })
    }

    /// The bytes of `handoff.md`; `None` if it is not a regular file.
    ///
    /// # Errors
    /// It exists and cannot be read.
    pub fn document(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(mut file) = self.directory.file(OsStr::new(DOCUMENT))? else { return Ok(None) };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(Error::io("read", &self.directory.path().join(DOCUMENT)))?;
        Ok(Some(bytes))
    }

    /// Replaces `handoff.md` if it differs.
    ///
    /// # Errors
    /// The disk fails; the old file is still there.
    pub fn write_document(&self, text: &[u8]) -> Result<(), Error> {
        if self.document()?.is_some_and(|old| old == text) {
            return Ok(());
        }
        self.directory.replace(OsStr::new(DOCUMENT), text)
    }

    /// Updates the copies of every `*.log` in `truth`. What has a name of `originals` may be the only original, so it is
    /// made if it is missing, and otherwise left as it is.
    ///
    /// # Errors
    /// A log cannot be read, or a copy not written.
    pub fn copy_logs(&self, truth: &Path, originals: &BTreeSet<String>) -> Result<(), Error> {
        let stays = |name: &OsStr| originals.contains(&*name.to_string_lossy()) && self.directory.has(name);
        copy_logs(truth, &self.directory, &Mask::default(), stays)
    }

    /// The names of all files, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<BTreeSet<String>, Error> {
        Ok(self.directory.names()?.iter().map(|name| name.to_string_lossy().into_owned()).collect())
    }
}

/// Updates copies of every `*.log` in `truth` in a directory of the user's, with secrets masked.
///
/// # Errors
/// As [`RecordFiles::copy_logs`].
pub fn mask_logs(truth: &Path, directory: &Path, mask: &Mask) -> Result<(), Error> {
    std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
    copy_logs(truth, &Directory::top(directory)?, mask, |_| false)
}

fn copy_logs(truth: &Path, to: &Directory, mask: &Mask, stays: impl Fn(&OsStr) -> bool) -> Result<(), Error> {
    let entries = match std::fs::read_dir(truth) {
        // No process that knows the secrets has made copies yet.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(Error::io("read", truth))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::io("read", truth))?.path();
        if path.extension().is_some_and(|end| end == "log")
            && let Some(name) = path.file_name().filter(|name| !stays(name))
        {
            Copy { original: &path, directory: to, name, mask }.update()?;
        }
    }
    Ok(())
}

/// A copy of one log.
struct Copy<'a> {
    original: &'a Path,
    directory: &'a Directory,
    name: &'a OsStr,
    mask: &'a Mask,
}

impl Copy<'_> {
    /// Appends the rest of the original, or rewrites the copy if it is not a prefix of the original.
    fn update(&self) -> Result<(), Error> {
        let mut from = log_reader::open(self.original).map_err(Error::io("read", self.original))?;
        let length = from.metadata().map_err(Error::io("read", self.original))?.len();
        let path: PathBuf = self.directory.path().join(self.name);
        let mut have = 0;
        let mut begins = false;
        if let Some(copy) = self.directory.file(self.name)? {
            have = copy.metadata().map_err(Error::io("read", &path))?.len();
            begins = have <= length && self.same_end(&mut from, copy, have).unwrap_or(false);
        }
        if begins && have == length {
            return Ok(());
        }
        if !begins {
            have = 0;
            if self.directory.has(self.name) {
                self.directory.remove(self.name)?;
            }
        }
        let to = self.directory.writable(self.name)?;
        self.append(from, to, have, length).map_err(Error::io("write", &path))
    }

    fn append(&self, mut from: File, mut to: File, have: u64, length: u64) -> std::io::Result<()> {
        if self.mask.is_empty() {
            // Not opened for appending, because the kernel copies between files only at an explicit offset.
            from.seek(SeekFrom::Start(have))?;
            to.seek(SeekFrom::Start(have))?;
            std::io::copy(&mut from, &mut to)?;
        } else {
            let mut at = have;
            while at < length {
                let end = length.min(at + CHUNK);
                // A secret may begin in what was written before.
                let start = at.saturating_sub(self.mask.longest() as u64);
                let bytes = self.masked(&mut from, start, end)?;
                to.seek(SeekFrom::Start(start))?;
                to.write_all(&bytes)?;
                at = end;
            }
        }
        to.set_permissions(std::fs::Permissions::from_mode(0o444))
    }

    /// A range of the original as it is in the copy, if the original ends at `end`.
    fn masked(&self, original: &mut File, start: u64, end: u64) -> std::io::Result<Vec<u8>> {
        let before = start.saturating_sub(self.mask.longest() as u64);
        let skip = usize::try_from(start - before).unwrap_or(0);
        let mut bytes = vec![0; usize::try_from(end - before).unwrap_or(0)];
        original.seek(SeekFrom::Start(before))?;
        original.read_exact(&mut bytes)?;
        Ok(self.mask.bytes(&bytes)[skip..].to_vec())
    }

    /// Whether the last bytes of a copy of `length` equal those of the original.
    fn same_end(&self, original: &mut File, mut copy: File, length: u64) -> std::io::Result<bool> {
        let from = length.saturating_sub(COMPARED);
        let there = self.masked(original, from, length)?;
        let mut here = vec![0; there.len()];
        copy.seek(SeekFrom::Start(from))?;
        copy.read_exact(&mut here)?;
        Ok(here == there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none() -> BTreeSet<String> {
        BTreeSet::new()
    }

    fn record() -> (tempfile::TempDir, RecordFiles) {
        let directory = tempfile::tempdir().unwrap();
        let record = RecordFiles::open(directory.path(), &"20261121-x".parse().unwrap()).unwrap();
        (directory, record)
    }

    #[test]
    fn copies_grow_are_read_only_and_are_rebuilt_when_edited() {
        let (_directory, record) = record();
        let truth = tempfile::tempdir().unwrap();
        let log = truth.path().join("attempt-1.log");
        let copy = record.directory.path().join("attempt-1.log");
        for text in ["", "one\n", "one\ntwo\n"] {
            std::fs::write(&log, text).unwrap();
            record.copy_logs(truth.path(), &none()).unwrap();
            assert_eq!(std::fs::read_to_string(&copy).unwrap(), text);
            assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o444);
        }
        std::fs::remove_file(&copy).unwrap();
        std::fs::write(&copy, "lies\nlies").unwrap();
        record.copy_logs(truth.path(), &none()).unwrap();
        record.copy_logs(&truth.path().join("not made yet"), &none()).unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "one\ntwo\n", "the truth is unharmed");
    }

    #[test]
    fn a_log_that_was_made_by_hand_is_never_rewritten() {
        let (_directory, record) = record();
        let truth = tempfile::tempdir().unwrap();
        let copy = |n: u32| record.directory.path().join(format!("attempt-{n}.log"));
        for n in [1, 2] {
            std::fs::write(truth.path().join(format!("attempt-{n}.log")), "one\n").unwrap();
        }
        std::fs::write(copy(1), "one\nand what its process wrote later\n").unwrap();
        let mode = std::fs::metadata(copy(1)).unwrap().permissions().mode();
        let by_hand = ["attempt-1.log".to_owned(), "attempt-2.log".to_owned()].into();
        record.copy_logs(truth.path(), &by_hand).unwrap();
        assert_eq!(std::fs::read_to_string(copy(1)).unwrap(), "one\nand what its process wrote later\n");
        assert_eq!(std::fs::metadata(copy(1)).unwrap().permissions().mode(), mode);
        assert_eq!(std::fs::read_to_string(copy(2)).unwrap(), "one\n", "a missing copy is made");
    }

    #[test]
    fn a_link_out_of_the_worktree_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), directory.path().join(".cursor")).unwrap();
        let opened = RecordFiles::open(directory.path(), &"20261121-x".parse().unwrap());
        assert!(matches!(opened, Err(Error::Symlink(_))));
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_is_read_or_written_through_links_of_a_forged_record() {
        let (folder, record) = record();
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "private\n").unwrap();
        for name in ["handoff.md", "attempt-1.log"] {
            std::os::unix::fs::symlink(&outside, record.directory.path().join(name)).unwrap();
        }
        assert_eq!(record.document().unwrap(), None);
        record.write_document(b"page").unwrap();
        let truth = tempfile::tempdir().unwrap();
        std::fs::write(truth.path().join("attempt-1.log"), "log\n").unwrap();
        record.copy_logs(truth.path(), &none()).unwrap();
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "private\n");
        assert_eq!(std::fs::read_to_string(record.directory.path().join("handoff.md")).unwrap(), "page");
        assert_eq!(std::fs::read_to_string(record.directory.path().join("attempt-1.log")).unwrap(), "log\n");
    }

    #[test]
    fn a_masked_copy_has_the_lines_of_its_original_at_every_cut() {
        let mut mask = Mask::default();
        mask.add("hunter2");
        let (truth, copies) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let text = "one hunter2\ntwo\nhunter2hunter2\nend hunt\n";
        let copy = copies.path().join("attempt-1.log");
        for step in 1..9 {
            let _ = std::fs::remove_file(&copy);
            for end in (0..text.len()).step_by(step).chain([text.len()]) {
                std::fs::write(truth.path().join("attempt-1.log"), &text[..end]).unwrap();
                mask_logs(truth.path(), copies.path(), &mask).unwrap();
                assert!(!std::fs::read_to_string(&copy).unwrap().contains("hunter2"));
            }
            assert_eq!(std::fs::read_to_string(&copy).unwrap(), text.replace("hunter2", "*******"), "{step}");
        }
        std::fs::remove_file(&copy).unwrap();
        std::fs::write(&copy, text).unwrap();
        mask_logs(truth.path(), copies.path(), &mask).unwrap();
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), text.replace("hunter2", "*******"), "an old copy");
    }
}
