//! A handoff directory that was made by hand with the skill: `handoff.md` and `attempt-N.log`. Its files are read without
//! following a link, and are never changed.

mod page;

pub use page::Page;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::directory::{Directory, is_temporary};
use super::files::DOCUMENT;
use crate::model::attempt::{AttemptNo, log_name};

/// Maximum bytes of `handoff.md`.
const MOST_PAGE: u64 = 1 << 20;
/// Maximum bytes of all logs together.
const MOST_LOGS: u64 = 1 << 30;
/// Highest number of an attempt. Later attempts are numbered from there.
pub const MOST_ATTEMPT: AttemptNo = 9999;

/// Name of the copy of the page in the git directory.
pub const ORIGINAL: &str = "adopted.md";

/// What the directory has.
pub struct HandMade {
    /// Its absolute path.
    pub path: PathBuf,
    /// The bytes of `handoff.md`; `None` if there is none.
    pub page: Option<Vec<u8>>,
    /// The logs by attempt.
    pub logs: BTreeMap<AttemptNo, FoundLog>,
    /// The names of everything else.
    pub other: Vec<String>,
}

/// A log, as it was when it was found.
pub struct FoundLog {
    file: File,
    path: PathBuf,
    pub length: u64,
    /// Device and inode.
    pub place: (u64, u64),
    changed: (i64, i64),
}

impl HandMade {
    /// Opens the directory. `worktree` is the top of the user's checkout, in which no link is followed.
    ///
    /// # Errors
    /// It does not exist; the directory, the page or a log is a link or something else; they are too large.
    pub fn open(worktree: &Path, path: &Path) -> Result<HandMade, Error> {
        let path = plain(path)?;
        let directory = descend(worktree, &path)?;
        let mut names: Vec<String> =
            directory.names()?.iter().map(|name| name.to_string_lossy().into_owned()).collect();
        names.sort();
        let mut found = HandMade { path, page: None, logs: BTreeMap::new(), other: Vec::new() };
        let mut room = MOST_LOGS;
        for name in names.into_iter().filter(|name| !is_temporary(name)) {
            let path = found.path.join(&name);
            let open = || directory.file(name.as_ref())?.ok_or_else(|| Error::NotAFile(path.clone()));
            if name == DOCUMENT {
                found.page = Some(bounded(open()?, &path)?);
            } else if let Some(n) = attempt(&name) {
                let log = FoundLog::of(open()?, &path, room)?;
                room -= log.length;
                found.logs.insert(n, log);
            } else {
                found.other.push(name);
            }
        }
        Ok(found)
    }

    /// Copies page and logs, byte for byte, into a directory of the record.
    ///
    /// # Errors
    /// The disk fails, or a log has changed since it was found.
    pub fn copy_to(&mut self, truth: &Path) -> Result<(), Error> {
        if let Some(page) = &self.page {
            let path = truth.join(ORIGINAL);
            std::fs::write(&path, page).map_err(Error::io("write", &path))?;
        }
        self.logs.iter_mut().try_for_each(|(n, log)| log.copy_to(&truth.join(log_name(*n, 1))))
    }
}

impl FoundLog {
    fn of(file: File, path: &Path, room: u64) -> Result<FoundLog, Error> {
        let meta = file.metadata().map_err(Error::io("read", path))?;
        let (path, length) = (path.to_owned(), meta.len());
        if length > room {
            return Err(Error::TooLarge { path, bytes: length, most: room });
        }
        let (place, changed) = ((meta.dev(), meta.ino()), (meta.mtime(), meta.mtime_nsec()));
        Ok(FoundLog { file, path, length, place, changed })
    }

    /// The bytes that were there when it was found.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(&mut self) -> Result<impl Read + '_, Error> {
        self.file.seek(SeekFrom::Start(0)).map_err(Error::io("read", &self.path))?;
        Ok((&mut self.file).take(self.length))
    }

    fn copy_to(&mut self, to: &Path) -> Result<(), Error> {
        let mut copy = File::create_new(to).map_err(Error::io("write", to))?;
        let copied = std::io::copy(&mut self.read()?, &mut copy).map_err(Error::io("write", to))?;
        copy.sync_all().map_err(Error::io("write", to))?;
        let meta = self.file.metadata().map_err(Error::io("read", &self.path))?;
        let is_same =
            copied == self.length && (meta.len(), (meta.mtime(), meta.mtime_nsec())) == (copied, self.changed);
        if is_same { Ok(()) } else { Err(Error::Changed(self.path.clone())) }
    }
}

/// The attempt of a log's name; `None` if the skill gives no log this name.
fn attempt(name: &str) -> Option<AttemptNo> {
    let n = name.strip_prefix("attempt-")?.strip_suffix(".log")?.parse().ok()?;
    ((1..=MOST_ATTEMPT).contains(&n) && log_name(n, 1) == name).then_some(n)
}

fn bounded(file: File, path: &Path) -> Result<Vec<u8>, Error> {
    let bytes = file.metadata().map_err(Error::io("read", path))?.len();
    if bytes > MOST_PAGE {
        return Err(Error::TooLarge { path: path.to_owned(), bytes, most: MOST_PAGE });
    }
    let mut page = Vec::new();
    file.take(MOST_PAGE).read_to_end(&mut page).map_err(Error::io("read", path))?;
    Ok(page)
}

/// The absolute path without `.` and `..`.
fn plain(path: &Path) -> Result<PathBuf, Error> {
    let absolute = std::path::absolute(path).map_err(Error::io("read", path))?;
    match absolute.components().any(|part| part == Component::ParentDir) {
        true => absolute.canonicalize().map_err(Error::io("read", path)),
        // Collects the components, so that a slash at the end is gone.
        false => Ok(absolute.components().collect()),
    }
}

/// Opens a directory of the checkout step by step, or another one whose last part is no link.
fn descend(worktree: &Path, path: &Path) -> Result<Directory, Error> {
    let start = if path.starts_with(worktree) { worktree } else { path.parent().unwrap_or(path) };
    let mut directory = Directory::top(start)?;
    for part in path.strip_prefix(start).unwrap_or(path).iter() {
        let next = directory.existing(part)?;
        let at = directory.path().join(part);
        directory = next.ok_or_else(|| match at.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => Error::Symlink(at),
            Ok(_) => Error::NoDirectory(at),
            Err(error) => Error::io("read", &at)(error),
        })?;
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn made(prepare: impl Fn(&Path)) -> (tempfile::TempDir, Result<HandMade, Error>) {
        let folder = tempfile::tempdir().unwrap();
        let top = folder.path().canonicalize().unwrap();
        let directory = top.join("w/.cursor/agent-handoffs/x");
        std::fs::create_dir_all(&directory).unwrap();
        prepare(&directory);
        let found = HandMade::open(&top.join("w"), &directory.join("."));
        (folder, found)
    }

    #[test]
    fn logs_are_found_by_their_exact_names_and_copied_whole() {
        let names =
            ["attempt-1.log", "attempt-12.log", "attempt-01.log", "attempt-0.log", "attempt-99999.log", "notes"];
        let (folder, found) = made(|directory| {
            names.iter().for_each(|name| std::fs::write(directory.join(name), format!("{name}\0\r\n")).unwrap());
            std::fs::write(directory.join("handoff.md"), b"\xff\n").unwrap();
        });
        let mut found = found.unwrap();
        assert_eq!(found.logs.keys().copied().collect::<Vec<_>>(), [1, 12]);
        assert_eq!(found.other, ["attempt-0.log", "attempt-01.log", "attempt-99999.log", "notes"]);
        let truth = folder.path().join("truth");
        std::fs::create_dir(&truth).unwrap();
        found.copy_to(&truth).unwrap();
        assert_eq!(std::fs::read(truth.join("attempt-12.log")).unwrap(), b"attempt-12.log\0\r\n");
        assert_eq!(std::fs::read(truth.join(ORIGINAL)).unwrap(), b"\xff\n");
    }

    #[test]
    fn no_link_is_followed() {
        let outside = tempfile::NamedTempFile::new().unwrap();
        for name in ["handoff.md", "attempt-1.log"] {
            let (_folder, found) = made(|directory| symlink(outside.path(), directory.join(name)).unwrap());
            assert!(matches!(found, Err(Error::NotAFile(path)) if path.ends_with(name)));
            let (_folder, found) = made(|directory| {
                let second = directory.parent().unwrap().join("second");
                std::fs::write(&second, "").unwrap();
                std::fs::hard_link(second, directory.join(name)).unwrap();
            });
            assert!(matches!(found, Err(Error::NotAFile(_))));
        }
        for part in ["x", "."] {
            let (_folder, found) = made(|directory| {
                let at = directory.parent().unwrap().join(part).components().collect::<PathBuf>();
                std::fs::rename(&at, at.with_extension("away")).unwrap();
                symlink(at.with_extension("away"), at).unwrap();
            });
            assert!(matches!(found, Err(Error::Symlink(_))), "{part}");
        }
        let (_folder, found) = made(|directory| std::fs::remove_dir(directory).unwrap());
        assert!(matches!(found, Err(Error::Io { .. })));
    }

    #[test]
    fn what_is_too_large_is_refused_with_its_size() {
        for (name, bytes) in [("handoff.md", MOST_PAGE + 1), ("attempt-1.log", MOST_LOGS + 1)] {
            let (_folder, found) =
                made(|directory| File::create(directory.join(name)).unwrap().set_len(bytes).unwrap());
            assert!(matches!(found, Err(Error::TooLarge { bytes: found, .. }) if found == bytes), "{name}");
        }
        let (_folder, found) = made(|directory| {
            for name in ["attempt-1.log", "attempt-2.log"] {
                File::create(directory.join(name)).unwrap().set_len(MOST_LOGS / 2 + 1).unwrap();
            }
        });
        assert!(
            matches!(found, Err(Error::TooLarge { path, .. }) if path.ends_with("attempt-2.log")),
            "the sum counts"
        );
    }

    #[test]
    fn a_log_that_grows_meanwhile_is_not_taken_for_whole() {
        let (folder, found) = made(|directory| std::fs::write(directory.join("attempt-1.log"), "one\n").unwrap());
        let mut found = found.unwrap();
        std::fs::write(found.path.join("attempt-1.log"), "one\ntwo\n").unwrap();
        assert!(matches!(found.copy_to(folder.path()), Err(Error::Changed(_))));
    }
}
