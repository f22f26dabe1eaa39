//! The object ids that this laptop holds of a handoff. A host compares its trees with them before it deletes or
//! overwrites.

use std::fmt::Write as _;

use crate::git::refs;
use crate::model::attempt::AttemptNo;
use crate::model::handoff::Handoff;
use crate::model::snapshot::Oid;
use crate::supervise::error::Error;
use crate::supervise::services::{Services, blocking};

/// Lines `tree <id>` for files, newest first, and `commit <id>` for history. A ref below `refs/handoff/<id>/` is created
/// only after everything that it refers to was fetched and verified.
pub(in crate::supervise) async fn acknowledged(services: &Services, handoff: &Handoff) -> Result<String, Error> {
    let (repository, below) = (services.repository.clone(), refs::of(&handoff.request().id));
    let directory = below.clone();
    let held = blocking(move || repository.list_refs(&directory)).await??;
    let base = &handoff.request().base;
    let extra = base.extra.as_ref().map(|extra| &extra.commit);
    Ok(lines(&held, &below, &base.commit, extra))
}

fn lines(held: &[(String, Oid)], below: &str, base: &Oid, extra: Option<&Oid>) -> String {
    let attempt = |name: &str| name.strip_prefix(below)?.strip_suffix("/work")?.parse::<AttemptNo>().ok();
    let mut works: Vec<(AttemptNo, &Oid)> = held.iter().filter_map(|(name, oid)| Some((attempt(name)?, oid))).collect();
    works.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let trees = works.into_iter().map(|(_, oid)| oid).chain([base]).chain(extra);
    let mut text = String::new();
    for tree in trees {
        _ = writeln!(text, "tree {tree}");
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
        let held = [("10/work", '3'), ("2/heads/x", '4'), ("2/work", '2'), ("base", '1')]
            .map(|(name, digit)| (format!("refs/handoff/x/{name}"), oid(digit)));
        let text = lines(&held, "refs/handoff/x/", &oid('1'), Some(&oid('5')));
        let short: Vec<String> = text.lines().map(|line| line[..line.len() - 39].to_owned()).collect();
        let trees = ["tree 3", "tree 2", "tree 1", "tree 5"];
        assert_eq!(short, [&trees[..], &["commit 3", "commit 4", "commit 2", "commit 1", "commit 1"]].concat());
    }
}
