//! A takeover's worktree until it is complete. It has a name that nothing else uses, so if the process is killed, the
//! next takeover removes it.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Takeover;
use super::branch::NO_REFLOG;
use crate::git::capture::Captured;
use crate::git::command::{Git, failed};
use crate::git::directories::remove_directory;
use crate::git::{Error, Repository, Result};

/// The worktree is removed if this is dropped before it is finished.
pub(super) struct Staging<'a> {
    repo: &'a Repository,
    path: PathBuf,
    finished: bool,
}

impl<'a> Staging<'a> {
    /// Makes an empty worktree at `work`'s HEAD, or at its snapshot where that is no commit, next to the destination, and
    /// removes what an interrupted takeover left there.
    pub(super) fn begin(repo: &'a Repository, takeover: Takeover, work: &Captured, destination: &Path) -> Result<Self> {
        let path = destination.with_file_name(takeover.made_as());
        clear(repo, &path)?;
        let made = std::fs::create_dir(&path).map_err(Error::io("make", &path));
        made.map_err(|error| of_the_place(error, destination))?;
        let staging = Self { repo, path, finished: false };
        // Forced twice, because git may have registered this path before the process was killed.
        let mut add = repo.git("worktree").args(["add", "-f", "-f", "--quiet", "--detach", "--no-checkout", "--"]);
        if work.head.is_unborn() {
            add = add.config(NO_REFLOG);
        }
        // git before 2.42 makes no worktree without a commit, so it gets another one until it is on its branch.
        add.arg(&staging.path).arg(work.head.commit().unwrap_or(&work.commit).as_str()).run()?;
        Ok(staging)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Moves the worktree to its destination. A file or a non-empty directory that has appeared there stays.
    pub(super) fn finish(mut self, destination: &Path) -> Result<Repository> {
        std::fs::rename(&self.path, destination).map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory => taken(destination),
            _ => Error::io("make", destination)(error),
        })?;
        self.finished = true;
        settle(self.repo, destination)
    }
}

impl Drop for Staging<'_> {
    fn drop(&mut self) {
        if !self.finished {
            // Errors are ignored, because another error is being reported.
            let _ = clear(self.repo, &self.path);
        }
    }
}

/// Finds the worktree of this handoff if a takeover was killed before it was journaled. Otherwise refuses a place where
/// something exists, or where git still expects a worktree.
pub(super) fn look(repo: &Repository, takeover: Takeover, destination: &Path) -> Result<Option<Repository>> {
    let listed = repo.git("worktree").args(["list", "--porcelain"]).run()?;
    let listed = listed.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"worktree "));
    let listed: Vec<&Path> = listed.map(|path| Path::new(OsStr::from_bytes(path))).collect();
    let staging = takeover.made_as();
    let mut places = std::iter::once(&destination).chain(&listed);
    // git names a worktree's administrative directory after the name that it was made with.
    let is_ours = |admin: PathBuf| admin.file_name().is_some_and(|name| takeover.is_named(&name.to_string_lossy()));
    let made = places
        .find(|place| place.file_name() != Some(OsStr::new(&staging)) && admin_of(repo, place).is_some_and(is_ours));
    if let Some(made) = made {
        return settle(repo, made).map(Some);
    }
    if destination.symlink_metadata().is_ok() {
        return Err(taken(destination));
    }
    let parent = destination.parent().and_then(|parent| parent.canonicalize().ok());
    let real = parent.zip(destination.file_name()).map(|(parent, name)| parent.join(name));
    if real.is_some_and(|real| listed.contains(&real.as_path())) {
        let what = format!("git lists a worktree at {} that does not exist", destination.display());
        return Err(Error::unfit(what, "git worktree prune, or git worktree repair if it was moved"));
    }
    Ok(None)
}

/// Tells git the current place of a worktree.
fn settle(repo: &Repository, place: &Path) -> Result<Repository> {
    undo_link(repo, place)?;
    let repair = repo.git("worktree").args(["repair", "--"]).arg(place);
    // It also repairs all other worktrees, and fails if one of them is damaged.
    let repaired = repair.output()?;
    if !repaired.status.success() && !is_linked(repo, place) {
        return Err(failed(format!("worktree repair -- {}", place.display()), &repaired));
    }
    Repository::discover(place)
}

/// Whether a worktree and its administrative directory point to each other.
fn is_linked(repo: &Repository, worktree: &Path) -> bool {
    let Some(admin) = admin_of(repo, worktree) else { return false };
    let Ok(text) = std::fs::read(admin.join("gitdir")) else { return false };
    // The path may be relative to the administrative directory.
    let link = admin.join(OsStr::from_bytes(text.trim_ascii_end()));
    let (link, expected) = (link.canonicalize(), worktree.join(".git").canonicalize());
    link.is_ok_and(|link| expected.is_ok_and(|expected| link == expected))
}

fn taken(destination: &Path) -> Error {
    Error::unfit(
        format!("{} already exists", destination.display()),
        "choose another directory with --worktree DIR, or remove this one",
    )
}

/// Checks the disk of a destination in an empty directory, which is removed afterwards. It has the name of a staging
/// directory, so leftovers of a killed process are removed in the same way.
pub(super) fn on_the_disk<T>(
    repo: &Repository,
    takeover: Takeover,
    destination: &Path,
    look: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let path = parent(destination)?.join(takeover.made_as());
    clear(repo, &path)?;
    let found = std::fs::create_dir(&path).map_err(Error::io("make", &path)).and_then(|()| look(&path));
    // Errors are ignored if another error is being reported.
    let cleared = clear(repo, &path);
    found.and_then(|found| cleared.map(|()| found)).map_err(|error| of_the_place(error, destination))
}

/// The directory in which a worktree is made.
fn parent(destination: &Path) -> Result<&Path> {
    match destination.parent() {
        Some(parent) if parent.is_dir() => Ok(parent),
        Some(parent) => {
            let what = format!("the directory {} does not exist", parent.display());
            Err(Error::unfit(
                what,
                format!("mkdir -p '{}', or name another directory with --worktree DIR", parent.display()),
            ))
        }
        None => Err(taken(destination)),
    }
}

/// Adds to an error of the disk the hint to use another place.
pub(super) fn of_the_place(error: Error, destination: &Path) -> Error {
    let of_the_disk = match &error {
        Error::Io { .. } => true,
        Error::Failed { stderr, .. } => {
            ["No space left", "Disk quota", "Read-only", "Permission denied", "unable to write", "unable to create"]
                .iter()
                .any(|why| stderr.contains(why))
        }
        _ => false,
    };
    if !of_the_disk {
        return error;
    }
    let what = format!("could not create a worktree at {}: {error}", destination.display());
    Error::unfit(what, "choose a directory that you may write to, or one on another disk, with --worktree DIR")
}

/// git-annex runs as a filter and makes a worktree's `.git` a link. `git worktree` needs git's own file, and git-annex
/// makes the link again on its next use.
fn undo_link(repo: &Repository, worktree: &Path) -> Result<()> {
    let link = worktree.join(".git");
    let Some(admin) = admin_of(repo, worktree).filter(|_| link.is_symlink()) else { return Ok(()) };
    let text = [b"gitdir: ", admin.as_os_str().as_bytes(), b"\n"].concat();
    let replaced = std::fs::remove_file(&link).and_then(|()| std::fs::write(&link, text));
    replaced.map_err(Error::io("write", &link))
}

/// The directory in which this repository keeps a worktree's own files; `None` if it is not a worktree of it.
pub(super) fn admin_of(repo: &Repository, worktree: &Path) -> Option<PathBuf> {
    let all = repo.common_dir().join("worktrees").canonicalize().ok()?;
    let link = worktree.join(".git");
    if link.is_symlink() {
        return link.canonicalize().ok().filter(|admin| admin.parent() == Some(&all));
    }
    let text = std::fs::read(worktree.join(".git")).ok()?;
    let text = text.strip_prefix(b"gitdir: ")?.strip_suffix(b"\n")?;
    // The path may be relative to the worktree.
    let admin = worktree.join(OsStr::from_bytes(text)).canonicalize().ok()?;
    (admin.parent() == Some(&all)).then_some(admin)
}

/// Removes a staging worktree, if it exists, with the branch that the takeover made for it.
fn clear(repo: &Repository, path: &Path) -> Result<()> {
    let admin = admin_of(repo, path);
    if admin.is_none() && path.join(".git").symlink_metadata().is_ok() {
        // A copy of this repository has the same handoff.
        let what = format!("{} already exists and belongs to another repository", path.display());
        return Err(Error::unfit(what, "choose another directory with --worktree DIR"));
    }
    if admin.is_some() {
        // Without an answer, the process was killed before there was a HEAD.
        let head = Git::new(path, "symbolic-ref").args(["--quiet", "HEAD"]).answer().ok().flatten();
        // HEAD may name a branch of the user's, who made it before the takeover did, or checked it out here.
        if let Some(name) = head
            && let Some(oid) = repo.git("rev-parse").args(["--quiet", "--verify", &name]).answer()?
            && repo.is_branch_of_takeover(&name)?
            && repo.worktrees_on(&name)? == 1
        {
            repo.git("update-ref").args(["-d", &name, &oid]).run()?;
        }
    }
    remove_directory(path)?;
    admin.map_or(Ok(()), |admin| std::fs::remove_dir_all(&admin).map_err(Error::io("remove", &admin)))
}
