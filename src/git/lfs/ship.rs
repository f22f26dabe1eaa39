//! The contents that a ship needs, as git objects.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::store::{Store, has_length, sum};
use super::{ContentId, LfsFile, files_of};
use crate::git::command::Git;
use crate::git::repository::oid;
use crate::git::snapshot::path_of;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::{LfsContents, Oid, SentFile};

/// Maximum files that are named.
const NAMED: usize = 20;
/// Contents of at least this length are stored as they are, without a search for similar objects: most are compressed.
const BIG: &str = "core.bigFileThreshold=16m";
/// Name of the file that remembers the blobs of contents, so that a large file is read once.
const KNOWN: &str = "lfs-blobs";

/// Where the content of a file is on this laptop: in the store of git-lfs, or in the work tree. A file of the right
/// length may have another content.
fn source(store: &Store, top: &Path, file: &LfsFile) -> Option<PathBuf> {
    let here = || Some(top.join(path_of(&file.path))).filter(|path| has_length(path, file.pointer.size));
    store.find(&file.pointer).or_else(here)
}

impl Repository {
    /// The paths among `files` whose content is not on this laptop.
    pub(in crate::git) fn lfs_absent<'a>(&self, files: &'a [LfsFile]) -> Result<BTreeSet<&'a [u8]>> {
        if files.is_empty() {
            return Ok(BTreeSet::new());
        }
        let store = Store::of(self)?;
        let absent = files.iter().filter(|file| source(&store, self.top(), file).is_none());
        Ok(absent.map(|file| file.path.as_slice()).collect())
    }

    /// What would be sent of the contents of a tree. Nothing is read or written. `git` makes commands that can read it.
    pub(in crate::git) fn preview_lfs(
        &self,
        git: &dyn Fn(&'static str) -> Git,
        tree: &Oid,
    ) -> Result<Option<LfsContents>> {
        let (files, store) = (files_of(git, tree)?.pointers, Store::of(self)?);
        let there: Vec<&LfsFile> = files.iter().filter(|file| source(&store, self.top(), file).is_some()).collect();
        Ok(described(None, &there))
    }

    /// Stores the contents of a tree's files as blobs of a commit, as far as they are on this laptop. `None`: the tree has
    /// no file of Git LFS whose content is here.
    ///
    /// # Errors
    /// git fails, or a file cannot be read.
    pub fn lfs_contents(&self, tree: &Oid) -> Result<Option<LfsContents>> {
        let files = files_of(&|verb| self.git(verb), tree)?.pointers;
        if files.is_empty() {
            return Ok(None);
        }
        let store = Store::of(self)?;
        let known = self.known_blobs(&files)?;
        let (mut blobs, mut made) = (BTreeMap::new(), String::new());
        for file in &files {
            let id = &file.pointer.id;
            if blobs.contains_key(id) {
                continue;
            }
            let blob = match known.get(id) {
                Some(blob) => Some(blob.clone()),
                None => self.store_content(&store, file)?.inspect(|blob| made.push_str(&format!("{id} {blob}\n"))),
            };
            if let Some(blob) = blob {
                blobs.insert(id.clone(), blob);
            }
        }
        self.remember_blobs(&made)?;
        if blobs.is_empty() {
            return Ok(None);
        }
        let entries: String = blobs.iter().map(|(id, blob)| format!("100644 blob {blob}\t{id}\n")).collect();
        let tree = oid(&self.git("mktree").stdin(entries).line()?)?;
        // Without a date, the same contents are the same commit, which a host may have already.
        let who = "handoff <handoff@localhost> 0 +0000";
        let text = format!("tree {tree}\nauthor {who}\ncommitter {who}\n\nhandoff: contents of Git LFS\n");
        let commit = oid(&self.git("hash-object").args(["-t", "commit", "-w", "--stdin"]).stdin(text).line()?)?;
        let there: Vec<&LfsFile> = files.iter().filter(|file| blobs.contains_key(&file.pointer.id)).collect();
        Ok(described(Some(commit), &there))
    }

    /// The paths of a tree whose attributes say LFS and that are stored as they are. A host must not make pointers of them.
    ///
    /// # Errors
    /// git fails.
    pub fn lfs_raw(&self, tree: &Oid) -> Result<Vec<Vec<u8>>> {
        Ok(files_of(&|verb| self.git(verb), tree)?.raw)
    }

    /// Writes the blob of a file's content. `None`: the content is not here.
    fn store_content(&self, store: &Store, file: &LfsFile) -> Result<Option<Oid>> {
        let work = self.top().join(path_of(&file.path));
        let places = store.find(&file.pointer).into_iter().chain(Some(work));
        for place in places.filter(|place| has_length(place, file.pointer.size)) {
            if sum(&place)? != file.pointer.id {
                continue;
            }
            let content = File::open(&place).map_err(Error::io("read", &place))?;
            let hash = self.git("hash-object").config(BIG).config("core.compression=0");
            let blob = hash.args(["-w", "--no-filters", "--stdin"]).stdin_file(content).line()?;
            // The file of a work tree may have been written to in between.
            if sum(&place)? == file.pointer.id {
                return Ok(Some(oid(&blob)?));
            }
        }
        Ok(None)
    }

    /// The blobs of contents that an earlier ship stored, if they are still here and have the right length.
    fn known_blobs(&self, files: &[LfsFile]) -> Result<BTreeMap<ContentId, Oid>> {
        let text = std::fs::read_to_string(self.state_dir().join(KNOWN)).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        let listed: BTreeMap<&str, &str> = lines.filter(|(_, blob)| blob.parse::<Oid>().is_ok()).collect();
        let asked = files.iter().filter_map(|file| Some((&file.pointer, *listed.get(file.pointer.id.as_str())?)));
        let asked: Vec<_> = asked.collect();
        let question: String = asked.iter().map(|(_, blob)| format!("{blob}\n")).collect();
        let check = ["--buffer", "--batch-check=%(objecttype) %(objectsize)"];
        let printed = self.git("cat-file").args(check).stdin(question).run()?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let pairs = asked.into_iter().zip(printed.lines());
        let right = pairs.filter(|((pointer, _), said)| *said == format!("blob {}", pointer.size));
        right.map(|((pointer, blob), _)| Ok((pointer.id.clone(), oid(blob)?))).collect()
    }

    /// Adds lines `<id> <blob>` to those of earlier ships.
    fn remember_blobs(&self, made: &str) -> Result<()> {
        if made.is_empty() {
            return Ok(());
        }
        let path = self.state_dir().join(KNOWN);
        let file = File::options().append(true).create(true).open(&path);
        file.and_then(|mut file| std::io::Write::write_all(&mut file, made.as_bytes()))
            .map_err(Error::io("write", &path))
    }
}

/// What is sent of these files; `None` without any.
fn described(commit: Option<Oid>, files: &[&LfsFile]) -> Option<LfsContents> {
    let named = |file: &&LfsFile| {
        let path = String::from_utf8_lossy(&file.path).into_owned();
        SentFile { path, bytes: file.pointer.size }
    };
    let contents: BTreeMap<_, _> = files.iter().map(|file| (&file.pointer.id, file.pointer.size)).collect();
    let bytes = contents.values().fold(0, |sum: u64, size| sum.saturating_add(*size));
    let first = files.iter().take(NAMED).map(named).collect();
    (!files.is_empty()).then_some(LfsContents { commit, files: files.len() as u64, bytes, first })
}
