//! `give`: the user's worktree goes back to a host, where the next attempt continues it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::unfinished_operation::commands_in;
use crate::model::attempt::AttemptNo;
use crate::model::event::{Given, Kind, Owner};
use crate::model::profile::SessionMode;
use crate::model::snapshot::{Companion, Snapshot};
use crate::supervise::attempt::relaunch::{captured_before, relaunch_with, start_on};
use crate::supervise::companions::worktrees::{named_in, take_to_give};
use crate::supervise::companions::{companions_before, keep_companions};
use crate::supervise::connection::PATIENCE;
use crate::supervise::contact::reachability::reach;
use crate::supervise::contact::tree::find_tree;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::dispatch::{DispatchSpec, facts_again};
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::{AgentChoice, Record, takeover_place};
use crate::supervise::services::blocking;

/// Maximum number of bytes of a difference, and of commits, that a prompt contains.
const MOST_SHOWN: usize = 16 * 1024;
const MOST_COMMITS: usize = 20;

impl Driver {
    /// Ships the takeover's worktree and starts the next attempt. `message` says why the user changed it; without
    /// `host`, the last host gets it; `agent` continues it from now on, in a session of its own.
    pub async fn give(
        &mut self,
        message: Option<String>,
        host: Option<&str>,
        agent: Option<&AgentChoice>,
    ) -> Result<AttemptNo, Error> {
        let agent = self.record.other_agent(agent)?;
        self.settle(PATIENCE).await?;
        let worktree = self.worktree_to_give()?;
        if host.is_none() && self.handoff().is_only_by_hand() {
            return Err(Error::NoHost { id: self.id().clone(), command: "give" });
        }
        let host = host.unwrap_or(self.handoff().host()).to_owned();
        if self.handoff().unfenced_hosts().contains(&host) {
            return Err(Error::Untold { id: self.id().clone(), host, command: "give" });
        }
        let last = self.handoff().attempts().keys().next_back().copied().unwrap_or_default();
        let work = self.take(&worktree, last).await?;
        // What is missing of the work is fetched before the work is read.
        let facts = facts_again(&self.record, &work).await?;
        let before = captured_before(&self.record, AttemptNo::MAX)?;
        let told = self.explain(&before, &work).await?;
        let by_hand = Some(self.record.by_hand(before, work.clone()).await?);
        let contact = reach(&self.record, &mut self.connection, Some(&host)).await?;
        // The agent's session belongs to the tree in which it began.
        if self.connection.host.name == host {
            find_tree(&mut self.record, &mut self.connection).await?;
        }
        self.record.services.repository.keep_ref(&refs::given(self.id(), last), &work.commit)?;
        keep_companions(&self.record, &work.companions, |id| refs::given(id, last))?;
        if !self.record.append(Kind::Given(Box::new(Given { work: work.clone(), told, message, by_hand })))? {
            return Err(self.refuse("has changed hands since"));
        }
        // The host has confirmed the takeover, so nothing of its old grants is left to stop.
        let epoch = self.handoff().epoch() + 1;
        self.record.ledger.require(Kind::Owner { epoch, owner: Owner::Host(host.clone()), confirmed: false })?;
        self.move_to(&host)?;
        if let Some(remote) = contact {
            self.connection.reuse(remote);
        }
        if let Some(agent) = agent {
            self.record.choose_agent(agent)?;
        }
        let start = start_on(self.handoff(), &host, AttemptNo::MAX, true);
        if agent.is_none() && start == Start::Fresh && self.record.profile.session != SessionMode::None {
            let text =
                format!("the agent's session cannot be resumed on {host}; a new one starts from the resume prompt");
            self.tell(&Progress::Note { text });
        }
        let attempts = self.handoff().request().limits.attempts;
        let launch = DispatchSpec { ship: work, checkout: true, start, message: None, attempts };
        relaunch_with(&mut self.record, &mut self.connection, &launch, &facts).await
    }

    /// The worktree of the takeover, or the checkout into which it merged the work. An interrupted `give` keeps the same
    /// place.
    fn worktree_to_give(&self) -> Result<PathBuf, Error> {
        let handoff = self.handoff();
        if handoff.is_finished() {
            return Err(Error::Finished { id: self.id().clone() });
        }
        if !handoff.is_taken_over() && !handoff.is_give_unfinished() {
            return Err(self.refuse("was not taken over, so there is nothing to give back"));
        }
        if let Some(undone) = handoff.checkouts().last().filter(|last| last.undone && !handoff.is_worktree_current()) {
            let (id, path) = (self.id(), &undone.path);
            return Err(self.refuse(&format!(
                "has no worktree: the takeover into {path} was undone; `handoff takeover {id}` makes one"
            )));
        }
        let place = takeover_place(&self.record.services, handoff);
        let is_current = handoff.is_worktree_current() || handoff.checkouts().current().is_some();
        let worktree = place.filter(|_| is_current || handoff.is_give_unfinished());
        worktree.ok_or_else(|| Error::NoWorktree { id: self.id().clone() })
    }

    fn refuse(&self, why: &str) -> Error {
        Error::NotNow { id: self.id().clone(), why: why.to_owned() }
    }

    /// A snapshot of the worktree. Ignored files that were sent with the task are read again. On the host the work stays
    /// on the branch where it began.
    async fn take(&self, worktree: &Path, last: AttemptNo) -> Result<Snapshot, Error> {
        let base = self.handoff().request().base.clone();
        let place = worktree;
        let (worktree, repository) = (worktree.to_owned(), self.record.services.repository.clone());
        let sent = self.handoff().extra_before(AttemptNo::MAX).cloned();
        let before = sent.clone();
        let (named, known) = (named_in(&self.record, self.handoff().round(), &worktree), base.companions.clone());
        let taken = blocking(move || {
            let include = sent.map_or(Ok(vec![]), |sent| repository.patterns_of(&sent.tree))?;
            let tree = Repository::discover(&worktree)?;
            let taken = take_to_give(&tree, &include, &named, &known)?;
            let lfs = tree.lfs_contents(&taken.files_tree)?;
            let taken = Snapshot { lfs, ..taken };
            match &taken.operation {
                // The host has the branch of the work under another name, to which a rebase could not return.
                Some(operation) if taken.branch.is_none() => {
                    tree.need_no_operation()?;
                    let what = format!("{} has {}", worktree.display(), operation.what);
                    Err(crate::git::Error::unfit(what, commands_in(&worktree, &["commit", "reset --merge"])))
                }
                _ => Ok(taken),
            }
        });
        let taken = taken.await??;
        for left in companions_before(&self.record, AttemptNo::MAX)? {
            if !taken.companions.iter().any(|companion| companion.path == left.path) {
                let text = format!("{} is not sent: it is not in {}", left.path, place.display());
                self.tell(&Progress::Note { text });
            }
        }
        if let Some(extra) = &taken.extra {
            let name = format!("{}.ignored", refs::given(self.id(), last));
            self.record.services.repository.keep_ref(&name, &extra.commit)?;
        }
        if let Some(operation) = &taken.operation {
            let name = format!("{}.operation", refs::given(self.id(), last));
            self.record.services.repository.keep_ref(&name, &operation.commit)?;
        }
        self.tell(&Progress::LeftBehind { items: taken.left_behind.clone() });
        // The worktree may never have got them.
        let extra = taken.extra.clone().or(before);
        // Without a commit, HEAD needs a branch.
        let branch = base.branch.or(taken.branch.filter(|_| taken.head.is_unborn()));
        Ok(Snapshot { branch, left_behind: vec![], extra, ..taken })
    }

    /// Reports the user's changes, and returns the explanation for the agent.
    async fn explain(&self, before: &Snapshot, after: &Snapshot) -> Result<String, Error> {
        let repository = self.record.services.repository.clone();
        let (from, to) = (before.clone(), after.clone());
        let is_merged = self.handoff().checkouts().place().is_some();
        let read = blocking(move || Changes::read(&repository, &from, &to, is_merged));
        let (mut changes, mut count) = read.await??;
        changes.elsewhere = explain_companions(&self.record, &before.companions, &after.companions).await?;
        if !changes.elsewhere.is_empty() {
            let paths: Vec<&str> = changes.elsewhere.iter().map(|(path, _)| path.as_str()).collect();
            count = format!("{count}; changed in {}, too", paths.join(", "));
        }
        let last = self.handoff().last_attempt().map_or(0, |(n, _)| n);
        self.tell(&Progress::Note { text: format!("giving back the work after attempt {last}: {count}") });
        Ok(changes.explanation(last))
    }
}

/// What a person did to the work of an attempt.
struct Changes {
    /// The difference of the files.
    files: String,
    added: Vec<String>,
    /// Commits of the agent's that are not part of the history any more.
    dropped: Vec<String>,
    /// What changed in other repositories: for each that changed, its path and the changes.
    elsewhere: Vec<(String, Changes)>,
    /// The takeover merged the files into a checkout of the person's, without the agent's commits.
    is_merged: bool,
}

impl Changes {
    /// The changes, and a line that counts them.
    fn read(
        repository: &Repository,
        from: &Snapshot,
        to: &Snapshot,
        is_merged: bool,
    ) -> crate::git::Result<(Changes, String)> {
        let changes = Changes {
            files: repository.brief_diff(&from.files_tree, &to.files_tree, MOST_SHOWN)?,
            added: repository.commits_since(&from.head, &to.head, MOST_COMMITS)?,
            dropped: repository.commits_since(&to.head, &from.head, MOST_COMMITS)?,
            elsewhere: vec![],
            is_merged,
        };
        let mut count = repository.diff_count(&from.files_tree, &to.files_tree)?;
        if count.is_empty() {
            count.push_str(if changes.has_commits() { "no file changed, but commits did" } else { "nothing changed" });
        }
        Ok((changes, count))
    }

    fn is_empty(&self) -> bool {
        self.files.is_empty() && !self.has_commits() && self.elsewhere.is_empty()
    }

    fn has_commits(&self) -> bool {
        !self.added.is_empty() || !self.dropped.is_empty()
    }

    fn explanation(&self, last: AttemptNo) -> String {
        let mut text = if self.is_empty() {
            format!("A person looked at the work after attempt {last} and returns it unchanged.\n")
        } else {
            format!(
                "A person changed the work after attempt {last}. These changes are in the checkout. Keep them: do not \
                 undo them, and do not make them again.\n"
            )
        };
        self.list_into(&mut text);
        for (path, changes) in &self.elsewhere {
            _ = write!(text, "\nIn the repository {path}:\n");
            changes.list_into(&mut text);
        }
        text
    }

    /// Adds the commits and the difference.
    fn list_into(&self, text: &mut String) {
        let dropped = match self.is_merged {
            true => {
                "Your commits are not in the history here, because the person took your files into another checkout"
            }
            false => "Commits that the person removed",
        };
        for (what, commits) in [("New commits of the person", &self.added), (dropped, &self.dropped)] {
            if !commits.is_empty() {
                _ = write!(text, "\n{what}:\n\n- {}\n", commits.join("\n- "));
            }
        }
        if !self.files.is_empty() {
            _ = write!(text, "\n{}", self.files);
        }
    }
}

/// What the person changed in other repositories.
async fn explain_companions(
    record: &Record,
    before: &[Companion],
    after: &[Companion],
) -> Result<Vec<(String, Changes)>, Error> {
    let mut changed = Vec::new();
    for now in after {
        let Some(was) = before.iter().find(|was| was.path == now.path) else { continue };
        let repository = record.services.repository.companion(&record.created_in(), &now.path)?;
        let (from, to) = (was.work.clone(), now.work.clone());
        let (changes, _) = blocking(move || Changes::read(&repository, &from, &to, false)).await??;
        if !changes.is_empty() {
            changed.push((now.path.clone(), changes));
        }
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_learns_what_a_person_changed() {
        let mut changes = Changes {
            files: "-a\n+b\n".into(),
            added: vec!["abc by hand".into()],
            dropped: vec![],
            elsewhere: vec![],
            is_merged: false,
        };
        let text = changes.explanation(2);
        assert!(text.contains("after attempt 2") && text.contains("- abc by hand\n\n-a\n+b\n"), "{text}");
        changes.files.clear();
        assert!(!changes.explanation(2).contains("unchanged"), "a commit is a change");
        changes.added.clear();
        changes.dropped.push("def by the agent".into());
        assert!(changes.explanation(2).contains("the person removed"));
        changes.is_merged = true;
        assert!(changes.explanation(2).contains("took your files into another checkout"));
        changes.dropped.clear();
        assert!(changes.explanation(2).ends_with("returns it unchanged.\n"));
    }
}
