//! `resume`: a handoff at rest gets a new grant, on the same host or another.

use super::driver::Driver;
use super::error::Error;
use super::launch::{Launch, facts};
use super::progress::Progress;
use super::spec::Start;
use crate::model::attempt::{AttemptNo, Grant};
use crate::model::event::{Kind, Owner};
use crate::model::handoff::Handoff;
use crate::model::profile::SessionMode;
use crate::model::snapshot::Snapshot;
use crate::model::verdict::Class;

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
        // Elsewhere, or where the host was told to let go, nothing is counted on: the work is shipped again.
        let checkout = !handoff.has_tree(host.unwrap_or(handoff.host()), AttemptNo::MAX);
        let has_session = handoff.session.is_some() || self.profile.session == SessionMode::None;
        if checkout {
            self.pull_if_possible().await;
        }
        let start = if checkout || !has_session { Start::Fresh } else { Start::Resume };
        let ship = if checkout { self.last_work()? } else { self.handoff().made.base.clone() };
        let attempts = self.handoff().made.limits.attempts;
        self.raise_epoch().await?;
        if let Some(host) = host {
            self.move_to(host)?;
        }
        self.relaunch(&Launch { ship, checkout, start, message, attempts }).await
    }

    /// A new grant under the present epoch, and its first attempt under way.
    pub(super) async fn relaunch(&mut self, launch: &Launch) -> Result<AttemptNo, Error> {
        let facts = facts(&self.engine.repository, Some(self.handoff().made.base.clone())).await?;
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
        let confirmed = match self.link.patiently().await {
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
        self.work_before(AttemptNo::MAX)
    }

    /// The same as of the time before attempt `n`.
    fn work_before(&self, n: AttemptNo) -> Result<Snapshot, Error> {
        let handoff = self.handoff();
        let mut before = handoff.attempts.range(..n).rev();
        let Some(commit) = before.find_map(|(_, attempt)| attempt.fetched.clone()) else {
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
        let Again { checkout, start } = again(handoff, grant);
        let ship = if checkout { self.work_before(grant.first)? } else { handoff.made.base.clone() };
        Ok(Launch { ship, checkout, start, message: None, attempts: grant.last - grant.first + 1 })
    }
}

/// How a grant began, read from the journal.
#[derive(Debug, PartialEq, Eq)]
struct Again {
    /// The work of the attempts before it was shipped with it.
    checkout: bool,
    start: Start,
}

fn again(handoff: &Handoff, grant: &Grant) -> Again {
    let checkout = !handoff.has_tree(&grant.host, grant.first);
    // A grant of which nothing came leaves the next one to begin from the start.
    let before = handoff.attempts.range(..grant.first).next_back();
    let class = before.and_then(|(_, attempt)| attempt.verdict.as_ref()).map(|verdict| verdict.class);
    let session_is_over = matches!(class, Some(Class::Context | Class::Session));
    Again { checkout, start: if checkout || session_is_over { Start::Fresh } else { Start::Resume } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::testing::created;
    use crate::model::verdict::Verdict;

    fn after(class: Class) -> Handoff {
        let event = |kind| Event::new(jiff::Timestamp::UNIX_EPOCH, kind);
        let mut handoff = Handoff::created(&event(Kind::Created(Box::new(created("20261121-x"))))).unwrap();
        let (host, commit) = ("buildbox".to_owned(), handoff.made.base.commit.clone());
        let verdict = Verdict { class, evidence: "e".into(), line: None, part: None, until: None };
        for kind in [
            Kind::Granted { grant: grant(1, "buildbox", 1) },
            Kind::Dispatched { attempt: 1, grant: 1, host: host.clone(), command: "agent".into() },
            Kind::Shipped { host, commit },
            Kind::Started { attempt: 1 },
            Kind::Ended { attempt: 1, outcome: Box::default(), verdict },
        ] {
            handoff.apply(&event(kind)).unwrap();
        }
        handoff
    }

    fn grant(number: u32, host: &str, first: AttemptNo) -> Grant {
        Grant { number, epoch: number, host: host.into(), first, last: first, active: 60 }
    }

    #[test]
    fn a_move_that_is_sent_again_still_carries_the_work() {
        let moved = again(&after(Class::Stopped), &grant(2, "bigbox", 2));
        assert_eq!(moved, Again { checkout: true, start: Start::Fresh });
        let stayed = again(&after(Class::Stopped), &grant(2, "buildbox", 2));
        assert_eq!(stayed, Again { checkout: false, start: Start::Resume });
    }

    #[test]
    fn after_a_release_the_work_is_shipped_again_however_often_it_is_sent() {
        let mut handoff = after(Class::Stopped);
        let released = Kind::Released { host: "buildbox".into(), last: 1, confirmed: false };
        handoff.apply(&Event::new(jiff::Timestamp::UNIX_EPOCH, released)).unwrap();
        let back = again(&handoff, &grant(2, "buildbox", 2));
        assert_eq!(back, Again { checkout: true, start: Start::Fresh });
    }

    #[test]
    fn a_session_that_is_over_is_not_resumed_when_its_successor_is_sent_again() {
        let next = again(&after(Class::Context), &grant(2, "buildbox", 2));
        assert_eq!((next.start, next.checkout), (Start::Fresh, false));
    }
}
