//! Removes a takeover's worktree if everything in it is in a ref.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Takeover;
use super::staging::admin_of;
use crate::git::capture::Captured;
use crate::git::directories::remove_directory;
use crate::git::repository::oid;
use crate::git::{Error, Repository, Result, snapshot};
use crate::model::snapshot::{Companion, Head, LeftBehindKind, Oid, Snapshot};

/// What is in refs of this repository.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    /// Working states of the handoff.
    pub states: Vec<Captured>,
    /// Trees of ignored files that were sent with the work.
    pub extras: Vec<Oid>,
}

/// What only a worktree has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unsaved {
    /// Why it must stay, as fragments.
    pub why: Vec<String>,
    /// Ignored files. A directory with only ignored files ends with `/`.
    pub ignored: Vec<String>,
    /// Whether a commit would save some of it.
    pub is_dirty: bool,
}

impl Unsaved {
    pub fn is_empty(&self) -> bool {
        self.why.is_empty() && self.ignored.is_empty()
    }
}

/// Finds what only the worktree has, apart from the record and from its `companions`, which are compared by themselves.
/// Everything else is compared by object id.
///
/// # Errors
/// git fails. An unfinished merge is no error, but a reason.
pub fn unsaved(repo: &Repository, worktree: &Path, saved: &Saved, companions: &[Companion]) -> Result<Unsaved> {
    let tree = Repository::discover(worktree)?;
    let mut found = Unsaved::default();
    if tree.git_dir().join("locked").exists() {
        found.why.push("it is locked (`git worktree unlock`)".to_owned());
    }
    if tree.git_dir().join("modules").exists() {
        found.why.push("it has submodules with repositories of their own".to_owned());
    }
    if let Some(operation) = tree.unfinished_operations()?.first() {
        found.why.push(format!("{} is not finished ({})", operation.name(), operation.hint(worktree)));
        return Ok(found);
    }
    let mut include = Vec::new();
    for extra in &saved.extras {
        include.extend(tree.patterns_of(extra)?);
    }
    let now = snapshot::take_listing_all(&tree, &include, companions)?;
    found.why.extend(only_commit(repo, &tree, &now.head)?);
    if !tree.git("for-each-ref").args(["--count=1", "refs/worktree"]).run()?.is_empty() {
        found.why.push("it has refs of its own (refs/worktree)".to_owned());
    }
    let head_tree = tree.tree_of_head(&now.head)?;
    let is_clean = now.index_tree == head_tree && now.files_tree == head_tree;
    if !is_clean && !saved.states.iter().any(|state| is_same(state, &now)) {
        found.why.push("it has changes that are not committed".to_owned());
        found.is_dirty = true;
    }
    if now.extra.as_ref().is_some_and(|extra| !saved.extras.contains(&extra.tree)) {
        found.why.push("ignored files that were sent with the work have changed".to_owned());
    }
    for left in now.left_behind {
        match left.kind {
            LeftBehindKind::Nothing => {}
            LeftBehindKind::Ignored => found.ignored.push(left.path),
            LeftBehindKind::Content => found.why.push(format!("{} ({})", left.path, left.reason)),
        }
    }
    Ok(found)
}

/// Whether a worktree has exactly this working state, with the companions directly in it.
///
/// # Errors
/// git fails, or a merge is unfinished there.
pub fn is_unchanged(worktree: &Path, state: &Captured, companions: &[Companion]) -> Result<bool> {
    Ok(is_same(state, &snapshot::take_with_companions(&Repository::discover(worktree)?, &[], companions)?))
}

/// Whether a snapshot has exactly this working state.
pub fn is_same(state: &Captured, now: &Snapshot) -> bool {
    (&state.head, &state.index_tree, &state.files_tree) == (&now.head, &now.index_tree, &now.files_tree)
}

/// Which commit only the worktree has, as a fragment.
fn only_commit(repo: &Repository, tree: &Repository, head: &Head) -> Result<Option<String>> {
    let Some(commit) = head.commit() else {
        // git does not read the reflog of a HEAD without a commit. A takeover makes none for it.
        let has_log = tree.git("reflog").args(["exists", "HEAD"]).output()?.status.success();
        return Ok(has_log.then(|| "its HEAD had a commit before, which is in its reflog".to_owned()));
    };
    if !is_in_a_ref(repo, commit)? {
        return Ok(Some(format!("its HEAD {} is in no branch or tag", commit.short())));
    }
    Ok(left_commit(repo, tree)?.map(|commit| {
        let short = commit.short();
        format!("commit {short} was made there and is in no branch or tag (git branch NAME {short})")
    }))
}

fn is_in_a_ref(repo: &Repository, commit: &Oid) -> Result<bool> {
    let containing = repo.git("for-each-ref").args(["--count=1", "--contains", commit.as_str()]);
    Ok(!containing.arg("--format=%(refname)").run()?.is_empty())
}

/// The newest commit that was made in a worktree and that only the reflog of its HEAD has: no ref, and no reflog of a
/// branch. Commits of a rebase do not count, because it replaced them.
fn left_commit(repo: &Repository, tree: &Repository) -> Result<Option<Oid>> {
    let log = tree.git("log").args(["--walk-reflogs", "--no-show-signature", "--format=%H %gs", "HEAD", "--"]);
    let printed = log.output()?;
    let text = String::from_utf8_lossy(&printed.stdout);
    let is_made =
        |reason: &str| ["commit", "cherry-pick", "revert", "merge", "am"].iter().any(|it| reason.starts_with(it));
    let made = text.lines().filter_map(|line| line.split_once(' ')).filter(|(_, reason)| is_made(reason));
    let mut made: Vec<&str> = made.map(|(commit, _)| commit).collect();
    made.dedup();
    if made.is_empty() {
        return Ok(None);
    }
    let only = repo.git("rev-list").args(["--ignore-missing", "--max-count=1", "--stdin", "--single-worktree"]);
    let only = only.args(["--not", "--all", "--reflog"]).stdin(made.join("\n") + "\n").line()?;
    if only.is_empty() { Ok(None) } else { oid(&only).map(Some) }
}

/// The worktrees of a takeover that exist.
pub fn worktrees_of(repo: &Repository, takeover: Takeover) -> Vec<PathBuf> {
    let names = repo.worktrees_called(&takeover.made_as()).into_iter().filter(|name| takeover.is_named(name));
    names.filter_map(|name| repo.worktree_named(&name)).collect()
}

/// Removes a worktree, whatever is in it. Its branch stays. An interrupted removal is completed by
/// [`complete_removal`].
///
/// # Errors
/// The disk fails, or it is not a worktree of this repository.
pub fn remove(repo: &Repository, takeover: Takeover, worktree: &Path) -> Result<()> {
    complete_removal(repo, takeover, worktree)?;
    if admin_of(repo, worktree).is_none() {
        let what = format!("{} is not a worktree of this repository", worktree.display());
        return Err(Error::unfit(what, "remove it by hand"));
    }
    // A worktree that is removed only in part would look as if the user had deleted files in it.
    std::fs::rename(worktree, away(takeover, worktree)).map_err(Error::io("move", worktree))?;
    complete_removal(repo, takeover, worktree)
}

/// Completes a removal of the worktree at a path that was interrupted, if there was one.
///
/// # Errors
/// The disk fails.
pub fn complete_removal(repo: &Repository, takeover: Takeover, worktree: &Path) -> Result<()> {
    let away = away(takeover, worktree);
    if away.symlink_metadata().is_err() {
        return Ok(());
    }
    match admin_of(repo, &away) {
        // git's data about the worktree go first: without them, the name still says whose directory this is.
        Some(admin) => std::fs::remove_dir_all(&admin).map_err(Error::io("remove", &admin))?,
        None if belongs_elsewhere(repo, &away) => {
            let what = format!("{} belongs to another repository", away.display());
            return Err(Error::unfit(what, "move it away"));
        }
        None => {}
    }
    remove_directory(&away)
}

/// The name under which a worktree is removed: nothing else has it, because it contains the handoff's uid.
pub(super) fn away(takeover: Takeover, worktree: &Path) -> PathBuf {
    worktree.with_file_name(format!("{}.removed", takeover.made_as()))
}

/// Whether a directory names a git directory that is not one of this repository's worktrees.
fn belongs_elsewhere(repo: &Repository, directory: &Path) -> bool {
    let link = directory.join(".git");
    match std::fs::read(&link) {
        Err(error) => error.kind() != ErrorKind::NotFound,
        Ok(text) => {
            let named = text.strip_prefix(b"gitdir: ").map(|path| Path::new(OsStr::from_bytes(path.trim_ascii_end())));
            let parent = named.and_then(|path| directory.join(path).parent().map(Path::to_owned));
            let parent = parent.and_then(|parent| parent.canonicalize().ok().or(Some(parent)));
            let all = repo.common_dir().join("worktrees");
            // git removes the directory with the last worktree in it.
            parent.is_none_or(|parent| parent != all.canonicalize().unwrap_or(all))
        }
    }
}
