//! `takeover`: the handoff becomes the laptop's, with the work in a worktree and the record in it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::driver::Driver;
use super::engine::blocking;
use super::error::Error;
use super::follow::Until;
use super::progress::Progress;
use crate::git::land;
use crate::model::attempt::Next;
use crate::model::event::{Kind, Owner};

/// How long a host that does not answer holds a takeover up.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long an attempt has to die and be captured.
const DYING: Duration = Duration::from_secs(120);

/// Where the work is now.
pub struct Taken {
    pub worktree: PathBuf,
    /// `false`: the host could not be told; what it still makes is superseded.
    pub confirmed: bool,
}

impl Driver {
    /// Raises the epoch, stops what runs, fetches it, and makes the worktree at `destination` (beside the repository
    /// when `None`). Taken already: gives the worktree that is there.
    pub async fn takeover(&mut self, destination: Option<PathBuf>) -> Result<Taken, Error> {
        if let (Owner::Laptop, Some(path)) = (&self.handoff().owner, &self.handoff().worktree)
            && Path::new(path).exists()
        {
            return Ok(Taken { worktree: path.into(), confirmed: self.handoff().confirmed });
        }
        if self.handoff().attempts.is_empty() {
            let (id, why) = (self.id().clone(), "was never sent to a host: there is nothing to take over".to_owned());
            return Err(Error::NotNow { id, why });
        }
        if self.handoff().owner != Owner::Laptop {
            let epoch = self.handoff().epoch + 1;
            self.journal.append(Kind::Owner { epoch, owner: Owner::Laptop, confirmed: false })?;
        }
        let confirmed = self.fence().await?;
        if confirmed {
            self.pull_if_possible().await;
        }
        let worktree = self.make_worktree(destination).await?;
        self.journal.append(Kind::Worktree { path: worktree.display().to_string() })?;
        self.update_record()?;
        self.record_into(&worktree)?;
        Ok(Taken { worktree, confirmed })
    }

    /// Tells the host of the new epoch and reads the last attempt to its end.
    async fn fence(&mut self) -> Result<bool, Error> {
        if self.is_over() {
            self.append(Kind::Owner { epoch: self.handoff().epoch, owner: Owner::Laptop, confirmed: true })?;
            return Ok(true);
        }
        match tokio::time::timeout(PATIENCE, self.tell_epoch()).await {
            Ok(Ok(())) => {}
            Err(_) => return Ok(false),
            Ok(Err(error)) if error.may_retry() => return Ok(false),
            Ok(Err(error)) => return Err(error),
        }
        if tokio::time::timeout(DYING, self.follow(Until::Rest)).await.is_err() {
            return Ok(false);
        }
        let (epoch, owner) = (self.handoff().epoch, Owner::Laptop);
        self.append(Kind::Owner { epoch, owner, confirmed: true })?;
        Ok(true)
    }

    /// Whether the host has nothing left that it may do: what stands behind its last attempt there is the end, which
    /// no later writer can change.
    fn is_over(&self) -> bool {
        let handoff = self.handoff();
        if handoff.release_of(handoff.host()).is_some_and(|release| release.confirmed) {
            return true;
        }
        let last = handoff.last_attempt().map(|(_, attempt)| attempt);
        last.is_some_and(|attempt| {
            let nothing_to_fetch = attempt.outcome.as_ref().is_some_and(|outcome| outcome.capture.is_none());
            let ends = matches!(attempt.next, Some(Next::End | Next::Park { .. }));
            ends && (attempt.fetched.is_some() || nothing_to_fetch)
        })
    }

    pub(super) async fn tell_epoch(&mut self) -> Result<(), Error> {
        let remote = self.link.once().await?;
        let (name, epoch) = (self.name.clone(), self.handoff().epoch);
        match remote.put_epoch(&name, epoch).await {
            Ok(_) => Ok(()),
            Err(crate::remote::error::RemoteError::Refused { class, .. }) if class == "unknown" => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn make_worktree(&self, destination: Option<PathBuf>) -> Result<PathBuf, Error> {
        let commit = self.last_work()?.commit;
        let repository = self.engine.repository.clone();
        let id = self.id().clone();
        let landed = blocking(move || {
            let work = repository.read_capture(&commit)?;
            let destination = destination.unwrap_or_else(|| land::default_destination(&repository, &id));
            land::worktree_for_takeover(&repository, &id, &work, &destination)
        });
        let landed = landed.await??;
        for path in landed.differing {
            self.tell(&Progress::Note { text: format!("{path} could not be written here as it was") });
        }
        Ok(landed.path)
    }
}
