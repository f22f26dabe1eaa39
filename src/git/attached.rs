//! Files that the user attaches to a task become objects of the repository, so that every later attempt gets the same
//! bytes, whatever happens to the originals.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::repository::oid;
use super::snapshot::is_secret;
use super::{Error, Repository, Result};
use crate::model::attached::{Attached, AttachedFile, safe_name};
use crate::model::snapshot::Oid;

/// Opening a pipe would wait for its writer.
const NO_WAIT: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

/// The files whose names are usual for credentials, also by the name that a link leads to.
pub fn secrets_among(files: &[PathBuf]) -> Vec<&Path> {
    let is_named = |path: &Path| is_secret(path.as_os_str().as_bytes());
    let leads_to = |path: &Path| path.canonicalize().is_ok_and(|path| is_named(&path));
    files.iter().map(PathBuf::as_path).filter(|path| is_named(path) || leads_to(path)).collect()
}

/// Reads the files into the repository's objects. The caller keeps the commit with [`Repository::keep_ref`].
///
/// # Errors
/// [`Error::Unfit`]: one of them is missing, unreadable, or no file. Then none is attached.
pub fn attach(repo: &Repository, files: &[PathBuf]) -> Result<Option<Attached>> {
    if files.is_empty() {
        return Ok(None);
    }
    // All are opened before the first is read, so that a wrong name is refused at once.
    let opened = files.iter().map(|path| open(path)).collect::<Result<Vec<File>>>()?;
    let mut attached: Vec<AttachedFile> = Vec::new();
    for (path, file) in files.iter().zip(opened) {
        let object = oid(&repo.git("hash-object").args(["-w", "--no-filters", "--stdin"]).stdin_file(file).line()?)?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let name = safe_name(&name, &attached);
        // The object's size: the file may have grown since it was read.
        let bytes = repo.git("cat-file").args(["-s", object.as_str()]).line()?;
        let bytes = bytes.parse().map_err(|_| Error::untrusted(format!("git printed no size: {bytes:?}")))?;
        attached.push(AttachedFile { name, path: path.to_string_lossy().into_owned(), bytes, object });
    }
    let commit = commit(repo, &attached)?;
    Ok(Some(Attached { commit, files: attached }))
}

/// The commit of the files, whose tree has them by number: a name could be one that git refuses.
fn commit(repo: &Repository, files: &[AttachedFile]) -> Result<Oid> {
    let entry = |(number, file): (usize, &AttachedFile)| format!("100644 blob {}\t{}\n", file.object, number + 1);
    let entries: String = files.iter().enumerate().map(entry).collect();
    let tree = repo.git("mktree").stdin(entries).line()?;
    let who = "handoff <handoff@localhost> 0 +0000";
    let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nhandoff: files attached to the task\n");
    oid(&repo.git("hash-object").args(["-t", "commit", "-w", "--stdin"]).stdin(text).line()?)
}

/// Opens a regular file, also through a link.
fn open(path: &Path) -> Result<File> {
    let refuse = |what: String, hint: &str| Err(Error::unfit(format!("{}: {what}", path.display()), hint));
    let shown = path.to_string_lossy();
    let list = format!("ls -l {}", shlex::try_quote(&shown).unwrap_or(shown.as_ref().into()));
    let file = match File::options().read(true).custom_flags(NO_WAIT).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return refuse("there is no such file to attach".to_owned(), &list);
        }
        Err(error) => return refuse(format!("the file to attach cannot be read ({error})"), &list),
    };
    let kind = file.metadata().map_err(Error::io("read", path))?.file_type();
    match () {
        () if kind.is_file() => Ok(file),
        () if kind.is_dir() => {
            refuse("a directory cannot be attached".to_owned(), "attach its files, or pack it with `tar` first")
        }
        () => refuse("only a regular file can be attached".to_owned(), "copy its content to a file, and attach that"),
    }
}

impl Repository {
    /// Writes the attached files, read-only, into a directory of the record unless they are there. Returns their paths.
    ///
    /// # Errors
    /// git or the disk fails.
    pub fn write_attached(&self, directory: &Path, attached: &Attached) -> Result<Vec<PathBuf>> {
        std::fs::create_dir_all(directory).map_err(Error::io("make", directory))?;
        let mut paths = Vec::new();
        for file in &attached.files {
            let path = directory.join(&file.name);
            if !self.is_at(&path, &file.object)? {
                let new = tempfile::NamedTempFile::new_in(directory).map_err(Error::io("write in", directory))?;
                let to = new.reopen().map_err(Error::io("write", new.path()))?;
                self.git("cat-file").args(["blob", file.object.as_str()]).stdout_file(to).run()?;
                let read_only = std::fs::Permissions::from_mode(0o400);
                std::fs::set_permissions(new.path(), read_only).map_err(Error::io("write", new.path()))?;
                new.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
            }
            paths.push(path);
        }
        Ok(paths)
    }

    /// Whether a file has the content of a blob.
    fn is_at(&self, path: &Path, object: &Oid) -> Result<bool> {
        if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
            return Ok(false);
        }
        let file = File::open(path).map_err(Error::io("read", path))?;
        Ok(self.git("hash-object").args(["--no-filters", "--stdin"]).stdin_file(file).line()? == object.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    fn unfit(repo: &Repo, path: &Path) -> String {
        match attach(&repo.open(), &[path.to_owned()]) {
            Err(Error::Unfit { what, .. }) => what,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn attached_files_are_read_byte_for_byte_and_written_again() {
        let repo = Repo::with_commit();
        // Attributes and settings of the repository do not change them.
        repo.write(".gitattributes", "* text eol=crlf ident\n");
        repo.git(["config", "core.autocrlf", "true"]);
        let files = ["shot.png", "-x.log", ".gitattributes", "empty"].map(|name| repo.sibling(name));
        for file in &files[..3] {
            std::fs::write(file, b"$Id$ \0\xff\r\nline\n").unwrap();
        }
        std::fs::write(&files[3], "").unwrap();
        let link = repo.sibling("link.log");
        std::os::unix::fs::symlink(&files[1], &link).unwrap();
        let git = repo.open();
        let attached = attach(&git, &[&files[..], &[link]].concat()).unwrap().unwrap();
        let listed: Vec<_> = attached.files.iter().map(|file| (file.name.as_str(), file.bytes)).collect();
        assert_eq!(listed, [("shot.png", 14), ("-x.log", 14), (".gitattributes", 14), ("empty", 0), ("link.log", 14)]);
        std::fs::remove_file(&files[0]).unwrap();
        let place = repo.sibling("attached");
        for _ in 0..2 {
            let paths = git.write_attached(&place, &attached).unwrap();
            assert_eq!(std::fs::read(&paths[0]).unwrap(), b"$Id$ \0\xff\r\nline\n");
            assert_eq!(std::fs::read(&paths[3]).unwrap(), b"");
            assert_eq!(paths[0].metadata().unwrap().permissions().mode() & 0o777, 0o400);
            // A damaged copy is made again.
            std::fs::remove_file(&paths[0]).unwrap();
            std::fs::write(&paths[0], "other").unwrap();
        }
        assert_eq!(place.read_dir().unwrap().count(), 5);
    }

    #[test]
    fn what_is_no_readable_file_is_refused_before_anything_is_stored() {
        let repo = Repo::with_commit();
        let pipe = repo.sibling("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(unfit(&repo, &pipe).contains("only a regular file"));
        assert!(unfit(&repo, Path::new("/dev/null")).contains("only a regular file"));
        assert!(unfit(&repo, repo.top()).contains("a directory cannot be attached"));
        assert!(unfit(&repo, &repo.sibling("none")).contains("there is no such file"));
        let dangling = repo.sibling("dangling");
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        assert!(unfit(&repo, &dangling).contains("there is no such file"));
        assert_eq!(attach(&repo.open(), &[]).unwrap(), None);
    }

    #[test]
    fn a_link_to_a_secret_is_a_secret() {
        let repo = Repo::with_commit();
        std::fs::write(repo.sibling("id_ed25519"), "key").unwrap();
        let link = repo.sibling("notes.txt");
        std::os::unix::fs::symlink(repo.sibling("id_ed25519"), &link).unwrap();
        let plain = repo.sibling("plain.log");
        let files = [link.clone(), plain, repo.sibling(".env")];
        assert_eq!(secrets_among(&files), [link.as_path(), files[2].as_path()]);
    }
}
