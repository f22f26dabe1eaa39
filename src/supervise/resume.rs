//! `resume`: a handoff at rest gets a new grant, on the same host or another.

use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::profile::SessionMode;
use crate::supervise::attempt::epoch::{made_alone, raise_epoch};
use crate::supervise::attempt::relaunch::{last_work, relaunch};
use crate::supervise::capture::need_work;
use crate::supervise::connection::PATIENCE;
use crate::supervise::contact::reachability::reach;
use crate::supervise::contact::root::{give_up_root, is_rootless};
use crate::supervise::contact::tree::find_tree;
use crate::supervise::custody::fencing::read_to_end;
use crate::supervise::custody::missing::pull_if_possible;
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::AgentChoice;

impl Driver {
    /// Starts the next attempt of a handoff at rest. `message` goes into its prompt; `host` moves the handoff; `agent`
    /// continues it from now on, in a session of its own.
    pub async fn resume(
        &mut self,
        message: Option<String>,
        host: Option<&str>,
        agent: Option<&AgentChoice>,
    ) -> Result<AttemptNo, Error> {
        let agent = self.record.other_agent(agent)?;
        self.settle(PATIENCE).await?;
        let refuse = |handoff: &Handoff, why: String| Err(Error::NotNow { id: handoff.request().id.clone(), why });
        if self.handoff().is_finished() {
            return Err(Error::Finished { id: self.id().clone() });
        }
        if self.handoff().is_taken_over() {
            return Err(Error::TakenOver { id: self.id().clone() });
        }
        // A host that was fenced just now has stopped its attempts, and their work is here. Otherwise it might still
        // start one.
        if let Some(host) =
            host.filter(|host| self.handoff().unfenced_hosts().iter().any(|unfenced_hosts| unfenced_hosts == host))
        {
            return Err(Error::Untold { id: self.id().clone(), host: host.to_owned(), command: "resume" });
        }
        if host.is_none() && self.handoff().is_only_by_hand() {
            return Err(Error::NoHost { id: self.id().clone(), command: "resume" });
        }
        let elsewhere = self.handoff().is_only_by_hand() || host.is_some_and(|host| host != self.handoff().host());
        let active = self.handoff().status().is_active();
        // A host that is named again and has no root directory starts from nothing: the user knows that the directory
        // was deleted.
        let begins_again = host.is_some()
            && !elsewhere
            && is_rootless(&self.record, &mut self.connection).await.or_else(|error| match error {
                error if error.may_retry() => Ok(false),
                error => Err(error),
            })?;
        if begins_again {
            give_up_root(&mut self.record, &mut self.connection)?;
        }
        let out_of_reach = begins_again || active && elsewhere && self.is_out_of_reach().await?;
        if active && !out_of_reach {
            return refuse(self.handoff(), "is still running".to_owned());
        }
        if !active && !begins_again {
            self.finish_last(elsewhere).await?;
            if let Some(n) = made_alone(&mut self.record, &mut self.connection).await? {
                let why = format!("is still running: {} started attempt {n} by itself", self.connection.host.name);
                return refuse(self.handoff(), why);
            }
            if !elsewhere {
                find_tree(&mut self.record, &mut self.connection).await?;
            }
        }
        let handoff = self.handoff();
        // On another host, or one that was asked to delete its copy, nothing is assumed to be there. The work is
        // shipped again.
        let checkout = !handoff.has_tree(host.unwrap_or(handoff.host()), AttemptNo::MAX);
        // The session stays on the host when the user gives the work back, until the host deletes its copy.
        let is_there = !checkout || handoff.has_session(host.unwrap_or(handoff.host()), AttemptNo::MAX);
        let has_session = handoff.session().is_some() || self.record.profile.session == SessionMode::None;
        if checkout && !out_of_reach {
            pull_if_possible(&mut self.record, &mut self.connection).await;
            need_work(self.handoff())?;
        }
        let start = if has_session && is_there && agent.is_none() { Start::Resume } else { Start::Fresh };
        let ship = if checkout { last_work(&self.record)? } else { self.handoff().request().base.clone() };
        let attempts = self.handoff().request().limits.attempts;
        let contact = reach(&self.record, &mut self.connection, host).await?;
        raise_epoch(&mut self.record, &mut self.connection, host).await?;
        if let Some(host) = host {
            self.move_to(host)?;
        }
        if let Some(remote) = contact {
            self.connection.reuse(remote);
        }
        if let Some(agent) = agent {
            self.record.choose_agent(agent)?;
        } else if start == Start::Fresh && self.handoff().session().is_some() {
            let text = format!(
                "the agent's earlier session is not on {}; a new session starts from the resume prompt",
                self.connection.host.name
            );
            self.tell(&Progress::Note { text });
        }
        relaunch(&mut self.record, &mut self.connection, &DispatchSpec { ship, checkout, start, message, attempts })
            .await
    }

    /// Whether the host that has the handoff does not answer, so that the handoff is moved without its confirmation.
    async fn is_out_of_reach(&mut self) -> Result<bool, Error> {
        let (name, n) = (self.record.name.clone(), self.handoff().last_attempt().map_or(1, |(n, _)| n));
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
        match tokio::time::timeout(PATIENCE, read_to_end(&mut self.record, &mut self.connection, n)).await {
            Ok(Err(error)) if !(elsewhere && error.may_retry()) => Err(error),
            _ => Ok(()),
        }
    }
}
