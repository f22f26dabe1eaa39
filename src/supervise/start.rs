//! `run`: from a task to an attempt under way.

use std::sync::Arc;

use super::driver::Driver;
use super::engine::{Engine, blocking};
use super::error::Error;
use super::launch::{Launch, facts};
use super::link::Link;
use super::progress::Progress;
use super::spec::Start;
use crate::git::{refs, snapshot};
use crate::model::event::Created;
use crate::model::handoff::Status;
use crate::model::host::{FilledLimits, Host};
use crate::model::id::{HandoffId, Uid};
use crate::state::lock::DriverLock;

/// What a person asked for, with every default decided.
pub struct Plan {
    /// `None`: made from the date and the task.
    pub id: Option<HandoffId>,
    pub task: String,
    pub host: Host,
    pub agent: String,
    pub model: Option<String>,
    pub check: Option<String>,
    pub limits: FilledLimits,
    /// Start although an equivalent task is at work.
    pub again: bool,
}

impl Driver {
    /// Ships the repository and the task and starts the first attempt. On return the host has answered, and the
    /// record says everything that is needed to go on from here.
    pub async fn start(engine: &Arc<Engine>, plan: Plan) -> Result<Driver, Error> {
        engine.profile(&plan.agent)?;
        if !plan.again {
            refuse_equivalent(engine, &plan)?;
        }
        let link =
            Link::new(plan.host.clone(), engine.connect.clone(), engine.prompter.clone(), engine.reporter.clone());
        let (link, snapshot, facts) = prepare(engine, link, plan.host.include.clone()).await?;
        let made = Created {
            id: plan.id.clone().unwrap_or_else(|| free_id(engine, &plan.task)),
            uid: uid()?,
            task: plan.task,
            host: plan.host.name.clone(),
            agent: plan.agent,
            model: plan.model,
            check: plan.check,
            workspace: engine.repository.top().display().to_string(),
            worktree: Some(engine.repository.worktree_name()),
            subdir: engine.repository.subdir().to_string_lossy().into_owned(),
            base: snapshot.clone(),
            limits: plan.limits,
        };
        let id = made.id.clone();
        engine.tell(&Progress::Snapshot { id: id.to_string(), snapshot: Box::new(snapshot.clone()) });
        engine.tell(&Progress::LeftBehind { items: snapshot.left_behind.clone() });
        let journal = engine.store.create(made)?;
        let directory = engine.store.directory(&id);
        let lock = DriverLock::try_take(&directory)?;
        let lock = lock.ok_or_else(|| Error::Driven { id: id.clone(), holder: String::new() })?;
        engine.repository.keep_ref(&refs::base(&id), &snapshot.commit)?;
        if let Some(extra) = &snapshot.extra {
            engine.repository.keep_ref(&refs::extra(&id), &extra.commit)?;
        }
        engine.repository.exclude_record()?;
        // The index only helps `list --all`; a handoff is whole without it.
        if let Err(error) = crate::state::index::remember(&engine.state_dir, engine.repository.common_dir()) {
            engine.tell(&Progress::Note { text: error.to_string() });
        }
        let mut driver = Driver::new(engine, journal, lock)?;
        driver.link = link;
        let attempts = driver.handoff().made.limits.attempts;
        let launch = Launch { ship: snapshot, checkout: true, start: Start::Fresh, message: None, attempts };
        let (grant, attempt) = driver.grant(&launch)?;
        driver.update_record()?;
        let command = driver.command(Start::Fresh, attempt)?;
        driver.tell(&Progress::Dispatched { attempt, host: plan.host.name, command });
        let launched = async {
            let prepared = driver.prepare(&grant, attempt, &launch, &facts).await?;
            driver.launch(&prepared).await
        };
        let launched = launched.await;
        let host = driver.link.host.name.clone();
        launched.map_err(|source| Error::Begun { id, host, source: Box::new(source) })?;
        Ok(driver)
    }
}

/// Connects while the snapshot is made: both must succeed before anything is recorded.
async fn prepare(
    engine: &Arc<Engine>,
    mut link: Link,
    include: Vec<String>,
) -> Result<(Link, crate::model::snapshot::Snapshot, crate::git::ship_facts::ShipFacts), Error> {
    let repository = engine.repository.clone();
    let snapshot = blocking(move || snapshot::take(&repository, &include));
    let (connected, snapshot, facts) = tokio::join!(link.patiently(), snapshot, facts(&engine.repository, None));
    // What is wrong here is told before what is wrong there.
    let (snapshot, facts) = (snapshot??, facts?);
    connected?;
    Ok((link, snapshot, facts))
}

fn refuse_equivalent(engine: &Engine, plan: &Plan) -> Result<(), Error> {
    for id in engine.store.ids()? {
        let Ok(summary) = engine.store.open(&id) else { continue };
        let handoff = summary.handoff();
        let same = handoff.made.task.trim() == plan.task.trim();
        if same && (handoff.status().is_active() || handoff.status() == Status::Interactive) {
            return Err(Error::Equivalent { id, status: handoff.status().word() });
        }
    }
    Ok(())
}

/// The task's id, numbered where the day has it already.
fn free_id(engine: &Engine, task: &str) -> HandoffId {
    let today = jiff::Zoned::now().date();
    let id = HandoffId::from_task(today, task);
    if !engine.store.directory(&id).exists() {
        return id;
    }
    (2..).map(|n| id.numbered(n)).find(|id| !engine.store.directory(id).exists()).unwrap_or(id)
}

fn uid() -> Result<Uid, Error> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|error| Error::Inner(error.to_string()))?;
    Ok(Uid::from_random(bytes))
}
