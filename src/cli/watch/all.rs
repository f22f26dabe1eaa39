//! `handoff watch --all`: what the daemon runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::cli::error::Error;
use crate::cli::interrupt::interrupted;
use crate::cli::{Global, context, exit};
use crate::config::paths::Paths;
use crate::config::settings::human_duration;
use crate::git::repository::Repository;
use crate::model::id::HandoffId;
use crate::state::lock::DriverLock;
use crate::state::store::Store;
use crate::supervise::progress::{Progress, Reporter};
use crate::supervise::services::Services;
use crate::supervise::watch_all::{self, Event, Place, Surroundings, watch_all};
use crate::ui::line::lines;
use crate::ui::text::neutral;

pub async fn run(global: &Global) -> Result<u8, Error> {
    let paths = context::paths()?;
    let _lock = lock(&paths).await?.map_err(|pid| {
        let holder = pid.map_or("another process".to_owned(), |pid| format!("process {pid}"));
        Error::failed(format!("{holder} already watches all handoffs"))
            .hint("handoff watch --daemon status")
            .hint("handoff list --all")
    })?;
    // A configuration that cannot be read is reported now, and not for each handoff.
    context::hosts(global)?;
    context::agents()?;
    let active = watch_all::active(&paths.state)?.len();
    let noun = if active == 1 { "handoff is" } else { "handoffs are" };
    outln!("watching all repositories; {active} {noun} active");
    let surroundings = Arc::new(Here { global: global.clone() });
    tokio::select! {
        ended = watch_all(&paths.state, surroundings) => ended?,
        () = interrupted() => outln!("no longer watching; hosts continue alone"),
    }
    Ok(exit::OK)
}

/// The lock. `--daemon status` has it for a moment.
async fn lock(paths: &Paths) -> Result<Result<DriverLock, Option<u32>>, Error> {
    for _ in 0..5 {
        match watch_all::lock(&paths.state)? {
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            taken => return Ok(taken),
        }
    }
    Ok(watch_all::lock(&paths.state)?)
}

struct Here {
    global: Global,
}

impl Surroundings for Here {
    fn services(&self, place: &Place) -> Result<Arc<Services>, String> {
        let directory = worktree_of(place)?;
        let global = Global { directory: Some(directory), ..self.global.clone() };
        let services = context::services_unattended(&global, Arc::new(Named(place.1.clone())));
        services.map(Arc::new).map_err(|error| error.message().to_owned())
    }

    fn configuration(&self) -> Option<SystemTime> {
        let file = context::paths().ok()?.hosts_file(self.global.hosts.as_deref(), None).path;
        file.metadata().ok()?.modified().ok()
    }

    fn tell(&self, (repository, id): &Place, event: &Event) {
        match event {
            Event::Following => {
                outln!("{id}: following it, in {}", repository.parent().unwrap_or(repository).display())
            }
            Event::GivenUp => outln!("{id}: another command has it now"),
            Event::Left(status) => outln!("{id}: {}", status.label()),
            Event::Failed { why, again } => {
                let next = match again {
                    Some(pause) => format!("tried again in {}", human_duration(*pause)),
                    None => "tried again when its record or hosts.toml changes".to_owned(),
                };
                errln!("{id}: not followed: {}; {next}", neutral(why));
            }
        }
    }
}

/// A work tree of the repository that has the handoff: the one that it was created in, or the main one.
fn worktree_of((common_dir, id): &Place) -> Result<PathBuf, String> {
    let created_in = Store::new(common_dir).open(id).map(|journal| journal.handoff().request().workspace.clone());
    let candidates = created_in.ok().map(PathBuf::from).into_iter().chain(common_dir.parent().map(PathBuf::from));
    let has_it = |path: &PathBuf| Repository::discover(path).is_ok_and(|found| found.common_dir() == common_dir);
    let mut candidates = candidates.filter(|path| path.is_dir());
    candidates.find(has_it).ok_or_else(|| format!("the repository of {} has no work tree", common_dir.display()))
}

/// Prints the events of one handoff with its id. The agents' own output is in the logs.
struct Named(HandoffId);

impl Reporter for Named {
    fn tell(&self, progress: &Progress) {
        if !matches!(progress, Progress::Agent { .. } | Progress::Output { .. } | Progress::Log { .. }) {
            lines(progress).iter().for_each(|line| outln!("{}: {line}", self.0));
        }
    }
}
