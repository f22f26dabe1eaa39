//! Writes down a change of a checkout, with copies of everything that it replaces, before the first file changes.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use super::checkout::{Checkout, copy_file, hash, state_at};
use super::path_state::{self, State};
use super::plan::{self, FORMAT, Plan, in_the_way};
use super::{Undo, changed_meanwhile, index, removed};
use crate::git::command::Git;
use crate::git::directories::remove_directory;
use crate::git::index_stamp::IndexStamp;
use crate::git::lfs;
use crate::git::tree_edits::{Conflict, Edits, Entry, ancestors};
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Snapshot;

/// The bits that say whether a file is executable.
const EXECUTABLE: u32 = 0o111;

/// What is going to change.
pub(in crate::git) struct Change<'a> {
    pub number: u32,
    /// The checkout as it is.
    pub ours: &'a Snapshot,
    pub files: &'a Edits,
    pub index: &'a Edits,
    /// The index when `ours` was taken.
    pub stamp: Option<IndexStamp>,
}

/// Entries of a tree by path.
type Known = BTreeMap<Vec<u8>, Entry>;
/// The names of the files that are added, changed and deleted.
type Names = (Vec<String>, Vec<String>, Vec<String>);

impl Change<'_> {
    /// The paths where something that the snapshot does not have is in the way: ignored files, other repositories, links.
    pub fn in_the_way(&self, repo: &Repository, known: &Known) -> Result<Vec<Conflict>> {
        let checkout = open(repo)?;
        let read = |path: &[u8], error| Error::io("read", &checkout.path_of(path))(error);
        let paths = self.files.iter().map(|(path, entry)| (path.as_slice(), entry.is_some()));
        let (blocked, _) = in_the_way(&checkout, paths).map_err(|error| read(b"", error))?;
        let mut found: Vec<_> = blocked
            .iter()
            .map(|path| Conflict::new(path, "is in the place of something that git does not track here"))
            .collect();
        for path in self.files.keys() {
            let kind =
                checkout.kind(path).map_err(|error| read(path, error))?.filter(|kind| *kind != FileType::Directory);
            match (kind, known.get(path)) {
                (Some(_), None) => found.push(Conflict::new(path, "exists here as an ignored file")),
                (None, Some(_)) => found.push(Conflict::new(path, "is not in this (sparse) checkout")),
                _ => {}
            }
        }
        Ok(found)
    }

    /// The entries of the snapshot at the paths that change.
    pub fn known(&self, repo: &Repository) -> Result<Known> {
        let printed = repo.git("ls-tree").args(["-r", "-z", "--full-tree", self.ours.files_tree.as_str()]).run()?;
        let parse = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let path = line[tab + 1..].to_vec();
            let mut words = std::str::from_utf8(&line[..tab]).ok()?.split(' ');
            let (mode, _, object) = (words.next()?.to_owned(), words.next()?, words.next()?.to_owned());
            self.files.contains_key(&path).then_some((path, Entry { mode, object }))
        };
        Ok(printed.split(|byte| *byte == 0).filter_map(parse).collect())
    }

    /// Writes the plan, the copies and the new files. `known` are the entries of the snapshot. The change is made by [`Undo::write`] after [`Undo::begin`].
    pub fn prepare(&self, repo: &Repository, undo: &Undo, known: &Known) -> Result<Names> {
        let draft = Draft { repo, home: undo.draft() };
        // A process that was killed while it prepared a change left it.
        remove_directory(&draft.home)?;
        for name in ["before", "after", "stage"] {
            let path = draft.home.join(name);
            std::fs::create_dir_all(&path).map_err(Error::io("make", &path))?;
        }
        index::copy_shared(repo, &draft.home)?;
        draft.copy_index(self)?;
        let checkout = open(repo)?;
        draft.stage(self)?;
        let (mut files, mut directories, mut names) = (Vec::new(), BTreeMap::new(), Names::default());
        for (path, entry) in self.files {
            if let Some(change) = draft.copy(&checkout, path, entry.as_ref(), files.len())? {
                let list = match (&change.before, &change.after) {
                    (State::Absent, _) => &mut names.0,
                    (_, State::Absent) => &mut names.2,
                    _ => &mut names.1,
                };
                list.push(change.path.shown());
                files.push(change);
            }
            for above in ancestors(path) {
                if let Some(mode) = checkout.directory_mode(above).map_err(Error::io("read", repo.top()))? {
                    directories.insert(path_state::Path(above.to_vec()), mode);
                }
            }
        }
        draft.compare(known)?;
        let paths = files.iter().map(|change| (change.path.0.as_slice(), change.after != State::Absent));
        let (blocked, more) = in_the_way(&checkout, paths).map_err(Error::io("read", repo.top()))?;
        if let Some(path) = blocked.first() {
            return Err(changed_meanwhile(&String::from_utf8_lossy(path)));
        }
        directories.extend(more);
        let (number, worktree, head) = (self.number, repo.worktree_name(), self.ours.head.clone());
        let plan = Plan { v: FORMAT, number, worktree, head, index: !self.index.is_empty(), files, directories };
        draft.finish(&plan)?;
        Ok(names)
    }
}

impl Undo {
    /// Where a change is prepared.
    pub(super) fn draft(&self) -> PathBuf {
        self.home.with_file_name("here.new")
    }

    /// Puts the change before the last one back, if a process was killed before it had another one in its place.
    ///
    /// # Errors
    /// The disk fails.
    pub fn restore_earlier(&self) -> Result<()> {
        if self.home.exists() || !self.earlier().exists() {
            return Ok(());
        }
        std::fs::rename(self.earlier(), &self.home).map_err(Error::io("write", &self.home))
    }

    /// Where the change before the last one is kept until the last one is complete.
    pub(super) fn earlier(&self) -> PathBuf {
        self.home.with_file_name("here.old")
    }

    /// The prepared change takes the place of an earlier one, which is kept until this one is complete. From here on it
    /// is finished or rolled back, whatever happens.
    ///
    /// # Errors
    /// The disk fails; nothing is begun.
    pub fn begin(&self) -> Result<()> {
        self.restore_earlier()?;
        remove_directory(&self.earlier())?;
        match std::fs::rename(&self.home, self.earlier()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::io("write", &self.earlier())(error));
            }
            _ => {}
        }
        let failed = || Error::io("write", &self.home);
        std::fs::rename(self.draft(), &self.home).map_err(failed())?;
        let above = self.home.parent().unwrap_or(&self.home);
        File::open(above).and_then(|above| above.sync_all()).map_err(failed())
    }
}

fn open(repo: &Repository) -> Result<Checkout> {
    // Nothing is put there yet, so the name is not used.
    Checkout::open(repo.top(), String::new()).map_err(Error::io("open", repo.top()))
}

/// The directory of a change that is being prepared.
struct Draft<'a> {
    repo: &'a Repository,
    home: PathBuf,
}

impl Draft<'_> {
    /// Copies the index, and makes the new one from a second copy, so that flags and other entries stay.
    fn copy_index(&self, change: &Change) -> Result<()> {
        let index = self.repo.git_path("index");
        for name in ["index.before", "index.after"] {
            let copy = self.home.join(name);
            match File::open(&index) {
                Ok(source) => File::create_new(&copy).and_then(|target| copy_file(source, target)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
            .map_err(Error::io("write", &copy))?;
        }
        if IndexStamp::read(&self.repo.git_path("index")) != change.stamp {
            return Err(changed_meanwhile("the index"));
        }
        index::edit(self.repo, &self.home.join("index.after"), change.index)
    }

    /// Writes the new files as git checks them out, with line endings and filters, in a directory of ours.
    fn stage(&self, change: &Change) -> Result<()> {
        let (scratch, stage) = (self.home.join("index.stage"), self.home.join("stage"));
        let read = self.repo.git("read-tree").index(&scratch).config("core.sparseCheckout=false");
        read.arg(change.ours.files_tree.as_str()).run()?;
        index::edit(self.repo, &scratch, change.files)?;
        let mut paths = Vec::new();
        for path in change.files.iter().filter(|(_, entry)| entry.is_some()).map(|(path, _)| path) {
            paths.extend_from_slice(path);
            paths.push(0);
        }
        // Attributes are read from the index, because the directory has no `.gitattributes` of its own yet.
        let write = Git::new(&stage, "checkout-index").index(&scratch).env("GIT_DIR", self.repo.git_dir());
        let output = write.env("GIT_WORK_TREE", &stage).args(["-q", "-z", "--stdin"]).stdin(paths).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && !said.contains("error: ") {
            let files = lfs::files_in(&|verb| self.repo.git(verb), &scratch, |path| change.files.contains_key(path))?;
            return lfs::show_in(self.repo, &stage, &files.pointers).map(|_| ());
        }
        let what = format!("git cannot write the files: {}", said.trim_end());
        Err(Error::unfit(what, "handoff takeover  (a worktree has such files as git stores them)"))
    }

    /// Copies what is at a path, and takes its new file. `None`: it is the same.
    fn copy(
        &self,
        checkout: &Checkout,
        path: &[u8],
        new: Option<&Entry>,
        number: usize,
    ) -> Result<Option<plan::Change>> {
        let read = |error| Error::io("read", &checkout.path_of(path))(error);
        let before = checkout.state(path).map_err(read)?;
        let staged = self.home.join("stage").join(OsStr::from_bytes(path));
        if let (Some(entry), State::File { mode, .. }) = (new, &before) {
            keep_mode(&staged, entry, *mode)?;
        }
        let after = match new {
            Some(_) => state_at(&staged).map_err(Error::io("read", &staged))?,
            None => State::Absent,
        };
        if before == after {
            return Ok(None);
        }
        if let State::File { sha256, .. } = &before {
            let copy = self.home.join("before").join(number.to_string());
            let source = checkout.open_file(path).map_err(read)?;
            let write = || -> std::io::Result<String> {
                copy_file(source, File::create_new(&copy)?)?;
                hash(File::open(&copy)?)
            };
            if write().map_err(Error::io("write", &copy))? != *sha256 {
                return Err(changed_meanwhile(&String::from_utf8_lossy(path)));
            }
        }
        if let State::File { .. } = &after {
            let target = self.home.join("after").join(number.to_string());
            let moved = || File::open(&staged)?.sync_all().and_then(|()| std::fs::rename(&staged, &target));
            moved().map_err(Error::io("write", &target))?;
        }
        Ok(Some(plan::Change { path: path_state::Path(path.to_vec()), before, after }))
    }

    /// Fails if a file is not as in the snapshot any more, by git's own rules about line endings and filters.
    fn compare(&self, known: &Known) -> Result<()> {
        let scratch = self.home.join("index.compare");
        let entries = known.iter().map(|(path, entry)| (path.clone(), Some(entry.clone()))).collect();
        index::edit(self.repo, &scratch, &entries)?;
        let git = |verb| self.repo.git(verb).index(&scratch).config("core.ignoreStat=false");
        git("update-index").args(["-q", "--refresh"]).output()?;
        let printed = git("diff-files").args(["--name-only", "-z"]).run()?;
        match printed.split(|byte| *byte == 0).find(|path| !path.is_empty()) {
            Some(path) => Err(changed_meanwhile(&String::from_utf8_lossy(path))),
            None => Ok(()),
        }
    }

    /// Writes the plan, and waits until everything is on the disk.
    fn finish(&self, plan: &Plan) -> Result<()> {
        let failed = || Error::io("write", &self.home);
        remove_directory(&self.home.join("stage"))?;
        for name in ["index.stage", "index.compare"] {
            removed(&self.home.join(name))?;
        }
        let bytes = serde_json::to_vec(plan).map_err(|error| failed()(error.into()))?;
        for (name, bytes) in [("plan.json", bytes.as_slice()), ("unfinished", b"write\n")] {
            let path = self.home.join(name);
            let write = || std::fs::write(&path, bytes).and_then(|()| File::open(&path)?.sync_all());
            write().map_err(Error::io("write", &path))?;
        }
        let directories: BTreeSet<_> = [self.home.join("before"), self.home.join("after"), self.home.clone()].into();
        directories.iter().try_for_each(|path| File::open(path)?.sync_all()).map_err(failed())
    }
}

/// Gives a new file the mode of the one that it replaces, unless it becomes executable or is not any more.
fn keep_mode(staged: &Path, entry: &Entry, mode: u32) -> Result<()> {
    let was_executable = mode & EXECUTABLE != 0;
    if entry.is_file() && was_executable == (entry.mode == "100755") {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(staged, mode).map_err(Error::io("write", staged))?;
    }
    Ok(())
}
