//! The private copy in which a snapshot is made: two indexes and an object directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{File, FileTimes};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::git::command::{Git, failed};
use crate::git::record::RECORD;
use crate::git::repository::{commit_tree, oid};
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::{Companion, Head, Oid, Snapshot};

/// Starts with a dot, which no handoff's id does.
const PREFIX: &str = ".snapshot-";
/// Age after which a scratch directory must be of a process that was killed.
const STALE: Duration = Duration::from_secs(24 * 3600);
/// From this number on, objects become a pack, as in git's own fetch (`fetch.unpackLimit`).
pub(in crate::git) const PACK_FROM: u32 = 100;
/// Mode of an entry that is another repository's commit (a submodule).
pub(super) const GITLINK: &str = "160000";
/// Mode of a symbolic link.
pub(super) const LINK: &str = "120000";

/// Overrides for settings of the user's that would change the result or write into their repository.
const SETTINGS: [&str; 5] = [
    "core.splitIndex=false", // a split index would write its shared half into the user's git directory
    "core.untrackedCache=false", // the cache was made for another index
    "core.safecrlf=false",   // a warning about line endings must not exclude a file
    "core.ignoreStat=false", // would mark added files as unchanged for ever
    "core.sparseCheckout=false", // files outside the sparse cone are the user's work too
];

/// Paths of an index with mode and object; stage 0 only.
pub(super) type Entries = BTreeMap<Vec<u8>, (String, String)>;

/// Removed with everything in it when dropped.
pub(super) struct Scratch {
    repo: Repository,
    directory: tempfile::TempDir,
    staged: PathBuf,
    files: PathBuf,
    /// Whether this disk folds case. The repository's own setting may be wrong if it was copied from another machine.
    folds_case: bool,
}

impl Scratch {
    /// Makes the directory in `<common dir>/handoff`, on the file system of the user's objects, with a copy of the
    /// index.
    pub(super) fn new(repo: &Repository) -> Result<Self> {
        let home = repo.state_dir();
        remove_stale(&home, PREFIX);
        let make = || {
            std::fs::create_dir_all(&home).map_err(Error::io("make", &home))?;
            Ok(tempfile::Builder::new().prefix(PREFIX).tempdir_in(&home))
        };
        let directory = match make()? {
            // A preview of another process has just removed the directory, which was empty.
            Err(error) if error.kind() == ErrorKind::NotFound => make()?,
            made => made,
        };
        let directory = directory.map_err(Error::io("write in", &home))?;
        let info = directory.path().join("objects/info");
        std::fs::create_dir_all(&info).map_err(Error::io("make", &info))?;
        let alternates = info.join("alternates");
        let borrowed = quoted(&repo.git_path("objects"));
        std::fs::write(&alternates, borrowed).map_err(Error::io("write", &alternates))?;
        let (staged, files) = (directory.path().join("staged"), directory.path().join("files"));
        copy_with_time(&repo.git_path("index"), &staged)?;
        Ok(Self { repo: repo.clone(), directory, staged, files, folds_case: folds_case(repo.top()) })
    }

    pub(super) fn top(&self) -> &Path {
        self.repo.top()
    }

    /// The copy of the user's index.
    pub(super) fn staged(&self) -> &Path {
        &self.staged
    }

    /// The index that becomes the files tree.
    pub(super) fn files(&self) -> &Path {
        &self.files
    }

    /// A git command that writes objects here and reads the user's, too.
    pub(super) fn git(&self, verb: &'static str) -> Git {
        let git = self.repo.git(verb).env("GIT_OBJECT_DIRECTORY", self.directory.path().join("objects"));
        let git = git.config(format!("core.ignorecase={}", self.folds_case));
        SETTINGS.iter().fold(git, |git, setting| git.config(*setting))
    }

    pub(super) fn copy_staged_to_files(&self) -> Result<()> {
        copy_with_time(&self.staged, &self.files)
    }

    /// Adds everything that is not ignored, and resets the record to what `head` has. `false`: some files could not be
    /// added.
    ///
    /// The record is not excluded by a pathspec, because `add` refuses one that goes through a link or into another
    /// repository.
    pub(super) fn add_all(&self, head: &Head) -> Result<bool> {
        let output = self.git("add").index(&self.files).args(["-A", "--ignore-errors", "--", "."]).output()?;
        // Status 1: some paths were left out and the others were added.
        let all = match output.status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => return Err(failed("add -A".into(), &output)),
        };
        self.pin_record(&self.files, head)?;
        Ok(all)
    }

    /// A file of this directory.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Adds these paths to an index, ignored or not. Unreadable ones are left out.
    pub(super) fn add_these(&self, index: &Path, paths: &[Vec<u8>]) -> Result<()> {
        let add = self.git("add").index(index).env("GIT_LITERAL_PATHSPECS", "1");
        let add = add.args(["-f", "--ignore-errors", "--pathspec-from-file=-", "--pathspec-file-nul"]);
        let output = add.stdin(paths.join(&0)).output()?;
        match output.status.code() {
            Some(0 | 1) => Ok(()),
            _ => Err(failed("add -f".into(), &output)),
        }
    }

    /// A copy of an index with additional entries.
    pub(super) fn with_entries(&self, index: &Path, entries: &Entries) -> Result<PathBuf> {
        let all = self.place("all");
        copy_with_time(index, &all)?;
        self.update(&all, self.edits(&Entries::new(), entries).1)?;
        Ok(all)
    }

    pub(super) fn write_tree(&self, index: &Path) -> Result<Oid> {
        let write = || self.git("write-tree").index(index);
        let tree = match write().line() {
            // Files that are not checked out may be only on the remote.
            Err(Error::Failed { .. }) if self.repo.is_partial_clone()? => write().arg("--missing-ok").line(),
            written => written,
        };
        oid(&tree?)
    }

    pub(super) fn entries(&self, index: &Path) -> Result<Entries> {
        let printed = self.git("ls-files").index(index).args(["-s", "-z"]).run()?;
        Ok(printed.split(|b| *b == 0).filter_map(parse_entry).collect())
    }

    /// Sets the entries of the record's directory to what HEAD has (usually nothing), because they are never work. If
    /// something else is at that path, it is the user's, and there is no record.
    pub(super) fn pin_record(&self, index: &Path, head: &Head) -> Result<()> {
        let entries = |printed: Vec<u8>, path_of: fn(&[u8]) -> &[u8]| -> Vec<Vec<u8>> {
            let inside = |path: &[u8]| path.strip_prefix(RECORD.as_bytes()).is_some_and(|rest| rest.starts_with(b"/"));
            let all = printed.split(|b| *b == 0).filter(|entry| inside(path_of(entry)));
            all.map(<[u8]>::to_vec).collect()
        };
        let listed = self.git("ls-files").index(index).args(["-z", "--", ":(top,literal).cursor"]).run()?;
        let in_the_way = listed.split(|b| *b == 0).any(|path| path == b".cursor" || path == RECORD.as_bytes());
        let present = entries(listed, |path| path);
        let committed = match head.commit().filter(|_| !in_the_way) {
            None => Vec::new(),
            Some(head) => {
                let printed = self.git("ls-tree").args(["-r", "-z", head.as_str(), "--", RECORD]).run()?;
                entries(printed, |entry| entry.splitn(2, |b| *b == b'\t').nth(1).unwrap_or_default())
            }
        };
        if present.is_empty() && committed.is_empty() {
            return Ok(());
        }
        let zero = self.repo.format().zero();
        let mut input = Vec::new();
        for path in present {
            input.extend(format!("0 {zero}\t").into_bytes());
            input.extend(path);
            input.push(0);
        }
        for entry in committed {
            input.extend(entry);
            input.push(0);
        }
        self.update(index, input)
    }

    /// Writes the tree of the files. The commit of a companion is the one that is checked out. Those of other
    /// repositories stay as in the index: their content is not shipped, so the host could not check out another commit,
    /// and a nested repository would become an empty directory.
    pub(super) fn files_tree(&self, staged: &Entries, files: &Entries, companions: &[Companion]) -> Result<Oid> {
        let zero = self.repo.format().zero();
        let mut input = Vec::new();
        for (path, (_, object)) in files.iter().filter(|(_, (mode, _))| mode == GITLINK) {
            let before = staged.get(path).filter(|(mode, _)| mode == GITLINK);
            let is_companion = companions.iter().any(|companion| companion.path.as_bytes() == path);
            let line = match before {
                Some((_, same)) if is_companion || same == object => continue,
                Some((_, before)) => format!("{GITLINK} {before}\t"),
                None => format!("0 {zero}\t"),
            };
            input.extend(line.into_bytes());
            input.extend(path);
            input.push(0);
        }
        if input.is_empty() {
            return self.write_tree(&self.files);
        }
        // A further copy, because the index of files is being read at the same time.
        let tree = self.directory.path().join("tree");
        copy_with_time(&self.files, &tree)?;
        self.update(&tree, input)?;
        self.write_tree(&tree)
    }

    /// Number of files whose data on disk differs from an index. Their content is not read.
    pub(super) fn changed_files(&self, index: &Path) -> Result<usize> {
        let question = ["--name-only", "-z", "--ignore-submodules=all"];
        let printed = self.git("diff-files").index(index).args(question).run()?;
        Ok(printed.iter().filter(|byte| **byte == 0).count())
    }

    /// The input of [`Scratch::update`] that turns the entries `from` into `to`, and its number of lines.
    pub(super) fn edits(&self, from: &Entries, to: &Entries) -> (usize, Vec<u8>) {
        let zero = self.repo.format().zero();
        // Removals come first, because a file may have the name of a directory.
        let gone = from.keys().filter(|path| !to.contains_key(*path)).map(|path| (format!("0 {zero}\t"), path));
        let other = to.iter().filter(|(path, entry)| from.get(*path) != Some(entry));
        let other = other.map(|(path, (mode, object))| (format!("{mode} {object}\t"), path));
        let (mut count, mut input) = (0, Vec::new());
        for (line, path) in gone.chain(other) {
            count += 1;
            input.extend(line.into_bytes());
            input.extend(path);
            input.push(0);
        }
        (count, input)
    }

    /// Applies lines of `update-index --index-info` to an index.
    pub(super) fn update(&self, index: &Path, input: Vec<u8>) -> Result<()> {
        if !input.is_empty() {
            self.git("update-index").index(index).args(["-z", "--index-info"]).stdin(input).run()?;
        }
        Ok(())
    }

    /// Makes a commit with a fixed author, so that snapshots do not differ by who took them.
    pub(super) fn commit<'a>(
        &self,
        message: &str,
        tree: &Oid,
        parents: impl IntoIterator<Item = &'a Oid>,
    ) -> Result<Oid> {
        commit_tree(self.git("commit-tree"), message, tree, parents)
    }

    /// Makes a commit with the same author. The parents may be too many for a command line.
    pub(super) fn commit_of_many(&self, message: &str, tree: &Oid, parents: &[&Oid]) -> Result<Oid> {
        let who = "handoff <handoff@localhost> 0 +0000";
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let text = format!("tree {tree}\n{parents}author {who}\ncommitter {who}\n\n{message}\n");
        oid(&self.git("hash-object").args(["-t", "commit", "-w", "--stdin"]).stdin(text).line()?)
    }

    /// Moves the new objects of commits into the user's object store with git, so that each object or pack appears
    /// whole or not at all. They are unreferenced until the caller keeps the commits; git does not prune objects that
    /// young.
    pub(super) fn migrate(&self, snapshot: &Snapshot) -> Result<()> {
        let path = self.place("pack");
        let ends = new_in(snapshot);
        let pack = || {
            let pack = File::create(&path).map_err(Error::io("write", &path))?;
            // No deltas, because the pack is short-lived. `--local` leaves out objects that the user's store has.
            let pack_objects = self.git("pack-objects").args(["--stdout", "--revs", "--local", "-q", "--window=0"]);
            pack_objects.stdin(ends.join("\n") + "\n").stdout_file(pack).run()
        };
        match pack() {
            // What is staged in a partial clone may be only on the remote.
            Err(Error::Failed { .. }) if self.repo.bring_new(&|verb| self.git(verb), &ends)? => pack(),
            packed => packed,
        }?;
        let mut file = File::open(&path).map_err(Error::io("read", &path))?;
        // gitformat-pack(5): "PACK", version, number of objects, each four bytes, big endian.
        let mut header = [0; 12];
        file.read_exact(&mut header).map_err(Error::io("read", &path))?;
        let count = u32::from_be_bytes([header[8], header[9], header[10], header[11]]);
        let file = File::open(&path).map_err(Error::io("read", &path))?;
        let into = if count < PACK_FROM {
            self.repo.git("unpack-objects").arg("-q")
        } else {
            self.repo.git("index-pack").arg("--stdin")
        };
        into.stdin_file(file).run()?;
        Ok(())
    }
}

/// What a snapshot adds to the user's commits, as arguments of rev-list. The parents of an operation are such commits.
fn new_in(snapshot: &Snapshot) -> Vec<String> {
    let extra = snapshot.extra.iter().map(|extra| extra.commit.to_string());
    let operation = snapshot.operation.iter();
    let operation = operation.flat_map(|it| [it.commit.to_string(), format!("^{}^@", it.commit)]);
    let head = snapshot.head.commit().map(|head| format!("^{head}"));
    extra.chain(operation).chain([snapshot.commit.to_string()]).chain(head).collect()
}

/// A path inside the repository, from git's bytes.
pub(in crate::git) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

/// `<mode> <object> <stage>\t<path>`, of stage 0.
pub(in crate::git) fn parse_entry(entry: &[u8]) -> Option<(Vec<u8>, (String, String))> {
    let tab = entry.iter().position(|b| *b == b'\t')?;
    let mut words = std::str::from_utf8(&entry[..tab]).ok()?.split(' ');
    let (mode, object, stage) = (words.next()?, words.next()?, words.next()?);
    (stage == "0").then(|| (entry[tab + 1..].to_vec(), (mode.to_owned(), object.to_owned())))
}

/// A line of `info/alternates`, quoted as git does, because a path may contain anything.
pub(in crate::git) fn quoted(path: &Path) -> Vec<u8> {
    let mut line = vec![b'"'];
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => line.extend([b'\\', *byte]),
            0..=31 => line.extend(format!("\\{byte:03o}").into_bytes()),
            _ => line.push(*byte),
        }
    }
    line.extend(b"\"\n");
    line
}

/// Copies an index with its modification time. git reads every file again that is not older than the index, so a newer
/// time would make it trust an edit of the same second. One file handle is used, because git replaces the file by a
/// rename. A repository without an index has nothing staged.
pub(super) fn copy_with_time(from: &Path, to: &Path) -> Result<()> {
    let mut source = match File::open(from) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io("read", from)(error)),
    };
    let time = source.metadata().and_then(|meta| meta.modified()).map_err(Error::io("read", from))?;
    let mut target = File::create_new(to).map_err(Error::io("write", to))?;
    std::io::copy(&mut source, &mut target).map_err(Error::io("write", to))?;
    target.set_times(FileTimes::new().set_modified(time)).map_err(Error::io("write", to))
}

/// Whether a disk folds case, tested with a name that every work tree has.
pub fn folds_case(top: &Path) -> bool {
    let inode = |name: &str| top.join(name).symlink_metadata().map(|meta| (meta.dev(), meta.ino())).ok();
    inode(".git").is_some_and(|lower| inode(".GIT") == Some(lower))
}

/// Removes leftovers of killed processes. Errors are ignored, because the next snapshot tries again.
pub(in crate::git) fn remove_stale(home: &Path, prefix: &str) {
    let Ok(entries) = home.read_dir() else { return };
    for entry in entries.flatten().filter(|e| e.file_name().as_bytes().starts_with(prefix.as_bytes())) {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let age = modified.ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        if age.is_some_and(|age| age > STALE) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
