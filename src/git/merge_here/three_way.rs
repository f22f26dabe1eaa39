//! The three-way merge of two trees with their base, path by path. Renames are not followed: a file that one side moved
//! and the other side changed is a conflict.

use std::collections::{BTreeMap, BTreeSet};

use super::merge_file;
use crate::git::tree_edits::{Conflict, Edits, Entry, ancestors};
use crate::git::{Repository, Result};
use crate::model::snapshot::Oid;

/// Mode of an entry that is another repository's commit (a submodule).
const GITLINK: &str = "160000";
/// The components of the record's path, which is never merged. Some disks ignore case.
const RECORD: [&[u8]; 2] = [b".cursor", b"agent-handoffs"];

/// Applies to `ours` what changed from `base` to `theirs`.
pub(super) fn merge(repo: &Repository, base: &Oid, ours: &Oid, theirs: &Oid) -> Result<(Edits, Vec<Conflict>)> {
    let (local, incoming) = (changes(repo, base, ours)?, changes(repo, base, theirs)?);
    let (mut edits, mut conflicts, mut both) = (Edits::new(), Vec::new(), Vec::new());
    for (path, (before, after)) in incoming {
        let here = local.get(&path).map_or(&before, |(_, here)| here);
        if *here == after {
            continue;
        }
        if path.split(|byte| *byte == b'/').any(|part| part.eq_ignore_ascii_case(b".git")) {
            conflicts.push(Conflict::new(&path, "is inside a git directory"));
        } else if [&before, here, &after].into_iter().flatten().any(|entry| entry.mode == GITLINK) {
            conflicts.push(Conflict::new(&path, "is a submodule"));
        } else if *here == before {
            edits.insert(path, after);
        } else {
            match (&before, here, &after) {
                (Some(base), Some(ours), Some(theirs)) if [base, ours, theirs].iter().all(|it| it.is_file()) => {
                    both.push((path, [base.clone(), ours.clone(), theirs.clone()]));
                }
                (_, None, _) => conflicts.push(Conflict::new(&path, "is deleted here and changed in the work")),
                (_, _, None) => conflicts.push(Conflict::new(&path, "is changed here and deleted in the work")),
                (None, ..) => conflicts.push(Conflict::new(&path, "is added on both sides")),
                _ => conflicts.push(Conflict::new(&path, "is changed on both sides")),
            }
        }
    }
    for (path, merged) in merge_file::merge(repo, both)? {
        match merged {
            Ok(entry) => drop(edits.insert(path, Some(entry))),
            Err(why) => conflicts.push(Conflict::new(&path, why)),
        }
    }
    conflicts.extend(collisions(repo, ours, &edits)?);
    Ok((edits, conflicts))
}

type Changes = BTreeMap<Vec<u8>, (Option<Entry>, Option<Entry>)>;

/// The entries that differ between two trees, without the record.
fn changes(repo: &Repository, from: &Oid, to: &Oid) -> Result<Changes> {
    let options = ["-r", "-z", "--raw", "--no-abbrev", "--no-renames", "--ignore-submodules=none"];
    let printed = repo.git("diff-tree").args(options).args([from.as_str(), to.as_str()]).run()?;
    let mut fields = printed.split(|byte| *byte == 0);
    let mut found = Changes::new();
    while let (Some(head), Some(path)) = (fields.next(), fields.next()) {
        let head = String::from_utf8_lossy(head);
        // `:<mode> <mode> <object> <object> <letter>`
        let mut words = head.trim_start_matches(':').split(' ');
        let [Some(old_mode), Some(new_mode), Some(old), Some(new)] = std::array::from_fn(|_| words.next()) else {
            break;
        };
        let entry = |mode: &str, object: &str| {
            (mode != "000000").then(|| Entry { mode: mode.to_owned(), object: object.to_owned() })
        };
        if !is_record(path) {
            found.insert(path.to_vec(), (entry(old_mode, old), entry(new_mode, new)));
        }
    }
    Ok(found)
}

/// Whether a path is the record's, or below it.
fn is_record(path: &[u8]) -> bool {
    let mut parts = path.split(|byte| *byte == b'/');
    RECORD.iter().all(|name| parts.next().is_some_and(|part| part.eq_ignore_ascii_case(name)))
}

/// The edits that need a directory where a file stays, or a file where a directory stays.
fn collisions(repo: &Repository, ours: &Oid, edits: &Edits) -> Result<Vec<Conflict>> {
    if edits.values().all(Option::is_none) {
        return Ok(Vec::new());
    }
    let printed = repo.git("ls-tree").args(["-r", "-z", "--name-only", "--full-tree", ours.as_str()]).run()?;
    let stays = |path: &&[u8]| !path.is_empty() && !matches!(edits.get(*path), Some(None));
    let present: BTreeSet<&[u8]> = printed.split(|byte| *byte == 0).filter(stays).collect();
    let collides = |path: &[u8]| {
        let below = [path, b"/"].concat();
        let has_directory = present.range(below.as_slice()..).next().is_some_and(|next| next.starts_with(&below));
        has_directory || ancestors(path).any(|above| present.contains(above))
    };
    let added = edits.iter().filter(|(path, entry)| entry.is_some() && collides(path));
    Ok(added.map(|(path, _)| Conflict::new(path, "is a directory on one side and a file on the other")).collect())
}
