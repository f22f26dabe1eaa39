//! The files of a checkout, reached without following a symbolic link, so that nothing outside is read or written.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, mkdirat, openat, readlinkat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest, Sha256};

use super::path_state::State;
use crate::git::tree_edits::ancestors;

/// A directory is opened only if it is one.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The bits of a mode that `chmod` sets.
const PERMISSIONS: u32 = 0o7777;

/// A checkout. Paths are relative to its top, in git's form.
pub(super) struct Checkout {
    top: OwnedFd,
    path: PathBuf,
    /// The name under which something is put next to its place, unique to the change.
    temporary: String,
}

/// The directory of a path, and the path's last component.
type Place<'a> = (OwnedFd, &'a OsStr);

impl Checkout {
    pub fn open(top: &Path, temporary: String) -> io::Result<Self> {
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Ok(Self { top: rustix::fs::open(top, flags, Mode::empty())?, path: top.to_owned(), temporary })
    }

    /// The absolute path, for messages.
    pub fn path_of(&self, path: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(path))
    }

    /// `None`: a directory above is missing, or is none.
    fn place<'a>(&self, path: &'a [u8], make: bool) -> io::Result<Option<Place<'a>>> {
        let mut directory = self.top.try_clone()?;
        let mut names = path.split(|byte| *byte == b'/').map(OsStr::from_bytes).peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return Ok(Some((directory, name)));
            }
            if make {
                match mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            directory = match openat(&directory, name, DIRECTORY, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK) if !make => return Ok(None),
                Err(error) => return Err(error.into()),
            };
        }
        Ok(None)
    }

    fn made(&self, path: &[u8]) -> io::Result<(OwnedFd, Vec<u8>)> {
        let place = self.place(path, true)?.ok_or_else(|| io::Error::from(ErrorKind::InvalidInput))?;
        Ok((place.0, place.1.as_bytes().to_vec()))
    }

    /// What is at a path. A directory is not a file, so the path is absent.
    pub fn state(&self, path: &[u8]) -> io::Result<State> {
        let Some((directory, name)) = self.place(path, false)? else { return Ok(State::Absent) };
        let stat = match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(State::Absent),
            Err(error) => return Err(error.into()),
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => {
                let file = self.open_file(path)?;
                let mode = file.metadata()?.permissions().mode() & PERMISSIONS;
                Ok(State::File { sha256: hash(file)?, mode })
            }
            FileType::Symlink => Ok(State::Link { target: readlinkat(&directory, name, Vec::new())?.into_bytes() }),
            FileType::Directory => Ok(State::Absent),
            _ => Ok(State::Other),
        }
    }

    /// Opens a regular file.
    pub fn open_file(&self, path: &[u8]) -> io::Result<File> {
        let (directory, name) = self.place(path, false)?.ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(File::from(openat(&directory, name, flags, Mode::empty())?))
    }

    /// Replaces a path by a file, which is moved there whole. `from` is consumed.
    pub fn put_file(&self, from: &Path, path: &[u8]) -> io::Result<()> {
        let (directory, name) = self.made(path)?;
        match renameat(CWD, from, &directory, name.as_slice()) {
            Err(Errno::XDEV) => {}
            done => return Ok(done?),
        }
        self.put_copy(from, path)
    }

    /// Replaces a path by a copy of a file of another file system. It is written next to its place first, so that the
    /// path never has a part of it.
    fn put_copy(&self, from: &Path, path: &[u8]) -> io::Result<()> {
        let (directory, name) = self.made(path)?;
        self.clear_temporary(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copy = openat(&directory, self.temporary.as_str(), flags, Mode::from_raw_mode(0o600))?;
        copy_file(File::open(from)?, File::from(copy))?;
        Ok(renameat(&directory, self.temporary.as_str(), &directory, name.as_slice())?)
    }

    /// Replaces a path by a symbolic link.
    pub fn put_link(&self, target: &[u8], path: &[u8]) -> io::Result<()> {
        let (directory, name) = self.made(path)?;
        self.clear_temporary(path)?;
        symlinkat(OsStr::from_bytes(target), &directory, self.temporary.as_str())?;
        Ok(renameat(&directory, self.temporary.as_str(), &directory, name.as_slice())?)
    }

    /// Removes a file, and the directories above it that are empty then, up to the first that `keep` names.
    pub fn remove(&self, path: &[u8], keep: impl Fn(&[u8]) -> bool) -> io::Result<()> {
        if let Some((directory, name)) = self.place(path, false)? {
            match unlinkat(&directory, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for above in ancestors(path) {
            if keep(above) || !self.remove_directory(above)? {
                break;
            }
        }
        Ok(())
    }

    /// Removes an empty directory. `false`: it has entries.
    pub fn remove_directory(&self, path: &[u8]) -> io::Result<bool> {
        let Some((directory, name)) = self.place(path, false)? else { return Ok(true) };
        match unlinkat(&directory, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR | Errno::BUSY) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Makes a directory if it does not exist, and gives it a mode.
    pub fn make_directory(&self, path: &[u8], mode: u32) -> io::Result<()> {
        let (directory, name) = self.made(path)?;
        match mkdirat(&directory, name.as_slice(), Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let made = File::from(openat(&directory, name.as_slice(), DIRECTORY, Mode::empty())?);
        if made.metadata()?.permissions().mode() & PERMISSIONS != mode {
            made.set_permissions(std::fs::Permissions::from_mode(mode))?;
        }
        Ok(())
    }

    /// Removes what a process that was killed left next to a path.
    pub fn clear_temporary(&self, path: &[u8]) -> io::Result<()> {
        let Some((directory, _)) = self.place(path, false)? else { return Ok(()) };
        match unlinkat(&directory, self.temporary.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The type of what is at a path, if all directories above it are real ones.
    pub fn kind(&self, path: &[u8]) -> io::Result<Option<FileType>> {
        let Some((directory, name)) = self.place(path, false)? else { return Ok(None) };
        match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The mode of a directory; `None` if something else is there, or nothing.
    pub fn directory_mode(&self, path: &[u8]) -> io::Result<Option<u32>> {
        if self.kind(path)? != Some(FileType::Directory) {
            return Ok(None);
        }
        let Some((above, name)) = self.place(path, false)? else { return Ok(None) };
        let directory = File::from(openat(&above, name, DIRECTORY, Mode::empty())?);
        Ok(Some(directory.metadata()?.permissions().mode() & PERMISSIONS))
    }

    /// The paths of a directory's entries.
    pub fn entries(&self, path: &[u8]) -> io::Result<Vec<Vec<u8>>> {
        let Some((above, name)) = self.place(path, false)? else { return Ok(Vec::new()) };
        let directory = openat(&above, name, DIRECTORY, Mode::empty())?;
        let mut found = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                found.push([path, b"/", name].concat());
            }
        }
        Ok(found)
    }
}

/// Copies content, mode and modification time, and waits until the copy is on the disk.
pub(super) fn copy_file(mut source: File, mut copy: File) -> io::Result<()> {
    io::copy(&mut source, &mut copy)?;
    let meta = source.metadata()?;
    copy.set_permissions(meta.permissions())?;
    copy.set_times(std::fs::FileTimes::new().set_modified(meta.modified()?))?;
    copy.sync_all()
}

/// The SHA-256 of a file, in hexadecimal digits.
pub(super) fn hash(mut file: impl Read) -> io::Result<String> {
    let (mut hasher, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What is at an absolute path of ours, as [`Checkout::state`] says it.
pub(super) fn state_at(path: &Path) -> io::Result<State> {
    let meta = path.symlink_metadata()?;
    if meta.is_symlink() {
        return Ok(State::Link { target: std::fs::read_link(path)?.into_os_string().into_vec() });
    }
    Ok(State::File { sha256: hash(File::open(path)?)?, mode: meta.permissions().mode() & PERMISSIONS })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    /// A temporary directory on another file system than `place`, if this machine has one.
    fn elsewhere(place: &Path) -> Option<tempfile::TempDir> {
        let found = ["/dev/shm", "/run", "/var/tmp"].into_iter().filter_map(|above| tempfile::tempdir_in(above).ok());
        let device = |path: &Path| path.metadata().unwrap().dev();
        found.into_iter().find(|found| device(found.path()) != device(place))
    }

    #[test]
    fn a_file_of_another_file_system_replaces_a_path_whole_with_mode_and_time() {
        let here = tempfile::tempdir().unwrap();
        let other = elsewhere(here.path());
        let from = other.as_ref().unwrap_or(&here).path().join("from");
        std::fs::write(&from, "new\n").unwrap();
        std::fs::set_permissions(&from, std::fs::Permissions::from_mode(0o750)).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_700_000_000, 123_456_789);
        File::options().write(true).open(&from).unwrap().set_modified(time).unwrap();
        std::fs::create_dir(here.path().join("in")).unwrap();
        let place = here.path().join("in/file");
        std::fs::write(&place, "old\n").unwrap();
        // A process that was killed while it copied left the beginning of the file.
        std::fs::write(here.path().join("in/.temporary"), "ne").unwrap();
        let checkout = Checkout::open(here.path(), ".temporary".to_owned()).unwrap();
        match &other {
            Some(_) => checkout.put_file(&from, b"in/file").unwrap(),
            None => checkout.put_copy(&from, b"in/file").unwrap(),
        }
        let meta = place.metadata().unwrap();
        assert_eq!((meta.mode() & 0o777, meta.modified().unwrap()), (0o750, time));
        assert_eq!(std::fs::read_to_string(&place).unwrap(), "new\n");
        assert_eq!(std::fs::read_dir(here.path().join("in")).unwrap().count(), 1, "nothing stays next to it");
    }
}
