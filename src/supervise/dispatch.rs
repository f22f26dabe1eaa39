//! Starts an attempt on a host: the push and `ensure` travel at the same time.

mod ship;
pub mod spec;

use std::path::PathBuf;
use std::time::Duration;

use crate::agent::command;
use crate::config::secrets;
use crate::config::templates::{self, PromptKind};
use crate::git::repository::Repository;
use crate::git::ship_facts::ShipFacts;
use crate::mirror::page;
use crate::model::attempt::{AttemptNo, Grant};
use crate::model::event::Kind;
use crate::model::profile::SessionMode;
use crate::model::root::Known;
use crate::model::snapshot::{Oid, Snapshot};
use crate::remote::client::Remote;
use crate::remote::ensure::Ensure;
use crate::remote::error::RemoteError;
use crate::remote::poll::Launched;
use crate::remote::refusal::RefusalClass;
use crate::remote::runner::Verb;
use crate::supervise::capture::acknowledged;
use crate::supervise::connection::backoff::attempt_delays;
use crate::supervise::connection::retry::{Retries, Stage};
use crate::supervise::connection::sleep_detector::woken;
use crate::supervise::connection::{QUIET, pause};
use crate::supervise::dispatch::ship::Push;
use crate::supervise::dispatch::spec::{Parts, Prompts, Start, files};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::services::{Services, blocking};

/// How long a watcher waits for the push, in seconds. The push of a large repository takes long.
const WAIT_FOR_PUSH: u64 = 3600;
/// Maximum number of times that git's process on the host may be killed before a dispatch is given up.
const MOST_KILLED: u32 = 5;

/// What is dispatched.
pub struct DispatchSpec {
    pub ship: Snapshot,
    /// `false`: the host uses the tree that it has.
    pub checkout: bool,
    pub start: Start,
    /// What the user adds to the resume prompt.
    pub message: Option<String>,
    /// Attempts that the host may start by itself.
    pub attempts: u32,
}

/// A dispatch with its spec and secrets. It can be sent any number of times.
pub struct Prepared {
    pub(in crate::supervise) ensure: Ensure,
    pub(in crate::supervise) key: String,
    pub(in crate::supervise) format: String,
    pub(in crate::supervise) refs: Vec<(Oid, String)>,
    /// Directory for the pack, until the host has it.
    pub(in crate::supervise) outbox: PathBuf,
    /// Directory for this handoff's packs to any host.
    pub(in crate::supervise) outboxes: PathBuf,
    /// File with the tips that the host is believed to have.
    pub(in crate::supervise) tips: PathBuf,
}

impl Driver {
    /// Journals grant and attempt before the host hears of them.
    pub fn grant(&mut self, launch: &DispatchSpec) -> Result<(Grant, AttemptNo), Error> {
        let handoff = self.handoff();
        let number = handoff.grants().last().map_or(1, |grant| grant.number + 1);
        let first = handoff.next_grant_first();
        let last = first + launch.attempts.max(1) - 1;
        let (epoch, host) = (handoff.epoch(), self.connection.host.name.clone());
        let active = handoff.request().limits.timeout;
        let grant = Grant { number, epoch, host: host.clone(), first, last, active };
        self.ledger.require(Kind::Granted { grant: grant.clone() })?;
        if let Some(text) = launch.message.clone() {
            self.ledger.require(Kind::Message { grant: number, text })?;
        }
        if self.profile.session == SessionMode::Preset && launch.start == Start::Fresh {
            let session = uuid()?;
            self.ledger.require(Kind::Session { session, attempt: None })?;
        }
        self.record_dispatch(&grant, launch.start)?;
        Ok((grant, first))
    }

    /// Journals the first attempt of a grant.
    pub(in crate::supervise) fn record_dispatch(&mut self, grant: &Grant, start: Start) -> Result<(), Error> {
        let command = self.command(start, grant.first)?;
        let (attempt, host) = (grant.first, grant.host.clone());
        self.ledger.require(Kind::Dispatched { attempt, grant: grant.number, host, command })?;
        Ok(())
    }

    /// The command of an attempt as a person would type it.
    pub fn command(&self, start: Start, n: AttemptNo) -> Result<String, Error> {
        // A fresh start gets a session of its own. The known session belongs to an earlier attempt unless it was
        // created for this one.
        let is_its_own = start == Start::Resume || self.profile.session == SessionMode::Preset;
        self.command_with(start, self.handoff().session().filter(|_| is_its_own), n)
    }

    /// The command that a host reports that it ran.
    pub(in crate::supervise) fn command_as(&self, launch: &Launched, n: AttemptNo) -> Result<String, Error> {
        let start = if launch.resumed { Start::Resume } else { Start::Fresh };
        self.command_with(start, launch.session.as_deref(), n)
    }

    fn command_with(&self, start: Start, session: Option<&str>, n: AttemptNo) -> Result<String, Error> {
        let request = self.handoff().request();
        let launch = match start {
            Start::Fresh => command::Launch::Fresh,
            Start::Resume => command::Launch::Resume,
        };
        let binary = self.profile.binary.last().map_or("agent", String::as_str);
        let place = command::Place { binary, session, workspace: ".", attempt: n };
        let line = command::display(&self.profile, launch, request.model.as_deref(), place);
        line.map_err(|source| Error::Profile { agent: request.agent.clone(), source })
    }

    /// Everything that is sent for a grant.
    pub async fn prepare(
        &self,
        grant: &Grant,
        attempt: AttemptNo,
        launch: &DispatchSpec,
        facts: &ShipFacts,
    ) -> Result<Prepared, Error> {
        let handoff = self.handoff();
        let host = &self.connection.host;
        let prompts = self.prompts(launch, facts)?;
        let retries = grant.last.saturating_sub(grant.first).max(1) as usize;
        let seed = u64::from(grant.number) ^ fold(self.name.as_str());
        let first_delay = Duration::from_secs(handoff.request().limits.backoff);
        let delays = attempt_delays(first_delay, retries, seed);
        let agent = handoff.request().agent.clone();
        let held = acknowledged(&self.services, handoff).await?;
        let spec = files(&Parts {
            handoff,
            grant,
            host,
            profile: &self.profile,
            facts,
            ship: &launch.ship,
            checkout: launch.checkout,
            start: launch.start,
            session: handoff.session(),
            prompts: &prompts,
            delays: &delays,
            held: &held,
        });
        let spec = spec.map_err(|source| Error::Profile { agent, source })?;
        let ensure = Ensure {
            name: self.name.clone(),
            attempt,
            grant: grant.number,
            started: handoff.has_started(attempt),
            strays: handoff.strays(&grant.host),
            wait_ref: WAIT_FOR_PUSH,
            spec,
            secrets: secrets::resolve_all(&host.secrets).await?,
        };
        let mut refs: Vec<(Oid, String)> =
            facts.refs.iter().map(|(oid, _)| (oid.clone(), format!("refs/keep/{oid}"))).collect();
        refs.sort();
        refs.dedup();
        if let Some(extra) = launch.ship.extra.as_ref().filter(|_| launch.checkout) {
            refs.push((extra.commit.clone(), format!("refs/handoff/{}/extra/{}", self.name, grant.number)));
        }
        refs.push((launch.ship.commit.clone(), format!("refs/handoff/{}/ship/{}", self.name, grant.number)));
        let store = &self.services.store;
        let (key, format) = (facts.cache_key.clone(), facts.object_format.clone());
        let (outbox, outboxes) = (store.outbox(self.id(), &host.name, &key), store.outboxes(self.id()));
        let tips = store.tips(&host.name, &key);
        Ok(Prepared { ensure, key, format, refs, outbox, outboxes, tips })
    }

    /// Sends a prepared dispatch, push and `ensure` at the same time, until the host has answered. What was sent before
    /// is sent again. Gives up if the user stops or takes over in the meantime.
    pub async fn dispatch(&mut self, prepared: &Prepared) -> Result<(), Error> {
        self.tell(&Progress::Shipping { host: self.connection.host.name.clone() });
        let mut retries = Retries::new(Stage::Recorded);
        let since = tokio::time::Instant::now();
        let mut killed = 0;
        loop {
            let sent = tokio::select! {
                biased;
                sent = self.send_once(prepared) => sent,
                () = woken() => {
                    self.connection.drop_connection();
                    retries.reset();
                    continue;
                }
            };
            let sent = match sent {
                Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
                    self.accept_root().await?;
                    if self.handoff().phase(prepared.ensure.attempt).is_some_and(|phase| !phase.is_open()) {
                        return Ok(());
                    }
                    continue;
                }
                sent => sent,
            };
            let Err(error) = sent else { break };
            // git was killed on the host each time, so reconnecting does not help.
            killed += u32::from(is_killed(&error));
            if killed >= MOST_KILLED {
                if let Ok(remote) = self.connection.once().await {
                    let _ = remote.withdraw(&prepared.ensure.name, prepared.ensure.attempt).await;
                }
                return Err(error);
            }
            let Some(delay) = self.connection.failed(&error, &mut retries) else { return Err(error) };
            self.ledger.refresh()?;
            if self.handoff().is_stop_requested() || self.handoff().is_taken_over() {
                return Ok(());
            }
            // A short failure is not reported.
            if since.elapsed() > QUIET {
                self.unreachable(&error, delay)?;
            }
            if pause(delay).await {
                retries.reset();
            }
        }
        self.reachable()?;
        self.sent = Some(prepared.ensure.grant);
        Ok(())
    }

    async fn send_once(&mut self, prepared: &Prepared) -> Result<(), Error> {
        let remote = self.connection.once().await?;
        let services = self.services.clone();
        let Services { repository, reporter, .. } = &*services;
        let broken = self.ship_was_broken(prepared);
        let push = Push { remote: &remote, prepared, repository, reporter };
        let push = push.run(broken);
        if remote.is_single() {
            push.await?;
            return self.ensure(&remote, prepared).await;
        }
        let (pushed, ensured) = tokio::join!(push, self.ensure(&remote, prepared));
        match (pushed, ensured) {
            (Ok(()), ensured) => ensured,
            (Err(error), _) if error.may_retry() => Err(error),
            // If the host refused both, the refusal of the attempt is clearer.
            (Err(_), Err(refusal @ Error::Remote(RemoteError::Refused { .. } | RemoteError::Rootless { .. }))) => {
                Err(refusal)
            }
            (Err(error), Err(_)) => Err(error),
            (Err(error), Ok(())) => {
                // A watcher that has started would wait for a push that will not come. If it cannot be reached now, the
                // next request stops it, or its wait times out.
                let _ = remote.withdraw(&prepared.ensure.name, prepared.ensure.attempt).await;
                Err(error)
            }
        }
    }

    /// Sends `ensure`. The root is journaled first, so that it is known later whether an attempt that is missing was
    /// sent to that root.
    async fn ensure(&mut self, remote: &Remote, prepared: &Prepared) -> Result<(), Error> {
        if !matches!(self.handoff().root_of(remote.host()), Known::Instance(_)) {
            let instance = remote.instance().await?;
            self.learn_root(Some(instance))?;
        }
        let instance = remote.ensure(&prepared.ensure).await?;
        self.learn_root(Some(instance))
    }

    fn prompts(&self, launch: &DispatchSpec, facts: &ShipFacts) -> Result<Prompts, Error> {
        let handoff = self.handoff();
        let story = self.story()?;
        let templates = Some(self.services.templates.as_path());
        let render = |kind| {
            let message = launch.message.as_deref();
            page::with_context(handoff, &story, &facts.directory, message, |context| {
                templates::render_prompt(kind, context, templates)
            })
        };
        Ok(Prompts {
            // A new session of a handoff with a history starts with the resume prompt.
            fresh: render(if handoff.attempts().len() > 1 { PromptKind::Resume } else { PromptKind::Fresh })?,
            resume: render(PromptKind::Resume)?,
            check_head: if handoff.request().check.is_some() { render(PromptKind::CheckHead)? } else { String::new() },
            check_foot: render(PromptKind::CheckFoot)?,
        })
    }
}

/// Whether git's process on the host was killed before it could report.
fn is_killed(error: &Error) -> bool {
    matches!(error, Error::Remote(RemoteError::Cut { verb, .. }) if *verb == Verb::ReceivePack.word())
}

/// Several runs may share one worktree. Different seeds keep them from retrying at the same time.
fn fold(text: &str) -> u64 {
    text.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// A random UUID (version 4, RFC 9562).
fn uuid() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Inner(error.to_string()))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// Facts for a ship, read while the loop continues: of the checkout, or of an earlier base.
pub(in crate::supervise) async fn facts(repository: &Repository, base: Option<Snapshot>) -> Result<ShipFacts, Error> {
    let repository = repository.clone();
    Ok(blocking(move || ShipFacts::of(&repository, base.as_ref())).await??)
}
