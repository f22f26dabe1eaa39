//! `pull`: an attempt's capture comes into `refs/handoff/<id>/<n>/`, fetched and verified; nothing else changes.

use super::driver::Driver;
use super::error::Error;
use super::progress::Progress;
use crate::git::transfer;
use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::event::Kind;
use crate::model::snapshot::Oid;
use crate::remote::bridge::{Bridge, Service};
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;

impl Driver {
    /// Fetches the capture of attempt `n` unless it is here already.
    pub(super) async fn fetch(&mut self, remote: &Remote, n: AttemptNo, outcome: &Outcome) -> Result<(), Error> {
        let here = self.handoff().attempts.get(&n).and_then(|attempt| attempt.fetched.clone());
        let Some(commit) = outcome.capture.as_deref().and_then(|oid| oid.parse::<Oid>().ok()) else { return Ok(()) };
        if here.as_ref() == Some(&commit) {
            return Ok(());
        }
        let (engine, id, name) = (self.engine.clone(), self.id().clone(), self.name.clone());
        let repository = &engine.repository;
        let (key, format) = (repository.cache_key_of(&self.handoff().made.base.head)?, repository.format().word());
        let bridge = Bridge::new(remote, Service::Upload, &name, &key, format)?;
        let command = transfer::Bridge { command: bridge.command() };
        let fetched = transfer::pull(repository, &command, (&id, &name), n, &commit);
        tokio::pin!(fetched);
        tokio::select! {
            biased;
            result = &mut fetched => drop(result?),
            served = bridge.serve() => match served {
                Err(error) => return Err(error.into()),
                Ok(()) => drop(fetched.await?),
            },
        }
        // What the host called the capture is what counts, not the ref it was found under.
        let captured = repository.read_capture(&commit)?;
        if outcome.tree.as_deref().is_some_and(|tree| tree != captured.files_tree.as_str()) {
            let host = self.link.host.name.clone();
            let what = "a capture that is not the tree it named".to_owned();
            return Err(RemoteError::Garbled { host, verb: "capture", what }.into());
        }
        if self.append(Kind::Fetched { attempt: n, commit: commit.clone() })? {
            self.tell(&Progress::Fetched { attempt: n, commit: commit.to_string() });
        }
        Ok(())
    }

    /// Fetches every capture that the journal knows of and this repository lacks. How many came.
    pub async fn pull(&mut self) -> Result<usize, Error> {
        let missing: Vec<(AttemptNo, Outcome)> = self
            .handoff()
            .attempts
            .iter()
            .filter(|(_, attempt)| attempt.fetched.is_none())
            .filter_map(|(n, attempt)| Some((*n, attempt.outcome.clone()?)))
            .filter(|(_, outcome)| outcome.capture.is_some())
            .collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let remote = self.link.once().await?;
        for (n, outcome) in &missing {
            self.fetch(&remote, *n, outcome).await?;
        }
        self.update_record()?;
        Ok(missing.len())
    }
}
