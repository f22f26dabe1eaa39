//! Reads logs: the mirrors and their masked copies. Nothing else opens them for reading.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::Error;

/// Bytes that are read at once.
const AT_ONCE: usize = 256 << 10;

/// Opens one file of a log. A link in its place is not followed.
///
/// # Errors
/// It does not exist, is a link, or cannot be read.
pub fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The number of lines of a file of a log. A last line without a newline counts.
///
/// # Errors
/// As [`open`].
pub fn lines(path: &Path) -> std::io::Result<u64> {
    let (mut file, mut chunk) = (open(path)?, vec![0; AT_ONCE]);
    let (mut lines, mut is_open) = (0, false);
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(lines + u64::from(is_open)),
            length => {
                lines += memchr::memchr_iter(b'\n', &chunk[..length]).count() as u64;
                is_open = chunk[length - 1] != b'\n';
            }
        }
    }
}

/// The files of the log whose first is `path`, in order, as many as exist.
pub fn parts(path: &Path) -> Vec<PathBuf> {
    let all = std::iter::once(path.to_owned()).chain((2..).map(|k| successor(path, k)));
    all.take_while(|part| part.exists()).collect()
}

/// The files of a log, open for reading as far as they reach now.
///
/// # Errors
/// One of them cannot be read.
pub fn open_parts(path: &Path) -> std::io::Result<Vec<std::io::Take<File>>> {
    let open = |part: PathBuf| {
        let file = open(&part)?;
        let length = file.metadata()?.len();
        Ok(file.take(length))
    };
    parts(path).into_iter().map(open).collect()
}

/// `attempt-1.log` and 2 → `attempt-1.2.log`; for a later part, the one after it.
pub(super) fn successor(path: &Path, k: u32) -> PathBuf {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let stem = name.strip_suffix(".log").unwrap_or(&name);
    let stem = match stem.rsplit_once('.') {
        Some((first, number)) if number.bytes().all(|c| c.is_ascii_digit()) => first,
        _ => stem,
    };
    path.with_file_name(format!("{stem}.{k}.log"))
}

/// What a log continues with.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk {
    Bytes(Vec<u8>),
    /// The file is complete, and the log continues in its next part.
    NextPart,
}

/// Reads a log that may still grow, part by part.
#[derive(Debug)]
pub struct LogReader {
    /// The file of the first part.
    path: PathBuf,
    /// Number of parts that were read to their ends.
    before: usize,
    /// Bytes that were read of the part after them.
    offset: u64,
}

impl LogReader {
    /// Begins at the first byte of the log whose first file is `path`. The file may not exist yet.
    pub fn new(path: PathBuf) -> LogReader {
        LogReader { path, before: 0, offset: 0 }
    }

    /// Whether nothing was read yet.
    pub fn is_at_start(&self) -> bool {
        self.before == 0 && self.offset == 0
    }

    /// The next chunk; `None` if the log has no more now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self) -> Result<Option<Chunk>, Error> {
        // A part that has a successor no longer grows, so the parts are listed before it is read.
        let parts = parts(&self.path);
        let Some(part) = parts.get(self.before) else { return Ok(None) };
        let mut bytes = Vec::new();
        let mut read = || -> std::io::Result<usize> {
            let mut file = open(part)?;
            file.seek(SeekFrom::Start(self.offset))?;
            file.take(AT_ONCE as u64).read_to_end(&mut bytes)
        };
        let length = read().map_err(Error::io("read", part))?;
        if length > 0 {
            self.offset += length as u64;
            return Ok(Some(Chunk::Bytes(bytes)));
        }
        if self.before + 1 >= parts.len() {
            return Ok(None);
        }
        (self.before, self.offset) = (self.before + 1, 0);
        Ok(Some(Chunk::NextPart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Option<Chunk> {
        Some(Chunk::Bytes(text.into()))
    }

    #[test]
    fn a_log_is_read_from_where_the_last_read_ended_through_all_its_parts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attempt-1.log");
        let mut reader = LogReader::new(path.clone());
        assert_eq!(reader.read().unwrap(), None, "it does not exist yet");
        std::fs::write(&path, "one\n").unwrap();
        assert!(reader.is_at_start());
        assert_eq!(reader.read().unwrap(), bytes("one\n"));
        assert_eq!(reader.read().unwrap(), None);
        std::fs::write(&path, "one\ntwo\n").unwrap();
        std::fs::write(successor(&path, 2), "three\n").unwrap();
        assert_eq!(reader.read().unwrap(), bytes("two\n"));
        assert_eq!(reader.read().unwrap(), Some(Chunk::NextPart));
        assert_eq!(reader.read().unwrap(), bytes("three\n"));
        assert_eq!(reader.read().unwrap(), None);
    }

    #[test]
    fn a_link_in_place_of_a_log_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (private, path) = (folder.path().join("private"), folder.path().join("attempt-1.log"));
        std::fs::write(&private, "private\n").unwrap();
        std::os::unix::fs::symlink(&private, &path).unwrap();
        assert!(matches!(LogReader::new(path.clone()).read(), Err(Error::Io { .. })));
        assert!(open_parts(&path).is_err());
    }
}
