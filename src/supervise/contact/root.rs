//! The root directory of a host: what the journal knows of it, and what happens when the host no longer has an attempt.
//!
//! An attempt that may have started is never sent again. While its root is missing, the laptop waits. If its host
//! answers from a root without the attempt, the attempt ends as lost, and only a new number may start.

use crate::model::attempt::{AttemptNo, CancelReason, Outcome, Reason};
use crate::model::event::Kind;
use crate::model::root::{Instance, Known};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

impl Driver {
    /// Journals which root the connection's host showed. `None`: the user gave the old root up.
    pub(in crate::supervise) fn learn_root(&mut self, instance: Option<Instance>) -> Result<(), Error> {
        let host = self.connection.host.name.clone();
        self.append(Kind::Root { host: host.clone(), instance })?;
        self.connection.know(self.handoff().root_of(&host));
        Ok(())
    }

    /// The host shows another root than the journal knows. Open attempts that are missing there end as lost. All of
    /// them are journaled before the new root, so that no later request sends one of them to it.
    pub(in crate::supervise) async fn accept_root(&mut self) -> Result<(), Error> {
        let remote = self.connection.once().await?;
        let seen = remote.instance().await?;
        let host = self.connection.host.name.clone();
        let why = match self.handoff().root_of(&host) {
            Known::Instance(known) if known.id == seen.id => "was restored from an older snapshot",
            _ => "was reinstalled, or another machine answers under its name",
        };
        let before = self.handoff().root_of(&host);
        self.connection.know(Known::Instance(seen.clone()));
        let lost = self.find_lost(&remote, &host).await;
        if lost.is_err() {
            self.connection.know(before);
        }
        for n in lost? {
            self.end_as_lost(n, format!("{host} {why}; it has nothing of attempt {n}"))?;
        }
        self.tell(&Progress::Note { text: format!("{host} {why}") });
        self.learn_root(Some(seen))?;
        self.update_record()
    }

    /// The attempts of a host without a recorded end that are not there as they must be.
    async fn find_lost(&self, remote: &Remote, host: &str) -> Result<Vec<AttemptNo>, Error> {
        let mut lost = Vec::new();
        let open =
            self.handoff().attempts().iter().filter(|(_, attempt)| attempt.host == host && attempt.ended.is_none());
        for (n, attempt) in open {
            let state = remote.state(&self.name, *n).await?;
            if state.is_none_or(|line| attempt.started.is_some() && !line.intent) {
                lost.push(*n);
            }
        }
        Ok(lost)
    }

    /// Ends an attempt that its host no longer has. The host is first asked to stop what may still run of it.
    pub(in crate::supervise) async fn lose(&mut self, remote: &Remote, n: AttemptNo, why: &str) -> Result<(), Error> {
        match remote.cancel(&self.name, n, &CancelReason::Lost, KILL_GRACE).await {
            Ok(_) | Err(RemoteError::Refused { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.end_as_lost(n, format!("{}: {why}", self.connection.host.name))?;
        self.update_record()
    }

    /// The host refused to start an attempt that was started before.
    pub(in crate::supervise) async fn was_begun(&mut self, n: AttemptNo, refusal: &Error) -> Result<(), Error> {
        let remote = self.connection.once().await?;
        // The newest attempt was sent, which may belong to a new grant.
        let n = self.handoff().last_attempt().map_or(n, |(last, _)| last);
        let why = match refusal {
            Error::Remote(RemoteError::Refused { text, .. }) => text.clone(),
            other => other.to_string(),
        };
        self.lose(&remote, n, &why).await
    }

    fn end_as_lost(&mut self, n: AttemptNo, evidence: String) -> Result<(), Error> {
        let verdict = Verdict::new(Class::Lost, evidence.clone());
        let class = Class::Lost.into();
        let outcome = Outcome { class, reason: Reason::Gone, detail: Some(evidence), ..Outcome::default() };
        if self.append(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict: verdict.clone() })? {
            self.tell(&Progress::Ended { attempt: n, verdict, active: 0 });
        }
        Ok(())
    }

    /// The user says that the root of the connection's host will not come back: open attempts there end as lost.
    pub(in crate::supervise) fn give_up_root(&mut self) -> Result<(), Error> {
        let host = self.connection.host.name.clone();
        let open =
            self.handoff().attempts().iter().filter(|(_, attempt)| attempt.host == host && attempt.ended.is_none());
        for n in open.map(|(n, _)| *n).collect::<Vec<_>>() {
            self.end_as_lost(n, format!("{host} has lost its directory"))?;
        }
        self.learn_root(None)
    }

    /// Whether the connection's host answers and has no root directory.
    pub(in crate::supervise) async fn is_rootless(&mut self) -> Result<bool, Error> {
        let n = self.handoff().last_on(&self.connection.host.name).unwrap_or(1);
        let remote = self.connection.once().await?;
        match remote.state(&self.name, n).await {
            Err(RemoteError::Rootless { .. }) => Ok(true),
            _ => Ok(false),
        }
    }
}
