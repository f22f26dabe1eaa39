//! A takeover's worktree until it is whole. A process that is killed while it makes one leaves it under a name that nobody
//! else gives, and the next takeover clears it away.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::branch_of;
use crate::git::capture::Captured;
use crate::git::command::Git;
use crate::git::{Error, Repository, Result};
use crate::model::id::{HandoffId, RemoteName};

/// So often, and after such pauses, a directory is removed in which a git of a killed process may still write.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// Removed when it is dropped unfinished.
pub(super) struct Staging<'a> {
    repo: &'a Repository,
    id: &'a HandoffId,
    path: PathBuf,
    finished: bool,
}

impl<'a> Staging<'a> {
    /// An empty worktree at `work`'s HEAD, beside the destination; what an earlier takeover left there is cleared away.
    pub(super) fn begin(
        repo: &'a Repository,
        (id, name): (&'a HandoffId, &RemoteName),
        work: &Captured,
        destination: &Path,
    ) -> Result<Self> {
        let path = destination.with_file_name(file_name(name));
        clear(repo, id, &path)?;
        let made = std::fs::create_dir(&path).map_err(Error::io("make", &path));
        made.map_err(|error| of_the_place(error, destination))?;
        let staging = Self { repo, id, path, finished: false };
        // Twice by force: over what git may have noted of this path when it was killed.
        let add = repo.git("worktree").args(["add", "-f", "-f", "--quiet", "--detach", "--no-checkout", "--"]);
        add.arg(&staging.path).arg(work.head.as_str()).run()?;
        Ok(staging)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its place. A directory with something in it, or a file, that came there meanwhile stays.
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
            // Best effort while another error is on its way to the user.
            let _ = clear(self.repo, self.id, &self.path);
        }
    }
}

/// The worktree of this handoff where a takeover was killed before it could journal it. Otherwise a place is refused where
/// something is, or where git still expects a worktree.
pub(super) fn look(repo: &Repository, name: &RemoteName, destination: &Path) -> Result<Option<Repository>> {
    let listed = repo.git("worktree").args(["list", "--porcelain"]).run()?;
    let listed = listed.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"worktree "));
    let listed: Vec<&Path> = listed.map(|path| Path::new(OsStr::from_bytes(path))).collect();
    let staging = file_name(name);
    let mut places = std::iter::once(&destination).chain(&listed);
    // git calls what it keeps of a worktree as the worktree was called when it was made.
    let is_ours = |admin: PathBuf| admin.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&staging));
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
        let what = format!("git has a worktree at {} that is not there", destination.display());
        return Err(Error::unfit(what, "git worktree prune, or git worktree repair where it was moved"));
    }
    Ok(None)
}

/// The name of the staging directory. The uid in it was drawn for this handoff alone.
fn file_name(name: &RemoteName) -> String {
    format!("handoff-{name}")
}

/// Tells git where a worktree stands now.
fn settle(repo: &Repository, place: &Path) -> Result<Repository> {
    undo_link(repo, place)?;
    repo.git("worktree").args(["repair", "--"]).arg(place).run()?;
    Repository::discover(place)
}

fn taken(destination: &Path) -> Error {
    Error::unfit(
        format!("{} exists already", destination.display()),
        "name another directory with --worktree DIR, or remove it",
    )
}

/// Looks at the disk of a destination in an empty directory that is gone afterwards. One that a killed process left has
/// the name of a staging directory, and goes with it.
pub(super) fn on_the_disk<T>(
    repo: &Repository,
    (id, name): (&HandoffId, &RemoteName),
    destination: &Path,
    look: impl FnOnce(&Path) -> Result<T>,
) -> Result<T> {
    let path = parent(destination)?.join(file_name(name));
    clear(repo, id, &path)?;
    let found = std::fs::create_dir(&path).map_err(Error::io("make", &path)).and_then(|()| look(&path));
    // Best effort where another error is on its way to the user.
    let cleared = clear(repo, id, &path);
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

/// An error of the disk with what helps: another place.
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
    let what = format!("no worktree could be made at {}: {error}", destination.display());
    Error::unfit(what, "name a directory on another disk, or one that you may write to, with --worktree DIR")
}

/// git-annex, which runs as a filter, makes a worktree's `.git` a link; `git worktree` wants its own file, and git-annex
/// makes the link again when it is used.
fn undo_link(repo: &Repository, worktree: &Path) -> Result<()> {
    let link = worktree.join(".git");
    let Some(admin) = admin_of(repo, worktree).filter(|_| link.is_symlink()) else { return Ok(()) };
    let text = [b"gitdir: ", admin.as_os_str().as_bytes(), b"\n"].concat();
    let replaced = std::fs::remove_file(&link).and_then(|()| std::fs::write(&link, text));
    replaced.map_err(Error::io("write", &link))
}

/// The directory in which this repository keeps what is a worktree's own; `None` where there is no worktree of it.
fn admin_of(repo: &Repository, worktree: &Path) -> Option<PathBuf> {
    let all = repo.common_dir().join("worktrees").canonicalize().ok()?;
    let link = worktree.join(".git");
    if link.is_symlink() {
        return link.canonicalize().ok().filter(|admin| admin.parent() == Some(&all));
    }
    let text = std::fs::read(worktree.join(".git")).ok()?;
    let text = text.strip_prefix(b"gitdir: ")?.strip_suffix(b"\n")?;
    // It may be relative to the worktree.
    let admin = worktree.join(OsStr::from_bytes(text)).canonicalize().ok()?;
    (admin.parent() == Some(&all)).then_some(admin)
}

/// Removes a staging worktree with its branch, or does nothing where there is none.
fn clear(repo: &Repository, id: &HandoffId, path: &Path) -> Result<()> {
    let admin = admin_of(repo, path);
    if admin.is_none() && path.join(".git").symlink_metadata().is_ok() {
        // A copy of this repository has the same handoff.
        let what = format!("{} is in the way: it belongs to another repository", path.display());
        return Err(Error::unfit(what, "name another directory with --worktree"));
    }
    if admin.is_some() {
        let name = branch_of(id);
        // No answer: it was killed before there was a HEAD.
        let head = Git::new(path, "symbolic-ref").args(["--quiet", "HEAD"]).answer().ok().flatten();
        // A branch is in one worktree only: this one is nobody else's.
        if head.as_deref() == Some(name.as_str())
            && let Some(oid) = repo.git("rev-parse").args(["--quiet", "--verify", &name]).answer()?
        {
            repo.git("update-ref").args(["-d", &name, &oid]).run()?;
        }
    }
    let mut removed = Ok(());
    for _ in 0..TRIES {
        removed = std::fs::remove_dir_all(path);
        match &removed {
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => std::thread::sleep(PAUSE),
            _ => break,
        }
    }
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
        _ => {}
    }
    admin.map_or(Ok(()), |admin| std::fs::remove_dir_all(&admin).map_err(Error::io("remove", &admin)))
}
