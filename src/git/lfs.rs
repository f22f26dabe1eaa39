//! Git LFS. A snapshot and a capture have pointers, as git stores them. The contents travel as blobs of a commit of their
//! own, whose tree names each by its LFS id. None of this needs git-lfs.

pub mod pointer;
mod ship;
mod show;
mod store;

use std::collections::BTreeMap;
use std::path::Path;

pub use pointer::{ContentId, Pointer};
pub(in crate::git) use show::show_in;

use super::attributes;
use super::command::Git;
use super::snapshot::parse_entry;
use super::{Error, Result};
use crate::model::snapshot::Oid;

/// The value of the attribute `filter` that marks files of Git LFS.
pub const FILTER: &str = "lfs";
/// A file that is stored as a pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) struct LfsFile {
    pub path: Vec<u8>,
    pub pointer: Pointer,
}

/// The files of a tree or an index whose attributes say LFS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::git) struct LfsFiles {
    /// Those that are pointers.
    pub pointers: Vec<LfsFile>,
    /// Paths of those that are stored without the filter, as before the attribute was set.
    pub raw: Vec<Vec<u8>>,
}

/// What a blob of a file of Git LFS is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::git) enum Stored {
    Pointer(Pointer),
    /// Of an empty file, which git-lfs leaves as it is.
    Empty,
    /// Content, or a pointer that git-lfs would not write.
    Other,
}

/// The files of the tree `tree`, by the attributes in it. `git` makes commands that can read it.
pub(in crate::git) fn files_of(git: &dyn Fn(&'static str) -> Git, tree: &Oid) -> Result<LfsFiles> {
    let asked =
        ["-q", "--no-recurse-submodules", "-e", "filter=lfs", tree.as_str(), "--", ":(top,glob)**/.gitattributes"];
    if git("grep").args(asked).answer()?.is_none() {
        return Ok(LfsFiles::default());
    }
    let scratch = tempfile::tempdir().map_err(Error::io("write in", &std::env::temp_dir()))?;
    let index = scratch.path().join("index");
    git("read-tree").index(&index).config("core.sparseCheckout=false").arg(tree.as_str()).run()?;
    files_in(git, &index, |_| true)
}

/// The same for the entries of an index that are `wanted`.
pub(in crate::git) fn files_in(
    git: &dyn Fn(&'static str) -> Git,
    index: &Path,
    wanted: impl Fn(&[u8]) -> bool,
) -> Result<LfsFiles> {
    let listed = git("ls-files").index(index).args(["-s", "-z", "--full-name"]).run()?;
    let entries = listed.split(|byte| *byte == 0).filter_map(parse_entry);
    let entries: BTreeMap<Vec<u8>, String> = entries
        .filter(|(path, (mode, _))| mode.starts_with("100") && wanted(path))
        .map(|(path, (_, object))| (path, object))
        .collect();
    let paths: Vec<u8> = entries.keys().flat_map(|path| path.iter().copied().chain([0])).collect();
    let ask = git("check-attr").index(index).config("core.attributesFile=/dev/null").arg("--cached");
    let marked = attributes::of(ask, paths)?.into_iter().filter(|(_, found)| found.filter == FILTER);
    let marked: Vec<(Vec<u8>, &String)> =
        marked.filter_map(|(path, _)| entries.get(&path).map(|object| (path, object))).collect();
    let objects: Vec<&str> = marked.iter().map(|(_, object)| object.as_str()).collect();
    let stored = stored_as(git, &objects)?;
    let mut files = LfsFiles::default();
    for ((path, _), stored) in marked.into_iter().zip(stored) {
        match stored {
            Stored::Pointer(pointer) => files.pointers.push(LfsFile { path, pointer }),
            Stored::Empty => {}
            Stored::Other => files.raw.push(path),
        }
    }
    Ok(files)
}

/// What blobs are. Only those are read that are short enough for a pointer.
pub(in crate::git) fn stored_as(git: &dyn Fn(&'static str) -> Git, objects: &[&str]) -> Result<Vec<Stored>> {
    let question: String = objects.iter().map(|object| format!("{object}\n")).collect();
    let sizes = git("cat-file").args(["--buffer", "--batch-check=%(objectsize)"]).stdin(question).run()?;
    let sizes = String::from_utf8_lossy(&sizes).into_owned();
    // For a missing object git prints `<oid> missing`, which is no number.
    let sizes: Vec<usize> = sizes.lines().map(|size| size.parse().unwrap_or(usize::MAX)).collect();
    let short = |size: &usize| (1..=pointer::LONGEST).contains(size);
    let read = objects.iter().zip(&sizes).filter(|(_, size)| short(size));
    let read: String = read.map(|(object, _)| format!("{object}\n")).collect();
    let printed = git("cat-file").args(["--buffer", "--batch"]).stdin(read).run()?;
    let mut rest = printed.as_slice();
    // git-cat-file(1): `<oid> <type> <size> LF <contents> LF`.
    let mut next = |size: usize| {
        let start = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let pointer = Pointer::parse(rest.get(start..start + size)?);
        rest = rest.get(start + size + 1..).unwrap_or_default();
        pointer
    };
    let mut read_one = |size: &usize| match size {
        0 => Stored::Empty,
        size if short(size) => next(*size).map_or(Stored::Other, Stored::Pointer),
        _ => Stored::Other,
    };
    let mut found: Vec<Stored> = sizes.iter().map(&mut read_one).collect();
    found.resize(objects.len(), Stored::Other);
    Ok(found)
}

#[cfg(test)]
mod tests;
