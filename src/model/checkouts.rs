//! Checkouts of the user's into which takeovers merged the work.

use std::collections::BTreeMap;

use serde::Serialize;

use super::not_applied::Refused;
use super::snapshot::Oid;

/// A change of a checkout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Here {
    /// Counts these changes of a handoff, from 1.
    pub number: u32,
    pub path: String,
    /// git's name of the worktree; empty for the main one.
    pub worktree: String,
    /// The snapshot from which the merge began.
    #[serde(skip)]
    pub base: Oid,
    /// Whether the user undid it.
    pub undone: bool,
}

/// The last change, and what each checkout has of the work.
#[derive(Clone, Debug, Default, PartialEq, Serialize, schemars::JsonSchema)]
pub struct Checkouts {
    #[serde(rename = "here", skip_serializing_if = "Option::is_none")]
    last: Option<Here>,
    /// Whether the last takeover is in that checkout.
    #[serde(skip)]
    is_place: bool,
    /// Whether it has the newest work: the handoff was not given back since.
    #[serde(skip)]
    pub(super) is_current: bool,
    /// Whether the takeover's worktree had the newest work before it.
    #[serde(skip)]
    is_from_worktree: bool,
    /// The snapshot with which the next merge into a checkout begins, by git's name of the worktree.
    #[serde(skip)]
    bases: BTreeMap<String, Oid>,
}

impl Checkouts {
    /// The last change. It can be undone until the next one.
    pub fn last(&self) -> Option<&Here> {
        self.last.as_ref()
    }

    /// The checkout of the last takeover; `None` if it made a worktree, or was undone.
    pub fn place(&self) -> Option<&Here> {
        self.last.as_ref().filter(|_| self.is_place)
    }

    /// The same, if it has the newest work.
    pub fn current(&self) -> Option<&Here> {
        self.place().filter(|_| self.is_current)
    }

    /// Whether the newest work went from the takeover's worktree into the checkout, and is still there.
    pub fn is_from_worktree(&self) -> bool {
        self.current().is_some() && self.is_from_worktree
    }

    /// The snapshot of the work that a checkout gave back last; `None`: the base of the handoff.
    pub fn base_of(&self, worktree: &str) -> Option<&Oid> {
        self.bases.get(worktree)
    }

    /// The number of the next change.
    pub fn next(&self) -> u32 {
        self.last.as_ref().map_or(1, |last| last.number + 1)
    }

    /// `from_worktree`: the takeover's worktree has had the newest work until now.
    pub(super) fn bring(
        &mut self,
        number: u32,
        path: &str,
        worktree: &str,
        base: &Oid,
        from_worktree: bool,
    ) -> Result<(), Refused> {
        if number != self.next() {
            return Err(Refused::Stale("the work was brought here already"));
        }
        self.is_from_worktree = from_worktree || self.is_from_worktree();
        let (path, worktree, base) = (path.to_owned(), worktree.to_owned(), base.clone());
        self.last = Some(Here { number, path, worktree, base, undone: false });
        (self.is_place, self.is_current) = (true, true);
        Ok(())
    }

    /// Returns whether the takeover's worktree has the newest work again.
    pub(super) fn undo(&mut self, number: u32) -> Result<bool, Refused> {
        let is_from_worktree = self.is_from_worktree();
        let last = self.last.as_mut().filter(|last| last.number == number && !last.undone);
        let last = last.ok_or(Refused::Stale("nothing is left to undo"))?;
        last.undone = true;
        self.bases.insert(last.worktree.clone(), last.base.clone());
        self.leave();
        Ok(is_from_worktree)
    }

    /// The user gives back what the checkout has, so the next merge begins there.
    pub(super) fn give(&mut self, work: &Oid) {
        if let Some(worktree) = self.place().map(|place| place.worktree.clone()) {
            self.bases.insert(worktree, work.clone());
        }
    }

    /// A takeover has another place.
    pub(super) fn leave(&mut self) {
        (self.is_place, self.is_current) = (false, false);
    }
}
