//! `show`: reads the state of a host without changing anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::mirror::pointers::{self, Pointer, Target};
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, RemoteName};
use crate::remote::poll::StateLine;
use crate::state::log_reader;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error;
use crate::supervise::record::{Record, written_page};
use crate::supervise::services::Services;
use crate::transport::NonInteractive;

/// Longest time for a look at a host.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// The prompt with which an interactive session continues the work, as far as it is known now.
pub fn takeover_prompt(services: &Arc<Services>, id: &HandoffId) -> Result<String, Error> {
    Record::new(services, services.store.open(id)?)?.takeover_prompt()
}

/// What the claims of `handoff.md` point to.
pub struct CheckedClaims {
    /// Number of different pointers.
    pub count: usize,
    /// Those that point nowhere: the section, the pointer and the reason.
    pub nowhere: Vec<String>,
}

/// Follows every pointer of `handoff.md` to its line of a log or its commit. `None`: there is no `handoff.md`. What people
/// wrote is not judged.
pub fn check_claims(services: &Services, handoff: &Handoff) -> Result<Option<CheckedClaims>, Error> {
    let Some(page) = written_page(services, handoff)? else { return Ok(None) };
    let request = handoff.request();
    let own_words = [&request.task].into_iter().chain(&request.check).map(String::as_str).collect::<Vec<_>>();
    let pointers = pointers::pointers(&page, &own_words);
    let commits = pointers.iter().filter_map(|pointer| match &pointer.target {
        Target::Commit(id) => Some(id.as_str()),
        Target::Line { .. } => None,
    });
    let missing = services.repository.missing_commits(&commits.collect::<Vec<_>>())?;
    let (logs, mut lengths) = (services.store.directory(&request.id), HashMap::new());
    let mut nowhere = Vec::new();
    for Pointer { section, target } in &pointers {
        let why = match target {
            Target::Commit(id) if missing.contains(&id.as_str()) => "is not in this repository".to_owned(),
            Target::Commit(_) => continue,
            Target::Line { file, line } => {
                let length = *lengths.entry(file.clone()).or_insert_with(|| log_reader::lines(&logs.join(file)).ok());
                match length {
                    Some(lines) if (1..=lines).contains(line) => continue,
                    Some(lines) => format!("points nowhere: {file} has {lines} lines"),
                    None => format!("points nowhere: there is no {file}"),
                }
            }
        };
        nowhere.push(format!("{section}: {target} {why}"));
    }
    Ok(Some(CheckedClaims { count: pointers.len(), nowhere }))
}

/// What the host reports now, or why it could not be asked in time.
pub async fn host_state(services: &Services, handoff: &Handoff) -> Result<StateLine, String> {
    match tokio::time::timeout(PATIENCE, ask(services, handoff)).await {
        Ok(Ok(Some(line))) => Ok(line),
        Ok(Ok(None)) => Err("the host does not know this handoff".to_owned()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs())),
    }
}

async fn ask(services: &Services, handoff: &Handoff) -> Result<Option<StateLine>, Error> {
    let Some((attempt, _)) = handoff.last_attempt() else { return Ok(None) };
    let host = services.host(handoff.host())?;
    // No passphrase is asked for, because a look has only two seconds.
    let mut connection = HostConnection::new(
        host,
        services.connect.clone(),
        std::sync::Arc::new(NonInteractive),
        services.reporter.clone(),
    );
    let remote = connection.once().await?;
    let name = RemoteName::new(&handoff.request().id, &handoff.request().uid);
    let state = remote.state(&name, attempt).await?;
    // An attempt that is not due yet is known by the attempt before it.
    match (state, attempt.checked_sub(1).filter(|before| handoff.attempts().contains_key(before))) {
        (None, Some(before)) => Ok(remote.state(&name, before).await?),
        (state, _) => Ok(state),
    }
}
