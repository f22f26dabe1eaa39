//! `finish`: the user ends a handoff for good. The intent is recorded first, and each step can be repeated, so an
//! interrupted command is completed by the same command.

mod publish;

pub use publish::Published;

use std::path::{Path, PathBuf};

use crate::git::companions::{self, Named, Purpose};
use crate::git::final_work::ends_with_newline;
use crate::git::refs;
use crate::git::repository::Repository;
use crate::git::unfinished_operation::UnfinishedOperation;
use crate::model::attempt::AttemptNo;
use crate::model::event::{ByHand, Finish, Kind};
use crate::model::snapshot::{Oid, Snapshot};
use crate::supervise::attempt::relaunch::{captured_before, last_work};
use crate::supervise::capture::need_work;
use crate::supervise::companions::finish::{branch_companions, need_commits};
use crate::supervise::companions::worktrees::named_in;
use crate::supervise::custody::missing::pull_if_possible;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::{takeover_place, takeover_worktree};
use crate::supervise::services::blocking;
use crate::supervise::worktrees::WorktreeReport;

/// The options of the user.
#[derive(Clone, Debug, Default)]
pub struct FinishOptions {
    /// The branch that gets the final work.
    pub branch: Option<String>,
    /// The message of the commit that is made for it.
    pub message: Option<String>,
    /// Whether the branch is pushed and a pull request opened.
    pub pull_request: bool,
}

/// What the takeover's worktree has when the handoff is finished.
struct HandWork {
    worktree: PathBuf,
    now: Snapshot,
    /// The tree of its HEAD.
    head_tree: Oid,
    /// A merge, a rebase or the like that is unfinished there.
    operation: Option<UnfinishedOperation>,
    by_hand: ByHand,
}

impl HandWork {
    /// HEAD, if it has everything.
    fn committed(&self) -> Option<&Oid> {
        let is_clean = self.now.index_tree == self.head_tree && self.now.files_tree == self.head_tree;
        self.now.head.commit().filter(|_| is_clean && self.operation.is_none())
    }
}

impl Driver {
    /// Records that the handoff is finished, and makes the branch. A finished handoff may get a branch later.
    pub async fn finish(&mut self, options: FinishOptions) -> Result<Finish, Error> {
        let status = self.handoff().status();
        if status.is_active() {
            return Err(Error::StillRunning { id: self.id().clone(), status: status.word() });
        }
        let finish = match self.handoff().finished() {
            Some((_, known)) if is_complete(known, &options) => known.clone(),
            known => {
                let known = known.map(|(_, known)| known.clone());
                let finish = self.decide(&options, known.as_ref()).await?;
                self.record_finish(finish)?
            }
        };
        if let (Some(branch), Some(commit)) = (&finish.branch, &finish.commit) {
            self.record.services.repository.make_branch(branch, commit)?;
            branch_companions(&self.record, branch, commit).await?;
        }
        self.record.update()?;
        Ok(finish)
    }

    /// Removes the worktrees of every takeover of the handoff as far as all that is in them is in refs. `discard`: also
    /// with the ignored files that only they have.
    pub async fn remove_worktrees(&self, discard: bool) -> Result<Vec<WorktreeReport>, Error> {
        self.record.remove_worktrees(discard).await
    }

    fn record_finish(&mut self, finish: Finish) -> Result<Finish, Error> {
        if let Some(commit) = &finish.commit {
            self.record.services.repository.keep_ref(&refs::final_work(self.id()), commit)?;
        }
        // An equal event may have been recorded before.
        self.record.append(Kind::Finished(Box::new(finish.clone())))?;
        match self.handoff().finished() {
            Some(_) => Ok(finish),
            None => Err(Error::StillRunning { id: self.id().clone(), status: self.handoff().status().word() }),
        }
    }

    /// Decides the outcome before it is journaled. Uncommitted work in the takeover's worktree is committed only with
    /// a message of the user's.
    async fn decide(&mut self, options: &FinishOptions, known: Option<&Finish>) -> Result<Finish, Error> {
        let known = known.cloned().unwrap_or_default();
        let branch = options.branch.clone().or(known.branch.clone());
        // The next command may open the pull request.
        let message = options.message.clone().or(known.message.clone());
        let remote = match options.pull_request {
            true if branch.is_none() => return Err(Error::NoBranch { id: self.id().clone() }),
            true => {
                let began_on = self.handoff().request().base.branch.as_deref();
                Some(self.record.services.repository.remote_for(began_on)?)
            }
            false => None,
        };
        if self.handoff().is_finished() && branch == known.branch {
            return Ok(Finish { remote: remote.or(known.remote), message, ..known });
        }
        let (commit, by_hand) = self.final_work(options, known.commit).await?;
        let by_hand = known.by_hand.or(by_hand);
        Ok(Finish { commit, branch, message, remote, pull_request: None, by_hand })
    }

    /// The final commit, if there is one, and what the user did.
    async fn final_work(
        &mut self,
        options: &FinishOptions,
        known: Option<Oid>,
    ) -> Result<(Option<Oid>, Option<ByHand>), Error> {
        if let Some(work) = self.hand_work().await? {
            return Ok((self.commit_of(&work, options).await?, Some(work.by_hand)));
        }
        let Some(name) = &options.branch else { return Ok((None, self.by_hand_here().await)) };
        if let Some(commit) = known {
            self.record.services.repository.check_branch(name, &commit)?;
            return Ok((Some(commit), None));
        }
        if let Some(here) = self.handoff().checkouts().current() {
            let (id, path) = (self.id(), &here.path);
            let why =
                format!("is in your checkout {path}: commit it there, then `handoff finish {id}` without --branch");
            return Err(Error::NotNow { id: self.id().clone(), why });
        }
        if self.handoff().is_taken_over() && !self.handoff().is_finished() {
            return Err(Error::NoWorktree { id: self.id().clone() });
        }
        self.need_no_other_branch(name)?;
        Ok((Some(self.commit_last_work(name, options.message.as_deref()).await?), None))
    }

    /// Fails if the branch of a takeover's worktree that is gone has commits which the newest work lacks.
    fn need_no_other_branch(&self, wanted: &str) -> Result<(), Error> {
        let handoff = self.handoff();
        let is_present = handoff.is_taken_over() && handoff.is_worktree_current();
        let Some(branch) = handoff.worktree_branch().filter(|_| is_present) else { return Ok(()) };
        let tip = self.record.services.repository.branch_tip(branch)?;
        if tip.is_none() || tip.as_ref() == last_work(&self.record)?.head.commit() {
            return Ok(());
        }
        self.need_free(wanted)?;
        let what = format!("the branch {branch} has commits of yours, and its worktree is gone");
        let quoted = |name| shlex::try_quote(name).unwrap_or(name.into()).into_owned();
        let hint = format!("git branch {} {}", quoted(wanted), quoted(branch));
        Err(crate::git::Error::Unfit { what, hint }.into())
    }

    /// The work in the worktree of the present takeover. `None`: there is none.
    async fn hand_work(&self) -> Result<Option<HandWork>, Error> {
        let handoff = self.handoff();
        let worktree = takeover_worktree(&self.record.services, handoff);
        let Some(worktree) = worktree.filter(|_| handoff.is_taken_over() && handoff.is_worktree_current()) else {
            return Ok(None);
        };
        let before = captured_before(&self.record, AttemptNo::MAX)?;
        let named = named_in(&self.record, self.handoff().round(), &worktree);
        let read = blocking(move || read_work(worktree, &before, &named));
        Ok(Some(read.await??))
    }

    /// What the user did in the checkout into which the work was merged. The outcome is complete without it.
    async fn by_hand_here(&self) -> Option<ByHand> {
        self.handoff().checkouts().current()?;
        let place = takeover_place(&self.record.services, self.handoff())?;
        let taken = blocking(move || take(&Repository::discover(&place)?, &place, &[])).await.ok()?.ok()?;
        self.record.by_hand(captured_before(&self.record, AttemptNo::MAX).ok()?, taken).await.ok()
    }

    /// The final commit of a takeover: its HEAD, if that has everything. `None`: it has not, and no branch was asked for.
    async fn commit_of(&self, work: &HandWork, options: &FinishOptions) -> Result<Option<Oid>, Error> {
        let Some(branch) = &options.branch else {
            return Ok(work.committed().cloned());
        };
        let (id, base) = (self.id().clone(), self.handoff().request().base.head.clone());
        let repository = &self.record.services.repository;
        let place = |path: &str| work.worktree.join(path).display().to_string();
        let quoted = |path: String| shlex::try_quote(&path).map_or_else(|_| path.clone(), |it| it.into_owned());
        need_commits(&self.record, &work.now, |path| {
            let place = quoted(place(path));
            format!("git -C {place} add -A && git -C {place} commit")
        })
        .await?;
        // A hint about the worktree repeats the name.
        match work.committed() {
            Some(head) => repository.check_branch(branch, head)?,
            None => self.need_free(branch)?,
        }
        if let Some(operation) = work.operation {
            return Err(operation.refusal(&work.worktree).into());
        }
        if work.now.head.is_unborn() && work.now.files_tree == work.head_tree {
            return Err(Error::NothingToKeep { id });
        }
        let files = repository.unfiltered(&repository.tree_of_head(&base)?, &work.now.files_tree)?;
        if !files.is_empty() {
            return Err(Error::Unfiltered { id, files, worktree: Some(work.worktree.clone()) });
        }
        if let Some(head) = work.committed() {
            if work.now.head == base {
                return Err(Error::NothingToKeep { id });
            }
            return Ok(Some(head.clone()));
        }
        let Some(message) = options.message.clone() else {
            return Err(Error::Uncommitted { id, worktree: work.worktree.clone(), branch: branch.clone() });
        };
        let tree = Repository::discover(&work.worktree)?;
        let files = work.now.files_tree.clone();
        let commit = blocking(move || tree.commit_all_for_user(&files, &ends_with_newline(message))).await??;
        Ok(Some(commit))
    }

    /// One commit of the user's on the base with the newest work.
    async fn commit_last_work(&mut self, branch: &str, message: Option<&str>) -> Result<Oid, Error> {
        self.need_free(branch)?;
        pull_if_possible(&mut self.record, &mut self.connection).await;
        need_work(self.handoff())?;
        let work = last_work(&self.record)?;
        need_commits(&self.record, &work, |_| format!("handoff takeover {}", self.id())).await?;
        let work = work.commit;
        let repository = self.record.services.repository.clone();
        let request = self.handoff().request();
        let message = message.map_or_else(|| default_message(&request.task), str::to_owned);
        let (id, base) = (self.id().clone(), request.base.head.clone());
        let made = blocking(move || {
            let work = repository.without_record(repository.read_capture(&work)?)?;
            let before = repository.tree_of_head(&base)?;
            if before == work.files_tree {
                return Err(Error::NothingToKeep { id });
            }
            let files = repository.unfiltered(&before, &work.files_tree)?;
            if !files.is_empty() {
                return Err(Error::Unfiltered { id, files, worktree: None });
            }
            Ok(repository.commit_for_user(&work.files_tree, &base, &ends_with_newline(message))?)
        });
        let made = made.await??;
        self.tell_of_own_changes(branch)?;
        Ok(made)
    }

    /// Says that a branch also has what the user had not committed when the task was sent.
    fn tell_of_own_changes(&self, branch: &str) -> Result<(), Error> {
        let base = &self.handoff().request().base;
        if self.record.services.repository.tree_of_head(&base.head)? != base.files_tree {
            let text = format!("{branch} also has your changes that were not committed when the task was sent");
            self.tell(&Progress::Note { text });
        }
        Ok(())
    }

    /// Fails early if the branch exists. A branch at the base counts as taken, because the final commit does not exist yet.
    fn need_free(&self, branch: &str) -> Result<(), Error> {
        // The commit that will be made is at no branch yet, and the base is a commit like any other.
        let base = &self.handoff().request().base;
        let at = base.head.commit().unwrap_or(&base.commit);
        Ok(self.record.services.repository.check_new_branch(branch, at)?)
    }
}

/// Whether what was recorded before is all that is asked for now.
fn is_complete(known: &Finish, options: &FinishOptions) -> bool {
    let has_branch = options.branch.is_none() || options.branch == known.branch;
    let has_message = options.message.is_none() || options.message == known.message;
    has_branch && has_message && (!options.pull_request || known.remote.is_some())
}

fn read_work(worktree: PathBuf, before: &Snapshot, named: &[Named]) -> crate::git::Result<HandWork> {
    let tree = Repository::discover(&worktree)?;
    let now = take(&tree, &worktree, named)?;
    let (head_tree, operation) = (tree.tree_of_head(&now.head)?, tree.unfinished_operations()?.first().copied());
    let by_hand = tree.by_hand(before, &before.head, &now)?;
    Ok(HandWork { worktree, now, head_tree, operation, by_hand })
}

/// The working state, with the place in the error.
fn take(tree: &Repository, worktree: &Path, named: &[Named]) -> crate::git::Result<Snapshot> {
    companions::take_work(tree, &[], named, Purpose::Work).map_err(|error| match error {
        crate::git::Error::Unfit { what, hint } => {
            let what = format!("in the takeover's worktree {}: {what}", worktree.display());
            crate::git::Error::Unfit { what, hint }
        }
        error => error,
    })
}

/// The task as a commit message: its first line, then all of it if there is more.
fn default_message(task: &str) -> String {
    const SUBJECT: usize = 72;
    let task = task.trim();
    let first = task.lines().next().unwrap_or_default().trim();
    if first == task && first.chars().count() <= SUBJECT {
        return first.to_owned();
    }
    let words = first.split_whitespace().scan(0, |length, word| {
        *length += word.chars().count() + 1;
        (*length <= SUBJECT + 1).then_some(word)
    });
    let subject = words.collect::<Vec<_>>().join(" ");
    if subject.is_empty() { task.to_owned() } else { format!("{subject}\n\n{task}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_becomes_a_subject_and_a_body() {
        assert_eq!(default_message(" Fix the till. \n"), "Fix the till.");
        assert_eq!(default_message("Fix the till.\n\nIt is wrong."), "Fix the till.\n\nFix the till.\n\nIt is wrong.");
        let long = "word ".repeat(30);
        let message = default_message(&long);
        let (subject, body) = message.split_once("\n\n").unwrap();
        assert_eq!((subject.len(), body), (69, long.trim()));
        assert_eq!(default_message(&"x".repeat(100)), "x".repeat(100));
    }
}
