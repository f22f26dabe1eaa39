//! The worktrees that have the record of a handoff, and where people find it there.

use std::path::{Path, PathBuf};

use crate::git::takeover_worktree::Takeover;
use crate::mirror::files::RecordFiles;
use crate::mirror::place::Place;
use crate::model::handoff::Handoff;
use crate::model::id::RemoteName;
use crate::supervise::error::Error;
use crate::supervise::services::Services;

/// The worktrees that have the record, found by their git directories. Another directory at a stored path gets no
/// record, and a worktree that the user removed is not created again.
pub(super) struct Places {
    pub created_in: Option<PathBuf>,
    pub takeover: Option<PathBuf>,
}

impl Places {
    pub fn of(services: &Services, handoff: &Handoff) -> Places {
        let repository = &services.repository;
        let stored = Path::new(&handoff.request().workspace);
        // Release 0.1.0 stored only a path. If that is no worktree of the repository any more, the main worktree is
        // meant.
        let name = handoff.request().worktree.clone().or_else(|| repository.worktree_at(stored)).unwrap_or_default();
        Places { created_in: repository.worktree_named(&name), takeover: takeover_place(services, handoff) }
    }

    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let takeover = self.takeover.as_ref().filter(|path| self.created_in.as_ref() != Some(path));
        [self.created_in.as_deref(), takeover.map(PathBuf::as_path)].into_iter().flatten()
    }
}

/// The present place of the last takeover: a worktree that it made, or a checkout into which it merged the work. `None`:
/// there was none, or it is gone.
pub fn takeover_place(services: &Services, handoff: &Handoff) -> Option<PathBuf> {
    match handoff.checkouts().place() {
        Some(here) => services.repository.worktree_named(&here.worktree),
        None => takeover_worktree(services, handoff),
    }
}

/// The present place of the last takeover's worktree. `None`: there was none, or it is gone.
pub fn takeover_worktree(services: &Services, handoff: &Handoff) -> Option<PathBuf> {
    let stored = Path::new(handoff.worktree()?);
    let repository = &services.repository;
    // git names its data about a worktree after the worktree's first name.
    let id = &handoff.request().id;
    let name = RemoteName::new(id, &handoff.request().uid);
    let takeover = Takeover { id, name: &name, round: handoff.worktree_round(), branch: None };
    // Another worktree may be at the stored path by now.
    if repository.worktree_at(stored).is_some_and(|name| takeover.is_named(&name)) {
        return Some(stored.to_owned());
    }
    let made = repository.worktrees_called(&takeover.made_as()).into_iter().filter(|name| takeover.is_named(name));
    made.into_iter().find_map(|name| repository.worktree_named(&name))
}

/// Where people find `handoff.md` of a worktree, with the reason if that is in the git directory.
pub fn document_of(services: &Services, handoff: &Handoff, worktree: &Path) -> (PathBuf, Option<String>) {
    let id = &handoff.request().id;
    let place = Place::of(worktree, id);
    let path = place.document(worktree, id, &services.store.directory(id));
    (path, if let Place::GitDirectory { why } = place { Some(why) } else { None })
}

/// The bytes of `handoff.md` in the worktree that the handoff was created in; `None` if there is none.
///
/// # Errors
/// It cannot be read.
pub fn written_page(services: &Services, handoff: &Handoff) -> Result<Option<Vec<u8>>, Error> {
    let (worktree, id) = (created_in(services, handoff), &handoff.request().id);
    let files = match Place::of(&worktree, id) {
        Place::Worktree => RecordFiles::open(&worktree, id)?,
        Place::GitDirectory { .. } => RecordFiles::in_git_directory(&services.store.directory(id))?,
    };
    Ok(files.document()?)
}

/// The present place of the worktree that a handoff was created in, or its place at that time if the present one is
/// unknown.
pub fn created_in(services: &Services, handoff: &Handoff) -> PathBuf {
    Places::of(services, handoff).created_in.unwrap_or_else(|| PathBuf::from(&handoff.request().workspace))
}
