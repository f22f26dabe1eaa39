//! The push of a launch, and what is done where the host has lost what the push builds on.

use std::sync::Arc;

use super::driver::Driver;
use super::error::Error;
use super::launch::Prepared;
use super::progress::{Progress, Reporter};
use crate::git::repository::Repository;
use crate::git::transfer;
use crate::model::verdict::Class;
use crate::remote::bridge::{Bridge, Service};
use crate::remote::client::Remote;

/// Pushes of one repository that may come in between, one after the other.
const MOST_RIVALS: u32 = 10;

impl Driver {
    /// Whether the attempt before `n` ended because objects of the ship were missing or damaged on the host.
    pub(super) fn ship_was_broken(&self, prepared: &Prepared) -> bool {
        let before = prepared.ensure.attempt.checked_sub(1).and_then(|n| self.handoff().attempts.get(&n));
        let outcome = before.filter(|it| it.grant == prepared.ensure.grant).and_then(|it| it.outcome.as_ref());
        outcome.is_some_and(|outcome| outcome.reason == "ship" && outcome.class == Class::Network.word())
    }
}

/// Pushes the refs of a launch. A cache that is found damaged, or known to be (`broken`), is mended first and gets
/// everything: what it still has is not relied on.
pub(super) async fn push(
    remote: &Remote,
    prepared: &Prepared,
    repository: &Repository,
    broken: bool,
    reporter: &Arc<dyn Reporter>,
) -> Result<(), Error> {
    let mend = async || -> Result<bool, Error> {
        let mended = remote.mend(&prepared.ensure.name, &prepared.key, &prepared.format).await?;
        if mended {
            let text = format!("the repository kept on {} has lost objects: it is sent again whole", remote.host());
            reporter.tell(&Progress::Note { text });
        }
        Ok(mended)
    };
    if broken {
        mend().await?;
    }
    match unrivalled(remote, prepared, repository, broken).await {
        Err(Error::Git(error)) if !broken && transfer::is_damage(&error) => match mend().await? {
            true => unrivalled(remote, prepared, repository, true).await,
            false => Err(error.into()),
        },
        pushed => pushed,
    }
}

/// Pushes until no other push has come in between.
async fn unrivalled(remote: &Remote, prepared: &Prepared, repository: &Repository, whole: bool) -> Result<(), Error> {
    for _ in 0..MOST_RIVALS {
        match once(remote, prepared, repository, whole).await {
            Err(Error::Git(error)) if transfer::is_race(&error) => {}
            pushed => return pushed,
        }
    }
    once(remote, prepared, repository, whole).await
}

async fn once(remote: &Remote, prepared: &Prepared, repository: &Repository, whole: bool) -> Result<(), Error> {
    let Prepared { ensure, key, format, refs } = prepared;
    let bridge = Bridge::new(remote, Service::Receive { whole }, &ensure.name, key, format)?;
    let command = transfer::Bridge { command: bridge.command() };
    let pushed = transfer::push(repository, &command, refs);
    tokio::pin!(pushed);
    tokio::select! {
        biased;
        result = &mut pushed => drop(result?),
        served = bridge.serve() => match served {
            // The host's end is told apart from git's: only the former is a matter of the link.
            Err(error) => return Err(Error::Remote(error)),
            Ok(()) => drop(pushed.await?),
        },
    }
    Ok(())
}
