//! `adopt`: a handoff directory that was made by hand with the skill becomes a handoff of this program. What it proves
//! is recorded as proved, what people wrote as what they wrote, and nothing in it is changed.

mod found;
mod writers;

pub use found::Found;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::secrets;
use crate::git::companions;
use crate::git::refs;
use crate::mirror::RECORD;
use crate::mirror::hand_made::HandMade;
use crate::model::adopted::Adopted;
use crate::model::event::{Created, Kind};
use crate::model::host::{LOCAL, Limits};
use crate::model::id::{HandoffId, Uid};
use crate::model::snapshot::Snapshot;
use crate::state::index;
use crate::state::lock::DriverLock;
use crate::supervise::dispatch::{facts, tell_fetch};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::masking::covered_adopted;
use crate::supervise::progress::Progress;
use crate::supervise::services::{Services, blocking};

/// The options of the user.
#[derive(Clone, Debug, Default)]
pub struct AdoptOptions {
    pub directory: PathBuf,
    /// The id; without one, that of the directory.
    pub id: Option<HandoffId>,
    /// The task, if the page does not have it or another one counts.
    pub task: Option<String>,
    /// The agent of the next attempts; without one, the last that ran.
    pub agent: Option<String>,
    pub model: Option<String>,
    /// A command of the user's. One that the page names is not run.
    pub check: Option<String>,
    /// Nothing of it runs any more.
    pub ended: bool,
    /// Record nothing.
    pub dry_run: bool,
}

/// What became of a directory.
pub enum Adoption {
    /// This handoff was made from it before, or it is the directory of this handoff.
    Already(HandoffId),
    /// Nothing was recorded.
    Planned(Found),
    Adopted(Found),
}

impl Driver {
    /// Records a handoff from a directory that was made by hand. No host is contacted.
    pub async fn adopt(services: &Arc<Services>, options: AdoptOptions) -> Result<Adoption, Error> {
        if let Some(agent) = &options.agent {
            services.profile(agent)?;
        }
        let (reader, dry_run) = (services.clone(), options.dry_run);
        let read = move || {
            let made = HandMade::open(reader.repository.top(), &options.directory)?;
            match known(&reader, &made.path)? {
                Some(id) => Ok(Err(id)),
                None => Found::read(&reader, made, &options).map(Ok),
            }
        };
        let (found, made) = match blocking(read).await?? {
            Ok(found) => found,
            Err(id) => {
                // The command may have been killed after the handoff had its name.
                if !dry_run {
                    complete(services, &id).await?;
                }
                return Ok(Adoption::Already(id));
            }
        };
        if dry_run {
            return Ok(Adoption::Planned(found));
        }
        if let Some(why) = &found.may_run {
            let (directory, is_proved) = (made.path, found.is_running);
            return Err(Error::MayRun { directory, why: why.clone(), is_proved });
        }
        record(services, &found, made).await?;
        complete(services, &found.id).await?;
        Ok(Adoption::Adopted(found))
    }
}

/// The handoff that was made from a directory, or whose record it is.
fn known(services: &Services, directory: &Path) -> Result<Option<HandoffId>, Error> {
    for id in services.store.ids()? {
        let Ok(journal) = services.store.open(&id) else { continue };
        let is_from = |adopted: &Adopted| Path::new(&adopted.directory) == directory;
        let is_record = directory == services.repository.top().join(RECORD).join(id.as_str());
        if is_record || journal.handoff().adopted().is_some_and(is_from) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// Records the handoff with everything that belongs to it, or nothing.
async fn record(services: &Arc<Services>, found: &Found, mut made: HandMade) -> Result<(), Error> {
    // Otherwise git hashes the logs in the directory for the snapshot, which leaves them out.
    services.repository.exclude_record()?;
    let (repository, tell) = (services.repository.clone(), tell_fetch(services));
    let taken = blocking(move || companions::take_for_run(&repository, &[], &[], &tell));
    let (now, facts) = tokio::join!(taken, self::facts(&services.repository, None));
    let now = now??;
    services.tell(&Progress::LeftBehind { items: now.left_behind.clone() });
    let base = base(services, found, &now)?;
    // In a partial clone they depend on the end of the history that is sent.
    let facts = match base.history {
        Some(_) => self::facts(&services.repository, Some(base.clone())).await,
        None => facts,
    };
    let base = Snapshot { cache_key: Some(facts?.cache_key), ..base };
    let work = (base.commit != now.commit).then(|| now.commit.clone());
    let created = Created {
        id: found.id.clone(),
        uid: uid()?,
        task: found.task.clone(),
        // No host has it. The command that gives it to one names that host.
        host: LOCAL.to_owned(),
        agent: found.agent.clone(),
        model: found.model.clone(),
        check: found.check.clone(),
        workspace: services.repository.top().display().to_string(),
        worktree: Some(services.repository.worktree_name()),
        subdir: services.repository.subdir().to_string_lossy().into_owned(),
        base,
        attached: None,
        artifacts: vec![],
        limits: Limits::default().filled(),
    };
    let adopted = covered(services, Adopted { work, ..found.adopted() });
    let (store, created) = (services.store.clone(), covered_task(created));
    let written = blocking(move || {
        store.create_with(created, |journal, directory| {
            made.copy_to(directory)?;
            Ok::<_, Error>(journal.append(Kind::Adopted(Box::new(adopted)))?)
        })
    });
    written.await??;
    Ok(())
}

/// What an interrupted call may have left undone.
async fn complete(services: &Arc<Services>, id: &HandoffId) -> Result<(), Error> {
    let journal = services.store.open(id)?;
    let Some(adopted) = journal.handoff().adopted() else { return Ok(()) };
    // The refs come after the record: without one, nothing would remove them.
    keep(services, id, &journal.handoff().request().base)?;
    if let (Some(work), Some(last)) = (&adopted.work, adopted.attempts.last()) {
        services.repository.keep_ref(&format!("{}{}/work", refs::of(id), last.attempt), work)?;
    }
    services.repository.exclude_record()?;
    // The index only serves `list --all`.
    if let Err(error) = index::remember(&services.state_dir, services.repository.common_dir()) {
        services.tell(&Progress::Note { text: error.to_string() });
    }
    // Whoever drives it writes the page.
    if let Some(lock) = DriverLock::try_take(&services.store.directory(id))? {
        Driver::new(services, journal, lock)?.record.update()?;
    }
    Ok(())
}

/// The commit that the page names, without changes, or the working state now.
fn base(services: &Arc<Services>, found: &Found, now: &Snapshot) -> Result<Snapshot, Error> {
    // Without an attempt, there is none that could have changed something since; a merge in progress has one HEAD.
    let named = found.base.as_ref().filter(|_| !found.attempts.is_empty() && now.operation.is_none());
    let Some(named) = named else { return Ok(now.clone()) };
    let clean = services.repository.clean_state(named)?;
    if clean.head == now.head && clean.index_tree == now.index_tree && clean.files_tree == now.files_tree {
        return Ok(now.clone());
    }
    let base = Snapshot {
        commit: clean.commit,
        head: clean.head,
        index_tree: clean.index_tree,
        files_tree: clean.files_tree,
        changes: None,
        ..now.clone()
    };
    let history = services.repository.history_of(&base, &tell_fetch(services))?;
    Ok(Snapshot { history, ..base })
}

/// Keeps the base from git's gc.
fn keep(services: &Services, id: &HandoffId, base: &Snapshot) -> Result<(), Error> {
    services.repository.keep_ref(&refs::base(id), &base.commit)?;
    if let Some(extra) = &base.extra {
        services.repository.keep_ref(&refs::extra(id), &extra.commit)?;
    }
    if let Some(operation) = &base.operation {
        services.repository.keep_ref(&refs::operation(id), &operation.commit)?;
    }
    Ok(())
}

/// Secrets of any host that have a value here are not written down, because each may get the handoff.
fn covered(services: &Services, adopted: Adopted) -> Adopted {
    services.hosts.hosts.iter().for_each(|host| secrets::read_variables(&host.secrets));
    covered_adopted(adopted)
}

fn covered_task(created: Created) -> Created {
    let task = secrets::mask().text(&created.task).into_owned();
    Created { task, ..created }
}

fn uid() -> Result<Uid, Error> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|error| Error::Inner(error.to_string()))?;
    Ok(Uid::from_random(bytes))
}
