//! The checkout of the user's into which a takeover merges the work: the change, its recovery after a kill, its undo.

use std::path::PathBuf;

use crate::git;
use crate::git::capture::Captured;
use crate::git::merge_here::{Outcome, Preview, prepare};
use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::undo::{RolledBack, Undo, Unfinished};
use crate::model::event::Kind;
use crate::model::id::HandoffId;
use crate::state::store::Store;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// Maximum number of files that the preview names.
const MOST_NAMED: usize = 20;

/// Merges work into the checkout of this command, all or nothing, and journals it.
///
/// # Errors
/// [`Error::Conflicts`], and nothing is touched; git, the disk or the journal fails, and what was changed is restored.
pub(in crate::supervise) async fn bring(record: &mut Record, work: Captured) -> Result<Preview, Error> {
    recover(record)?;
    let (repository, undo) = (record.services.repository.clone(), undo_of(record));
    let worktree = repository.worktree_name();
    let checkouts = record.handoff().checkouts();
    let (number, base) = (checkouts.next(), checkouts.base_of(&worktree));
    let base = base.unwrap_or(&record.handoff().request().base.commit).clone();
    let (repo, draft, from) = (repository.clone(), undo.clone(), base.clone());
    let prepared = blocking(move || {
        let work = repo.without_record(work)?;
        prepare(&repo, &draft, number, &repo.read_capture(&from)?, &work)
    });
    let preview = match prepared.await?? {
        Outcome::Ready(preview) => preview,
        Outcome::Conflicts(conflicts) => return Err(Error::Conflicts { id: record.id().clone(), conflicts }),
    };
    announce(record, &preview);
    let begun = refs::undo_begun(record.id());
    // A process that was killed, or an earlier version, left it. It may have what is nowhere else.
    keep_aside(record, &begun)?;
    undo.begin()?;
    let (repo, change, before) = (repository.clone(), undo.clone(), preview.before.clone());
    let written = blocking(move || {
        // As long as this ref does not exist, nothing was written.
        repo.keep_ref(&begun, &before)?;
        change.write(&repo, &mut uninterrupted)
    });
    let written = written.await?;
    let path = repository.top().display().to_string();
    let done =
        written.map_err(Error::from).and_then(|()| record.ledger.require(Kind::Here { number, path, worktree, base }));
    if let Err(error) = done {
        if let Err(second) = recover(record) {
            record
                .tell(&Progress::Note { text: format!("not rolled back yet, the next command tries again: {second}") });
        }
        return Err(error);
    }
    complete(record)?;
    // Only tells git which files are unchanged, so that the next `git status` reads none of them.
    let _ = blocking(move || repository.git("update-index").args(["-q", "--refresh"]).output()).await?;
    Ok(preview)
}

/// The change is journaled, so it replaces the one before it.
fn complete(record: &Record) -> Result<(), Error> {
    let (repository, begun) = (&record.services.repository, refs::undo_begun(record.id()));
    if let Some((_, before)) = repository.list_refs(&begun)?.pop() {
        let undo = refs::Change { name: refs::undo(record.id()), old: None, new: Some(before) };
        repository.update_refs(&[undo, refs::Change { name: begun, old: None, new: None }])?;
    }
    Ok(undo_of(record).finish()?)
}

/// Whether a process was killed while it changed a checkout for this handoff.
pub(in crate::supervise) fn is_unfinished(store: &Store, id: &HandoffId) -> bool {
    Undo::of(&store.directory(id)).unfinished().is_some()
}

/// Finishes what a process was killed in: a change that was not journaled is rolled back, an undo is completed.
///
/// # Errors
/// The checkout is gone, git or the disk fails. The next command tries again.
pub(in crate::supervise) fn recover(record: &mut Record) -> Result<(), Error> {
    let undo = undo_of(record);
    undo.restore_earlier()?;
    let Some(unfinished) = undo.unfinished() else { return Ok(()) };
    let Some((number, worktree)) = undo.place()? else { return Ok(undo.forget()?) };
    let change = record.handoff().checkouts().last().filter(|change| change.number == number);
    match (unfinished, change.map(|change| change.undone)) {
        (_, Some(true)) => Ok(undo.forget()?),
        (Unfinished::Writing, Some(false)) => complete(record),
        (Unfinished::Undoing, Some(false)) => {
            let undone = take_back(record, number, &worktree)?;
            let text = format!("finished an interrupted undo in {}", undone.checkout.display());
            record.tell(&Progress::Note { text: text + &undone.kept.text() });
            Ok(())
        }
        (_, None) => roll_back(record, &undo, &worktree),
    }
}

/// Restores a checkout of which a process was killed in a takeover.
fn roll_back(record: &Record, undo: &Undo, worktree: &str) -> Result<(), Error> {
    let repository = checkout(record, worktree)?;
    let rolled_back = undo.roll_back(&repository, &mut uninterrupted)?;
    let place = repository.top().display();
    let begun = refs::undo_begun(record.id());
    let text = match rolled_back {
        RolledBack::HeadMoved => {
            let snapshot = keep_aside(record, &begun)?;
            let text =
                format!("HEAD has moved since a takeover into {place} was interrupted, so its files stay as they are");
            text + &as_before(snapshot.as_deref())
        }
        RolledBack::Restored { kept } => {
            let kept = Kept::settle(record, &begun, kept)?;
            format!("rolled back an interrupted takeover into {place}") + &kept.text()
        }
    };
    undo.abandon()?;
    record.tell(&Progress::Note { text });
    Ok(())
}

/// What of a checkout was not restored, because the user changed it in the meantime.
pub(in crate::supervise) struct Kept {
    paths: Vec<String>,
    /// The ref of the checkout as it was before, if it is needed for these paths.
    snapshot: Option<String>,
}

impl Kept {
    /// Deletes the ref of a snapshot whose content is all back in the checkout, and keeps it otherwise.
    fn settle(record: &Record, name: &str, paths: Vec<String>) -> Result<Kept, Error> {
        if !paths.is_empty() {
            let snapshot = keep_aside(record, name)?;
            return Ok(Kept { paths, snapshot });
        }
        record.services.repository.update_refs(&[refs::Change { name: name.to_owned(), old: None, new: None }])?;
        Ok(Kept { paths, snapshot: None })
    }

    /// The end of a sentence.
    pub fn text(&self) -> String {
        if self.paths.is_empty() {
            return String::new();
        }
        let kept = format!("; changed by you in the meantime, and kept: {}", self.paths.join(", "));
        kept + &as_before(self.snapshot.as_deref())
    }
}

/// Says how to read a snapshot.
fn as_before(snapshot: Option<&str>) -> String {
    snapshot.map_or_else(String::new, |name| format!("; git show {name}:PATH prints a file as it was before"))
}

/// Renames the ref of a snapshot, so that the next takeover does not move it. Returns the new name: after an interrupted
/// call, that of the newest.
fn keep_aside(record: &Record, name: &str) -> Result<Option<String>, Error> {
    let (repository, directory) = (&record.services.repository, refs::undo_kept(record.id()));
    let known = repository.list_refs(&directory)?;
    let numbers = known.iter().filter_map(|(name, _)| name.strip_prefix(&directory)?.parse().ok());
    let newest: u32 = numbers.max().unwrap_or_default();
    let Some((_, before)) = repository.list_refs(name)?.pop() else {
        return Ok((newest > 0).then(|| format!("{directory}{newest}")));
    };
    let kept = format!("{directory}{}", newest + 1);
    let new = refs::Change { name: kept.clone(), old: Some(refs::Was::Absent), new: Some(before.clone()) };
    let old = refs::Change { name: name.to_owned(), old: Some(refs::Was::At(before)), new: None };
    repository.update_refs(&[new, old])?;
    Ok(Some(kept))
}

/// What an undo did.
pub(in crate::supervise) struct Undone {
    /// The checkout.
    pub checkout: PathBuf,
    /// What is not as before the takeover.
    pub kept: Kept,
}

/// Restores the checkout of the last change. Returns it, and whether there was anything to do.
///
/// # Errors
/// [`Error::NotNow`] if no work was brought into a checkout; files changed since, and nothing is touched; git, the disk
/// or the journal fails, and the call can be repeated.
pub(in crate::supervise) fn undo(record: &mut Record) -> Result<(PathBuf, bool), Error> {
    recover(record)?;
    let Some(last) = record.handoff().checkouts().last().cloned() else {
        let why = "was not brought into a checkout, so there is nothing to undo".to_owned();
        return Err(Error::NotNow { id: record.id().clone(), why });
    };
    if last.undone {
        return Ok((PathBuf::from(last.path), false));
    }
    match undo_of(record).place()? {
        Some((number, _)) if number == last.number => {}
        _ => {
            let what = format!("the copies of what was in {} before the takeover are gone", last.path);
            let hint = format!("git show {}:PATH  (prints a file as it was)", refs::undo(record.id()));
            return Err(git::Error::Unfit { what, hint }.into());
        }
    }
    // No path is kept, because an undo that was not begun before is refused instead.
    Ok((take_back(record, last.number, &last.worktree)?.checkout, true))
}

fn take_back(record: &mut Record, number: u32, worktree: &str) -> Result<Undone, Error> {
    let (undo, before) = (undo_of(record), refs::undo(record.id()));
    let repository = checkout(record, worktree)?;
    let kept = undo.undo(&repository, &before, &mut uninterrupted)?;
    // Before the change is journaled, because nothing looks for this ref afterwards.
    let kept = Kept::settle(record, &before, kept)?;
    record.ledger.require(Kind::Undone { number })?;
    undo.forget()?;
    Ok(Undone { checkout: repository.top().to_owned(), kept })
}

fn undo_of(record: &Record) -> Undo {
    Undo::of(&record.services.store.directory(record.id()))
}

/// The worktree with that name, where it is now.
fn checkout(record: &Record, worktree: &str) -> Result<Repository, Error> {
    match record.services.repository.worktree_named(worktree) {
        Some(path) => Ok(Repository::discover(&path)?),
        None => {
            let what = "the checkout of the takeover is gone".to_owned();
            Err(git::Error::Unfit { what, hint: "git worktree repair, if it was moved".to_owned() }.into())
        }
    }
}

/// A step that nothing interrupts. After a kill, [`recover`] acts.
fn uninterrupted() -> git::Result<()> {
    Ok(())
}

/// Says what is going to change.
fn announce(record: &Record, preview: &Preview) {
    let note = |text: String| record.tell(&Progress::Note { text });
    let lists = [("change", &preview.changed), ("add", &preview.added), ("delete", &preview.deleted)];
    let counts = lists.map(|(verb, paths)| format!("{verb} {}", paths.len()));
    let staged = preview.staged;
    note(format!("files here: {}; paths in the index: {staged}", counts.join(", ")));
    let named = lists.iter().flat_map(|(verb, paths)| paths.iter().map(move |path| format!("{verb} {path}")));
    named.take(MOST_NAMED).for_each(note);
    let all: usize = lists.iter().map(|(_, paths)| paths.len()).sum();
    if all > MOST_NAMED {
        note(format!("and {} more files", all - MOST_NAMED));
    }
}
