//! `watch --all`: follows every handoff of the user that no other process drives, in all repositories.
//!
//! It looks at the journals here, not at hosts: a host is asked only while something may happen there.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{self, AbortHandle, JoinError, JoinSet};
use tokio::time::Instant;

use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::state::index;
use crate::state::journal;
use crate::state::lock::DriverLock;
use crate::state::store::Store;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::services::Services;

/// Time between two looks at the journals. A command that starts a handoff records it before it takes the driver's lock,
/// so a handoff is driven only if two looks find it without a driver.
const LOOK: Duration = Duration::from_secs(3);
/// Time between two looks at whether a command asks for a handoff that is followed.
const REQUESTS: Duration = Duration::from_millis(500);
/// How long a command waits for a handoff that is followed, and how often it looks.
const WAIT: Duration = Duration::from_secs(20);
const STEP: Duration = Duration::from_millis(100);
/// Pause after a failure that may pass; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(60);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// The lock of the one process that watches everything, in the user's state directory.
const LOCK: &str = "watch.lock";

/// One handoff: the common git directory of its repository, and its id.
pub type Place = (PathBuf, HandoffId);

/// What the loop needs from the program around it.
pub trait Surroundings: Send + Sync {
    /// The services for a handoff, with the configuration as it is now. The error is for people.
    fn services(&self, place: &Place) -> Result<Arc<Services>, String>;

    /// A value that changes with the configuration, after which what failed for good is tried again.
    fn configuration(&self) -> Option<SystemTime>;

    /// Reports what happens to a handoff.
    fn tell(&self, place: &Place, event: &Event);
}

/// What happens to a handoff.
#[derive(Debug)]
pub enum Event {
    /// This process drives it from now on.
    Following,
    /// It is at rest with this status.
    Left(Status),
    /// A command of the user's drives it now.
    GivenUp,
    /// It cannot be followed. `None`: until its record or the configuration changes.
    Failed { why: String, again: Option<Duration> },
}

/// The lock of the one process that watches all handoffs of a user. `Err` has the number of the other process.
///
/// # Errors
/// The state directory cannot be written.
pub fn lock(state_dir: &Path) -> Result<Result<DriverLock, Option<u32>>, Error> {
    std::fs::create_dir_all(state_dir).map_err(crate::state::Error::io("make", state_dir))?;
    let taken = DriverLock::try_take_as(state_dir, LOCK)?;
    Ok(taken.ok_or_else(|| DriverLock::holder_of(state_dir, LOCK)))
}

/// The handoffs in which something may still happen by itself, with their hosts.
pub fn active(state_dir: &Path) -> Result<Vec<(Place, Status, String)>, Error> {
    let mut found = Vec::new();
    for common_dir in index::repositories(state_dir)? {
        let store = Store::new(&common_dir);
        for id in store.ids()? {
            if let Ok(summary) = store.summary(&id)
                && summary.status.is_active()
            {
                found.push(((common_dir.clone(), id), summary.status, summary.host));
            }
        }
    }
    Ok(found)
}

/// Opens the driver of a handoff for a command of the user's. A process that follows all handoffs gives it up.
///
/// # Errors
/// As [`Driver::open`].
pub async fn driver_for_user(services: &Arc<Services>, id: &HandoffId) -> Result<Driver, Error> {
    let directory = services.store.directory(id);
    let end = Instant::now() + WAIT;
    let mut has_asked = false;
    loop {
        match Driver::open(services, id) {
            Err(Error::Driven { .. }) if Instant::now() < end && is_driven_by_watch_all(services, &directory)? => {
                if !has_asked {
                    DriverLock::ask_for(&directory)?;
                    has_asked = true;
                }
                tokio::time::sleep(STEP).await;
            }
            driver => {
                if has_asked {
                    DriverLock::take_request(&directory);
                }
                return driver;
            }
        }
    }
}

/// Whether the process that drives a handoff is the one that follows all of them.
fn is_driven_by_watch_all(services: &Services, directory: &Path) -> Result<bool, Error> {
    let follower = lock(&services.state_dir)?.err().flatten();
    Ok(follower.is_some() && follower == DriverLock::holder(directory))
}

/// Follows handoffs until the future is dropped. The caller holds the [`lock`].
pub async fn watch_all(state_dir: &Path, surroundings: Arc<dyn Surroundings>) -> Result<(), Error> {
    let mut watcher = Watcher::new(surroundings);
    loop {
        watcher.look(state_dir)?;
        let next = Instant::now() + LOOK;
        while Instant::now() < next {
            watcher.give_up_wanted();
            tokio::select! {
                () = tokio::time::sleep_until(next.min(Instant::now() + REQUESTS)) => {}
                Some(ended) = watcher.followed.join_next_with_id() => watcher.on_join(ended),
            }
        }
    }
}

struct Watcher {
    surroundings: Arc<dyn Surroundings>,
    known: BTreeMap<Place, Known>,
    followed: JoinSet<Result<Status, Error>>,
    /// The handoff of each task that was not told to stop.
    tasks: BTreeMap<Place, AbortHandle>,
}

/// What the last look found.
struct Known {
    /// Length of the journal, which grows with every change.
    length: u64,
    state: State,
    /// Failures in a row.
    failures: u32,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing happens until its journal grows.
    AtRest,
    /// It is active, and another process may drive it.
    Seen,
    /// This process drives it.
    Followed,
    /// It is tried again then; `None`: when its journal or the configuration changes.
    Failed { again: Option<Instant>, configuration: Option<SystemTime> },
}

impl Watcher {
    fn new(surroundings: Arc<dyn Surroundings>) -> Watcher {
        Watcher { surroundings, known: BTreeMap::new(), followed: JoinSet::new(), tasks: BTreeMap::new() }
    }

    /// Leaves the handoffs that commands ask for. A task may be dropped at any point, as a killed process is.
    fn give_up_wanted(&mut self) {
        let directory = |(common_dir, id): &Place| Store::new(common_dir).directory(id);
        let wanted = self.tasks.keys().filter(|place| DriverLock::take_request(&directory(place)));
        for place in wanted.cloned().collect::<Vec<_>>() {
            if let Some(task) = self.tasks.remove(&place) {
                task.abort();
            }
            if let Some(known) = self.known.get_mut(&place) {
                known.state = State::Seen;
            }
            self.surroundings.tell(&place, &Event::GivenUp);
        }
    }

    /// Takes in the end of a task, unless it was told to stop.
    fn on_join(&mut self, ended: Result<(task::Id, Result<Status, Error>), JoinError>) {
        let (id, result) = match ended {
            Ok((id, result)) => (id, result),
            Err(error) => (error.id(), Err(Error::Inner(error.to_string()))),
        };
        if let Some(place) = self.tasks.iter().find(|(_, task)| task.id() == id).map(|(place, _)| place.clone()) {
            self.tasks.remove(&place);
            self.on_end(place, result);
        }
    }

    /// Looks at every handoff once, and follows those that are active and without a driver.
    fn look(&mut self, state_dir: &Path) -> Result<(), Error> {
        let mut there = BTreeSet::new();
        for common_dir in index::repositories(state_dir)? {
            let store = Store::new(&common_dir);
            // A repository that cannot be read now, as on a disk that is not mounted, must not stop the others.
            for id in store.ids().unwrap_or_default() {
                let Ok(meta) = std::fs::metadata(store.directory(&id).join(journal::NAME)) else { continue };
                let place = (common_dir.clone(), id);
                self.look_at(&store, &place, meta.len());
                there.insert(place);
            }
        }
        self.known.retain(|place, known| known.state == State::Followed || there.contains(place));
        Ok(())
    }

    fn look_at(&mut self, store: &Store, place: &Place, length: u64) {
        let before = self.known.get(place);
        let (failures, state) = before.map_or((0, None), |known| (known.failures, Some(known.state)));
        let has_changed = before.is_none_or(|known| known.length != length);
        match state {
            Some(State::Followed) => return,
            Some(State::AtRest) if !has_changed => return,
            Some(State::Failed { again, configuration }) if !has_changed => {
                let is_due = again.is_some_and(|again| again <= Instant::now());
                if !is_due && configuration == self.surroundings.configuration() {
                    return;
                }
            }
            _ => {}
        }
        let mut set = |state| _ = self.known.insert(place.clone(), Known { length, state, failures });
        match store.summary(&place.1) {
            Ok(summary) if !summary.status.is_active() => set(State::AtRest),
            Ok(_) if matches!(state, None | Some(State::AtRest)) => set(State::Seen),
            Ok(_) => match DriverLock::try_take(&store.directory(&place.1)) {
                Ok(None) => set(State::Seen),
                // The driver takes it again.
                Ok(Some(free)) => {
                    drop(free);
                    set(State::Followed);
                    self.follow(place.clone());
                }
                Err(error) => self.failed(place, error.to_string(), true),
            },
            Err(error) => self.failed(place, error.to_string(), false),
        }
    }

    fn follow(&mut self, place: Place) {
        let services = match self.surroundings.services(&place) {
            Ok(services) => services,
            Err(why) => return self.failed(&place, why, false),
        };
        self.surroundings.tell(&place, &Event::Following);
        let id = place.1.clone();
        let task = self.followed.spawn(async move { follow(&services, &id).await });
        self.tasks.insert(place, task);
    }

    fn on_end(&mut self, place: Place, result: Result<Status, Error>) {
        let length = self.known.get(&place).map_or(0, |known| known.length);
        let mut set = |state| _ = self.known.insert(place.clone(), Known { length, state, failures: 0 });
        match result {
            Ok(status) if status.is_active() => self.failed(&place, "it could not be followed to its end".into(), true),
            Ok(status) => {
                // The next look reads its journal once more.
                set(State::Seen);
                self.surroundings.tell(&place, &Event::Left(status));
            }
            Err(Error::Driven { .. }) => set(State::Seen),
            Err(error) => self.failed(&place, error.to_string(), error.may_retry()),
        }
    }

    /// Notes a failure, and when to try again. A login that was refused is never tried again by itself.
    fn failed(&mut self, place: &Place, why: String, may_pass: bool) {
        let failures = self.known.get(place).map_or(0, |known| known.failures);
        let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        let again = may_pass.then_some(pause);
        let (surroundings, due) = (&self.surroundings, again.map(|pause| Instant::now() + pause));
        surroundings.tell(place, &Event::Failed { why, again });
        let state = State::Failed { again: due, configuration: surroundings.configuration() };
        let length = journal_length(place);
        self.known.insert(place.clone(), Known { length, state, failures: failures + 1 });
    }
}

fn journal_length(place: &Place) -> u64 {
    let path = Store::new(&place.0).directory(&place.1).join(journal::NAME);
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// Drives a handoff until it is at rest.
async fn follow(services: &Arc<Services>, id: &HandoffId) -> Result<Status, Error> {
    let mut driver = Driver::open(services, id)?;
    driver.follow(Until::Rest).await?;
    Ok(driver.handoff().status())
}
