//! The byte-exact copy of a host's log: always a prefix of it, and equal at the end.
//!
//! The file's length is the offset and is stored nowhere else. The inode of the host's file is written next to the copy
//! before its first byte.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use super::Error;
use super::cksum::cksum;
use super::log_reader::{self, parts, successor};

/// After this many bytes the disk is asked to start writing, so that the final sync of a long log is short.
const WRITE_BACK: u64 = 16 << 20;
/// Number of last bytes by which a host checks that a mirror is of its file. The runner uses the same number.
const SHOWN: u64 = 1024;

/// A mirror open for writing.
#[derive(Debug)]
pub struct LogMirror {
    path: PathBuf,
    part: u32,
    file: File,
    length: u64,
    inode: u64,
    /// The offset of the last write-back, and its thread while it runs.
    asked: u64,
    writing_back: Option<JoinHandle<()>>,
}

/// The result of appending bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// Number of appended bytes that were new.
    New(usize),
    /// All bytes were there already.
    Nothing,
}

impl LogMirror {
    /// Opens the mirror at `path`, or the mirror of the file that replaced it on the host, and creates it if it does
    /// not exist.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open(path: &Path) -> Result<LogMirror, Error> {
        // A replaced log continues in `attempt-N.2.log`, so the newest part grows.
        let (part, path) = (1..).zip(parts(path)).last().unwrap_or_else(|| (1, path.to_owned()));
        Self::open_at(path, part)
    }

    fn open_at(path: PathBuf, part: u32) -> Result<LogMirror, Error> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let length = file.seek(SeekFrom::End(0)).map_err(Error::io("read", &path))?;
        let inode = read_source(&source_of(&path)).unwrap_or(0);
        Ok(LogMirror { path, part, file, length, inode, asked: length, writing_back: None })
    }

    /// Bytes mirrored, which is the next offset to ask the host for.
    pub fn len(&self) -> u64 {
        self.length
    }

    /// Whether no byte was mirrored.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Inode of the host's file; 0 before the first byte.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    /// The file of the part that grows.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The part of the log that grows, from 1.
    pub fn part(&self) -> u32 {
        self.part
    }

    /// The checksum of the last bytes. A host uses it to check that its file is still the mirrored one, because a file
    /// that was cut and has grown again may have the same inode and length. `None` for an empty mirror.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn end_sum(&self) -> Result<Option<u32>, Error> {
        if self.length == 0 {
            return Ok(None);
        }
        let mut end = Vec::new();
        let mut read = || -> std::io::Result<usize> {
            let mut file = log_reader::open(&self.path)?;
            file.seek(SeekFrom::Start(self.length.saturating_sub(SHOWN)))?;
            file.take(SHOWN).read_to_end(&mut end)
        };
        read().map_err(Error::io("read", &self.path))?;
        Ok(Some(cksum(&end)))
    }

    /// Whether bytes at `offset` of the host's file `inode` belong to another file than the mirrored one, or to the
    /// same file after it was cut. The laptop asks for bytes from the mirror's end, so a host that sends earlier ones
    /// has no later ones.
    pub fn starts_again(&self, inode: u64, offset: u64) -> bool {
        self.is_other(inode) || (offset == 0 && self.length > 0)
    }

    /// Whether the inode differs. A mirror without a recorded inode is assumed to be of the current file.
    fn is_other(&self, inode: u64) -> bool {
        self.inode != inode && self.inode != 0
    }

    /// Keeps what was mirrored, and starts the next part.
    ///
    /// # Errors
    /// Its file cannot be created.
    pub fn begin_part(&mut self) -> Result<(), Error> {
        self.sync()?;
        *self = Self::open_at(successor(&self.path, self.part + 1), self.part + 1)?;
        Ok(())
    }

    /// Adds bytes from `offset` of the host's file `inode`. Bytes that are already here are not written again. If the
    /// host's file is not the mirrored one, the old bytes stay, and the new ones go into a new part.
    ///
    /// # Errors
    /// [`Error::Gap`] if bytes before them are missing; nothing is written then.
    pub fn append(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Result<Appended, Error> {
        if self.is_other(inode) {
            self.begin_part()?;
        }
        if offset > self.length {
            return Err(Error::Gap { path: self.path.clone(), offset, length: self.length });
        }
        let known = usize::try_from(self.length - offset).unwrap_or(usize::MAX);
        if known >= bytes.len() {
            return Ok(Appended::Nothing);
        }
        if self.inode == 0 {
            self.remember(inode)?;
        }
        let new = &bytes[known..];
        self.file.write_all(new).map_err(|error| self.undo(error))?;
        self.length += new.len() as u64;
        self.write_back();
        Ok(Appended::New(new.len()))
    }

    /// Syncs the file to the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn sync(&self) -> Result<(), Error> {
        self.file.sync_all().map_err(Error::io("write", &self.path))
    }

    /// Starts writing to the disk on another thread. Errors are ignored here, because [`LogMirror::sync`] reports them.
    fn write_back(&mut self) {
        let busy = self.writing_back.as_ref().is_some_and(|thread| !thread.is_finished());
        if busy || self.length - self.asked < WRITE_BACK {
            return;
        }
        // Opened again, because the kernel reports a disk error once for each open file, and `sync` must not miss it.
        let Ok(file) = File::open(&self.path) else { return };
        self.asked = self.length;
        let thread = std::thread::Builder::new().name("write-back".to_owned());
        self.writing_back = thread.spawn(move || drop(file.sync_data())).ok();
    }

    /// A failed write may have written some bytes, so the file is cut to the recorded length.
    fn undo(&mut self, error: std::io::Error) -> Error {
        let back = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
        let error = back.err().unwrap_or(error);
        Error::io("write", &self.path)(error)
    }

    fn remember(&mut self, inode: u64) -> Result<(), Error> {
        let path = source_of(&self.path);
        std::fs::write(&path, format!("{inode}\n")).map_err(Error::io("write", &path))?;
        self.inode = inode;
        Ok(())
    }
}

/// The inode in a file that a crash may have cut: without its newline the number may be incomplete.
fn read_source(path: &Path) -> Option<u64> {
    std::fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
}

fn source_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().map(std::ffi::OsStr::to_os_string).unwrap_or_default();
    name.push(".src");
    path.with_file_name(name)
}

#[cfg(test)]
mod tests;
