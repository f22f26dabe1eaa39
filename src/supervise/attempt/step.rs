//! One step of an attempt: a poll, what it brings, and what follows an end.

use std::time::Duration;

use crate::model::attempt::{AttemptNo, CancelReason, Next, Outcome, Writer};
use crate::model::event::{Kind, Owner};
use crate::model::phase::{Phase, Remainder};
use crate::model::policy::{Decision, decide};
use crate::model::verdict::{Class, Verdict};
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::poll::{Alive, LONGEST_WAIT, Message};
use crate::remote::refusal::RefusalClass;
use crate::supervise::attempt::decide::{FollowUp, follow_up, in_words, overrules};
use crate::supervise::contact::KILL_GRACE;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::logs::Piece;
use crate::supervise::progress::Progress;
use crate::transport::TransportError;

/// How often the journal and the clocks are read.
pub(in crate::supervise) const TICK: Duration = Duration::from_millis(500);
/// Longest wait of a poll, in milliseconds, if the server allows only one session at a time.
const SINGLE_WAIT: u64 = 1_000;

/// How far to follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// The agent's start is confirmed, or it will never start.
    Started,
    /// Nothing more happens until the user acts.
    Rest,
}

/// What the loop does next.
pub(in crate::supervise) enum LoopAction {
    Again,
    /// Follow the attempt with this number.
    Attempt(AttemptNo),
    /// The session is over. After `delay` seconds the next attempt begins a new one, under a new grant.
    NewSession {
        delay: u64,
    },
    /// The host alone ended or parked what may continue. A new grant continues it after `delay` seconds.
    Overrule {
        delay: u64,
    },
    /// The attempt after this one needs a new grant.
    NewGrant(AttemptNo),
    Left,
}

impl Driver {
    /// Whether following attempt `n` is over.
    pub(in crate::supervise) fn arrived(&self, n: AttemptNo, until: Until) -> bool {
        let handoff = self.handoff();
        let Some(phase) = handoff.phase(n) else { return false };
        if until == Until::Started && (handoff.has_started(n) || !phase.is_open()) {
            return true;
        }
        match phase {
            Phase::Granted | Phase::Waiting { .. } | Phase::Running | Phase::Ended(_) => false,
            // After a takeover the attempt is read to its end, and no further.
            Phase::Collected(_) | Phase::Judged(_) => handoff.is_taken_over() || !handoff.status().is_active(),
            Phase::Superseded(remainder) => remainder == Remainder::Nothing,
        }
    }

    /// One step of attempt `n`, by its phase. It may be dropped at any point: each part of it is journaled when it is done,
    /// and a later step continues there.
    pub(in crate::supervise) async fn step(&mut self, n: AttemptNo, until: Until) -> Result<LoopAction, Error> {
        let remote = self.connection.once().await?;
        let handoff = self.handoff();
        let is_last = handoff.last_attempt().is_some_and(|(last, _)| last == n);
        let outcome = || handoff.attempt(n)?.outcome.clone();
        let ended = match handoff.phase(n) {
            None | Some(Phase::Granted | Phase::Waiting { .. } | Phase::Running) => None,
            Some(Phase::Superseded(Remainder::End)) => None,
            Some(Phase::Superseded(Remainder::Capture | Remainder::Nothing)) => outcome(),
            // The capture is missing, or what follows was not decided.
            Some(Phase::Ended(outcome) | Phase::Collected(outcome)) => Some(outcome.clone()),
            // An earlier process ended before it recorded the next attempt, or made the grant for it.
            Some(Phase::Judged(Next::Resume { .. } | Next::ResumeWithCheck { .. } | Next::WaitUntil { .. })) => {
                outcome().filter(|_| is_last)
            }
            Some(Phase::Judged(Next::End | Next::Park { .. })) => None,
        };
        match ended {
            Some(outcome) => self.after(&remote, n, outcome).await,
            None => self.poll(&remote, n, until).await,
        }
    }

    /// Polls attempt `n` until its host has something to act on, or until the poll ends by itself.
    async fn poll(&mut self, remote: &Remote, n: AttemptNo, until: Until) -> Result<LoopAction, Error> {
        let wants = self.logs.wants(&self.name, n)?;
        let longest = if remote.is_single() { SINGLE_WAIT } else { self.longest_wait };
        let mut poll = remote.poll(&wants, longest).await?;
        let asked = tokio::time::Instant::now();
        self.reachable()?;
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut cancelled = false;
        let mut state = None;
        loop {
            let message = tokio::select! {
                message = poll.next() => message.inspect_err(|error| self.shorten(error, asked.elapsed()))?,
                _ = tick.tick() => {
                    self.ledger.refresh()?;
                    if !cancelled && let Some(reason) = self.to_cancel(n) {
                        let line = match remote.cancel(&self.name, n, &reason, KILL_GRACE).await {
                            // The attempt is not due yet, and the poll was about to report that.
                            Err(error) if error.is_refused(&RefusalClass::Unknown) => {
                                return self.not_there(remote, n).await;
                            }
                            line => line?,
                        };
                        cancelled = true;
                        self.is_elsewhere(&line)?;
                        // Without a watcher nothing wakes this poll.
                        if line.is_unwatched() {
                            return self.after_quiet_poll(n, Some(line)).await;
                        }
                    }
                    self.mirror_logs()?;
                    if self.arrived(n, until) { return Ok(LoopAction::Left) } else { continue }
                }
            };
            match message {
                None => break,
                Some(Message::State(line)) if line.attempt == n => {
                    if self.handoff().has_started(n) && !line.intent {
                        let why = "the host shows the attempt as it was before its start (restored from a backup?)";
                        self.lose(remote, n, why).await?;
                        return Ok(LoopAction::Again);
                    }
                    self.on_state(&line)?;
                    self.is_elsewhere(&line)?;
                    if until == Until::Started && line.intent {
                        return Ok(LoopAction::Left);
                    }
                    if self.is_half_sent(&line) {
                        return self.ensure_again(n).await;
                    }
                    // A watcher that is dead or stopped wakes no poll.
                    if line.is_unwatched() && line.watch != Alive::Never {
                        return self.after_quiet_poll(n, Some(line)).await;
                    }
                    state = Some(line);
                }
                Some(Message::Bytes { attempt, stream, inode, offset, bytes }) if attempt == n => {
                    self.on_bytes(&Piece { attempt, stream, inode, offset, bytes })?;
                }
                Some(Message::Result { attempt, outcome }) if attempt == n => {
                    self.on_result(attempt, &outcome)?;
                    return self.after(remote, attempt, *outcome).await;
                }
                Some(Message::Error { attempt, class, .. }) if attempt == n && class == RefusalClass::Unknown => {
                    return self.not_there(remote, n).await;
                }
                Some(_) => {}
            }
        }
        self.after_quiet_poll(n, state).await
    }

    /// The server closed an idle channel. From now on polls end by themselves before that.
    fn shorten(&mut self, error: &RemoteError, asked: Duration) {
        if matches!(error, RemoteError::Transport(TransportError::Closed { .. })) {
            let half = u64::try_from(asked.as_millis() / 2).unwrap_or(LONGEST_WAIT);
            self.longest_wait = half.clamp(SINGLE_WAIT, LONGEST_WAIT);
        }
    }

    /// After an end: fetches the capture and decides what follows.
    async fn after(&mut self, remote: &Remote, n: AttemptNo, outcome: Outcome) -> Result<LoopAction, Error> {
        self.fetch(remote, n, &outcome).await?;
        self.update_record()?;
        let superseded = matches!(self.handoff().phase(n), Some(Phase::Superseded(_)));
        if self.handoff().is_taken_over() || superseded {
            return Ok(LoopAction::Left);
        }
        let attempt = self.handoff().attempt(n);
        let Some(verdict) = attempt.and_then(|a| a.verdict.clone()) else { return Ok(LoopAction::Again) };
        let next = match attempt.and_then(|a| a.next.clone()) {
            Some(next) => next,
            None if self.handoff().is_outdated(n) => self.left_off(n, &verdict)?,
            None => {
                let now = jiff::Timestamp::now().as_second();
                if verdict.class == Class::Auth {
                    self.profile.login = self.login_line(remote).await;
                }
                match follow_up(self.handoff(), n, &verdict, &self.profile, self.delay(n), now) {
                    FollowUp::Next(next) => {
                        let stands = self.decided(remote, n, next.clone()).await?;
                        if overrules(&stands, &next) {
                            return Ok(LoopAction::Overrule { delay: wait_of(&next, now) });
                        }
                        stands
                    }
                    FollowUp::NewSession { delay } => return Ok(LoopAction::NewSession { delay }),
                }
            }
        };
        self.update_record()?;
        self.go_on(n, next)
    }

    /// Writes what follows to the host. The decision that the host then has counts.
    pub(in crate::supervise) async fn decided(
        &mut self,
        remote: &Remote,
        n: AttemptNo,
        next: Next,
    ) -> Result<Next, Error> {
        if self.handoff().is_gone(n) {
            self.append(Kind::Decided { attempt: n, next: next.clone(), by: Writer::Laptop })?;
            return Ok(next);
        }
        let link = remote.set_next(&self.name, n, &next).await?;
        let (by, stands) = Next::from_link(&link).unwrap_or((Writer::Laptop, next.clone()));
        // A process of ours that was killed before it recorded its decision may have made another one.
        let is_ours = by == Writer::Laptop && std::mem::discriminant(&stands) == std::mem::discriminant(&next);
        let stands = if is_ours { next } else { in_words(stands, next, self.handoff(), n, &self.profile) };
        self.append(Kind::Decided { attempt: n, next: stands.clone(), by })?;
        Ok(stands)
    }

    /// Nothing follows an attempt whose grant is of an old epoch: a move was begun and not finished.
    fn left_off(&mut self, n: AttemptNo, verdict: &Verdict) -> Result<Next, Error> {
        let next = match decide(verdict.class, &[]) {
            Decision::End => Next::End,
            _ => Next::Park {
                why: format!(
                    "the handoff was about to move to another host; `handoff resume {}` continues it",
                    self.id()
                ),
            },
        };
        self.append(Kind::Decided { attempt: n, next: next.clone(), by: Writer::Laptop })?;
        Ok(next)
    }

    fn go_on(&mut self, n: AttemptNo, next: Next) -> Result<LoopAction, Error> {
        let attempt = n + 1;
        match next {
            Next::End => return Ok(LoopAction::Left),
            Next::Park { why } => {
                self.tell(&Progress::Parked { attempt: n, why });
                return Ok(LoopAction::Left);
            }
            Next::Resume { delay } | Next::ResumeWithCheck { delay } => {
                self.tell(&Progress::BackingOff { attempt, delay: Duration::from_secs(delay) });
            }
            Next::WaitUntil { at } => self.tell(&Progress::WaitingUntil { attempt, at }),
        }
        if self.handoff().needs_grant(n) {
            return Ok(LoopAction::NewGrant(n));
        }
        self.take_up(attempt)?;
        Ok(LoopAction::Attempt(attempt))
    }

    /// Why the host must stop attempt `n`, if it must.
    pub(in crate::supervise) fn to_cancel(&self, n: AttemptNo) -> Option<CancelReason> {
        let handoff = self.handoff();
        if !handoff.phase(n)?.is_open() {
            return None;
        }
        match handoff.owner() {
            Owner::Laptop => Some(CancelReason::Takeover),
            Owner::Host(_) if handoff.is_stop_requested() => Some(CancelReason::Stop),
            // The handoff was moved, and nothing waits for what the host has begun.
            Owner::Host(_) if handoff.is_outdated(n) => Some(CancelReason::Moved),
            Owner::Host(_) => None,
        }
    }

    fn delay(&self, n: AttemptNo) -> u64 {
        let first = Duration::from_secs(self.handoff().request().limits.backoff);
        let delays = crate::supervise::connection::backoff::attempt_delays(first, n as usize, u64::from(n));
        delays.last().copied().unwrap_or(first.as_secs())
    }
}

/// Seconds until the next attempt is due.
fn wait_of(next: &Next, now: i64) -> u64 {
    match next {
        Next::Resume { delay } | Next::ResumeWithCheck { delay } => *delay,
        Next::WaitUntil { at } => u64::try_from(at - now).unwrap_or(0),
        Next::End | Next::Park { .. } => 0,
    }
}
