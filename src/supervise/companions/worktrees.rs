//! The companions in the worktree of a takeover: each is a worktree of its own repository, with the work in it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::git;
use crate::git::capture::Captured;
use crate::git::companions::{self, Named, Purpose, direct, take_work};
use crate::git::repository::Repository;
use crate::git::takeover_worktree::removal::{self, Saved, Unsaved};
use crate::git::takeover_worktree::{self, Takeover};
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::{Companion, Snapshot};
use crate::supervise::companions::{companions_in, shipped, tell_older};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// A companion that a takeover may have put somewhere.
#[derive(Clone)]
struct Placed {
    path: String,
    repository: Repository,
    /// Where the takeover puts it.
    directory: PathBuf,
}

/// The name of a takeover, for tasks that outlive a borrow.
#[derive(Clone)]
struct Owned {
    id: HandoffId,
    name: RemoteName,
    round: usize,
}

impl Owned {
    fn of(record: &Record, round: usize) -> Self {
        Owned { id: record.id().clone(), name: record.name.clone(), round }
    }

    fn takeover(&self) -> Takeover<'_> {
        Takeover { id: &self.id, name: &self.name, round: self.round, branch: None }
    }
}

/// Where the takeover of this round puts a companion: at its path in the worktree, or next to its own repository.
fn place(record: &Record, owned: &Owned, worktree: &Path, path: &str) -> git::Result<Placed> {
    let repository = record.services.repository.companion(&companions_in(record), path)?;
    let directory = match path.starts_with("../") {
        true => owned.takeover().default_destination(repository.top()),
        false => worktree.join(path),
    };
    Ok(Placed { path: path.to_owned(), repository, directory })
}

/// Makes the worktrees of the companions for a takeover into `worktree`. Those that an interrupted takeover made stay as
/// they are.
pub(in crate::supervise) async fn land_companions(
    record: &Record,
    worktree: &Path,
    work: &[Companion],
) -> Result<(), Error> {
    tell_older(record);
    let owned = Owned::of(record, record.handoff().round());
    for companion in work {
        let placed = match place(record, &owned, worktree, &companion.path) {
            // The work of the outer repository does not wait for it.
            Err(git::Error::Unfit { what, hint }) => {
                let text = format!("{} is not in the worktree: {what}; {hint}", companion.path);
                record.tell(&Progress::Note { text });
                continue;
            }
            placed => placed?,
        };
        let (owned, work) = (owned.clone(), Captured::from(&*companion.work));
        let Placed { path, repository, directory } = placed;
        let top = (!path.starts_with("../")).then(|| worktree.to_owned());
        let landed = blocking(move || {
            make_room(top.as_deref(), &directory)?;
            let work = repository.without_record(work)?;
            takeover_worktree::worktree_for_takeover(&repository, owned.takeover(), &work, &directory)
        });
        let landed = match landed.await? {
            Err(git::Error::Unfit { what, .. }) => {
                let short = companion.work.commit.short();
                let text =
                    format!("{path} is not in the worktree: {what}; its work is the commit {short} in {path} here");
                record.tell(&Progress::Note { text });
                continue;
            }
            landed => landed?,
        };
        for differing in landed.differing {
            let text = format!("{path}/{differing} could not be written to the worktree unchanged");
            record.tell(&Progress::Note { text });
        }
        for stored in landed.stored {
            let text = format!("{path}/{} is in the worktree as git stores it ({})", stored.path, stored.why);
            record.tell(&Progress::Note { text });
        }
        if path.starts_with("../") {
            record.tell(&Progress::Note { text: format!("{path} is in {}", landed.path.display()) });
        }
    }
    Ok(())
}

/// Removes the empty directory that a checkout makes for a submodule, and makes the directories above it. A link that the
/// agent made between the worktree `top` and the directory is not followed.
fn make_room(top: Option<&Path>, directory: &Path) -> git::Result<()> {
    let between = directory.ancestors().skip(1).take_while(|above| top.is_some_and(|top| *above != top));
    if let Some(link) = between.filter(|above| above.is_symlink()).last() {
        let what = format!("{} is a link, so the repository {} has no place", link.display(), directory.display());
        return Err(git::Error::unfit(what, "the work is in the companion's own repository"));
    }
    if let Some(parent) = directory.parent() {
        std::fs::create_dir_all(parent).map_err(git::Error::io("make", parent))?;
    }
    match std::fs::remove_dir(directory) {
        // What is there is looked at when the worktree is made.
        Err(error) if !matches!(error.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
            Err(git::Error::io("remove", directory)(error))
        }
        _ => Ok(()),
    }
}

/// The companions that are in the worktree of a takeover of this round, or in the checkout that it was merged into.
pub(in crate::supervise) fn named_in(record: &Record, round: usize, worktree: &Path) -> Vec<Named> {
    let owned = Owned::of(record, round);
    let is_here = record.handoff().checkouts().current().is_some();
    let named = shipped(record.handoff()).into_iter().filter_map(|companion| {
        let placed = place(record, &owned, worktree, &companion.path).ok()?;
        let is_sibling = placed.path.starts_with("../");
        let is_there = Repository::discover(&placed.directory).is_ok_and(|found| found.top() == placed.directory);
        match (is_there, is_sibling) {
            (true, true) => Some(Named { path: placed.path, directory: Some(placed.directory) }),
            (true, false) => Some(Named { path: placed.path, directory: None }),
            // `takeover --here` leaves it where it was.
            (false, true) if is_here => Some(Named { path: placed.path, directory: None }),
            (false, _) => None,
        }
    });
    named.collect()
}

/// Takes the snapshot that `give` ships. The companions keep their caches.
pub(in crate::supervise) fn take_to_give(
    tree: &Repository,
    include: &[String],
    named: &[Named],
    handoff: &[Companion],
) -> git::Result<Snapshot> {
    let known: Vec<String> = handoff.iter().map(|companion| companion.path.clone()).collect();
    let mut taken = take_work(tree, include, named, Purpose::Give(&known))?;
    for companion in &mut taken.companions {
        let known = handoff.iter().find(|known| known.path == companion.path);
        if let Some(key) = known.and_then(|known| known.work.cache_key.clone()) {
            companion.work.cache_key = Some(key);
        }
    }
    Ok(taken)
}

/// The worktrees of the companions in a takeover's worktree.
pub(in crate::supervise) struct CompanionWorktrees {
    /// What only they have, with paths from the takeover's worktree.
    pub unsaved: Unsaved,
    /// The present states of all repositories in the worktree, also of those that are not the takeover's.
    pub states: Vec<Companion>,
    found: Vec<Placed>,
    /// The paths of the companions whose repositories are here. Others were not put into the worktree.
    here: Vec<String>,
    owned: Owned,
}

impl CompanionWorktrees {
    /// Finds them, and compares each with the refs of its repository.
    pub async fn find(record: &Record, round: usize, worktree: &Path) -> Result<Self, Error> {
        let owned = Owned::of(record, round);
        let (unsaved, found) = (Unsaved::default(), vec![]);
        let mut all = CompanionWorktrees { unsaved, states: vec![], found, here: vec![], owned };
        let (named, top) = (named_in(record, round, worktree), worktree.to_owned());
        let taken = blocking(move || companions::take(&Repository::discover(&top)?, &named, Purpose::Work));
        match taken.await? {
            Err(git::Error::Unfit { what, .. }) => {
                all.unsaved.why.push(what);
                return Ok(all);
            }
            taken => all.states = taken?,
        }
        for companion in shipped(record.handoff()) {
            let Ok(placed) = place(record, &all.owned, worktree, &companion.path) else { continue };
            all.here.push(placed.path.clone());
            let saved = saved_of(record.handoff(), &placed)?;
            let (owned, compared) = (all.owned.clone(), placed.clone());
            let inner = direct(&all.states, &companion.path);
            let compared = blocking(move || {
                let Placed { repository, directory, .. } = &compared;
                removal::complete_removal(repository, owned.takeover(), directory)?;
                let is_ours = removal::worktrees_of(repository, owned.takeover()).contains(directory);
                is_ours.then(|| removal::unsaved(repository, directory, &saved, &inner)).transpose()
            });
            let Some(unsaved) = compared.await?? else { continue };
            all.unsaved.why.extend(unsaved.why.into_iter().map(|why| format!("{}: {why}", placed.path)));
            all.unsaved.ignored.extend(unsaved.ignored.into_iter().map(|path| format!("{}/{path}", placed.path)));
            all.found.push(placed);
        }
        Ok(all)
    }

    /// The states of those that were compared and are directly in the worktree. Another repository there counts as content
    /// of the worktree.
    pub fn compared(&self) -> Vec<Companion> {
        let is_found = |companion: &&Companion| self.found.iter().any(|placed| placed.path == companion.path);
        direct(&self.states.iter().filter(is_found).cloned().collect::<Vec<_>>(), "")
    }

    /// Whether each is as the takeover found it.
    pub fn are_unchanged(&self, work: &[Companion]) -> bool {
        let is_same = |now: &Companion, before: &Companion| {
            now.path == before.path && removal::is_same(&Captured::from(&*before.work), &now.work)
        };
        let mut landed = work.iter().filter(|before| self.here.contains(&before.path));
        landed.all(|before| self.states.iter().any(|now| is_same(now, before)))
            && self.states.iter().all(|now| work.iter().any(|before| before.path == now.path))
    }

    /// Removes them, the inner ones first.
    pub async fn remove(&self) -> Result<(), Error> {
        for placed in self.found.iter().rev().cloned() {
            let owned = self.owned.clone();
            blocking(move || removal::remove(&placed.repository, owned.takeover(), &placed.directory)).await??;
        }
        Ok(())
    }

    /// Removes the branches that the takeover made for them, where they have not moved.
    pub async fn remove_branches(&self, work: &[Companion]) -> Result<(), Error> {
        for placed in self.found.iter().cloned() {
            let Some(before) = work.iter().find(|before| before.path == placed.path) else { continue };
            let (owned, head) = (self.owned.clone(), before.work.head.clone());
            let remove = move || {
                let own = takeover_worktree::own_branch(owned.takeover());
                placed.repository.remove_branch(&own, &head)
            };
            blocking(remove).await??;
        }
        Ok(())
    }
}

/// What refs of a companion's repository have of the handoff's work.
fn saved_of(handoff: &Handoff, placed: &Placed) -> Result<Saved, Error> {
    let is_it = |companion: &&Companion| companion.path == placed.path;
    let given = handoff.given().values().flat_map(|given| &given.work.companions);
    let sent: Vec<&Companion> = handoff.request().base.companions.iter().chain(given).filter(is_it).collect();
    let mut states: Vec<Captured> = sent.iter().map(|companion| Captured::from(&*companion.work)).collect();
    let left = handoff.attempts().values().flat_map(|attempt| &attempt.companions);
    for left in left.filter(|left| left.path == placed.path) {
        states.push(placed.repository.without_record(placed.repository.read_capture(&left.commit)?)?);
    }
    let extras = sent.iter().filter_map(|companion| companion.work.extra.as_ref()).map(|extra| extra.tree.clone());
    Ok(Saved { states, extras: extras.collect() })
}

/// The companions whose work is not the one that the handoff began with.
pub(in crate::supervise) fn changed<'a>(handoff: &Handoff, work: &'a [Companion]) -> Vec<&'a str> {
    let base = &handoff.request().base.companions;
    let is_changed = |companion: &&Companion| {
        let before = base.iter().find(|before| before.path == companion.path).map(|before| &before.work);
        before.is_none_or(|before| {
            (&before.head, &before.index_tree, &before.files_tree)
                != (&companion.work.head, &companion.work.index_tree, &companion.work.files_tree)
        })
    };
    work.iter().filter(is_changed).map(|companion| companion.path.as_str()).collect()
}
