//! `resume`: a handoff at rest gets a new grant, on the same host or another.

use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::profile::SessionMode;
use crate::remote::client::Remote;
use crate::supervise::connection::HostConnection;
use crate::supervise::connection::PATIENCE;
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::transport::{TransportError, UnreachableKind};

impl Driver {
    /// Starts the next attempt of a handoff at rest. `message` goes into its prompt; `host` moves the handoff.
    pub async fn resume(&mut self, message: Option<String>, host: Option<&str>) -> Result<AttemptNo, Error> {
        self.settle(PATIENCE).await?;
        let refuse = |handoff: &Handoff, why: String| Err(Error::NotNow { id: handoff.request().id.clone(), why });
        if self.handoff().is_taken_over() {
            return refuse(self.handoff(), "was taken over; continue in its worktree".to_owned());
        }
        // A host that was fenced just now has stopped its attempts, and their work is here. Otherwise it might still
        // start one.
        if let Some(host) =
            host.filter(|host| self.handoff().unfenced_hosts().iter().any(|unfenced_hosts| unfenced_hosts == host))
        {
            return Err(Error::Untold { id: self.id().clone(), host: host.to_owned() });
        }
        let elsewhere = host.is_some_and(|host| host != self.handoff().host());
        let active = self.handoff().status().is_active();
        // A host that is named again and has no root directory starts from nothing: the user knows that the directory
        // was deleted.
        let begins_again = host.is_some()
            && !elsewhere
            && self.is_rootless().await.or_else(|error| match error {
                error if error.may_retry() => Ok(false),
                error => Err(error),
            })?;
        if begins_again {
            self.give_up_root()?;
        }
        let out_of_reach = begins_again || active && elsewhere && self.is_out_of_reach().await?;
        if active && !out_of_reach {
            return refuse(self.handoff(), "is still running".to_owned());
        }
        if !active && !begins_again {
            self.finish_last(elsewhere).await?;
            if let Some(n) = self.made_alone().await? {
                let why = format!("is still running: {} started attempt {n} by itself", self.connection.host.name);
                return refuse(self.handoff(), why);
            }
        }
        let handoff = self.handoff();
        // On another host, or one that was asked to delete its copy, nothing is assumed to be there. The work is
        // shipped again.
        let checkout = !handoff.has_tree(host.unwrap_or(handoff.host()), AttemptNo::MAX);
        let has_session = handoff.session().is_some() || self.profile.session == SessionMode::None;
        if checkout && !out_of_reach {
            self.pull_if_possible().await;
            self.need_work()?;
        }
        let start = if checkout || !has_session { Start::Fresh } else { Start::Resume };
        let ship = if checkout { self.last_work()? } else { self.handoff().request().base.clone() };
        let attempts = self.handoff().request().limits.attempts;
        let contact = self.first_contact(host).await?;
        self.raise_epoch(host).await?;
        if let Some(host) = host {
            self.move_to(host)?;
        }
        if let Some(remote) = contact {
            self.connection.reuse(remote);
        }
        if start == Start::Fresh && self.handoff().session().is_some() {
            let text = format!(
                "the agent's earlier session is not on {}; a new session starts from the resume prompt",
                self.connection.host.name
            );
            self.tell(&Progress::Note { text });
        }
        self.relaunch(&DispatchSpec { ship, checkout, start, message, attempts }).await
    }

    /// Connects to the host that is to get the work before anything is recorded, so that a mistyped name, a refused
    /// login or a changed key changes nothing.
    async fn first_contact(&mut self, host: Option<&str>) -> Result<Option<Remote>, Error> {
        match host.filter(|host| *host != self.connection.host.name) {
            Some(host) => {
                let services = &self.services;
                let (connect, prompter) = (services.connect.clone(), services.prompter.clone());
                let mut connection =
                    HostConnection::new(services.host(host)?, connect, prompter, services.reporter.clone());
                Ok(Some(connection.patiently().await?))
            }
            // The handoff's own host was reached before and is worth waiting for, unless its name no longer resolves.
            None => match tokio::time::timeout(PATIENCE, self.connection.once()).await {
                Ok(Err(error @ TransportError::Unreachable { kind: UnreachableKind::Nameless, .. })) => {
                    Err(error.into())
                }
                _ => Ok(None),
            },
        }
    }

    /// Whether the host that has the handoff does not answer, so that the handoff is moved without its confirmation.
    async fn is_out_of_reach(&mut self) -> Result<bool, Error> {
        let (name, n) = (self.name.clone(), self.handoff().last_attempt().map_or(1, |(n, _)| n));
        let connection = &mut self.connection;
        let ask = async {
            let remote = connection.once().await?;
            Ok::<_, Error>(remote.state(&name, n).await?)
        };
        let answer = tokio::time::timeout(PATIENCE, ask).await;
        match answer {
            Ok(Ok(_)) => Ok(false),
            Ok(Err(error)) if !error.may_retry() => Err(error),
            _ => {
                self.connection.drop_connection();
                Ok(true)
            }
        }
    }

    /// Fetches what the last attempt left if an earlier process ended before it could. A move continues without it if
    /// the host is out of reach.
    async fn finish_last(&mut self, elsewhere: bool) -> Result<(), Error> {
        let Some((n, _)) = self.handoff().last_attempt().filter(|(_, attempt)| !attempt.is_collected()) else {
            return Ok(());
        };
        match tokio::time::timeout(PATIENCE, self.read_to_end(n)).await {
            Ok(Err(error)) if !(elsewhere && error.may_retry()) => Err(error),
            _ => Ok(()),
        }
    }
}
