//! The merge of files that both sides changed, by `git merge-file`.

use std::collections::BTreeMap;

use crate::git::repository::oid;
use crate::git::tree_edits::Entry;
use crate::git::{Error, Repository, Result};

/// The exit status of `git merge-file` for an error. Lower ones count conflicts.
const FAILED: i32 = 255;

/// A path with its base, our version and their version.
type Both = (Vec<u8>, [Entry; 3]);
/// The merged entry, or why there is none.
type Merged = std::result::Result<Entry, &'static str>;

/// Merges files. The results are stored as objects.
pub(super) fn merge(repo: &Repository, both: Vec<Both>) -> Result<Vec<(Vec<u8>, Merged)>> {
    if both.is_empty() {
        return Ok(Vec::new());
    }
    let special = special(repo, &both)?;
    // In a partial clone, the index may have content that was never read here.
    let read = both.iter().filter(|(path, [base, ours, theirs])| {
        !special.contains_key(path) && pick(&base.object, &ours.object, &theirs.object).is_none()
    });
    let objects = read.flat_map(|(_, versions)| versions.iter().map(|entry| oid(&entry.object)));
    repo.bring_objects(&objects.collect::<Result<Vec<_>>>()?)?;
    let mut merged = Vec::new();
    for (path, versions) in both {
        let result = merge_one(repo, &versions, special.contains_key(&path))?;
        merged.push((path, result));
    }
    Ok(merged)
}

fn merge_one(repo: &Repository, [base, ours, theirs]: &[Entry; 3], is_special: bool) -> Result<Merged> {
    let Some(mode) = pick(&base.mode, &ours.mode, &theirs.mode) else { return Ok(Err("has two new modes")) };
    if let Some(object) = pick(&base.object, &ours.object, &theirs.object) {
        return Ok(Ok(Entry { mode, object }));
    }
    if is_special {
        return Ok(Err("is changed on both sides, and .gitattributes excludes it from a plain merge"));
    }
    let scratch = tempfile::tempdir().map_err(Error::io("write in", &std::env::temp_dir()))?;
    let mut merge = repo.git("merge-file").args(["-p", "--"]);
    for (name, entry) in [("ours", ours), ("base", base), ("theirs", theirs)] {
        let path = scratch.path().join(name);
        let file = std::fs::File::create_new(&path).map_err(Error::io("write", &path))?;
        repo.git("cat-file").args(["blob", &entry.object]).stdout_file(file).run()?;
        merge = merge.arg(&path);
    }
    let output = merge.output()?;
    match output.status.code() {
        Some(0) => {
            let object = repo.git("hash-object").args(["-w", "--stdin"]).stdin(output.stdout).line()?;
            Ok(Ok(Entry { mode, object }))
        }
        Some(FAILED) if !String::from_utf8_lossy(&output.stderr).contains("binary") => {
            Err(crate::git::command::failed("merge-file".into(), &output))
        }
        Some(FAILED) => Ok(Err("is a binary file that is changed on both sides")),
        Some(_) => Ok(Err("is changed on both sides, in the same lines")),
        None => Err(crate::git::command::failed("merge-file".into(), &output)),
    }
}

/// The value that a three-way merge picks without looking into it.
fn pick(base: &str, ours: &str, theirs: &str) -> Option<String> {
    match (base == ours, base == theirs) {
        (true, _) => Some(theirs.to_owned()),
        (_, true) => Some(ours.to_owned()),
        _ => (ours == theirs).then(|| ours.to_owned()),
    }
}

/// The paths with a merge driver of their own, or none.
fn special(repo: &Repository, both: &[Both]) -> Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let paths = both.iter().flat_map(|(path, _)| path.iter().copied().chain([0])).collect::<Vec<u8>>();
    let printed = repo.git("check-attr").args(["-z", "--stdin", "merge"]).stdin(paths).run()?;
    let fields: Vec<_> = printed.split(|byte| *byte == 0).collect();
    let all = fields.chunks_exact(3).map(|fields| (fields[0].to_vec(), fields[2].to_vec()));
    Ok(all.filter(|(_, value)| !matches!(value.as_slice(), b"unspecified" | b"set" | b"text")).collect())
}
