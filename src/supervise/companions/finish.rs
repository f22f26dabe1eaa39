//! The companions of a handoff that ends: the commits that the final work names get a branch of the same name.

use crate::git;
use crate::git::repository::Repository;
use crate::model::snapshot::{Companion, Oid, Snapshot};
use crate::supervise::companions::worktrees::changed;
use crate::supervise::companions::{companions_in, shipped};
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;
use crate::supervise::services::blocking;

/// Fails if a submodule has changed and has work that no commit of it contains: a branch of the outer repository could not
/// name it. `help` is the command that continues the work there, for the path of a submodule.
pub(in crate::supervise) async fn need_commits(
    record: &Record,
    outer: &Snapshot,
    help: impl Fn(&str) -> String,
) -> Result<(), Error> {
    let top = companions_in(record);
    // What the user had not committed when it was sent is still in the submodule here.
    let changed = changed(record.handoff(), &outer.companions);
    for companion in outer.companions.iter().filter(|it| changed.contains(&it.path.as_str())).cloned() {
        let (repository, top, commit) = (record.services.repository.clone(), top.clone(), outer.commit.clone());
        let Companion { path, work } = companion;
        let inner = path.clone();
        let is_committed = blocking(move || {
            if linked_at(&repository, &top, &inner, &commit)?.is_none() {
                return Ok(true);
            }
            let opened = repository.companion(&top, &inner)?;
            let head = opened.tree_of_head(&work.head)?;
            Ok::<_, git::Error>(work.files_tree == head && work.index_tree == head)
        });
        if !is_committed.await?? {
            let what = format!("{path} has changes that are not committed, so no branch can have them");
            return Err(git::Error::Unfit { what, hint: help(&path) }.into());
        }
    }
    Ok(())
}

/// Makes the branch `name` in each submodule whose commit in the final work is in no branch there, and says so. A branch
/// that cannot be made is reported: the commit stays in the refs of the handoff.
pub(in crate::supervise) async fn branch_companions(record: &Record, name: &str, commit: &Oid) -> Result<(), Error> {
    let top = companions_in(record);
    for path in shipped(record.handoff()).into_iter().map(|companion| companion.path.clone()) {
        let repository = record.services.repository.clone();
        let (top, inner, name_of, commit) = (top.clone(), path.clone(), name.to_owned(), commit.clone());
        let made = blocking(move || branch_in(&repository, &top, &inner, &name_of, &commit));
        let text = match made.await? {
            Ok(Some(at)) => format!("in {path}, the branch {name} is at {}; push it before the outer one", at.short()),
            Ok(None) => continue,
            Err(error) => format!("in {path}, the branch {name} was not made: {error}"),
        };
        record.tell(&Progress::Note { text });
    }
    Ok(())
}

/// The commit at which the branch was made; `None` if it is not needed.
fn branch_in(
    repository: &Repository,
    top: &std::path::Path,
    path: &str,
    name: &str,
    commit: &Oid,
) -> git::Result<Option<Oid>> {
    let Some(linked) = linked_at(repository, top, path, commit)? else { return Ok(None) };
    let inner = repository.companion(top, path)?;
    if inner.needs_no_branch(&linked)? {
        return Ok(None);
    }
    inner.make_branch(name, &linked)?;
    Ok(Some(linked))
}

/// The commit that a tree names at the path of a submodule, through the submodules around it.
fn linked_at(repository: &Repository, top: &std::path::Path, path: &str, commit: &Oid) -> git::Result<Option<Oid>> {
    // No tree names what is next to the checkout.
    if path.starts_with("../") {
        return Ok(None);
    }
    let (mut repo, mut at, mut rest, mut above) = (repository.clone(), commit.clone(), path, String::new());
    loop {
        // The shortest beginning that the tree knows as a submodule.
        let ends = rest.match_indices('/').map(|(end, _)| end).chain([rest.len()]);
        let mut found = None;
        for end in ends {
            if let Some(linked) = repo.commit_linked(&at, &rest[..end])? {
                found = Some((linked, end));
                break;
            }
        }
        let Some((linked, end)) = found else { return Ok(None) };
        if end == rest.len() {
            return Ok(Some(linked));
        }
        above.push_str(&rest[..end]);
        repo = repository.companion(top, &above)?;
        above.push('/');
        (at, rest) = (linked, &rest[end + 1..]);
    }
}
