//! A directory in a worktree that is reached without following a link, so that neither a capture nor anyone who can
//! write in the worktree can make us read or write another file.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, mkdirat, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::Error;

/// Flags of every open call: never follow a link, never block on a pipe, never inherit the descriptor.
const GUARDS: OFlags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// Start of the name of a file that is being written.
const TEMPORARY: &str = ".handoff-";

/// Whether a file has the name of one that was being written. A process that was killed may have left it.
pub fn is_temporary(name: &str) -> bool {
    let rest = name.strip_prefix(TEMPORARY).and_then(|rest| rest.split_once('-'));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    rest.is_some_and(|(process, count)| is_number(process) && is_number(count))
}

/// An open directory. Names are single components.
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl Directory {
    /// Opens the top of a worktree, or another directory of the user's.
    ///
    /// # Errors
    /// It does not exist, or is not a directory.
    pub fn top(path: &Path) -> Result<Directory, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty()).map_err(errno("open", path))?;
        Ok(Directory { fd, path: path.to_owned() })
    }

    /// Opens a directory in this one, and creates it if it is missing.
    ///
    /// # Errors
    /// [`Error::Symlink`] or [`Error::NoDirectory`] if the name is something else; the disk fails.
    pub fn make(&self, name: &OsStr) -> Result<Directory, Error> {
        let path = self.path.join(name);
        match mkdirat(&self.fd, name, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(errno("make", &path)(error)),
        }
        let flags = GUARDS | OFlags::RDONLY | OFlags::DIRECTORY;
        match openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => Ok(Directory { fd, path }),
            Err(Errno::LOOP | Errno::NOTDIR | Errno::MLINK) => match self.kind(name) {
                Some(FileType::Symlink) => Err(Error::Symlink(path)),
                _ => Err(Error::NoDirectory(path)),
            },
            Err(error) => Err(errno("open", &path)(error)),
        }
    }

    /// Opens a directory in this one; `None` if there is none, or something else.
    ///
    /// # Errors
    /// It exists and cannot be opened.
    pub fn existing(&self, name: &OsStr) -> Result<Option<Directory>, Error> {
        let path = self.path.join(name);
        match openat(&self.fd, name, GUARDS | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()) {
            Ok(fd) => Ok(Some(Directory { fd, path })),
            Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::MLINK) => Ok(None),
            Err(error) => Err(errno("open", &path)(error)),
        }
    }

    /// The names of all entries.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn names(&self) -> Result<Vec<OsString>, Error> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.fd).map_err(errno("read", &self.path))? {
            let entry = entry.map_err(errno("read", &self.path))?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    /// Removes an empty directory in this one.
    ///
    /// # Errors
    /// It is not empty, or cannot be removed.
    pub fn remove_empty(&self, name: &OsStr) -> Result<(), Error> {
        unlinkat(&self.fd, name, AtFlags::REMOVEDIR).map_err(errno("remove", &self.path.join(name)))
    }

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The type of an entry. Links are not followed.
    fn kind(&self, name: &OsStr) -> Option<FileType> {
        let stat = statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }

    /// Opens a regular file with a single link; `None` if there is none, or something else.
    ///
    /// # Errors
    /// It exists and cannot be opened.
    pub fn file(&self, name: &OsStr) -> Result<Option<File>, Error> {
        let path = self.path.join(name);
        let file = match openat(&self.fd, name, GUARDS | OFlags::RDONLY, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // A link, a socket, or a device without a driver.
            Err(Errno::NOENT | Errno::LOOP | Errno::MLINK | Errno::NXIO | Errno::NODEV) => return Ok(None),
            Err(_) if self.kind(name).is_some_and(|kind| kind != FileType::RegularFile) => return Ok(None),
            Err(error) => return Err(errno("read", &path)(error)),
        };
        let meta = file.metadata().map_err(Error::io("read", &path))?;
        Ok((meta.is_file() && meta.nlink() == 1).then_some(file))
    }

    /// Opens the file for writing, and creates it if it is missing. An existing entry must satisfy [`Directory::file`].
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn writable(&self, name: &OsStr) -> Result<File, Error> {
        let path = self.path.join(name);
        let mut tries = 3;
        loop {
            tries -= 1;
            if let Some(file) = self.file(name)? {
                // The mode is read-only to warn people, so it is changed for writing.
                fchmod(&file, Mode::from_raw_mode(0o644)).map_err(errno("write", &path))?;
            }
            let flags = GUARDS | OFlags::WRONLY | OFlags::CREATE;
            match openat(&self.fd, name, flags, Mode::from_raw_mode(0o644)) {
                // Another process of ours made it read-only between the two calls.
                Err(Errno::ACCESS) if tries > 0 => continue,
                opened => return Ok(File::from(opened.map_err(errno("write", &path))?)),
            }
        }
    }

    /// Replaces the entry with this name by a file, whole or not at all.
    ///
    /// # Errors
    /// The disk fails, or the entry is a directory. The old entry is still there.
    pub fn replace(&self, name: &OsStr, bytes: &[u8]) -> Result<(), Error> {
        let write = |file: &mut File| file.write_all(bytes).map_err(Error::io("write", &self.path.join(name)));
        self.replace_with(name, 0o644, write)
    }

    /// The same with a mode and with what `fill` writes.
    ///
    /// # Errors
    /// As [`Directory::replace`], or those of `fill`.
    pub fn replace_with<E: From<Error>>(
        &self,
        name: &OsStr,
        mode: rustix::fs::RawMode,
        fill: impl FnOnce(&mut File) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.path.join(name);
        let (temporary, mut file) = self.temporary().map_err(errno("write", &path))?;
        let place = |file: File| -> std::io::Result<()> {
            fchmod(&file, Mode::from_raw_mode(mode))?;
            file.sync_all()?;
            renameat(&self.fd, &temporary, &self.fd, name)?;
            Ok(())
        };
        let filled = fill(&mut file);
        let placed = filled.and_then(|()| Ok(place(file).map_err(Error::io("write", &path))?));
        placed.inspect_err(|_| {
            // The first error is reported, so an error here is ignored.
            let _ = unlinkat(&self.fd, &temporary, AtFlags::empty());
        })
    }

    /// A new file with a unique name.
    fn temporary(&self) -> Result<(String, File), Errno> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let name = format!("{TEMPORARY}{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
            let flags = GUARDS | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            match openat(&self.fd, &name, flags, Mode::from_raw_mode(0o600)) {
                Ok(fd) => return Ok((name, File::from(fd))),
                // A process that was killed left it.
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error),
            }
        }
    }

    /// Removes a file or a link. A missing entry is not an error.
    ///
    /// # Errors
    /// It cannot be removed, or is a directory.
    pub fn remove(&self, name: &OsStr) -> Result<(), Error> {
        match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(errno("replace", &self.path.join(name))(error)),
        }
    }

    /// Whether an entry with this name exists.
    pub fn has(&self, name: &OsStr) -> bool {
        self.kind(name).is_some()
    }
}

fn errno(verb: &'static str, path: &Path) -> impl FnOnce(Errno) -> Error {
    let path = path.to_owned();
    move |error| {
        let source = std::io::Error::from(error);
        match source.kind() {
            ErrorKind::NotFound => Error::io(verb, &path)(source),
            _ => Error::Io { verb, path, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn name(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn only_a_regular_file_is_read_and_any_other_entry_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let outside = folder.path().join("outside");
        std::fs::write(&outside, "private").unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        let directory = Directory::top(&inside).unwrap();
        symlink(&outside, inside.join("link")).unwrap();
        symlink("nowhere", inside.join("dangling")).unwrap();
        std::fs::hard_link(&outside, inside.join("hard")).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(inside.join("pipe")).status().unwrap().success());
        let _socket = std::os::unix::net::UnixListener::bind(inside.join("socket")).unwrap();
        for wrong in ["link", "dangling", "hard", "pipe", "socket"] {
            assert!(directory.file(name(wrong)).unwrap().is_none(), "{wrong}");
            directory.replace(name(wrong), b"ours").unwrap();
            assert_eq!(std::fs::read_to_string(inside.join(wrong)).unwrap(), "ours");
        }
        assert_eq!(std::fs::read_to_string(&outside).unwrap(), "private");
        assert!(!folder.path().join("nowhere").exists() && !inside.join("nowhere").exists());
        std::fs::create_dir(inside.join("folder")).unwrap();
        assert!(directory.file(name("folder")).unwrap().is_none());
        assert!(directory.replace(name("folder"), b"ours").is_err());
        assert_eq!(std::fs::read_dir(&inside).unwrap().count(), 6, "no temporary file is left");
    }

    #[test]
    fn an_entry_that_is_not_a_directory_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let directory = Directory::top(folder.path()).unwrap();
        symlink(folder.path(), folder.path().join("link")).unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        assert!(matches!(directory.make(name("link")), Err(Error::Symlink(_))));
        assert!(matches!(directory.make(name("file")), Err(Error::NoDirectory(_))));
        assert!(directory.make(name("new")).is_ok() && directory.make(name("new")).is_ok());
    }
}
