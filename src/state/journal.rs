//! `journal.jsonl`: the append-only state events. The state is a fold over them.
//!
//! An append locks the file, reads to the end, folds, checks that the event still applies, writes one line, syncs and
//! unlocks. A last line without its newline was cut by a crash: readers ignore it, and the next append removes it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::Error;
use crate::model::event::{Event, Kind};
use crate::model::handoff::Handoff;
use crate::model::not_applied::Refused;

/// File name in a handoff's directory.
pub const NAME: &str = "journal.jsonl";
const LOCK: &str = "journal.lock";

/// A journal and its folded state.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    lock: PathBuf,
    handoff: Handoff,
    /// Bytes folded so far, whole lines only.
    length: u64,
    lines: usize,
}

impl Journal {
    /// Creates a journal in `directory` with its first line.
    ///
    /// # Errors
    /// The event is not `created`, or the file cannot be written.
    pub fn create(directory: &Path, first: &Event) -> Result<Journal, Error> {
        let path = directory.join(NAME);
        let refused = |refused| Error::Refused { id: directory.display().to_string(), refused };
        let handoff = Handoff::created(first).map_err(refused)?;
        let line = line_of(first, &path)?;
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(Error::io("create", &path))?;
        file.write_all(&line).and_then(|()| file.sync_all()).map_err(Error::io("write", &path))?;
        let lock = directory.join(LOCK);
        Ok(Journal { path, lock, handoff, length: line.len() as u64, lines: 1 })
    }

    /// Reads a journal.
    ///
    /// # Errors
    /// It cannot be read, has no whole first line, or has a malformed line.
    pub fn open(directory: &Path) -> Result<Journal, Error> {
        let path = directory.join(NAME);
        let bytes = std::fs::read(&path).map_err(Error::io("read", &path))?;
        let broken = |reason: String| Error::Broken { path: path.clone(), line: 1, reason };
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| broken("no whole line".into()))?;
        let first: Event = serde_json::from_slice(&bytes[..end]).map_err(|error| broken(error.to_string()))?;
        let handoff = Handoff::created(&first).map_err(|refused| broken(refused.to_string()))?;
        let lock = directory.join(LOCK);
        let mut journal = Journal { path, lock, handoff, length: end as u64 + 1, lines: 1 };
        journal.fold(&bytes[end + 1..])?;
        Ok(journal)
    }

    /// The state, as of the last read.
    pub fn handoff(&self) -> &Handoff {
        &self.handoff
    }

    /// Bytes of the journal that are in the state.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Folds the lines that other processes have appended.
    ///
    /// # Errors
    /// It cannot be read, or a line is malformed.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let mut file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        self.read_on(&mut file)
    }

    /// Appends an event if it still applies.
    ///
    /// # Errors
    /// [`Error::Refused`] if it does not apply; nothing was written.
    pub fn append(&mut self, kind: Kind) -> Result<(), Error> {
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(&self.lock);
        let lock = lock.map_err(Error::io("open", &self.lock))?;
        lock.lock().map_err(Error::io("lock", &self.lock))?;
        let mut file =
            OpenOptions::new().read(true).write(true).open(&self.path).map_err(Error::io("open", &self.path))?;
        self.read_on(&mut file)?;
        let event = Event::new(jiff::Timestamp::now().max(self.handoff.changed_at()), kind);
        let refused = |refused| Error::Refused { id: self.handoff.request().id.to_string(), refused };
        if self.handoff.is_read_only() {
            return Err(refused(Refused::ReadOnly));
        }
        let mut after = self.handoff.clone();
        after.apply(&event).map_err(refused)?;
        let line = line_of(&event, &self.path)?;
        let mut write = || -> std::io::Result<()> {
            file.set_len(self.length)?;
            file.seek(SeekFrom::Start(self.length))?;
            file.write_all(&line)?;
            file.sync_data()
        };
        write().map_err(Error::io("write", &self.path))?;
        self.handoff = after;
        self.length += line.len() as u64;
        self.lines += 1;
        Ok(())
    }

    fn read_on(&mut self, file: &mut File) -> Result<(), Error> {
        let mut bytes = Vec::new();
        let read = file.seek(SeekFrom::Start(self.length)).and_then(|_| file.read_to_end(&mut bytes));
        read.map_err(Error::io("read", &self.path))?;
        self.fold(&bytes)
    }

    fn fold(&mut self, bytes: &[u8]) -> Result<(), Error> {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let Some(text) = line.strip_suffix(b"\n") else { return Ok(()) };
            let broken = |reason: String| Error::Broken { path: self.path.clone(), line: self.lines + 1, reason };
            let event: Event = serde_json::from_slice(text).map_err(|error| broken(error.to_string()))?;
            self.handoff.apply(&event).map_err(|refused| broken(refused.to_string()))?;
            self.length += line.len() as u64;
            self.lines += 1;
        }
        Ok(())
    }
}

fn line_of(event: &Event, path: &Path) -> Result<Vec<u8>, Error> {
    let text = serde_json::to_string(event).map_err(|error| Error::io("write", path)(error.into()))?;
    Ok(format!("{text}\n").into_bytes())
}

#[cfg(test)]
mod tests;
