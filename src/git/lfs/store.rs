//! The contents on this laptop, where git-lfs has them: `lfs/objects/<2>/<2>/<id>` in the git directory.

use std::fs::{File, Permissions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::pointer::{ContentId, Pointer};
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// The directory of the contents.
pub(super) struct Store(PathBuf);

impl Store {
    /// That of a repository. `lfs.storage` may name another one, relative to the git directory.
    pub fn of(repo: &Repository) -> Result<Self> {
        let config = repo.config()?;
        Ok(Self(repo.common_dir().join(config.get("lfs.storage").filter(|set| !set.is_empty()).unwrap_or("lfs"))))
    }

    fn place(&self, id: &ContentId) -> PathBuf {
        let id = id.as_str();
        self.0.join("objects").join(&id[..2]).join(&id[2..4]).join(id)
    }

    /// The file of a content, if it has the right length.
    pub fn find(&self, pointer: &Pointer) -> Option<PathBuf> {
        let place = self.place(&pointer.id);
        has_length(&place, pointer.size).then_some(place)
    }

    /// Stores a content that came as a blob, unless it is here. `false`: it is not the content of that id.
    fn add(&self, repo: &Repository, id: &ContentId, blob: &str) -> Result<bool> {
        let place = self.place(id);
        if place.symlink_metadata().is_ok() {
            return Ok(true);
        }
        let above = place.parent().unwrap_or(&self.0);
        let (write, tmp) = (|| Error::io("write", &place), self.0.join("tmp"));
        std::fs::create_dir_all(above).and_then(|()| std::fs::create_dir_all(&tmp)).map_err(write())?;
        // With the modes of git-lfs, so that others may read the objects of a shared repository.
        let mode = Permissions::from_mode(0o666);
        let made = tempfile::Builder::new().prefix("handoff-").permissions(mode).tempfile_in(&tmp).map_err(write())?;
        let file = made.as_file().try_clone().map_err(write())?;
        repo.git("cat-file").args(["blob", blob]).stdout_file(file).run()?;
        if sum(made.path())? != *id {
            return Ok(false);
        }
        made.as_file().sync_all().map_err(write())?;
        match made.persist_noclobber(&place) {
            Err(error) if error.error.kind() != ErrorKind::AlreadyExists => Err(write()(error.error)),
            _ => Ok(true),
        }
    }
}

/// Whether a regular file has this length.
pub(super) fn has_length(path: &Path, length: u64) -> bool {
    path.symlink_metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == length)
}

/// The id of a file's content.
pub(super) fn sum(path: &Path) -> Result<ContentId> {
    let read = || -> std::io::Result<String> {
        let (mut file, mut hasher, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
        loop {
            match file.read(&mut buffer)? {
                0 => return Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()),
                length => hasher.update(&buffer[..length]),
            }
        }
    };
    let hex = read().map_err(Error::io("read", path))?;
    ContentId::parse(&hex).ok_or_else(|| Error::untrusted(format!("{hex:?} is no SHA-256")))
}

impl Repository {
    /// Whether all contents of a commit are where git-lfs has them, by their lengths.
    pub(in crate::git) fn has_lfs(&self, commit: &Oid) -> Result<bool> {
        let printed = self.git("ls-tree").args(["-z", "-l", commit.as_str()]).run()?;
        let (store, text) = (Store::of(self)?, String::from_utf8_lossy(&printed).into_owned());
        // git-ls-tree(1): `<mode> SP <type> SP <object> SP <size padded> TAB <file>`.
        let is_there = |entry: &str| {
            let (head, name) = entry.split_once('\t')?;
            let size = head.rsplit(' ').next()?.parse().ok()?;
            store.find(&Pointer { id: ContentId::parse(name)?, size })
        };
        Ok(text.split('\0').filter(|entry| !entry.is_empty()).all(|entry| is_there(entry).is_some()))
    }

    /// Stores the contents that came from a host as a commit, where git-lfs has them. Each is verified by its id, and one
    /// that is here is not overwritten. Returns the ids of those that are something else, or unreadable names.
    ///
    /// # Errors
    /// git fails, or a file cannot be written.
    pub fn receive_lfs(&self, commit: &Oid) -> Result<Vec<String>> {
        let printed = self.git("ls-tree").args(["-z", commit.as_str()]).run()?;
        let (store, mut refused) = (Store::of(self)?, Vec::new());
        for entry in printed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let entry = String::from_utf8_lossy(entry).into_owned();
            let (head, name) = entry.split_once('\t').unwrap_or_default();
            let is_right = match (head.strip_prefix("100644 blob "), ContentId::parse(name)) {
                (Some(blob), Some(id)) => store.add(self, &id, blob)?,
                _ => false,
            };
            if !is_right {
                refused.push(name.to_owned());
            }
        }
        Ok(refused)
    }
}
