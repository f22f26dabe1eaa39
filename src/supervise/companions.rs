//! The companions of a handoff: what was shipped of them, and what came back.

pub(in crate::supervise) mod finish;
pub(in crate::supervise) mod worktrees;

use std::path::PathBuf;

use crate::git::refs;
use crate::git::repository::Repository;
use crate::model::attempt::AttemptNo;
use crate::model::companion::{CapturedCompanion, word_of};
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::snapshot::{Companion, Oid, Snapshot};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::{Record, created_in};
use crate::supervise::services::Services;

/// The directory in which the repositories of the companions are looked for.
pub(in crate::supervise) fn companions_in(record: &Record) -> PathBuf {
    record.created_in()
}

/// The id of a handoff in the repositories of its companions.
pub(in crate::supervise) fn companion_id(handoff: &Handoff) -> HandoffId {
    handoff.request().id.in_companion(&handoff.request().uid)
}

/// The companions that were shipped, each with its newest shipped state.
pub(in crate::supervise) fn shipped(handoff: &Handoff) -> Vec<&Companion> {
    let given = handoff.given().values().rev().flat_map(|given| &given.work.companions);
    let mut all: Vec<&Companion> = given.chain(&handoff.request().base.companions).collect();
    // The sort is stable, so the newest of a path stays first.
    all.sort_by(|a, b| a.path.cmp(&b.path));
    all.dedup_by(|a, b| a.path == b.path);
    all
}

/// The companions that a host has captured, by path. A host may name only those that it got.
pub(in crate::supervise) fn captured(handoff: &Handoff, words: &[(String, Oid)]) -> Vec<CapturedCompanion> {
    let shipped = shipped(handoff);
    let path = |word: &str| shipped.iter().find(|companion| word_of(&companion.path) == word);
    let found = words.iter().filter_map(|(word, commit)| {
        Some(CapturedCompanion { path: path(word)?.path.clone(), commit: commit.clone() })
    });
    let mut found: Vec<_> = found.collect();
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The newest work in the companions before attempt `n`: what the last attempt left, else what was shipped.
pub(in crate::supervise) fn companions_before(record: &Record, n: AttemptNo) -> Result<Vec<Companion>, Error> {
    let handoff = record.handoff();
    let mut before = handoff.lineage().rev().filter(|(number, attempt)| *number < n && attempt.fetched.is_some());
    let last = before.next().map(|(_, attempt)| attempt);
    let left = last.map(|attempt| attempt.companions.clone()).unwrap_or_default();
    let gone = last.and_then(|attempt| attempt.outcome.as_ref()).map(|outcome| outcome.companions_gone.clone());
    let gone = gone.unwrap_or_default();
    let top = companions_in(record);
    let present = |companion: &&Companion| !gone.contains(&word_of(&companion.path));
    let newest = shipped(handoff).into_iter().filter(present).map(|companion| {
        let Some(left) = left.iter().find(|left| left.path == companion.path) else { return Ok(companion.clone()) };
        let repository = record.services.repository.companion(&top, &companion.path)?;
        let read = repository.read_capture(&left.commit)?;
        let work = Snapshot {
            commit: read.commit,
            head: read.head,
            index_tree: read.index_tree,
            files_tree: read.files_tree,
            operation: None,
            history: None,
            lfs: None,
            ..(*companion.work).clone()
        };
        Ok(Companion { path: companion.path.clone(), work: Box::new(work) })
    });
    newest.collect()
}

/// Says which companions have work of the last attempt that is only on its host: what is built on here is older.
pub(in crate::supervise) fn tell_older(record: &Record) {
    let handoff = record.handoff();
    let Some((n, attempt)) = handoff.lineage().rev().find(|(_, attempt)| attempt.fetched.is_some()) else { return };
    let words = attempt.outcome.as_ref().map(|outcome| outcome.companions.as_slice()).unwrap_or_default();
    for wanted in captured(handoff, words).into_iter().filter(|wanted| !attempt.companions.contains(wanted)) {
        let (path, host) = (&wanted.path, &attempt.host);
        let text = format!(
            "{path} is older here: the work of attempt {n} in it is only on {host}; handoff pull {}",
            record.id()
        );
        record.tell(&Progress::Note { text });
    }
}

/// What changed in a companion.
pub struct Difference {
    pub path: String,
    pub repository: Repository,
    pub from: Oid,
    pub to: Oid,
}

/// What changed in each companion since the start of the handoff, or in one attempt, as far as it is here.
pub fn differences(services: &Services, handoff: &Handoff, attempt: Option<AttemptNo>) -> Vec<Difference> {
    let top = created_in(services, handoff);
    let work_at = |n: AttemptNo, path: &str| {
        let captured = handoff.attempt(n)?.companions.iter().find(|captured| captured.path == path)?;
        Some(captured.commit.clone())
    };
    let last = handoff.lineage().rev().find(|(_, attempt)| attempt.fetched.is_some()).map(|(n, _)| n);
    let Some(n) = attempt.or(last) else { return vec![] };
    let of_companion = |companion: &Companion| {
        let path = companion.path.clone();
        let to = work_at(n, &path)?;
        let base = handoff.request().base.companions.iter().find(|base| base.path == path);
        let before = match attempt {
            Some(n) => handoff.lineage().rev().filter(|(k, _)| *k < n).find_map(|(k, _)| work_at(k, &path)),
            None => None,
        };
        let from = before.or_else(|| base.map(|base| base.work.commit.clone()))?;
        let repository = services.repository.companion(&top, &path).ok()?;
        Some(Difference { path, repository, from, to })
    };
    shipped(handoff).into_iter().filter_map(of_companion).collect()
}

/// Whether something that the host has captured of the companions is not here.
pub(in crate::supervise) fn are_companions_here(record: &Record, n: AttemptNo, words: &[(String, Oid)]) -> bool {
    let here = record.handoff().attempt(n).map(|attempt| attempt.companions.as_slice()).unwrap_or_default();
    captured(record.handoff(), words).iter().all(|wanted| here.contains(wanted) && is_kept(record, n, wanted))
}

/// Whether the ref of a companion's capture is in its repository, and everything that it and the refs next to it reach.
fn is_kept(record: &Record, n: AttemptNo, captured: &CapturedCompanion) -> bool {
    let Ok(repository) = record.services.repository.companion(&companions_in(record), &captured.path) else {
        return false;
    };
    let below = format!("{}{n}/", refs::of(&companion_id(record.handoff())));
    let held = repository.list_refs(&below).unwrap_or_default();
    let is_there = held.iter().any(|(name, oid)| *name == format!("{below}work") && *oid == captured.commit);
    let objects: Vec<Oid> = held.into_iter().map(|(_, oid)| oid).collect();
    is_there && repository.verify_connected(&objects).is_ok()
}

/// Keeps the work of companions in their repositories, so that no gc of the user's deletes it: the commit at the ref
/// `name`, which is made of the id that the handoff has there, and what goes with it next to that.
pub(in crate::supervise) fn keep_companions(
    record: &Record,
    companions: &[Companion],
    name: impl Fn(&HandoffId) -> String,
) -> Result<(), Error> {
    let name = &name(&companion_id(record.handoff()));
    let top = companions_in(record);
    for Companion { path, work } in companions {
        let repository = record.services.repository.companion(&top, path)?;
        repository.keep_ref(name, &work.commit)?;
        let ignored = work.extra.as_ref().map(|extra| ("ignored", &extra.commit));
        let operation = work.operation.as_ref().map(|operation| ("operation", &operation.commit));
        for (kind, commit) in ignored.into_iter().chain(operation) {
            repository.keep_ref(&format!("{name}.{kind}"), commit)?;
        }
    }
    Ok(())
}

/// The refs of a handoff in the repositories of its companions that are checked out.
pub(in crate::supervise) fn held_in_companions(services: &Services, handoff: &Handoff) -> Vec<(String, Oid)> {
    let top = created_in(services, handoff);
    let opened = shipped(handoff).into_iter().filter_map(|it| services.repository.companion(&top, &it.path).ok());
    let (below, here) = (refs::of(&companion_id(handoff)), refs::of(&handoff.request().id));
    // A repository that cannot be read holds nothing, so the host keeps what it has of it.
    let held = opened.flat_map(|repository: Repository| repository.list_refs(&below).unwrap_or_default());
    // The names are those that they would have in the handoff's repository.
    held.map(|(name, oid)| (name.replacen(&below, &here, 1), oid)).collect()
}

/// The bases of the companions, which the laptop has.
pub(in crate::supervise) fn shipped_commits(handoff: &Handoff) -> Vec<Oid> {
    shipped(handoff).into_iter().map(|companion| companion.work.commit.clone()).collect()
}
