//! `pull --artifacts`, and `run --artifacts`: fetches build results, which no capture has because they are ignored, as they
//! are now.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use crate::git::artifacts::Artifact;
use crate::git::pack_file::{self, LARGE};
use crate::mirror::artifacts::{ArtifactFiles, Written};
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;
use crate::remote::artifacts::Matching;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::receive_pack::Cache;
use crate::remote::refusal::RefusalClass;
use crate::remote::runner::Verb;
use crate::remote::send_pack::{Content, FetchedPack};
use crate::state::lock::DriverLock;
use crate::supervise::capture::cache_key;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Throttle};
use crate::supervise::record::Record;
use crate::supervise::services::{Services, blocking};

const LOCK: &str = "artifacts.lock";

/// Maximum bytes that are fetched without being asked for by `--max-size`.
pub const LIMIT: u64 = 1 << 30;

/// The build results of an attempt that are here now.
#[derive(Debug)]
pub struct Artifacts {
    pub attempt: AttemptNo,
    pub host: String,
    /// Whether the agent was running, so that the files may be incomplete.
    pub is_running: bool,
    /// The directory that they are in.
    pub directory: PathBuf,
    pub files: Vec<(Artifact, Written)>,
    /// Paths on the host that could not be read.
    pub unread: Vec<String>,
}

/// Fetches the files of the newest attempt's checkout that match patterns of an ignore file, of at most `limit` bytes in
/// all, and writes them into the handoff's directory. It needs no driver, so it works while another process follows the
/// handoff.
///
/// # Errors
/// The host has no checkout of the handoff, the files are too large, or the host or the disk fails.
pub async fn pull_artifacts(
    services: &Arc<Services>,
    id: &HandoffId,
    globs: &[String],
    limit: u64,
) -> Result<Artifacts, Error> {
    let globs = usable(globs)?;
    let record = Record::new(services, services.store.open(id)?)?;
    let (host, n) = place_of(record.handoff())?;
    let remote = record.connection_to(&host)?.patiently().await?;
    fetch_matching(&record, &remote, n, globs, limit).await
}

/// Fetches the build results that the run asked for, once the handoff is at rest. A failure is only reported: the work is
/// here, and `pull --artifacts` tries again.
pub(in crate::supervise) async fn fetch_asked(
    record: &mut Record,
    connection: &mut HostConnection,
) -> Result<(), Error> {
    let handoff = record.handoff();
    let globs = handoff.request().artifacts.clone();
    let is_over = !handoff.status().is_active() && !handoff.is_taken_over() && !handoff.is_finished();
    if globs.is_empty() || !is_over {
        return Ok(());
    }
    let Ok((host, n)) = place_of(handoff) else { return Ok(()) };
    let is_due = handoff.attempt(n).is_some_and(|attempt| {
        attempt.started.is_some() && attempt.ended.is_some() && attempt.artifacts.is_none() && !attempt.superseded
    });
    if !is_due || host != connection.host.name || handoff.is_gone(n) {
        return Ok(());
    }
    let fetched = async {
        let remote = connection.patiently().await?;
        fetch_matching(record, &remote, n, globs.clone(), LIMIT).await
    };
    let artifacts = match fetched.await {
        Ok(artifacts) => artifacts,
        Err(error) => {
            let patterns: Vec<String> = globs.iter().map(|glob| format!("--artifacts {}", word(glob))).collect();
            let again = format!("`handoff pull {} {}` tries again", record.id(), patterns.join(" "));
            record.tell(&Progress::Note { text: format!("the artifacts could not be fetched: {error}; {again}") });
            return Ok(());
        }
    };
    let files = artifacts.files.len() as u64;
    let bytes = artifacts.files.iter().map(|(artifact, _)| artifact.bytes).sum();
    record.append(Kind::ArtifactsFetched { attempt: n, files, bytes })?;
    let directory = artifacts.directory.display().to_string();
    record.tell(&Progress::Artifacts { attempt: n, host, files, bytes, directory });
    for path in artifacts.unread {
        let text = format!("an artifact could not be read on {}: {path}", connection.host.name);
        record.tell(&Progress::Note { text });
    }
    Ok(())
}

async fn fetch_matching(
    record: &Record,
    remote: &Remote,
    n: AttemptNo,
    globs: Vec<String>,
    limit: u64,
) -> Result<Artifacts, Error> {
    let (id, host) = (record.id(), remote.host().to_owned());
    let home = record.services.store.directory(id);
    let Some(_lock) = DriverLock::try_take_as(&home, LOCK)? else {
        return Err(not_now(id, "has another process that fetches its artifacts".to_owned()));
    };
    let matching = match remote.artifacts(&record.name, n, &globs, limit).await {
        Err(RemoteError::Refused { class: RefusalClass::NoTree | RefusalClass::Unknown, text, .. }) => {
            return Err(not_now(id, format!("has no files on {host} any more ({text})")));
        }
        Err(RemoteError::Refused { class: RefusalClass::Unfinished, .. }) => {
            return Err(not_now(id, format!("has not started attempt {n} on {host} yet")));
        }
        matching => matching?,
    };
    let Matching { files, bytes, commit, is_ended, unread } = matching;
    if bytes > limit {
        return Err(Error::TooLarge { id: id.clone(), host, files, bytes, limit, globs });
    }
    let written = match commit {
        None => vec![],
        Some(commit) => {
            fetch(record, remote, n, &commit).await?;
            write(record, n, &commit).await?
        }
    };
    let directory = ArtifactFiles::open(&home, n)?.path().to_owned();
    Ok(Artifacts { attempt: n, host, is_running: !is_ended, directory, files: written, unread })
}

/// The host and the attempt whose checkout is asked.
fn place_of(handoff: &Handoff) -> Result<(String, AttemptNo), Error> {
    let (id, host) = (handoff.request().id.clone(), handoff.host().to_owned());
    let Some(n) = handoff.last_on(&host).filter(|n| handoff.run_by_hand(*n).is_none()) else {
        return Err(not_now(&id, "has no attempt on a host, so there are no files to fetch".to_owned()));
    };
    if handoff.release_of(&host).is_some() {
        return Err(not_now(&id, format!("was released: {host} was told that its checkout may be used again")));
    }
    Ok((host, n))
}

/// A word for a shell.
fn word(text: &str) -> String {
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), |quoted| quoted.into_owned())
}

fn not_now(id: &HandoffId, why: String) -> Error {
    Error::NotNow { id: id.clone(), why }
}

/// The patterns as lines of an ignore file, from the top of the checkout.
///
/// # Errors
/// One of them cannot match anything.
pub(in crate::supervise) fn usable(globs: &[String]) -> Result<Vec<String>, Error> {
    globs.iter().map(|glob| usable_line(glob)).collect()
}

fn usable_line(glob: &str) -> Result<String, Error> {
    let wrong = |why| Err(Error::NotAGlob { glob: glob.to_owned(), why });
    let line = glob.strip_prefix("./").unwrap_or(glob);
    match line {
        "" => wrong("the pattern is empty"),
        _ if line.contains(['\n', '\r', '\0']) => wrong("a pattern is one line"),
        _ if line.starts_with('#') => {
            wrong("this is a comment in an ignore file; write \\# for a name that begins with #")
        }
        _ if line.split('/').any(|part| part == "..") => wrong("only files below the top of the checkout are fetched"),
        _ => Ok(line.to_owned()),
    }
}

/// Takes the commit in unless it is here.
async fn fetch(record: &Record, remote: &Remote, n: AttemptNo, commit: &Oid) -> Result<(), Error> {
    let (services, id) = (&record.services, record.id().clone());
    let (repo, wanted, name) = (services.repository.clone(), commit.clone(), id.clone());
    if blocking(move || repo.has_artifacts(&name, n, &wanted)).await?? {
        return Ok(());
    }
    let (inbox, key) = (services.store.artifacts_inbox(&id), cache_key(record)?);
    let cache = Cache { name: &record.name, key: &key, format: services.repository.format().word() };
    let mut throttle = Throttle::default();
    let mut received = |received, length| {
        if length >= LARGE && throttle.is_due(received == length) {
            record.tell(&Progress::Receiving { attempt: n, received, length });
        }
    };
    // A transfer that was cut may continue a pack that builds on objects that are no longer here.
    for is_last in [false, true] {
        let (repo, name) = (services.repository.clone(), id.clone());
        let held = blocking(move || repo.held_of(&name, is_last)).await??;
        let fetched = remote.fetch_pack(cache, (n, Content::Artifacts), &held, &inbox, &mut received).await?;
        let FetchedPack { refs, pack } = fetched;
        if refs.iter().any(|(oid, _)| oid == commit)
            && let Some(taken) = services.repository.take_in_artifacts(&id, n, commit, &pack).await?
        {
            _ = remote.forget_packs(cache, n, Content::Artifacts).await;
            return match taken.refused {
                refused if refused.is_empty() => Ok(()),
                refused => Err(Error::ArtifactsRefused { id, attempt: n, refused }),
            };
        }
        pack_file::forget(&inbox)?;
        remote.forget_packs(cache, n, Content::Artifacts).await?;
    }
    let what = "a pack that is damaged, or that lacks the artifacts".to_owned();
    Err(RemoteError::Garbled { host: remote.host().to_owned(), verb: Verb::SendPack.word(), what }.into())
}

/// Writes the files of the commit.
async fn write(record: &Record, n: AttemptNo, commit: &Oid) -> Result<Vec<(Artifact, Written)>, Error> {
    let (services, id, commit) = (record.services.clone(), record.id().clone(), commit.clone());
    let written = blocking(move || {
        let repo = &services.repository;
        let files = ArtifactFiles::open(&services.store.directory(&id), n)?;
        let mut written = Vec::new();
        for artifact in repo.artifacts_of(&commit)? {
            let is_there = |file: File| Ok::<_, Error>(repo.is_artifact(&artifact, file)?);
            let fill = |file: &File| Ok::<_, Error>(repo.write_artifact(&artifact, file)?);
            let now = files.write(&artifact.path, artifact.is_executable, is_there, fill)?;
            written.push((artifact, now));
        }
        for (artifact, now) in &written {
            if !files.still_has(&artifact.path, now)? {
                let path = artifact.path.display();
                let text =
                    format!("{path} was overwritten: on this file system, its name is the same as another one's");
                services.tell(&Progress::Note { text });
            }
        }
        Ok::<_, Error>(written)
    });
    written.await?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_cannot_match_is_refused() {
        for (glob, line) in
            [("*.deb", "*.deb"), ("./target/*", "target/*"), ("/dist", "/dist"), ("a..b", "a..b"), ("!x", "!x")]
        {
            assert_eq!(usable_line(glob).unwrap(), line);
        }
        for glob in ["", "./", "a\nb", "#x", "../x", "a/../b", ".."] {
            assert!(matches!(usable_line(glob), Err(Error::NotAGlob { .. })), "{glob:?}");
        }
    }
}
