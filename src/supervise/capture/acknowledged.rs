//! The object ids that this laptop holds of a handoff. A host compares its trees with them before it deletes or
//! overwrites.

use std::fmt::Write as _;

use crate::git::refs;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::Oid;
use crate::model::status::Status;
use crate::state::store::{Store, Summary};
use crate::supervise::companions::{held_in_companions, shipped_commits};
use crate::supervise::error::Error;
use crate::supervise::services::{Services, blocking};

/// Maximum number of handoffs whose trees are offered to the next one. An older one has lost its tree to a later one.
const MOST_AT_REST: usize = 16;

/// Lines `tree <id>` for files, newest first, and `commit <id>` for history, of the companions, too. A ref below `refs/handoff/<id>/` is created
/// only after everything that it refers to was fetched and verified.
pub(in crate::supervise) async fn acknowledged(services: &Services, handoff: &Handoff) -> Result<String, Error> {
    let (repository, below) = (services.repository.clone(), refs::of(&handoff.request().id));
    let mut held = blocking(move || repository.list_refs(&below)).await??;
    held.extend(held_in_companions(services, handoff));
    let mut text = lines_of(handoff, &held);
    for shipped in shipped_commits(handoff) {
        _ = writeln!(text, "tree {shipped}\ncommit {shipped}");
    }
    Ok(text)
}

/// The newest handoffs of this repository whose trees on `host` another one may use: a line `handoff <name>` for each,
/// followed by what is held of it. The host uses a tree only if it has nothing else.
pub(in crate::supervise) async fn at_rest(services: &Services, host: &str) -> Result<String, Error> {
    let (repository, store, host) = (services.repository.clone(), services.store.clone(), host.to_owned());
    blocking(move || {
        let handoffs = leaving(&store, &host)?;
        // One call of git for all of them.
        let held = if handoffs.is_empty() { vec![] } else { repository.list_refs(refs::ROOT)? };
        let mut text = String::new();
        for handoff in &handoffs {
            let request = handoff.request();
            let below = refs::of(&request.id);
            let own: Vec<_> = held.iter().filter(|(name, _)| name.starts_with(&below)).cloned().collect();
            _ = write!(text, "handoff {}\n{}", RemoteName::new(&request.id, &request.uid), lines_of(handoff, &own));
        }
        Ok(text)
    })
    .await?
}

/// The newest handoffs that leave their tree on a host to the next one. A record that cannot be read leaves nothing.
fn leaving(store: &Store, host: &str) -> Result<Vec<Handoff>, Error> {
    let may_leave = |summary: &Summary| {
        let is_over = matches!(summary.status, Status::Done | Status::Stopped | Status::Interactive | Status::Finished);
        is_over && summary.host == host && !summary.released
    };
    let ids = store.ids()?;
    let mut all: Vec<Summary> = ids.iter().filter_map(|id| store.summary(id).ok()).filter(may_leave).collect();
    all.sort_by_key(|summary| std::cmp::Reverse(summary.changed));
    let opened = all.iter().filter_map(|summary| store.open(&summary.id).ok());
    let handoffs = opened.map(|journal| journal.handoff().clone()).filter(|handoff| handoff.leaves_tree(host));
    Ok(handoffs.take(MOST_AT_REST).collect())
}

/// What is held of a handoff with these refs.
fn lines_of(handoff: &Handoff, held: &[(String, Oid)]) -> String {
    let base = &handoff.request().base;
    let extra = base.extra.as_ref().map(|extra| &extra.commit);
    lines(held, &handoff.request().id, &base.commit, extra)
}

fn lines(held: &[(String, Oid)], id: &HandoffId, base: &Oid, extra: Option<&Oid>) -> String {
    let below = &refs::of(id);
    let attempt = |name: &str| name.strip_prefix(below)?.strip_suffix("/work")?.parse::<AttemptNo>().ok();
    let mut works: Vec<(AttemptNo, &Oid)> = held.iter().filter_map(|(name, oid)| Some((attempt(name)?, oid))).collect();
    works.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let given =
        held.iter().rev().filter(|(name, _)| name.strip_prefix(below).is_some_and(|it| it.starts_with(refs::GIVEN)));
    let given = given.map(|(_, oid)| oid);
    // Build results are ignored files, which no capture has.
    let is_artifacts = |name: &str| name.strip_prefix(below).is_some_and(|it| it.starts_with(refs::ARTIFACTS));
    let artifacts = held.iter().filter(|(name, _)| is_artifacts(name)).map(|(_, oid)| oid);
    let trees = works.into_iter().map(|(_, oid)| oid).chain(given).chain([base]).chain(extra).chain(artifacts);
    let mut text = String::new();
    for tree in trees {
        _ = writeln!(text, "tree {tree}");
    }
    let contents = held.iter().filter(|(name, _)| refs::is_lfs(id, name));
    for (_, commit) in contents {
        _ = writeln!(text, "content {commit}");
    }
    for commit in held.iter().map(|(_, oid)| oid).chain([base]) {
        _ = writeln!(text, "commit {commit}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_files_come_first_and_every_ref_is_history() {
        let oid = |digit: char| digit.to_string().repeat(40).parse::<Oid>().unwrap();
        let held = [
            ("10/lfs", '8'),
            ("lfs/2", '9'),
            ("heads/lfs", '7'),
            ("10/work", '3'),
            ("2/heads/x", '4'),
            ("2/work", '2'),
            ("artifacts/2", '6'),
            ("base", '1'),
        ]
        .map(|(name, digit)| (format!("refs/handoff/x/{name}"), oid(digit)));
        let text = lines(&held, &"x".parse().unwrap(), &oid('1'), Some(&oid('5')));
        let short: Vec<String> = text.lines().map(|line| line[..line.len() - 39].to_owned()).collect();
        let trees = ["tree 3", "tree 2", "tree 1", "tree 5", "tree 6"];
        let contents = ["content 8", "content 9"];
        let commits = ['8', '9', '7', '3', '4', '2', '6', '1', '1'].map(|digit| format!("commit {digit}"));
        let commits: Vec<&str> = commits.iter().map(String::as_str).collect();
        assert_eq!(short, [&trees[..], &contents, &commits].concat());
    }
}
