//! What follows from the state of a handoff: its lineage, its hosts, and what may come next.

use jiff::Timestamp;

use super::Handoff;
use crate::model::adopted::RunByHand;
use crate::model::attempt::{AttemptNo, Epoch, Grant, Next};
use crate::model::attempts::{Attempt, last_on};
use crate::model::event::{Finish, Given, Kind, Owner};
use crate::model::phase::Phase;
use crate::model::release::Release;
use crate::model::root::Known;
use crate::model::snapshot::{Extra, Oid};
use crate::model::status::Status;
use crate::model::verdict::Class;

impl Handoff {
    /// The number of the last change of owner, from 1.
    pub fn epoch(&self) -> Epoch {
        self.ownership.epoch()
    }

    pub fn owner(&self) -> &Owner {
        self.ownership.owner()
    }

    /// Whether the laptop is the owner.
    pub fn is_taken_over(&self) -> bool {
        *self.owner() == Owner::Laptop
    }

    /// When the user ended the handoff for good, and how.
    pub fn finished(&self) -> Option<(Timestamp, &Finish)> {
        self.finished_at.zip(self.finished.as_ref())
    }

    /// Whether the user ended the handoff for good.
    pub fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// Whether an event would let the work go on, or change hands.
    pub(super) fn would_continue(&self, kind: &Kind) -> bool {
        match kind {
            Kind::Granted { .. }
            | Kind::Given(_)
            | Kind::AgentChosen { .. }
            | Kind::Worktree { .. }
            | Kind::Here { .. }
            | Kind::StopRequested => true,
            Kind::Owner { epoch, .. } => *epoch > self.epoch(),
            _ => false,
        }
    }

    /// Every grant, in order.
    pub fn grants(&self) -> &[Grant] {
        self.ownership.grants()
    }

    /// The grant that allows an attempt. If two grants have its number, the earlier one returned it.
    pub fn grant_of(&self, n: AttemptNo) -> Option<&Grant> {
        self.ownership.grant_of(n, self.attempt(n).map(|attempt| attempt.grant))
    }

    /// Whether the attempt's grant is of a past epoch, so that it may not continue.
    pub fn is_outdated(&self, n: AttemptNo) -> bool {
        self.grant_of(n).is_some_and(|grant| grant.epoch < self.epoch())
    }

    /// The hosts that may continue under a past epoch, because they have not confirmed a higher one.
    pub fn unfenced_hosts(&self) -> Vec<String> {
        self.ownership.unfenced_hosts(&self.attempts)
    }

    /// The lowest attempt number for a new grant. A number is never granted twice; unused ones are available again only
    /// when their host has confirmed a higher epoch.
    pub fn next_grant_first(&self) -> AttemptNo {
        self.ownership.next_first(&self.attempts)
    }

    /// Whether the last host has nothing left to do, so that a takeover needs no answer of it: it deleted its copy, or the
    /// `next` of its last attempt is an end there, which no later writer can change. After a move that the host did not
    /// confirm, that end was decided here and may be unknown to it.
    pub fn is_over(&self) -> bool {
        if self.release_of(self.host()).is_some_and(|release| release.confirmed) {
            return true;
        }
        let Some((n, _)) = self.last_attempt() else { return false };
        // The takeover itself has raised the epoch once.
        let is_decided_there = self.grant_of(n).is_some_and(|grant| grant.epoch + 1 >= self.epoch());
        is_decided_there && matches!(self.phase(n), Some(Phase::Judged(Next::End | Next::Park { .. })))
    }

    /// The attempts that the work is based on, in order: all except superseded ones.
    pub fn lineage(&self) -> impl DoubleEndedIterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| !attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }

    /// The attempts that a host made, or may still make, after the handoff moved on without them.
    pub fn superseded(&self) -> impl Iterator<Item = (AttemptNo, &Attempt)> {
        self.attempts.iter().filter(|(_, attempt)| attempt.superseded).map(|(n, attempt)| (*n, attempt))
    }

    /// The attempt with the highest number that was not superseded.
    pub fn last_attempt(&self) -> Option<(AttemptNo, &Attempt)> {
        self.lineage().next_back()
    }

    /// The host that runs the handoff or ran it last. The one of the request if none did.
    pub fn host(&self) -> &str {
        match (self.last_attempt(), self.grants().last()) {
            (Some((_, attempt)), _) if !attempt.by_hand => &attempt.host,
            (_, Some(grant)) => &grant.host,
            (_, None) => &self.request.host,
        }
    }

    /// Whether the handoff was run by hand, and no host has ever had it.
    pub fn is_only_by_hand(&self) -> bool {
        self.adopted.is_some() && self.grants().is_empty()
    }

    /// What is known of attempt `n` if it was run by hand.
    pub fn run_by_hand(&self, n: AttemptNo) -> Option<&RunByHand> {
        self.adopted.as_ref()?.attempts.iter().find(|run| run.attempt == n)
    }

    /// Whether no known CLI wrote the log of attempt `n`.
    pub fn is_unrecognised(&self, n: AttemptNo) -> bool {
        self.run_by_hand(n).is_some_and(|run| run.agent.is_none())
    }

    /// The agent that runs attempt `n`.
    pub fn agent_of(&self, n: AttemptNo) -> &str {
        if let Some(agent) = self.run_by_hand(n).and_then(|run| run.agent.as_deref()) {
            return agent;
        }
        self.agents.range(..=n).next_back().map_or(&self.request.agent, |(_, chosen)| &chosen.agent)
    }

    /// The model of attempt `n`, if the user named one for its agent.
    pub fn model_of(&self, n: AttemptNo) -> Option<&str> {
        match self.agents.range(..=n).next_back() {
            Some((_, chosen)) => chosen.model.as_deref(),
            None => self.request.model.as_deref(),
        }
    }

    /// The agent of the next attempt.
    pub fn agent(&self) -> &str {
        self.agent_of(AttemptNo::MAX)
    }

    /// The agents in order, each with the first attempt that it runs and its model.
    pub fn agents(&self) -> impl Iterator<Item = (AttemptNo, &str, Option<&str>)> {
        let later = self.agents.iter().map(|(n, chosen)| (*n, chosen.agent.as_str(), chosen.model.as_deref()));
        std::iter::once((1, self.request.agent.as_str(), self.request.model.as_deref())).chain(later)
    }

    /// Whether the user chose another agent after attempt `n`, for an attempt up to `last`.
    pub fn changes_agent(&self, n: AttemptNo, last: AttemptNo) -> bool {
        n < last && self.agents.range(n + 1..=last).next().is_some()
    }

    /// Classes of the ended attempts that were not superseded, in order.
    pub fn history(&self) -> Vec<Class> {
        self.lineage().filter_map(|(_, attempt)| attempt.verdict.as_ref()).map(|v| v.class).collect()
    }

    /// The same without those that were run by hand, from which nothing follows on a host.
    pub fn history_on_hosts(&self) -> Vec<Class> {
        let on_hosts = self.lineage().filter(|(_, attempt)| !attempt.by_hand);
        on_hosts.filter_map(|(_, attempt)| attempt.verdict.as_ref()).map(|verdict| verdict.class).collect()
    }

    /// How many more attempts the newest grant allows. An attempt that only met a usage limit does not count, so this
    /// may be more than the grant has numbers for.
    pub fn left(&self) -> u32 {
        let Some(grant) = self.grants().last() else { return self.request.limits.attempts };
        let is_charged =
            |attempt: &Attempt| attempt.verdict.as_ref().is_none_or(|verdict| verdict.class != Class::Limited);
        let used = self.lineage().filter(|(_, attempt)| attempt.grant == grant.number && is_charged(attempt)).count();
        (grant.last - grant.first + 1).saturating_sub(u32::try_from(used).unwrap_or(u32::MAX))
    }

    /// Whether the attempt after `n` needs a new grant: the grant has no further number, or its host lost what it had.
    pub fn needs_grant(&self, n: AttemptNo) -> bool {
        self.is_gone(n) || self.grant_of(n).is_none_or(|grant| n >= grant.last)
    }

    /// Whether the host may start an attempt after `n` by itself: its grant has another number, and nothing that was decided
    /// ends it.
    pub fn may_follow(&self, n: AttemptNo) -> bool {
        let next = self.attempt(n).and_then(|attempt| attempt.next.as_ref());
        !matches!(next, Some(Next::End | Next::Park { .. })) && !self.needs_grant(n)
    }

    /// Whether the attempt ended because its host no longer had it.
    pub fn is_gone(&self, n: AttemptNo) -> bool {
        self.attempt(n).is_some_and(Attempt::is_gone)
    }

    /// The hosts that have had attempts, in the order of their first.
    pub fn hosts(&self) -> Vec<&str> {
        let mut hosts: Vec<&str> = Vec::new();
        for attempt in self.attempts.values().filter(|attempt| !attempt.by_hand) {
            if !hosts.contains(&attempt.host.as_str()) {
                hosts.push(&attempt.host);
            }
        }
        hosts
    }

    /// The last attempt that was sent to a host.
    pub fn last_on(&self, host: &str) -> Option<AttemptNo> {
        last_on(&self.attempts, host)
    }

    /// The release of everything that a host had; `None` if it may still have something.
    pub fn release_of(&self, host: &str) -> Option<&Release> {
        self.releases.last_of(host).filter(|release| self.last_on(host).is_none_or(|last| last <= release.last))
    }

    /// Whether every host that had something has confirmed its release.
    pub fn is_released(&self) -> bool {
        let hosts = self.hosts();
        let is_gone = |host: &&str| self.release_of(host).is_some_and(|release| release.confirmed);
        !hosts.is_empty() && hosts.iter().all(is_gone)
    }

    /// Whether a host has the newest work in a tree of this handoff, as far as the attempts before `n` show.
    pub fn has_tree(&self, host: &str, n: AttemptNo) -> bool {
        self.has_run_since(self.given.range(..n).next_back().map_or(0, |(last, _)| *last), host, n)
    }

    /// Whether a host may have the session of the attempts before `n`. It is there although the user changed the work.
    pub fn has_session(&self, host: &str, n: AttemptNo) -> bool {
        self.session().is_some() && self.has_run_since(0, host, n)
    }

    /// Whether an agent ran and its work was not captured, as far as the journal tells: its watcher died, or the disk was
    /// full.
    pub fn lacks_capture(&self, n: AttemptNo) -> bool {
        self.attempt(n).is_some_and(|attempt| {
            let captured = attempt.outcome.as_ref().is_none_or(|outcome| outcome.capture.is_some());
            attempt.started.is_some()
                && !self.is_gone(n)
                && !captured
                && attempt.fetched.is_none()
                && self.last_on(&attempt.host) == Some(n)
                && self.release_of(&attempt.host).is_none()
        })
    }

    /// The newest capture that a host made and still has, as far as is known here.
    pub fn capture_on(&self, host: &str) -> Option<&Oid> {
        let here = self.attempts.range(self.gone_before(host) + 1..).rev().filter(|(_, attempt)| attempt.host == host);
        here.map(|(_, attempt)| attempt.fetched.as_ref()).find(Option::is_some).flatten()
    }

    /// The last attempt of which a host has nothing: it was asked to delete it, or its root was replaced after it.
    fn gone_before(&self, host: &str) -> AttemptNo {
        let released = self.releases.last_of(host).map_or(0, |release| release.last);
        released.max(self.roots.replaced_after(host))
    }

    /// Whether the newest attempts after `since` and before `n` ran on a host that still has what they left.
    fn has_run_since(&self, since: AttemptNo, host: &str, n: AttemptNo) -> bool {
        let gone = since.max(self.gone_before(host)).max(self.releases.taken_after(host));
        let before = self.attempts.range(gone + 1..n.max(gone + 1)).rev();
        // What a superseded attempt left there is not what the handoff continues.
        let is_left = |attempt: &Attempt| attempt.is_gone() || attempt.superseded && attempt.started.is_some();
        let mut here = before.take_while(|(_, attempt)| attempt.host == host && !is_left(attempt));
        here.any(|(_, attempt)| attempt.started.is_some())
    }

    /// The newest attempt that was not superseded, if its work was refused here.
    pub fn refused_work(&self) -> Option<(AttemptNo, &Attempt)> {
        self.lineage().rev().find(|(_, a)| a.is_refused() || a.fetched.is_some()).filter(|(_, a)| a.is_refused())
    }

    /// The attempts of which hosts keep refs that were refused here.
    pub fn refused(&self) -> impl Iterator<Item = (AttemptNo, &Attempt)> {
        let kept = |attempt: &Attempt| {
            !attempt.refused.is_empty() && !self.release_of(&attempt.host).is_some_and(|release| release.confirmed)
        };
        self.attempts().iter().filter(move |(_, attempt)| kept(attempt)).map(|(n, attempt)| (*n, attempt))
    }

    /// What the user gave back after the last fetched attempt before `n`: it is newer than every capture.
    pub fn given_before(&self, n: AttemptNo) -> Option<&Given> {
        let fetched = self.lineage().rev().find(|(number, attempt)| *number < n && attempt.fetched.is_some());
        let (last, given) = self.given.range(..n).next_back()?;
        fetched.is_none_or(|(number, _)| number <= *last).then_some(given)
    }

    /// The newest work before attempt `n`: what the user gave back, the last capture, or the base.
    pub fn work_before(&self, n: AttemptNo) -> &Oid {
        if let Some(given) = self.given_before(n) {
            return &given.work.commit;
        }
        let mut earlier = self.lineage().rev().filter(|(number, _)| *number < n);
        earlier.find_map(|(_, attempt)| attempt.fetched.as_ref()).unwrap_or(&self.request.base.commit)
    }

    /// The ignored files that go with the work before attempt `n`: those that the user gave back last, else those that
    /// were sent with the task.
    pub fn extra_before(&self, n: AttemptNo) -> Option<&Extra> {
        let given = self.given.range(..n).rev().find_map(|(_, given)| given.work.extra.as_ref());
        given.or(self.request.base.extra.as_ref())
    }

    /// Whether the work was given back and no attempt continues it yet: the command that did it was interrupted.
    pub fn is_give_unfinished(&self) -> bool {
        self.give_unfinished && !self.is_taken_over()
    }

    /// The number of the present or next takeover, from 1. Each one after a `give` has a worktree of its own.
    pub fn round(&self) -> usize {
        let newest = self.attempts.keys().next_back();
        1 + self.given.keys().filter(|last| newest.is_some_and(|newest| newest > *last)).count()
    }

    /// Whether another handoff may have the tree on a host: everything is over there, and all of its work is here. A
    /// handoff that failed or waits for the user keeps its tree, because it will probably be resumed in it.
    pub fn leaves_tree(&self, host: &str) -> bool {
        let status = self.status();
        let is_over = !status.is_active() && !matches!(status, Status::Parked | Status::Failed);
        let follows = self.last_attempt().is_none_or(|(n, _)| self.may_follow(n));
        let is_here = |attempt: &Attempt| attempt.is_collected() && attempt.refused.is_empty();
        is_over
            && !follows
            && !self.is_read_only()
            && self.has_tree(host, AttemptNo::MAX)
            && self.unfenced_hosts().is_empty()
            && self.attempts.values().all(is_here)
    }

    /// What is known of a host's root.
    pub fn root_of(&self, host: &str) -> Known {
        if let Some(instance) = self.roots.instance(host) {
            return Known::Instance(instance.clone());
        }
        let mut later = self.attempts.range(self.roots.replaced_after(host) + 1..);
        let is_used = later.any(|(_, attempt)| attempt.host == host && attempt.started.is_some());
        if is_used { Known::Used } else { Known::Nothing }
    }

    /// The attempts that were sent to a root which the host no longer shows.
    pub fn sent_before(&self, host: &str) -> Vec<AttemptNo> {
        let replaced = self.roots.replaced_after(host);
        self.attempts.iter().filter(|(n, attempt)| **n <= replaced && attempt.host == host).map(|(n, _)| *n).collect()
    }

    /// The attempts whose processes may still run on a host that no longer has their directories.
    pub fn strays(&self, host: &str) -> Vec<AttemptNo> {
        let there = self.attempts.iter().filter(|(_, attempt)| attempt.host == host);
        let stray = there.filter(|(_, attempt)| attempt.is_gone() || attempt.ended.is_none() && attempt.superseded);
        stray.map(|(n, _)| *n).collect()
    }
}
