//! Lists everything that a snapshot does not contain, with the reason.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

use super::rewritten;
use super::scratch::{Entries, GITLINK, Scratch, path_of};
use crate::git::record::RECORD;
use crate::git::{Repository, Result};
use crate::model::snapshot::{Companion, LeftBehind, LeftBehindKind, Oid};

/// Looks at the directory after `add -A` has filled the index of files, which contains `files`. `all_added`: everything
/// could be added. `sent`: an index of everything that is shipped, and the repositories that are sent, too.
pub(super) fn find(
    repo: &Repository,
    scratch: &Scratch,
    (staged, index_tree): (&Entries, &Oid),
    files: &Entries,
    all_added: bool,
    (sent, companions): (&Path, &[Companion]),
) -> Result<Found> {
    let mut ignored = ignored(repo, scratch, sent)?;
    // A directory among the ignored paths is neither entered nor listed.
    let companions: HashSet<Vec<u8>> = companions.iter().map(|it| format!("{}/", it.path).into_bytes()).collect();
    let mut found = Found::default();
    ignored.extend(companions.iter().cloned());
    walk(repo, &ignored, staged, files, &mut found);
    ignored.retain(|path| !companions.contains(path));
    submodules(scratch, staged, &companions, &mut found)?;
    if !all_added {
        not_added(repo, scratch, &mut found)?;
    }
    rewritten::find(repo, scratch, files)?.iter().for_each(|(path, reason)| found.add(reason, path));
    intent_to_add(repo, scratch, staged, index_tree, &mut found)?;
    ignored.iter().for_each(|path| found.add_kind(LeftBehindKind::Ignored, "ignored", path));
    Ok(found)
}

/// The list with more exact reasons for some of its paths. A path that is listed only as a part of its directory gets a
/// line of its own, at most `most` of them.
pub(super) fn with_reasons(
    mut list: Vec<LeftBehind>,
    withheld: &[(Vec<u8>, &'static str)],
    most: usize,
) -> Vec<LeftBehind> {
    for (path, reason) in withheld.iter().take(most) {
        let path = String::from_utf8_lossy(path).into_owned();
        list.retain(|item| item.path != path);
        list.push(LeftBehind { path, reason: (*reason).to_owned(), more: 0, kind: LeftBehindKind::Content });
    }
    list
}

/// Paths by reason, so that a thousand of one kind do not hide the others.
#[derive(Default)]
pub(super) struct Found(BTreeMap<(String, LeftBehindKind), Vec<Vec<u8>>>);

impl Found {
    fn add(&mut self, reason: impl Into<String>, path: &[u8]) {
        self.add_kind(LeftBehindKind::Content, reason, path);
    }

    fn add_kind(&mut self, kind: LeftBehindKind, reason: impl Into<String>, path: &[u8]) {
        self.0.entry((reason.into(), kind)).or_default().push(path.to_vec());
    }

    /// At most `most` paths for each reason, and how many more there are.
    pub(super) fn list(self, most: usize) -> Vec<LeftBehind> {
        let mut list = Vec::new();
        for ((reason, kind), mut paths) in self.0 {
            paths.sort_unstable();
            let item = |path: String, more: u64| LeftBehind { path, reason: reason.clone(), more, kind };
            list.extend(paths.iter().take(most).map(|path| item(String::from_utf8_lossy(path).into_owned(), 0)));
            if let Some(more @ 1..) = paths.len().checked_sub(most) {
                list.push(item(format!("({more} more)"), more as u64));
            }
        }
        list
    }
}

/// Ignored paths without the record. A directory with only ignored files is one path that ends with `/`.
fn ignored(repo: &Repository, scratch: &Scratch, sent: &Path) -> Result<HashSet<Vec<u8>>> {
    let question = ["-z", "-o", "-i", "--exclude-standard", "--directory"];
    let printed = scratch.git("ls-files").index(sent).args(question).run()?;
    let paths = printed.split(|b| *b == 0).filter(|path| !path.is_empty() && !is_record(repo, path));
    Ok(paths.map(<[u8]>::to_vec).collect())
}

/// Whether a path is the record, something in it, or its parent if that contains nothing else.
pub(super) fn is_record(repo: &Repository, path: &[u8]) -> bool {
    let path = path_of(path);
    if path.starts_with(RECORD) {
        return true;
    }
    let only_child = |directory: &Path| {
        let entries = repo.top().join(directory).read_dir().map(|entries| entries.flatten().take(2).count());
        matches!(entries, Ok(1))
    };
    Path::new(RECORD).parent() == Some(path) && only_child(path) && repo.top().join(RECORD).exists()
}

/// Finds files that git does not ignore and cannot store. Neither links nor nested repositories are followed.
fn walk(repo: &Repository, ignored: &HashSet<Vec<u8>>, staged: &Entries, files: &Entries, found: &mut Found) {
    let top = repo.top();
    let mut open = vec![Vec::new()];
    while let Some(directory) = open.pop() {
        let entries = match top.join(path_of(&directory)).read_dir() {
            Ok(entries) => entries,
            Err(_) => {
                found.add("unreadable directory", &directory);
                continue;
            }
        };
        let mut count = 0;
        for entry in entries.flatten() {
            count += 1;
            let mut path = directory.clone();
            path.extend(entry.file_name().as_bytes());
            let Ok(kind) = entry.file_type() else { continue };
            let skipped = path == b".git" || path == RECORD.as_bytes() || ignored.contains(&path);
            if skipped {
                continue;
            } else if kind.is_dir() {
                path.push(b'/');
                let known = ignored.contains(&path);
                if !known && !is_other_repository(top, &path, staged, files, found) {
                    open.push(path);
                }
            } else if kind.is_symlink() {
                if leads_into(repo, &path) {
                    found.add("content is in the git directory", &path);
                }
            } else if kind.is_fifo() {
                found.add("named pipe", &path);
            } else if kind.is_socket() {
                found.add("socket", &path);
            } else if kind.is_block_device() || kind.is_char_device() {
                found.add("device", &path);
            }
        }
        if count == 0 && !directory.is_empty() {
            found.add_kind(LeftBehindKind::Nothing, "empty directory", &directory);
        }
    }
}

/// Whether a link leads into the git directory, where git-annex and the like store content. No snapshot contains that,
/// so the link would be broken on the host.
fn leads_into(repo: &Repository, path: &[u8]) -> bool {
    let link = repo.top().join(path_of(path));
    let Some((target, parent)) = link.read_link().ok().zip(link.parent()) else { return false };
    // A path whose target is missing here has no real path.
    let places = [parent.join(&target).canonicalize().ok(), Some(without_dots(&parent.join(target)))];
    let inside = |place: &PathBuf| {
        let git = [repo.top().join(".git"), repo.git_dir().to_owned(), repo.common_dir().to_owned()];
        git.iter().any(|git| place.starts_with(git))
    };
    places.iter().flatten().any(inside)
}

/// Resolves `.` and `..` in a path by name only.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => _ = plain.pop(),
            other => plain.push(other),
        }
    }
    plain
}

/// Whether a directory (with `/` at its end) is another repository, which git does not enter.
fn is_other_repository(top: &Path, path: &[u8], staged: &Entries, files: &Entries, found: &mut Found) -> bool {
    let name = &path[..path.len() - 1];
    let gitlink = |entries: &Entries| entries.get(name).is_some_and(|(mode, _)| mode == GITLINK);
    if gitlink(staged) {
        return true;
    }
    if top.join(path_of(path)).join(".git").symlink_metadata().is_err() {
        return false;
    }
    // If `.git` is not a repository, git adds the files of the directory, so it is not another repository.
    let mut below = files.range(path.to_vec()..).take_while(|(known, _)| known.starts_with(path));
    let nested = gitlink(files) || below.next().is_none();
    if nested {
        found.add("nested repository", path);
    }
    nested
}

/// Submodules with local content, which is not shipped.
fn submodules(scratch: &Scratch, staged: &Entries, companions: &HashSet<Vec<u8>>, found: &mut Found) -> Result<()> {
    let is_sent = |path: &[u8]| companions.contains(&[path, b"/"].concat());
    if !staged.iter().any(|(path, (mode, _))| mode == GITLINK && !is_sent(path)) {
        return Ok(());
    }
    let populated = |path: &[u8]| scratch.top().join(path_of(path)).join(".git").symlink_metadata().is_ok();
    let links = staged.iter().filter(|(path, (mode, _))| mode == GITLINK && populated(path) && !is_sent(path));
    let mut states: BTreeMap<_, String> = links.map(|(path, _)| (path.clone(), "submodule".into())).collect();
    let question = ["--porcelain=v2", "-z", "--ignore-submodules=none", "--untracked-files=normal", "--no-renames"];
    let printed = scratch.git("status").index(scratch.staged()).args(question).run()?;
    for line in printed.split(|b| *b == 0).filter(|line| line.starts_with(b"1 ")) {
        // git-status(1): `1 XY sub mH mI mW hH hI path`, sub being `S<c><m><u>` for a submodule.
        let fields: Vec<_> = line.splitn(9, |b| *b == b' ').collect();
        let ([_, _, [b'S', commit, modified, untracked], ..], Some(path)) = (fields.as_slice(), fields.get(8)) else {
            continue;
        };
        if let Some(state) = states.get_mut(*path) {
            let facts = [(commit, "another commit checked out"), (modified, "edits"), (untracked, "untracked files")];
            let facts: Vec<_> = facts.iter().filter(|(mark, _)| **mark != b'.').map(|(_, fact)| *fact).collect();
            *state = format!("submodule with {}", facts.join(", "));
        }
    }
    states.into_iter().for_each(|(path, state)| found.add(state, &path));
    Ok(())
}

/// Paths that `add -A` met and did not add.
fn not_added(repo: &Repository, scratch: &Scratch, found: &mut Found) -> Result<()> {
    let pathspec = format!(":(exclude,top,literal){RECORD}");
    let question = ["-z", "-m", "-o", "--exclude-standard", "--", ".", &pathspec];
    let printed = scratch.git("ls-files").index(scratch.files()).args(question).run()?;
    let paths: HashSet<_> = printed.split(|b| *b == 0).filter(|path| !path.is_empty()).collect();
    for path in paths {
        let place = repo.top().join(OsString::from_vec(path.to_vec()));
        match place.symlink_metadata() {
            Ok(meta) if meta.is_file() && File::open(&place).is_err() => found.add("unreadable", path),
            Ok(meta) if meta.is_file() || meta.is_symlink() => found.add("changed while it was read", path),
            // walk and submodules report directories. A path that is gone was deleted during the snapshot.
            _ => {}
        }
    }
    Ok(())
}

/// Paths added with `git add -N`. A tree cannot express that, so they are untracked on the host.
fn intent_to_add(
    repo: &Repository,
    scratch: &Scratch,
    staged: &Entries,
    index_tree: &Oid,
    found: &mut Found,
) -> Result<()> {
    let empty = repo.format().empty_blob();
    let candidates: Vec<_> = staged.iter().filter(|(_, (_, object))| object == empty).map(|(path, _)| path).collect();
    if candidates.is_empty() {
        return Ok(());
    }
    let printed = scratch.git("ls-tree").args(["-r", "-z", "--name-only", index_tree.as_str()]).run()?;
    let written: HashSet<_> = printed.split(|b| *b == 0).collect();
    for path in candidates.into_iter().filter(|path| !written.contains(path.as_slice())) {
        found.add_kind(LeftBehindKind::Nothing, "intent to add (sent as untracked)", path);
    }
    Ok(())
}
