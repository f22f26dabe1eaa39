//! What the laptop must have before a host may delete its copy: every log to its last byte, and every capture whole.

pub mod fencing;
pub(in crate::supervise) mod missing;

use crate::git::refs;
use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::snapshot::Oid;
use crate::remote::client::Remote;
use crate::remote::poll::{Message, StateLine};
use crate::remote::release::Receipt;
use crate::supervise::attempt::ingest::{on_result, on_state};
use crate::supervise::capture::{ask_for_capture, fetch_commit, fetch_companions};
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::logs::Piece;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// What a host reports of an attempt after its logs were read to their ends.
struct Found {
    state: Option<StateLine>,
    outcome: Option<Outcome>,
    log: u64,
}

/// Fetches and verifies everything that a host has of the handoff. Returns what is held then and the host's last
/// attempt, which may be one that it started alone before it heard of a takeover.
pub(in crate::supervise) async fn hold_all(
    record: &mut Record,
    remote: &Remote,
) -> Result<(Vec<Receipt>, AttemptNo), Error> {
    record.ledger.read_secrets().await;
    // Earlier attempts too: two host names may share one directory, and a release covers the whole directory.
    let mut last = record.handoff().last_on(remote.host()).unwrap_or(0);
    // What was run by hand was never there.
    let is_by_hand = |n: &AttemptNo| record.handoff().run_by_hand(*n).is_some();
    let mut todo: Vec<AttemptNo> = (1..=last).filter(|n| !is_by_hand(n)).rev().collect();
    let mut receipts = Vec::new();
    while let Some(n) = todo.pop() {
        let Some((receipt, highest)) = hold(record, remote, n).await? else { continue };
        receipts.push(receipt);
        if todo.is_empty() && highest > last {
            todo.extend((last + 1..=highest).rev());
            last = highest;
        }
    }
    record.mirror_logs()?;
    Ok((receipts, last))
}

/// Fetches one attempt. `None`: the host has nothing of it.
async fn hold(record: &mut Record, remote: &Remote, n: AttemptNo) -> Result<Option<(Receipt, AttemptNo)>, Error> {
    let found = read_logs(record, remote, n).await?;
    let Some(state) = found.state else { return Ok(None) };
    let is_open = record.handoff().phase(n).is_some_and(|phase| phase.is_open());
    if let Some(outcome) = found.outcome.as_ref().filter(|_| is_open) {
        on_result(record, n, outcome)?;
    }
    let recorded = found.outcome.as_ref().and_then(|outcome| outcome.capture.as_deref()?.parse::<Oid>().ok());
    let known = record.handoff().attempt(n).and_then(|attempt| attempt.fetched.clone());
    let known_companions = found.outcome.as_ref().map(|outcome| outcome.companions.clone()).unwrap_or_default();
    let (capture, companions, lacks) = match recorded.or(known) {
        Some(commit) => (Some(commit), known_companions, None),
        // No capture was made because the watcher died or the disk was full.
        None if state.intent => {
            let made = ask_for_capture(record, remote, n).await?;
            made.map_or((None, vec![], None), |made| (Some(made.commit), made.companions, made.lacks))
        }
        None => (None, vec![], None),
    };
    fetch_companions(record, remote, n, &companions).await?;
    // The user may have accepted by now what git refused.
    let refused = record.handoff().attempt(n).is_some_and(|attempt| !attempt.refused.is_empty());
    if let Some(commit) = &capture
        && (refused || !is_held(record, n, commit).await?)
    {
        let tree = found.outcome.as_ref().and_then(|outcome| outcome.tree.as_deref());
        fetch_commit(record, remote, n, commit, tree, lacks).await?;
    }
    Ok(Some((Receipt { attempt: n, capture, log: found.log }, state.last)))
}

/// Whether the ref of the capture exists and everything that it and the refs next to it refer to is here.
async fn is_held(record: &Record, n: AttemptNo, commit: &Oid) -> Result<bool, Error> {
    let below = format!("{}{n}/", refs::of(record.id()));
    let (repository, commit) = (record.services.repository.clone(), commit.clone());
    let held = blocking(move || {
        let refs = repository.list_refs(&below)?;
        let work = format!("{below}work");
        let stands = refs.iter().any(|(name, oid)| *name == work && *oid == commit);
        let objects: Vec<Oid> = refs.into_iter().map(|(_, oid)| oid).collect();
        // Fetching again repairs any problem with an object.
        Ok::<_, crate::git::Error>(stands && repository.verify_connected(&objects).is_ok())
    });
    Ok(held.await??)
}

/// Fetches what a host has of the logs of an attempt that has not ended here, without waiting for more. Returns whether
/// the host has recorded the end, which is not judged here.
pub(in crate::supervise) async fn read_so_far(
    record: &mut Record,
    connection: &mut HostConnection,
    n: AttemptNo,
) -> Result<bool, Error> {
    let remote = connection.once().await?;
    let found = read_logs(record, &remote, n).await?;
    let Some(state) = &found.state else { return Ok(false) };
    on_state(record, remote.host(), state)?;
    Ok(found.outcome.is_some() || state.result)
}

/// Reads the missing part of the logs, without waiting for more.
async fn read_logs(record: &mut Record, remote: &Remote, n: AttemptNo) -> Result<Found, Error> {
    let (mut state, mut outcome) = (None, None);
    loop {
        let wants = record.logs.wants(&record.name, n)?;
        let mut poll = remote.poll(&wants, 0).await?;
        let mut grew = false;
        while let Some(message) = poll.next().await? {
            match message {
                Message::State(line) if line.attempt == n => state = Some(line),
                Message::Bytes { attempt, stream, inode, offset, bytes } if attempt == n => {
                    record.logs.mirror(&mut record.ledger, &Piece { attempt, stream, inode, offset, bytes })?;
                    grew = true;
                }
                Message::Result { attempt, outcome: end } if attempt == n => outcome = Some(*end),
                _ => {}
            }
        }
        if outcome.is_some() || !grew {
            break;
        }
    }
    record.logs.sync(n)?;
    let log = record.logs.length(n)?;
    Ok(Found { state, outcome, log })
}
