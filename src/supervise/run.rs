//! `run`: from a task to a running attempt.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::git::{refs, snapshot};
use crate::model::event::Created;
use crate::model::host::{FilledLimits, Host};
use crate::model::id::{HandoffId, Uid};
use crate::model::status::Status;
use crate::state::lock::DriverLock;
use crate::supervise::connection::HostConnection;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, facts};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::services::{Services, blocking};

/// The options of the user, with every default filled in.
pub struct Plan {
    /// `None`: made from the date and the task.
    pub id: Option<HandoffId>,
    pub task: String,
    pub host: Host,
    pub agent: String,
    pub model: Option<String>,
    pub check: Option<String>,
    pub limits: FilledLimits,
    /// Start even if the same task is already running.
    pub again: bool,
}

impl Driver {
    /// Ships the repository and the task and starts the first attempt. On return the host has answered, and the record
    /// has everything that is needed to continue.
    pub async fn run(services: &Arc<Services>, plan: Plan) -> Result<Driver, Error> {
        services.profile(&plan.agent)?;
        if !plan.again {
            refuse_equivalent(services, &plan)?;
        }
        let connection = HostConnection::new(
            plan.host.clone(),
            services.connect.clone(),
            services.prompter.clone(),
            services.reporter.clone(),
        );
        let (connection, snapshot, facts) = prepare(services, connection, plan.host.include.clone()).await?;
        let made = Created {
            id: plan.id.clone().unwrap_or_else(|| free_id(services, &plan.task)),
            uid: uid()?,
            task: plan.task,
            host: plan.host.name.clone(),
            agent: plan.agent,
            model: plan.model,
            check: plan.check,
            workspace: services.repository.top().display().to_string(),
            worktree: Some(services.repository.worktree_name()),
            subdir: services.repository.subdir().to_string_lossy().into_owned(),
            base: snapshot.clone(),
            limits: plan.limits,
        };
        let id = made.id.clone();
        services.tell(&Progress::Snapshot { id: id.to_string(), snapshot: Box::new(snapshot.clone()) });
        services.tell(&Progress::LeftBehind { items: snapshot.left_behind.clone() });
        let journal = services.store.create(made)?;
        let directory = services.store.directory(&id);
        let lock = DriverLock::try_take(&directory)?;
        let lock = lock.ok_or_else(|| Error::Driven { id: id.clone(), holder: "another process".to_owned() })?;
        services.repository.keep_ref(&refs::base(&id), &snapshot.commit)?;
        if let Some(extra) = &snapshot.extra {
            services.repository.keep_ref(&refs::extra(&id), &extra.commit)?;
        }
        services.repository.exclude_record()?;
        // The index only serves `list --all`; the handoff is complete without it.
        if let Err(error) = crate::state::index::remember(&services.state_dir, services.repository.common_dir()) {
            services.tell(&Progress::Note { text: error.to_string() });
        }
        let mut driver = Driver::new(services, journal, lock)?;
        driver.connection = connection;
        let attempts = driver.handoff().request().limits.attempts;
        let launch = DispatchSpec { ship: snapshot, checkout: true, start: Start::Fresh, message: None, attempts };
        let (grant, attempt) = driver.grant(&launch)?;
        driver.update_record()?;
        let command = driver.command(Start::Fresh, attempt)?;
        driver.tell(&Progress::Dispatched { attempt, host: plan.host.name, command });
        let launched = async {
            let prepared = driver.prepare(&grant, attempt, &launch, &facts).await?;
            driver.dispatch(&prepared).await
        };
        let launched = launched.await;
        let host = driver.connection.host.name.clone();
        launched.map_err(|source| Error::Begun { id, host, source: Box::new(source) })?;
        Ok(driver)
    }
}

/// Connects while the snapshot is made. Both must succeed before anything is recorded.
async fn prepare(
    services: &Arc<Services>,
    mut connection: HostConnection,
    include: Vec<String>,
) -> Result<(HostConnection, crate::model::snapshot::Snapshot, crate::git::ship_facts::ShipFacts), Error> {
    let repository = services.repository.clone();
    let is_taken = AtomicBool::new(false);
    let snapshot = async {
        let taken = blocking(move || snapshot::take(&repository, &include)).await;
        is_taken.store(true, Ordering::Relaxed);
        taken
    };
    let connected = async {
        let connected = connection.patiently().await;
        if connected.is_ok() && !is_taken.load(Ordering::Relaxed) {
            services.tell(&Progress::Hashing);
        }
        connected
    };
    let (connected, snapshot, facts) = tokio::join!(connected, snapshot, facts(&services.repository, None));
    // Local errors are reported before remote ones.
    let (snapshot, facts) = (snapshot??, facts?);
    connected?;
    Ok((connection, snapshot, facts))
}

fn refuse_equivalent(services: &Services, plan: &Plan) -> Result<(), Error> {
    for id in services.store.ids()? {
        let Ok(summary) = services.store.open(&id) else { continue };
        let handoff = summary.handoff();
        let same = handoff.request().task.trim() == plan.task.trim();
        if same && (handoff.status().is_active() || handoff.status() == Status::Interactive) {
            return Err(Error::Equivalent { id, status: handoff.status().label() });
        }
    }
    Ok(())
}

/// The task's id, numbered if the day already has it.
fn free_id(services: &Services, task: &str) -> HandoffId {
    let today = jiff::Zoned::now().date();
    let id = HandoffId::from_task(today, task);
    if !services.store.directory(&id).exists() {
        return id;
    }
    (2..).map(|n| id.numbered(n)).find(|id| !services.store.directory(id).exists()).unwrap_or(id)
}

fn uid() -> Result<Uid, Error> {
    let mut bytes = [0u8; 10];
    getrandom::fill(&mut bytes).map_err(|error| Error::Inner(error.to_string()))?;
    Ok(Uid::from_random(bytes))
}
