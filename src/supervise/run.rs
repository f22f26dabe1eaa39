//! `run`: from a task to a running attempt.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::git::attached::{self, secrets_among};
use crate::git::companions::Named;
use crate::git::ship_facts::ShipFacts;
use crate::git::{self, companions, refs};
use crate::model::attached::Attached;
use crate::model::event::Created;
use crate::model::host::{FilledLimits, Host};
use crate::model::id::{HandoffId, Uid};
use crate::model::snapshot::Snapshot;
use crate::model::status::Status;
use crate::state::lock::DriverLock;
use crate::supervise::artifacts::usable;
use crate::supervise::companions::keep_companions;
use crate::supervise::connection::HostConnection;
use crate::supervise::dispatch::grant::record_grant;
use crate::supervise::dispatch::shown_command::shown_command;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, dispatch, facts, tell_fetch};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::keep_attached;
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
    /// Those of the host's patterns for ignored files that were typed for this run.
    pub include: Vec<String>,
    /// Patterns of build results that are fetched when the handoff comes to rest.
    pub artifacts: Vec<String>,
    /// Files to send with the task, outside the tree.
    pub attach: Vec<PathBuf>,
    /// Repositories to send with it that are no submodules.
    pub companions: Vec<Named>,
    /// Start even if the same task is already running.
    pub again: bool,
}

impl Driver {
    /// Ships the repository and the task and starts the first attempt. On return the host has answered, and the record
    /// has everything that is needed to continue.
    pub async fn run(services: &Arc<Services>, plan: Plan) -> Result<Driver, Error> {
        services.profile(&plan.agent)?;
        let artifacts = usable(&plan.artifacts)?;
        if !plan.again {
            refuse_equivalent(services, &plan)?;
        }
        let connection = HostConnection::new(
            plan.host.clone(),
            services.connect.clone(),
            services.prompter.clone(),
            services.reporter.clone(),
        );
        let attached = attach(services, &plan).await?;
        let (connection, mut snapshot, facts) =
            prepare(services, connection, plan.host.include.clone(), plan.companions.clone()).await?;
        // A pattern of hosts.toml is for many repositories.
        snapshot.unmatched.retain(|pattern| plan.include.contains(pattern));
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
            attached,
            artifacts,
            limits: plan.limits,
        };
        let id = made.id.clone();
        let files = made.attached.iter().flat_map(|attached| attached.files.clone()).collect();
        let snapshot = Box::new(snapshot);
        services.tell(&Progress::Snapshot { id: id.to_string(), snapshot: snapshot.clone(), attached: files });
        services.tell(&Progress::LeftBehind { items: snapshot.left_behind.clone() });
        let journal = services.store.create(made)?;
        let directory = services.store.directory(&id);
        let lock = DriverLock::try_take(&directory)?;
        let lock = lock.ok_or_else(|| Error::Driven { id: id.clone(), holder: "another process".to_owned() })?;
        services.repository.keep_ref(&refs::base(&id), &snapshot.commit)?;
        if let Some(extra) = &snapshot.extra {
            services.repository.keep_ref(&refs::extra(&id), &extra.commit)?;
        }
        if let Some(operation) = &snapshot.operation {
            services.repository.keep_ref(&refs::operation(&id), &operation.commit)?;
        }
        services.repository.exclude_record()?;
        keep_attached(services, journal.handoff()).await?;
        // The index only serves `list --all`; the handoff is complete without it.
        if let Err(error) = crate::state::index::remember(&services.state_dir, services.repository.common_dir()) {
            services.tell(&Progress::Note { text: error.to_string() });
        }
        let mut driver = Driver::new(services, journal, lock)?;
        keep_companions(&driver.record, &snapshot.companions, refs::base)?;
        driver.connection = connection;
        let Driver { record, connection, .. } = &mut driver;
        let attempts = record.handoff().request().limits.attempts;
        let launch = DispatchSpec { ship: *snapshot, checkout: true, start: Start::Fresh, message: None, attempts };
        let (grant, attempt) = record_grant(record, &connection.host.name, &launch)?;
        record.update()?;
        let command = shown_command(record, Start::Fresh, attempt)?;
        record.tell(&Progress::Dispatched { attempt, host: plan.host.name, command });
        let launched = dispatch(record, connection, (&grant, attempt), &launch, &facts).await;
        let host = connection.host.name.clone();
        launched.map_err(|source| Error::Begun { id, host, source: Box::new(source) })?;
        Ok(driver)
    }
}

/// Reads the attached files, after a question about those that may be secrets. Nothing is sent or recorded yet.
async fn attach(services: &Arc<Services>, plan: &Plan) -> Result<Option<Attached>, Error> {
    let (services, files, host) = (services.clone(), plan.attach.clone(), plan.host.name.clone());
    let attached = blocking(move || {
        let secrets: Vec<String> = secrets_among(&files).iter().map(|path| path.display().to_string()).collect();
        if !secrets.is_empty() {
            let names = secrets.join(", ");
            let question = format!("{names}: may be a secret, by its name. Send it to {host} with the task?");
            if services.prompter.confirm(&question) != Some(true) {
                let what = format!("{names}: may be a secret, by its name, so it is not attached");
                let hint = "if it is none, attach a copy with another name; `secrets` in hosts.toml is for secrets";
                return Err(git::Error::Unfit { what, hint: hint.to_owned() });
            }
        }
        attached::attach(&services.repository, &files)
    });
    Ok(attached.await??)
}

/// Connects while the snapshot is made. Both must succeed before anything is recorded.
async fn prepare(
    services: &Arc<Services>,
    mut connection: HostConnection,
    include: Vec<String>,
    named: Vec<Named>,
) -> Result<(HostConnection, Snapshot, ShipFacts), Error> {
    let repository = services.repository.clone();
    let is_taken = AtomicBool::new(false);
    let tell = tell_fetch(services);
    let snapshot = async {
        let taken = blocking(move || companions::take_for_run(&repository, &include, &named, &tell)).await;
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
    // In a partial clone they depend on the end of the history that is sent.
    let facts = match snapshot.history {
        Some(_) => self::facts(&services.repository, Some(snapshot.clone())).await?,
        None => facts,
    };
    let snapshot = Snapshot { cache_key: Some(facts.cache_key.clone()), ..snapshot };
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
