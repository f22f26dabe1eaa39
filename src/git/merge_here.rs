//! Brings the work of a handoff into a checkout of the user's: a three-way merge from what was shipped, into files and
//! index. Everything is computed and copied before the first file changes; `super::undo` writes it and undoes it.

mod fit;
mod merge_file;
mod three_way;

use std::collections::BTreeSet;

pub use super::tree_edits::Conflict;
use serde::Serialize;

pub use fit::check;

use super::capture::Captured;
use super::index_stamp::IndexStamp;
use super::undo::Undo;
use super::undo::prepare::Change;
use super::{Repository, Result, snapshot};
use crate::model::snapshot::Oid;

/// What a merge would do.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// Nothing is written, because of these paths.
    Conflicts(Vec<Conflict>),
    Ready(Preview),
}

/// The paths that a merge into a checkout changes.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Preview {
    /// The snapshot of the checkout before it. The caller keeps it, because the copy of the index needs its objects.
    #[serde(skip)]
    pub before: Oid,
    pub added: Vec<String>,
    pub changed: Vec<String>,
    pub deleted: Vec<String>,
    /// How many paths change in the index.
    pub staged: usize,
}

/// Merges in scratch space, and prepares the change in the handoff's directory. Nothing in the checkout is touched.
/// `base` is what the checkout had when the work began, `work` what came back. `number` is that of the change.
///
/// # Errors
/// [`super::Error::Unfit`] if the checkout is in the middle of something, or changes in the meantime; git or the disk
/// fails.
pub fn prepare(repo: &Repository, undo: &Undo, number: u32, base: &Captured, work: &Captured) -> Result<Outcome> {
    check(repo)?;
    let stamp = IndexStamp::read(&repo.git_path("index"));
    let ours = snapshot::take(repo, &[])?;
    let (files, mut conflicts) = three_way::merge(repo, &base.files_tree, &ours.files_tree, &work.files_tree)?;
    let (index, staged) = three_way::merge(repo, &base.index_tree, &ours.index_tree, &work.index_tree)?;
    let known: BTreeSet<String> = conflicts.iter().map(|conflict| conflict.path.clone()).collect();
    conflicts.extend(staged.into_iter().filter(|conflict| !known.contains(&conflict.path)));
    let change = Change { number, ours: &ours, files: &files, index: &index, stamp };
    let known = change.known(repo)?;
    conflicts.extend(change.in_the_way(repo, &known)?);
    if !conflicts.is_empty() {
        conflicts.sort();
        conflicts.dedup_by(|a, b| a.path == b.path);
        return Ok(Outcome::Conflicts(conflicts));
    }
    let (added, changed, deleted) = change.prepare(repo, undo, &known)?;
    Ok(Outcome::Ready(Preview { before: ours.commit.clone(), added, changed, deleted, staged: index.len() }))
}
