//! The time between two attempts, and an attempt that is missing on its host: wait for it, send it again, or begin a
//! new session.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, Next};
use crate::model::attempts::Attempt;
use crate::model::event::Kind;
use crate::model::profile::SessionMode;
use crate::remote::client::Remote;
use crate::remote::poll::{Alive, StateLine};
use crate::supervise::attempt::step::{LoopAction, TICK};
use crate::supervise::connection::pause;
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, facts};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;

/// Longest time between two requests to a host whose next attempt is not due yet.
const LONGEST_NAP: Duration = Duration::from_secs(10);

/// Longest expected silence of a watcher, in seconds. It reports every 5 s, and less often while it stops and captures
/// an attempt.
const LONGEST_SILENCE: u64 = 60;

impl Driver {
    /// The host continues by itself within its grant: follows its next attempt from now on.
    pub(in crate::supervise) fn take_up(&mut self, n: AttemptNo) -> Result<(), Error> {
        let Some(grant) = self.handoff().grant_of(n).map(|grant| grant.number) else { return Ok(()) };
        let (host, command) = (self.connection.host.name.clone(), self.command(Start::Resume, n)?);
        if self.append(Kind::TakenUp { attempt: n, grant, host: host.clone(), command: command.clone() })? {
            self.tell(&Progress::Dispatched { attempt: n, host, command });
        }
        Ok(())
    }

    /// The host does not know the attempt: it is not due yet, or `ensure` never arrived.
    pub(in crate::supervise) async fn not_there(&mut self, remote: &Remote, n: AttemptNo) -> Result<LoopAction, Error> {
        let before = n.checked_sub(1).filter(|before| self.handoff().attempts().contains_key(before));
        if self.handoff().has_started(n) {
            self.lose(remote, n, "the directory of the attempt is gone").await?;
            return Ok(LoopAction::Again);
        }
        if self.to_cancel(n).is_some() {
            return Ok(if self.call_off(remote, n).await? { LoopAction::Left } else { LoopAction::Again });
        }
        let Some(before) = before else { return self.ensure_again(n).await };
        let state = remote.state(&self.name, before).await?;
        match &state {
            Some(line) => self.is_elsewhere(line)?,
            // The host had the previous attempt under the same grant and may have started this one.
            None if self.grant_number(before) == self.grant_number(n) => {
                self.lose(remote, n, "the directory of the handoff is gone").await?;
                return Ok(LoopAction::Again);
            }
            None => {}
        }
        let watched = state.is_some_and(|line| matches!(line.watch, Alive::Yes | Alive::Unknown) || line.last >= n);
        if watched {
            self.wait_until_due(n).await?;
            return Ok(LoopAction::Again);
        }
        self.ensure_again(n).await
    }

    fn grant_number(&self, n: AttemptNo) -> Option<u32> {
        self.handoff().attempt(n).map(|attempt| attempt.grant)
    }

    /// Waits for half of the time until attempt `n` is due, at most 10 s, or until the user stops or takes over.
    async fn wait_until_due(&mut self, n: AttemptNo) -> Result<(), Error> {
        let left = self.handoff().time_left(n, jiff::Timestamp::now().as_second()).unwrap_or_default();
        let until = tokio::time::Instant::now() + (left / 2).clamp(TICK, LONGEST_NAP);
        while tokio::time::Instant::now() < until && !pause(TICK).await {
            self.ledger.refresh()?;
            if self.to_cancel(n).is_some() {
                break;
            }
        }
        Ok(())
    }

    /// Sends `ensure` for an attempt again: its watcher died, or never existed.
    pub(in crate::supervise) async fn ensure_again(&mut self, n: AttemptNo) -> Result<LoopAction, Error> {
        let handoff = self.handoff();
        let Some(grant) = handoff.attempt(n).and_then(|a| handoff.grants().iter().find(|g| g.number == a.grant)) else {
            return Ok(LoopAction::Left);
        };
        let grant = grant.clone();
        let launch = self.dispatch_spec_of(&grant)?;
        let facts = facts(&self.services.repository, Some(self.handoff().request().base.clone())).await?;
        let prepared = self.prepare(&grant, n, &launch, &facts).await?;
        self.dispatch(&prepared).await?;
        Ok(LoopAction::Again)
    }

    /// An attempt without a result and without a watcher needs a new watcher.
    pub(in crate::supervise) async fn after_quiet_poll(
        &mut self,
        n: AttemptNo,
        state: Option<StateLine>,
    ) -> Result<LoopAction, Error> {
        match state {
            Some(line) if line.is_unwatched() => {
                // The host starts nothing under an old epoch, so waiting is useless.
                if !line.intent && self.handoff().is_outdated(n) {
                    let remote = self.connection.once().await?;
                    return Ok(if self.call_off(&remote, n).await? { LoopAction::Left } else { LoopAction::Again });
                }
                // The new watcher must find the stop request, or it would report another end.
                if let Some(reason) = self.to_cancel(n) {
                    let remote = self.connection.once().await?;
                    remote.cancel(&self.name, n, &reason, KILL_GRACE).await?;
                }
                self.ensure_again(n).await
            }
            _ => Ok(LoopAction::Again),
        }
    }

    /// Reports once that another machine started the attempt. A stop waits as long as that machine shows signs of life.
    pub(in crate::supervise) fn is_elsewhere(&mut self, line: &StateLine) -> Result<(), Error> {
        if line.watch != Alive::Unknown || line.result {
            return Ok(());
        }
        let (attempt, host) = (line.attempt, self.connection.host.name.clone());
        if line.cancel && line.beat.is_none_or(|beat| beat > LONGEST_SILENCE) {
            return Err(Error::Elsewhere { id: self.id().clone(), host, attempt, beat: line.beat });
        }
        if self.elsewhere.replace(attempt) != Some(attempt) {
            let id = self.id();
            let text = format!(
                "another machine that shares the directory of {host} began attempt {attempt}: whether it lives is seen \
                 only there, and nothing is started here. What it writes is followed; where it is gone for good, \
                 `handoff takeover {id}` goes on without it"
            );
            self.tell(&Progress::Note { text });
        }
        Ok(())
    }

    /// Seconds until the attempt after this one is due.
    fn due_in(&self, before: AttemptNo) -> u64 {
        let due = self.handoff().attempt(before).and_then(Attempt::next_due).unwrap_or(0);
        u64::try_from(due - jiff::Timestamp::now().as_second()).unwrap_or(0)
    }

    /// Starts the attempt after `n` under a new grant when it is due: the old grant has no further number, or its host
    /// lost what it had. In that case the work is shipped again.
    pub(in crate::supervise) async fn new_grant(&mut self, n: AttemptNo) -> Result<LoopAction, Error> {
        while self.due_in(n) > 0 {
            if pause(TICK).await {
                self.connection.drop_connection();
            }
            self.ledger.refresh()?;
            if !self.handoff().status().is_active() {
                return Ok(LoopAction::Again);
            }
        }
        let checkout = !self.handoff().has_tree(&self.connection.host.name, AttemptNo::MAX);
        let has_session = self.handoff().session().is_some() || self.profile.session == SessionMode::None;
        let start = if checkout || !has_session { Start::Fresh } else { Start::Resume };
        self.relaunch_within(checkout, start).await
    }

    pub(in crate::supervise) async fn new_session(&mut self, n: AttemptNo, delay: u64) -> Result<LoopAction, Error> {
        let remote = self.connection.once().await?;
        self.decided(&remote, n, Next::Park { why: "a new session follows".into() }).await?;
        self.begin_grant(n, delay, Start::Fresh).await
    }

    /// Continues after attempt `n` under a new epoch and a new grant, so that nothing of the old grant can interfere.
    pub(in crate::supervise) async fn begin_grant(
        &mut self,
        n: AttemptNo,
        delay: u64,
        start: Start,
    ) -> Result<LoopAction, Error> {
        self.tell(&Progress::BackingOff { attempt: n + 1, delay: Duration::from_secs(delay) });
        let until = tokio::time::Instant::now() + Duration::from_secs(delay);
        while tokio::time::Instant::now() < until && !pause(TICK).await {
            self.ledger.refresh()?;
            if self.handoff().is_stop_requested() || self.handoff().is_taken_over() {
                return Ok(LoopAction::Left);
            }
        }
        self.relaunch_within(false, start).await
    }

    /// A new grant for the attempts that the user's last grant still allows, and no more.
    async fn relaunch_within(&mut self, checkout: bool, start: Start) -> Result<LoopAction, Error> {
        let attempts = self.handoff().left();
        if attempts == 0 {
            return Ok(LoopAction::Left);
        }
        self.raise_epoch(None).await?;
        let ship = if checkout { self.last_work()? } else { self.handoff().request().base.clone() };
        let attempt = self.relaunch(&DispatchSpec { ship, checkout, start, message: None, attempts }).await?;
        Ok(LoopAction::Attempt(attempt))
    }
}
