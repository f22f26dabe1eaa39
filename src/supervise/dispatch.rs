//! Starts an attempt on a host: one request has its spec, its secrets and the objects that the host lacks.

pub(in crate::supervise) mod grant;
mod ship;
pub(in crate::supervise) mod shown_command;
pub mod spec;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::config::secrets;
use crate::config::templates::{self, PromptKind};
use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::ship_facts::{ShipFacts, directory_name};
use crate::mirror::page;
use crate::model::attempt::{AttemptNo, Grant};
use crate::model::companion::word_of;
use crate::model::host::Host;
use crate::model::id::RemoteName;
use crate::model::root::Known;
use crate::model::snapshot::{Companion, Oid, Snapshot};
use crate::remote::ensure::Ensure;
use crate::remote::error::RemoteError;
use crate::remote::refusal::RefusalClass;
use crate::supervise::capture::{acknowledged, at_rest};
use crate::supervise::companions::{companion_id, companions_in};
use crate::supervise::connection::backoff::attempt_delays;
use crate::supervise::connection::retry::{Retries, Stage};
use crate::supervise::connection::sleep_detector::woken;
use crate::supervise::connection::{HostConnection, QUIET, pause};
use crate::supervise::contact::reachability::{contact_lost, contact_made};
use crate::supervise::contact::root::{accept_root, learn_root};
use crate::supervise::dispatch::ship::{Shipment, ship_was_broken};
use crate::supervise::dispatch::spec::{Parts, Prompts, SentCompanion, Start, files};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::{Services, blocking};

/// Maximum number of times that the request may be killed on the host before a dispatch is given up.
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
struct Prepared {
    ensure: Ensure,
    own: Objects,
    /// Those of the companions, which arrive before `ensure`.
    companions: Vec<Objects>,
    /// Directory for this handoff's packs to any host.
    outboxes: PathBuf,
}

/// What a host gets of one repository.
struct Objects {
    repository: Repository,
    name: RemoteName,
    key: String,
    format: String,
    refs: Vec<(Oid, String)>,
    /// Commits at which the history ends on the host, and those among them that it does not end at here.
    shallow: Vec<Oid>,
    ends: Vec<Oid>,
    /// Directory for the pack, until the host has it.
    outbox: PathBuf,
    /// File with the tips that the host is believed to have.
    tips: PathBuf,
    /// The newest capture that the host made and was not asked to delete, and the tree of its files: git leaves the
    /// files of a commit out of a pack only if it is an ancestor. Then the attached files that it got with its tree.
    captured: Vec<Oid>,
}

/// Everything that is sent for a grant.
async fn prepare(
    record: &Record,
    host: &Host,
    (grant, attempt): (&Grant, AttemptNo),
    launch: &DispatchSpec,
    facts: &ShipFacts,
) -> Result<Prepared, Error> {
    let handoff = record.handoff();
    let prompts = prompts(record, attempt, launch, facts)?;
    let retries = grant.last.saturating_sub(grant.first).max(1) as usize;
    let seed = u64::from(grant.number) ^ fold(record.name.as_str());
    let first_delay = Duration::from_secs(handoff.request().limits.backoff);
    let delays = attempt_delays(first_delay, retries, seed);
    let agent = handoff.agent_of(attempt).to_owned();
    let Contents { commit: lfs, raw } = contents(record, grant, launch).await?;
    let held = acknowledged(&record.services, handoff).await?;
    // Without a checkout, the handoff works in the tree that it has.
    let resting = if launch.checkout { at_rest(&record.services, &host.name).await? } else { String::new() };
    let sent = if launch.checkout { &launch.ship.companions[..] } else { &[] };
    let companions = sent_companions(record, grant, sent).await?;
    let spec = files(&Parts {
        handoff,
        grant,
        host,
        profile: &record.profile,
        facts,
        ship: &launch.ship,
        lfs: lfs.as_ref(),
        raw: &raw,
        companions: &companions,
        checkout: launch.checkout,
        start: launch.start,
        session: handoff.session(),
        prompts: &prompts,
        delays: &delays,
        held: &held,
        resting: &resting,
    });
    let spec = spec.map_err(|source| Error::Profile { agent, source })?;
    let ensure = Ensure {
        name: record.name.clone(),
        attempt,
        grant: grant.number,
        started: handoff.has_started(attempt),
        strays: handoff.strays(&grant.host),
        spec,
        secrets: secrets::resolve_all(&host.secrets).await?,
    };
    let store = &record.services.store;
    let outboxes = store.outboxes(record.id());
    let objects = |repository: &Repository, name: RemoteName, ship, facts: &ShipFacts, lfs| Objects {
        repository: repository.clone(),
        refs: refs_to_send(&name, grant, (ship, lfs), facts, launch.checkout),
        outbox: store.outbox(record.id(), &host.name, &facts.cache_key),
        tips: store.tips(&host.name, &facts.cache_key),
        name,
        key: facts.cache_key.clone(),
        format: facts.object_format.clone(),
        shallow: facts.shallow.clone(),
        ends: facts.ends.clone(),
        captured: vec![],
    };
    let mut own = objects(&record.services.repository, record.name.clone(), &launch.ship, facts, lfs.as_ref());
    if let Some(attached) = &handoff.request().attached {
        let name = format!("refs/handoff/{}/attached/{}", record.name, grant.number);
        // The ref of the ship is last.
        own.refs.insert(own.refs.len() - 1, (attached.commit.clone(), name));
    }
    own.captured = match handoff.capture_on(&host.name).cloned() {
        Some(commit) => {
            let repository = record.services.repository.clone();
            // Without the capture, which the user may have deleted, the pack is only larger.
            let read = blocking(move || repository.read_capture(&commit)).await?.ok();
            let lfs = lfs_of(record, &host.name)?;
            read.map_or(vec![], |read| [vec![read.commit, read.files_tree], lfs].concat())
        }
        None => vec![],
    };
    // Where the handoff has a tree, it has these, too.
    let attached = handoff.request().attached.iter().filter(|_| !launch.checkout);
    own.captured.extend(attached.map(|attached| attached.commit.clone()));
    let companions = companions.iter().map(|SentCompanion { companion, repository, facts, lfs, .. }| {
        let name = record.name.companion(&word_of(&companion.path));
        objects(repository, name, &companion.work, facts, lfs.as_ref())
    });
    let companions = companions.collect();
    Ok(Prepared { ensure, own, companions, outboxes })
}

/// The refs that a host makes of a ship, the ship itself last.
fn refs_to_send(
    name: &RemoteName,
    grant: &Grant,
    (ship, lfs): (&Snapshot, Option<&Oid>),
    facts: &ShipFacts,
    checkout: bool,
) -> Vec<(Oid, String)> {
    let kept = facts.refs.iter().map(|(oid, _)| oid).chain(&facts.ends).chain(lfs);
    let mut refs: Vec<(Oid, String)> = kept.map(|oid| (oid.clone(), format!("refs/keep/{oid}"))).collect();
    refs.sort();
    refs.dedup();
    let extra = ship.extra.as_ref().map(|extra| (extra.commit.clone(), "extra"));
    let operation = ship.operation.as_ref().map(|operation| (operation.commit.clone(), "operation"));
    let with_checkout = extra.into_iter().chain(operation).filter(|_| checkout);
    let ship = (ship.commit.clone(), "ship");
    let own = with_checkout.chain([ship]);
    refs.extend(own.map(|(oid, kind)| (oid, format!("refs/handoff/{name}/{kind}/{}", grant.number))));
    refs
}

/// The companions that are sent, with the facts of their repositories.
async fn sent_companions(
    record: &Record,
    grant: &Grant,
    companions: &[Companion],
) -> Result<Vec<SentCompanion>, Error> {
    let (repository, top) = (record.services.repository.clone(), companions_in(record));
    let (companions, name) = (companions.to_vec(), refs::lfs(&companion_id(record.handoff()), grant.number));
    let read = move || {
        let with_facts = companions.into_iter().map(|companion| {
            let own = repository.companion(&top, &companion.path)?;
            let facts = ShipFacts::of(&own, Some(&companion.work))?;
            let Contents { commit: lfs, raw } = contents_of(&own, &companion.work, &name)?;
            Ok(SentCompanion { companion, repository: own, facts, lfs, raw })
        });
        with_facts.collect::<crate::git::Result<Vec<_>>>()
    };
    Ok(blocking(read).await??)
}

/// What a grant needs of Git LFS.
#[derive(Default)]
struct Contents {
    /// The contents as a commit.
    commit: Option<Oid>,
    /// The paths that are no pointers, though their attributes say so.
    raw: Vec<Vec<u8>>,
}

/// Finds the contents that a grant needs, and keeps them. Those of a capture are collected now.
async fn contents(record: &Record, grant: &Grant, launch: &DispatchSpec) -> Result<Contents, Error> {
    if !launch.checkout {
        return Ok(Contents::default());
    }
    let (repository, ship) = (record.services.repository.clone(), launch.ship.clone());
    let name = refs::lfs(record.id(), grant.number);
    Ok(blocking(move || contents_of(&repository, &ship, &name)).await??)
}

/// The same for one repository; `name` is the ref that keeps them.
fn contents_of(repository: &Repository, ship: &Snapshot, name: &str) -> crate::git::Result<Contents> {
    let commit = match ship.lfs.as_ref().and_then(|lfs| lfs.commit.clone()) {
        Some(commit) => Some(commit),
        None => repository.lfs_contents(&ship.files_tree)?.and_then(|lfs| lfs.commit),
    };
    commit.as_ref().map_or(Ok(()), |commit| repository.keep_ref(name, commit))?;
    Ok(Contents { commit, raw: repository.lfs_raw(&ship.files_tree)? })
}

/// The contents of Git LFS that attempts on a host brought back.
fn lfs_of(record: &Record, host: &str) -> Result<Vec<Oid>, Error> {
    let on_host = record.handoff().attempts().iter().filter(|(_, attempt)| attempt.host == host);
    let names: Vec<String> = on_host.map(|(n, _)| refs::captured_lfs(record.id(), *n)).collect();
    let held = record.services.repository.list_refs(&refs::of(record.id()))?;
    Ok(held.into_iter().filter(|(name, _)| names.contains(name)).map(|(_, oid)| oid).collect())
}

/// Sends attempt `n` of a grant until the host has answered. What was sent before is sent again. Gives up if the user
/// stops or takes over in the meantime.
pub(in crate::supervise) async fn dispatch(
    record: &mut Record,
    connection: &mut HostConnection,
    (grant, n): (&Grant, AttemptNo),
    launch: &DispatchSpec,
    facts: &ShipFacts,
) -> Result<(), Error> {
    let prepared = prepare(record, &connection.host, (grant, n), launch, facts).await?;
    record.tell(&Progress::Shipping { host: connection.host.name.clone() });
    let mut retries = Retries::new(Stage::Recorded);
    let since = tokio::time::Instant::now();
    let mut killed = 0;
    loop {
        let sent = tokio::select! {
            biased;
            sent = send_once(record, connection, &prepared) => sent,
            () = woken() => {
                connection.drop_connection();
                retries.reset();
                continue;
            }
        };
        let sent = match sent {
            Err(error) if error.is_refused(&RefusalClass::OtherRoot) => {
                accept_root(record, connection).await?;
                if record.handoff().phase(n).is_some_and(|phase| !phase.is_open()) {
                    return Ok(());
                }
                continue;
            }
            sent => sent,
        };
        let Err(error) = sent else { break };
        // A process that is killed each time is killed again after a reconnect.
        killed = if is_killed(&error) { killed + 1 } else { 0 };
        if killed >= MOST_KILLED {
            return Err(error);
        }
        let Some(delay) = connection.failed(&error, &mut retries) else { return Err(error) };
        record.ledger.refresh()?;
        if record.handoff().is_stop_requested() || record.handoff().is_taken_over() {
            return Ok(());
        }
        // A short failure is not reported.
        if since.elapsed() > QUIET {
            contact_lost(record, connection, &error, delay)?;
        }
        if pause(delay).await {
            retries.reset();
        }
    }
    contact_made(record, connection)
}

/// Sends a dispatch once. The root is journaled first, so that it is known later whether an attempt that is missing was
/// sent to that root.
async fn send_once(record: &mut Record, connection: &mut HostConnection, prepared: &Prepared) -> Result<(), Error> {
    let remote = connection.once().await?;
    if !matches!(record.handoff().root_of(remote.host()), Known::Instance(_)) {
        let instance = remote.instance().await?;
        learn_root(record, connection, Some(instance))?;
    }
    let is_broken = ship_was_broken(record.handoff(), prepared);
    let services = record.services.clone();
    let instance = Shipment { remote: &remote, prepared, reporter: &services.reporter }.send(is_broken).await?;
    learn_root(record, connection, Some(instance))
}

fn prompts(record: &Record, attempt: AttemptNo, launch: &DispatchSpec, facts: &ShipFacts) -> Result<Prompts, Error> {
    let handoff = record.handoff();
    let story = record.story()?;
    let templates = Some(record.services.templates.as_path());
    // Each attempt gets the explanation of a give until the work of one is here.
    let given = handoff.given_before(attempt).map(|given| match &given.message {
        Some(message) => format!("{}\nThe person says:\n\n{message}\n", given.told),
        None => given.told.clone(),
    });
    let message: Vec<String> = given.into_iter().chain(launch.message.clone()).collect();
    let message = (!message.is_empty()).then(|| message.join("\n"));
    let render = |kind| {
        let message = message.as_deref();
        page::with_context(handoff, &story, &facts.directory, message, &[], |context| {
            templates::render_prompt(kind, context, templates)
        })
    };
    Ok(Prompts {
        // A new session of a handoff with a history starts with the resume prompt.
        fresh: render(if handoff.attempts().len() > 1 || handoff.adopted().is_some() {
            PromptKind::Resume
        } else {
            PromptKind::Fresh
        })?,
        resume: render(PromptKind::Resume)?,
        check_head: if handoff.request().check.is_some() { render(PromptKind::CheckHead)? } else { String::new() },
        check_foot: render(PromptKind::CheckFoot)?,
        attached: if handoff.request().attached.is_some() { render(PromptKind::Attached)? } else { String::new() },
    })
}

/// Whether the host's process ended before it could report: it was killed, or the account's shell ended first.
fn is_killed(error: &Error) -> bool {
    matches!(error, Error::Remote(RemoteError::Cut { .. }))
}

/// Several runs may share one worktree. Different seeds keep them from retrying at the same time.
fn fold(text: &str) -> u64 {
    text.bytes().fold(7, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

/// Facts for a ship of a handoff that exists. What a partial clone lacks of it is fetched.
pub(in crate::supervise) async fn facts_again(record: &Record, ship: &Snapshot) -> Result<ShipFacts, Error> {
    let (base, ship) = (record.handoff().request().base.clone(), ship.clone());
    let base = {
        let (repository, tell) = (record.services.repository.clone(), tell_fetch(&record.services));
        blocking(move || repository.complete_ship(&base, &ship, &tell).map(|()| base)).await??
    };
    let facts = facts(&record.services.repository, Some(base)).await?;
    Ok(ShipFacts { directory: directory_name(&record.created_in()), ..facts })
}

/// Says that objects are fetched from the remote of a partial clone.
pub(in crate::supervise) fn tell_fetch(services: &Arc<Services>) -> impl Fn(u64, &str) + Sync + Send + 'static {
    let services = services.clone();
    move |objects, remote| {
        let what = if objects == 1 { "1 object".to_owned() } else { format!("{objects} objects") };
        services
            .tell(&Progress::Note { text: format!("fetching {what} from {remote}, which this partial clone lacks") });
    }
}

/// Facts for a ship, read while the loop continues: of the checkout, or of an earlier base.
pub(in crate::supervise) async fn facts(repository: &Repository, base: Option<Snapshot>) -> Result<ShipFacts, Error> {
    let repository = repository.clone();
    Ok(blocking(move || ShipFacts::of(&repository, base.as_ref())).await??)
}
