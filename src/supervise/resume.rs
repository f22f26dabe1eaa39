//! `resume`: a handoff at rest gets a new grant, on the same host or another.

use super::driver::Driver;
use super::error::Error;
use super::launch::{Launch, facts};
use super::progress::Progress;
use super::spec::Start;
use crate::model::attempt::{AttemptNo, Grant};
use crate::model::event::{Kind, Owner};
use crate::model::profile::SessionMode;
use crate::model::snapshot::Snapshot;

impl Driver {
    /// Starts the next attempt of a handoff at rest: `message` goes into its prompt, `host` moves it.
    pub async fn resume(&mut self, message: Option<String>, host: Option<&str>) -> Result<AttemptNo, Error> {
        let handoff = self.handoff();
        let refuse = |why: &str| Err(Error::NotNow { id: handoff.made.id.clone(), why: why.to_owned() });
        if handoff.owner == Owner::Laptop {
            return refuse("was taken over: it is yours now, in its worktree");
        }
        if handoff.status().is_active() {
            return refuse("is still at work");
        }
        let moved = host.is_some_and(|host| host != handoff.host());
        let has_session = handoff.session.is_some() || self.profile.session == SessionMode::None;
        let start = if moved || !has_session || handoff.attempts.is_empty() { Start::Fresh } else { Start::Resume };
        let ship = if moved { self.last_work()? } else { handoff.made.base.clone() };
        let attempts = handoff.made.limits.attempts;
        let checkout = moved || handoff.shipped.is_empty();
        self.raise_epoch().await?;
        if let Some(host) = host {
            self.move_to(host)?;
        }
        self.relaunch(&Launch { ship, checkout, start, message, attempts }).await
    }

    /// A new grant under the present epoch, and its first attempt under way.
    pub(super) async fn relaunch(&mut self, launch: &Launch) -> Result<AttemptNo, Error> {
        let facts = facts(&self.engine.repository).await?;
        let (grant, attempt) = self.grant(launch)?;
        let (host, command) = (self.link.host.name.clone(), self.command(launch.start, attempt)?);
        self.tell(&Progress::Dispatched { attempt, host, command });
        let prepared = self.prepare(&grant, attempt, launch, &facts).await?;
        self.launch(&prepared).await?;
        self.update_record()?;
        Ok(attempt)
    }

    /// The same owner under a higher epoch: what was granted and not used returns once the host has confirmed it.
    pub(super) async fn raise_epoch(&mut self) -> Result<(), Error> {
        if self.handoff().attempts.is_empty() {
            return Ok(());
        }
        let (epoch, owner) = (self.handoff().epoch + 1, self.handoff().owner.clone());
        let confirmed = match self.link.once().await {
            Ok(remote) => match remote.put_epoch(&self.name, epoch).await {
                Ok(_) => true,
                // A host that never heard of the handoff has nothing to give back.
                Err(crate::remote::error::RemoteError::Refused { class, .. }) if class == "unknown" => true,
                Err(error) if error.may_retry() => false,
                Err(error) => return Err(error.into()),
            },
            Err(error) if error.may_retry() => false,
            Err(error) => return Err(error.into()),
        };
        self.journal.append(Kind::Owner { epoch, owner, confirmed })?;
        Ok(())
    }

    /// The newest work that lies in this repository: the last capture, or the base.
    pub(super) fn last_work(&self) -> Result<Snapshot, Error> {
        let handoff = self.handoff();
        let Some(commit) = handoff.attempts.values().rev().find_map(|attempt| attempt.fetched.clone()) else {
            return Ok(handoff.made.base.clone());
        };
        let captured = self.engine.repository.read_capture(&commit)?;
        Ok(Snapshot {
            commit,
            head: captured.head,
            index_tree: captured.index_tree,
            files_tree: captured.files_tree,
            branch: handoff.made.base.branch.clone(),
            left_behind: vec![],
        })
    }

    /// The launch that a grant in the journal stands for, to be sent again.
    pub(super) fn launch_of(&self, grant: &Grant) -> Result<Launch, Error> {
        let handoff = self.handoff();
        // A grant of which nothing came leaves the next one to begin from the start.
        let first = handoff.attempts.range(..grant.first).next().is_none();
        Ok(Launch {
            ship: handoff.made.base.clone(),
            checkout: first,
            start: if first { Start::Fresh } else { Start::Resume },
            message: None,
            attempts: grant.last - grant.first + 1,
        })
    }
}
