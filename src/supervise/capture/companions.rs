//! Fetches what an attempt left in the companions, each into its own repository.

use crate::git::pack_file;
use crate::model::attempt::AttemptNo;
use crate::model::companion::{CapturedCompanion, word_of};
use crate::model::event::Kind;
use crate::model::snapshot::Oid;
use crate::remote::client::Remote;
use crate::remote::receive_pack::Cache;
use crate::supervise::capture::{Destination, bring, receive_lfs};
use crate::supervise::companions::{are_companions_here, captured, companion_id, companions_in, shipped};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// Fetches what an attempt left in the companions into their repositories, and journals it. What git refuses there stays
/// on the host, and is reported.
///
/// # Errors
/// The connection, or a companion is not checked out any more.
pub(in crate::supervise) async fn fetch_companions(
    record: &mut Record,
    remote: &Remote,
    n: AttemptNo,
    words: &[(String, Oid)],
) -> Result<(), Error> {
    if words.is_empty() || are_companions_here(record, n, words) {
        return Ok(());
    }
    let mut here = Vec::new();
    for wanted in captured(record.handoff(), words) {
        match fetch_companion(record, remote, n, &wanted).await {
            Ok(true) => here.push(wanted),
            Ok(false) => {}
            // The rest of the work does not wait for a repository that is not checked out.
            Err(Error::Git(crate::git::Error::Unfit { what, hint })) => {
                let again = format!("{hint}, then handoff pull {}", record.id());
                let text =
                    format!("{} keeps the work of attempt {n} in {}: {what}; {again}", remote.host(), wanted.path);
                record.tell(&Progress::Note { text });
            }
            Err(error) => return Err(error),
        }
    }
    record.append(Kind::CompanionsFetched { attempt: n, companions: here })?;
    Ok(())
}

/// Fetches one companion's capture. `false`: git refused the work.
async fn fetch_companion(
    record: &Record,
    remote: &Remote,
    n: AttemptNo,
    wanted: &CapturedCompanion,
) -> Result<bool, Error> {
    let path = &wanted.path;
    let repository = record.services.repository.companion(&companions_in(record), path)?;
    let key = shipped(record.handoff())
        .into_iter()
        .find(|companion| companion.path == *path)
        .and_then(|companion| companion.work.cache_key.clone());
    let key = key.map_or_else(|| repository.cache_key(), Ok)?;
    let (word, format) = (word_of(path), repository.format().word());
    let (name, id) = (record.name.companion(&word), companion_id(record.handoff()));
    let inbox = record.services.store.inbox(record.id()).join(&word);
    let destination = Destination { repository: &repository, id: &id, name: &name, inbox: &inbox };
    let (arrival, _) = bring(record, remote, n, Cache { name: &name, key: &key, format }, destination).await?;
    let taken = arrival.take_in(&wanted.commit).await?;
    pack_file::forget(&inbox)?;
    receive_lfs(record, (&repository, &id), n, &taken.refs).await?;
    for refused in &taken.refused {
        let text = format!("git refused {refused} of attempt {n} in {path}; {} keeps it", remote.host());
        record.tell(&Progress::Note { text });
    }
    if !taken.refs.iter().any(|(_, tip)| *tip == wanted.commit) {
        return Ok(false);
    }
    let (opened, commit) = (repository.clone(), wanted.commit.clone());
    blocking(move || opened.read_capture(&commit)).await??;
    Ok(true)
}
