//! A change of the user's files and index that can be undone exactly, even if the process is killed while it writes.
//!
//! The directory `here` of a handoff has everything before the first file changes: `plan.json` with each path as it is
//! and as it will be, copies of the files and of the index, and the new ones. It appears by one rename. `unfinished`
//! says what is being done; while it is there, the next command finishes that. HEAD and the branches never change.

mod checkout;
mod index;
mod path_state;
mod plan;
pub(in crate::git) mod prepare;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use checkout::{Checkout, copy_file};
use index::{Lock, changed_entries};
use path_state::State;
use plan::{Change, FORMAT, Plan, in_the_way};

use super::directories::remove_directory;
use super::{Error, Repository, Result};

/// Called before each step that changes something. An error stops there.
pub type Step<'a> = &'a mut dyn FnMut() -> Result<()>;

/// What the process was doing that did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// The change was being written, or was not recorded yet.
    Writing,
    /// The change was being undone.
    Undoing,
}

/// What became of a change that was interrupted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolledBack {
    /// Everything is as before, except the files that somebody else changed since.
    Restored { kept: Vec<String> },
    /// Nothing was restored, because the user moved HEAD: the files may be in a commit by now.
    HeadMoved,
}

/// The change of a checkout that a handoff made last. Its directory may not exist.
#[derive(Clone, Debug)]
pub struct Undo {
    home: PathBuf,
}

impl Undo {
    /// `directory` is the handoff's own directory in the git directory.
    pub fn of(directory: &Path) -> Self {
        Self { home: directory.join("here") }
    }

    /// Number of the change and the worktree where it was made. `None`: there is nothing to undo.
    ///
    /// # Errors
    /// The plan cannot be read, or is of a newer program.
    pub fn place(&self) -> Result<Option<(u32, String)>> {
        Ok(self.read()?.map(|plan| (plan.number, plan.worktree)))
    }

    /// What the next command has to finish.
    pub fn unfinished(&self) -> Option<Unfinished> {
        let text = std::fs::read(self.marker()).ok()?;
        Some(if text == b"undo\n" { Unfinished::Undoing } else { Unfinished::Writing })
    }

    /// Records that the change is complete. The one before it cannot be undone any more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(&self) -> Result<()> {
        remove_directory(&self.earlier())?;
        removed(&self.marker())
    }

    /// Deletes a change that was rolled back. The one before it can be undone again.
    ///
    /// # Errors
    /// The disk fails. [`Undo::restore_earlier`] completes it.
    pub fn abandon(&self) -> Result<()> {
        remove_directory(&self.draft())?;
        match std::fs::rename(&self.home, self.draft()) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(Error::io("remove", &self.home)(error)),
            _ => self.restore_earlier()?,
        }
        remove_directory(&self.draft())
    }

    /// Deletes the copies. The change cannot be undone any more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn forget(&self) -> Result<()> {
        remove_directory(&self.earlier())?;
        // The plan goes first, so that what a killed process leaves here is not taken for a change.
        removed(&self.home.join("plan.json"))?;
        remove_directory(&self.home)
    }

    /// Makes the prepared change. Files that are not as they were when it was prepared are not overwritten.
    ///
    /// # Errors
    /// [`Error::Unfit`] if something changed in the meantime; the disk fails. Then some files may be written, and
    /// [`Undo::roll_back`] restores them.
    pub fn write(&self, repo: &Repository, step: Step) -> Result<()> {
        let (plan, checkout) = self.open(repo)?;
        let lock = Lock::take(repo, &self.home, &self.home.join("index.after"))?;
        if repo.head()? != plan.head || !index::is_copy(repo, &self.home.join("index.before"))? {
            return Err(changed_meanwhile("HEAD or the index"));
        }
        for change in &plan.files {
            expect(&checkout, change)?;
        }
        for change in plan.files.iter().filter(|change| change.after == State::Absent) {
            step()?;
            expect(&checkout, change)?;
            checkout
                .remove(&change.path.0, |_| false)
                .map_err(Error::io("remove", &checkout.path_of(&change.path.0)))?;
        }
        let places: BTreeSet<_> = plan.files.iter().filter(|it| it.after != State::Absent).map(|it| &it.path).collect();
        // Empty directories in the place of a file go, the deepest first.
        for path in plan.directories.keys().rev().filter(|path| is_at_or_below(path, &places)) {
            step()?;
            checkout.remove_directory(&path.0).map_err(Error::io("remove", &checkout.path_of(&path.0)))?;
        }
        for (number, change) in plan.files.iter().enumerate().filter(|(_, change)| change.after != State::Absent) {
            step()?;
            expect(&checkout, change)?;
            let from = self.home.join("after").join(number.to_string());
            put(&checkout, change, &change.after, &from)?;
        }
        step()?;
        if plan.index { lock.install() } else { lock.release() }
    }

    /// Restores what an interrupted [`Undo::write`] changed.
    ///
    /// # Errors
    /// The disk fails. The call can be repeated.
    pub fn roll_back(&self, repo: &Repository, step: Step) -> Result<RolledBack> {
        let (plan, checkout) = self.open(repo)?;
        Lock::clear(repo, &self.home)?;
        // The lock prevents a commit while files are written, so the user made it after the kill.
        if repo.head()? != plan.head && (self.index_is_ours(repo, &plan)? || has_files_of(&plan, &checkout)?) {
            return Ok(RolledBack::HeadMoved);
        }
        let changed = self.changed(&plan, &checkout)?;
        self.restore(repo, &plan, &checkout, &changed, step)?;
        let kept = changed.into_iter().map(|path| String::from_utf8_lossy(&path).into_owned()).collect();
        Ok(RolledBack::Restored { kept })
    }

    /// Restores files and index as they were before the change. `before` is the ref of the snapshot, for the message.
    /// Returns the paths that stay as they are: those that somebody changed after an undo was interrupted.
    ///
    /// # Errors
    /// [`Error::Unfit`] with the paths if any of them has changed before the undo began; nothing is touched. Otherwise
    /// HEAD has moved or the disk fails, and the call can be repeated.
    pub fn undo(&self, repo: &Repository, before: &str, step: Step) -> Result<Vec<String>> {
        let (plan, checkout) = self.open(repo)?;
        Lock::clear(repo, &self.home)?;
        let is_begun = self.unfinished() == Some(Unfinished::Undoing);
        if repo.head()? != plan.head {
            let part = if is_begun { "; the files are restored only in part" } else { "" };
            let what =
                format!("HEAD has moved since the takeover, so undo would stage the opposite of your commits{part}");
            let back = match plan.head.commit() {
                Some(commit) => format!("git reset --soft {commit}"),
                None => "git update-ref -d HEAD".to_owned(),
            };
            return Err(Error::unfit(what, format!("{back}, then the same command")));
        }
        let files = self.changed(&plan, &checkout)?;
        let mut changed = files.clone();
        changed.extend(self.changed_entries(repo)?);
        let changed: Vec<_> = changed.iter().map(|path| String::from_utf8_lossy(path).into_owned()).collect();
        if !is_begun && !changed.is_empty() {
            let what = format!("changed since the takeover, so nothing was undone:\n  {}", changed.join("\n  "));
            let hint = format!("git show {before}:PATH  (prints a file as it was before the takeover)");
            return Err(Error::unfit(what, hint));
        }
        self.mark("undo\n")?;
        self.restore(repo, &plan, &checkout, &files, step)?;
        Ok(changed)
    }

    /// The paths whose entries in the index are neither as before the change nor as after it.
    fn changed_entries(&self, repo: &Repository) -> Result<Vec<Vec<u8>>> {
        index::restore_shared(repo, &self.home)?;
        changed_entries(repo, &self.home.join("index.before"), &self.home.join("index.after"))
    }

    /// Whether the index has to be restored and can be: each entry is as before the change or as after it.
    fn index_is_ours(&self, repo: &Repository, plan: &Plan) -> Result<bool> {
        let is_ours = plan.index && self.changed_entries(repo)?.is_empty();
        Ok(is_ours && !index::has_entries_of(repo, &self.home.join("index.before"))?)
    }

    fn restore(
        &self,
        repo: &Repository,
        plan: &Plan,
        checkout: &Checkout,
        keep: &BTreeSet<Vec<u8>>,
        step: Step,
    ) -> Result<()> {
        let is_ours = self.index_is_ours(repo, plan)?;
        let mut open = Vec::new();
        for (number, change) in plan.files.iter().enumerate().filter(|(_, change)| !keep.contains(&change.path.0)) {
            let place = checkout.path_of(&change.path.0);
            checkout.clear_temporary(&change.path.0).map_err(Error::io("remove", &place))?;
            if checkout.state(&change.path.0).map_err(Error::io("read", &place))? != change.before {
                open.push((number, change));
            }
        }
        let mode_of = |path: &path_state::Path| checkout.directory_mode(&path.0);
        let directories = plan.directories.iter().filter(|(path, mode)| mode_of(path).ok() != Some(Some(**mode)));
        let directories: Vec<_> = directories.collect();
        if !is_ours && open.is_empty() && directories.is_empty() {
            return Ok(());
        }
        let lock = Lock::take(repo, &self.home, &self.home.join("index.before"))?;
        match self.restore_files(plan, checkout, &open, keep, step) {
            Ok(()) if is_ours => lock.install(),
            Ok(()) => lock.release(),
            // The user needs git, because the next command that tries again may come much later.
            Err(error) => lock.release().and(Err(error)),
        }
    }

    fn restore_files(
        &self,
        plan: &Plan,
        checkout: &Checkout,
        open: &[(usize, &Change)],
        keep: &BTreeSet<Vec<u8>>,
        step: Step,
    ) -> Result<()> {
        let is_kept = |path: &[u8]| plan.directories.contains_key(&path_state::Path(path.to_vec()));
        for (_, change) in open.iter().filter(|(_, change)| change.before == State::Absent) {
            step()?;
            expect_after(checkout, change)?;
            checkout.remove(&change.path.0, is_kept).map_err(Error::io("remove", &checkout.path_of(&change.path.0)))?;
        }
        for (number, change) in open.iter().filter(|(_, change)| change.before != State::Absent) {
            step()?;
            expect_after(checkout, change)?;
            self.put_back(checkout, *number, change)?;
        }
        for (path, mode) in &plan.directories {
            step()?;
            // A file of the user's may be there, or above, if it was kept.
            let made = checkout.make_directory(&path.0, *mode);
            made.or_else(|error| if keep.is_empty() { Err(error) } else { Ok(()) })
                .map_err(Error::io("make", &checkout.path_of(&path.0)))?;
        }
        step()
    }

    fn put_back(&self, checkout: &Checkout, number: usize, change: &Change) -> Result<()> {
        let (copy, back) = (self.home.join("before").join(number.to_string()), self.home.join("back"));
        if let State::File { .. } = change.before {
            // The copy stays for the case that the process is killed.
            removed(&back)?;
            let source = File::open(&copy).map_err(Error::io("read", &copy))?;
            let target = File::create_new(&back).map_err(Error::io("write", &back))?;
            copy_file(source, target).map_err(Error::io("write", &back))?;
        }
        // Empty directories in its place are not content.
        let free = || -> std::io::Result<()> {
            let (_, directories) = in_the_way(checkout, [(change.path.0.as_slice(), true)].into_iter())?;
            directories.keys().rev().try_for_each(|path| checkout.remove_directory(&path.0).map(drop))
        };
        free().map_err(Error::io("write", &checkout.path_of(&change.path.0)))?;
        put(checkout, change, &change.before, &back)
    }

    /// The paths that are neither as before the change nor as after it.
    fn changed(&self, plan: &Plan, checkout: &Checkout) -> Result<BTreeSet<Vec<u8>>> {
        let mut changed = BTreeSet::new();
        let mut open = Vec::new();
        for change in &plan.files {
            let path = &change.path.0;
            let state = checkout.state(path).map_err(Error::io("read", &checkout.path_of(path)))?;
            if state == change.before {
                continue;
            }
            open.push((path.as_slice(), change.before != State::Absent));
            if state != change.after {
                changed.insert(path.clone());
            }
        }
        let (blocked, _) = in_the_way(checkout, open.into_iter()).map_err(Error::io("read", &checkout.path_of(b"")))?;
        changed.extend(blocked);
        Ok(changed)
    }

    fn open(&self, repo: &Repository) -> Result<(Plan, Checkout)> {
        let plan = self.read()?.ok_or_else(|| Error::unfit("there is nothing to undo", "git status"))?;
        let checkout = Checkout::open(repo.top(), format!(".handoff-{}", plan.head.short()));
        Ok((plan, checkout.map_err(Error::io("open", repo.top()))?))
    }

    fn read(&self) -> Result<Option<Plan>> {
        let path = self.home.join("plan.json");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io("read", &path)(error)),
        };
        let plan: Plan = serde_json::from_slice(&bytes).map_err(|error| Error::io("read", &path)(error.into()))?;
        match plan.v {
            FORMAT => Ok(Some(plan)),
            _ => Err(Error::unfit(format!("{} was written by a newer handoff", path.display()), "upgrade handoff")),
        }
    }

    fn marker(&self) -> PathBuf {
        self.home.join("unfinished")
    }

    fn mark(&self, text: &str) -> Result<()> {
        let path = self.marker();
        let write = || std::fs::write(&path, text).and_then(|()| File::open(&path)?.sync_all());
        write().map_err(Error::io("write", &path))
    }
}

/// Fails if a path is not as it was when the change was prepared.
fn expect(checkout: &Checkout, change: &Change) -> Result<()> {
    let place = checkout.path_of(&change.path.0);
    match checkout.state(&change.path.0).map_err(Error::io("read", &place))? == change.before {
        true => Ok(()),
        false => Err(changed_meanwhile(&change.path.shown())),
    }
}

/// Fails if a path is not as the change left it.
fn expect_after(checkout: &Checkout, change: &Change) -> Result<()> {
    let place = checkout.path_of(&change.path.0);
    match checkout.state(&change.path.0).map_err(Error::io("read", &place))? == change.after {
        true => Ok(()),
        false => {
            let what = format!("{} changed while files were restored, so only some of them are", change.path.shown());
            Err(Error::unfit(what, "the same command again"))
        }
    }
}

/// Whether a file is as after the change.
fn has_files_of(plan: &Plan, checkout: &Checkout) -> Result<bool> {
    for change in &plan.files {
        if checkout.state(&change.path.0).map_err(Error::io("read", &checkout.path_of(&change.path.0)))? == change.after
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn put(checkout: &Checkout, change: &Change, state: &State, from: &Path) -> Result<()> {
    let path = &change.path.0;
    let done = match state {
        State::File { .. } => checkout.put_file(from, path),
        State::Link { target } => checkout.put_link(target, path),
        State::Absent | State::Other => Ok(()),
    };
    done.map_err(Error::io("write", &checkout.path_of(path)))
}

fn is_at_or_below(path: &path_state::Path, places: &BTreeSet<&path_state::Path>) -> bool {
    let mut all = std::iter::once(path.0.as_slice()).chain(super::tree_edits::ancestors(&path.0));
    all.any(|at| places.contains(&path_state::Path(at.to_vec())))
}

fn changed_meanwhile(what: &str) -> Error {
    Error::unfit(format!("{what} changed while the work was brought here"), "the same command again")
}

/// Removes a file that may not exist.
fn removed(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
