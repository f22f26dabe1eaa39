//! Fetches an attempt's capture into `refs/handoff/<id>/<n>/` and verifies it. Nothing else changes.

mod acknowledged;
mod companions;

pub(in crate::supervise) use acknowledged::{acknowledged, at_rest};
pub(in crate::supervise) use companions::fetch_companions;

use std::path::Path;

use crate::git::pack_file::{self, LARGE};
use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::transfer::Arrival;
use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::refusal::RefusedRef;
use crate::model::snapshot::Oid;
use crate::model::uncaptured::Uncaptured;
use crate::remote::capture::Captured;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::receive_pack::Cache;
use crate::remote::runner::Verb;
use crate::remote::send_pack::{Content, FetchedPack};
use crate::supervise::companions::companions_before;
use crate::supervise::companions::worktrees::changed;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Throttle};
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// Fetches the capture of attempt `n` unless it is here. A capture that was not made at the attempt's end is made now.
pub(in crate::supervise) async fn fetch_capture(
    record: &mut Record,
    remote: &Remote,
    n: AttemptNo,
    outcome: &Outcome,
) -> Result<(), Error> {
    let here = record.handoff().attempt(n).and_then(|attempt| attempt.fetched.clone());
    let (commit, companions, lacks) = match outcome.capture.as_deref().and_then(|oid| oid.parse::<Oid>().ok()) {
        Some(commit) => (commit, outcome.companions.clone(), None),
        None if here.is_none() && record.handoff().lacks_capture(n) => {
            match ask_for_capture(record, remote, n).await? {
                Some(Captured { commit, companions, lacks }) => (commit, companions, lacks),
                None => return Ok(()),
            }
        }
        None => return Ok(()),
    };
    fetch_companions(record, remote, n, &companions).await?;
    // The user may have accepted by now what git refused.
    let refused = record.handoff().attempt(n).is_some_and(|attempt| !attempt.refused.is_empty());
    if here.as_ref() == Some(&commit) && !refused {
        return Ok(());
    }
    fetch_commit(record, remote, n, &commit, outcome.tree.as_deref(), lacks).await
}

/// Lets the host capture what an attempt left. `None`: the host cannot, and the reason was reported.
pub(in crate::supervise) async fn ask_for_capture(
    record: &Record,
    remote: &Remote,
    n: AttemptNo,
) -> Result<Option<Captured>, Error> {
    match remote.capture(&record.name, n).await {
        Ok(captured) => Ok(Some(captured)),
        Err(RemoteError::Refused { host, text, .. }) => {
            let again = format!("`handoff pull {}` tries again", record.id());
            let text = format!("{host} could not capture the work of attempt {n} ({text}); {again}");
            record.tell(&Progress::Note { text });
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Fetches a capture of attempt `n`, whether it is here or not. `tree` is the files tree that the host reported;
/// `lacks` is what a capture lacks that was made after the attempt's end.
pub(in crate::supervise) async fn fetch_commit(
    record: &mut Record,
    remote: &Remote,
    n: AttemptNo,
    commit: &Oid,
    tree: Option<&str>,
    lacks: Option<Uncaptured>,
) -> Result<(), Error> {
    let (services, id, name) = (record.services.clone(), record.id().clone(), record.name.clone());
    let (repository, key) = (&services.repository, cache_key(record)?);
    let cache = Cache { name: &name, key: &key, format: repository.format().word() };
    let inbox = services.store.inbox(&id);
    let destination = Destination { repository, id: &id, name: &name, inbox: &inbox };
    let (arrival, length) = bring(record, remote, n, cache, destination).await?;
    let taken = arrival.take_in(commit).await?;
    pack_file::forget(&inbox)?;
    on_refused(record, n, taken.refused)?;
    receive_lfs(record, (repository, &id), n, &taken.refs).await?;
    if !taken.refs.iter().any(|(_, tip)| tip == commit) {
        return Ok(());
    }
    // The commit that the host reported counts, not the ref that it was found under.
    let captured = repository.read_capture(commit)?;
    if tree.is_some_and(|tree| tree != captured.files_tree.as_str()) {
        let host = remote.host().to_owned();
        let what = "a capture that does not match its tree id".to_owned();
        return Err(RemoteError::Garbled { host, verb: "capture", what }.into());
    }
    if let Some(uncaptured) = &lacks {
        let host = remote.host().to_owned();
        record.tell(&Progress::Uncaptured { attempt: n, host, uncaptured: uncaptured.clone() });
    }
    if record.append(Kind::Fetched { attempt: n, commit: commit.clone(), uncaptured: lacks })? {
        let lacks = record.handoff().attempt(n).and_then(|attempt| attempt.uncaptured.as_ref());
        let uncaptured = lacks.map_or(0, |lacks| lacks.count);
        let is_changed = captured.files_tree != record.handoff().request().base.files_tree
            || !changed(record.handoff(), &companions_before(record, n + 1)?).is_empty();
        record.tell(&Progress::Fetched { attempt: n, commit: commit.to_string(), uncaptured, is_changed });
    }
    // The host deletes a small pack, and one whose deletion fails here, with the next one or at the release.
    if length >= LARGE {
        _ = remote.forget_packs(cache, n, Content::Work).await;
    }
    Ok(())
}

/// The key of the cache that the handoff's hosts have its objects in.
pub(in crate::supervise) fn cache_key(record: &Record) -> Result<String, Error> {
    let base = &record.handoff().request().base;
    Ok(base.cache_key.clone().map_or_else(|| record.services.repository.cache_key_of(&base.head), Ok)?)
}

/// Puts contents of Git LFS that came with a capture to where git-lfs has them.
async fn receive_lfs(
    record: &Record,
    (repository, id): (&Repository, &HandoffId),
    n: AttemptNo,
    taken: &[(String, Oid)],
) -> Result<(), Error> {
    let name = refs::captured_lfs(id, n);
    let Some((_, commit)) = taken.iter().find(|(taken, _)| *taken == name) else { return Ok(()) };
    let (repository, commit) = (repository.clone(), commit.clone());
    let refused = blocking(move || repository.receive_lfs(&commit)).await??;
    if let Some(first) = refused.first() {
        let count = refused.len();
        let text =
            format!("{count} LFS contents of attempt {n} do not match their ids, such as {first}; they stay in {name}");
        record.tell(&Progress::Note { text });
    }
    Ok(())
}

/// Journals and reports the refs of a capture that git refused. The host keeps them until the user accepts them here or
/// discards them by name.
fn on_refused(record: &mut Record, n: AttemptNo, refused: Vec<RefusedRef>) -> Result<(), Error> {
    let known = record.handoff().attempt(n).is_some_and(|attempt| attempt.refused == refused);
    if !known {
        record.append(Kind::RefsRefused { attempt: n, refused })?;
    }
    let Some(attempt) = record.handoff().attempt(n).filter(|attempt| !attempt.refused.is_empty()) else {
        return Ok(());
    };
    for refused in &attempt.refused {
        let text = format!("git refused {refused} of attempt {n}; {} keeps it", attempt.host);
        record.tell(&Progress::Note { text });
    }
    Ok(())
}

/// Fails if the newest work was refused: building on what is here would use older work.
pub(in crate::supervise) fn need_work(handoff: &Handoff) -> Result<(), Error> {
    let Some((n, attempt)) = handoff.refused_work() else { return Ok(()) };
    let (id, host, refused) = (handoff.request().id.clone(), attempt.host.clone(), attempt.refused.clone());
    Err(Error::Refused { id, host, attempt: n, refused })
}

/// Where a capture goes.
#[derive(Clone, Copy)]
pub(in crate::supervise) struct Destination<'a> {
    pub repository: &'a Repository,
    /// The id that the handoff has there.
    pub id: &'a HandoffId,
    /// The name that its refs have on the host.
    pub name: &'a RemoteName,
    /// The directory of its pack.
    pub inbox: &'a Path,
}

/// Fetches a capture into a quarantine, and returns it with the length of its pack. A pack that turns out to be of no
/// use is fetched again, once: a transfer that was cut may continue a pack that builds on objects that are no longer
/// here.
pub(in crate::supervise) async fn bring(
    record: &Record,
    remote: &Remote,
    n: AttemptNo,
    cache: Cache<'_>,
    Destination { repository, id, name, inbox }: Destination<'_>,
) -> Result<(Arrival, u64), Error> {
    let mut throttle = Throttle::default();
    let mut received = |received, length| {
        if length >= LARGE && throttle.is_due(received == length) {
            record.tell(&Progress::Receiving { attempt: n, received, length });
        }
    };
    let mut is_last = false;
    loop {
        let (repo, of) = (repository.clone(), id.clone());
        let held = blocking(move || repo.held_of(&of, is_last)).await??;
        let FetchedPack { refs, pack } =
            remote.fetch_pack(cache, (n, Content::Work), &held, inbox, &mut received).await?;
        let arrived = Arrival::of(repository, (id, name), n, &refs, &pack).await?;
        match arrived {
            Some(arrival) if arrival.is_connected() || is_last => return Ok((arrival, pack.length)),
            None if is_last => {
                let host = remote.host().to_owned();
                let what = "a pack that is damaged, or that builds on objects that are not here".to_owned();
                return Err(RemoteError::Garbled { host, verb: Verb::SendPack.word(), what }.into());
            }
            _ => {
                pack_file::forget(inbox)?;
                remote.forget_packs(cache, n, Content::Work).await?;
            }
        }
        is_last = true;
    }
}
