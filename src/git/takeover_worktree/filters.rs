//! Writes the files of a takeover even if filters fail, because a key or the filter command may be missing in a new
//! worktree. If a filter fails, the file is written as git stores it, and listed.

use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, SystemTime};

use crate::git::attributes::{self, Attributes};
use crate::git::command::{Git, failed};
use crate::git::snapshot::folds_case;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// Maximum files that are filtered one by one; the others stay as git stores them.
const MOST_TRIED: usize = 2000;
/// How much older files are made than the index, because git trusts an index only for older files.
const AGE: Duration = Duration::from_secs(60);

/// A file of the worktree that is as git stores it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Relative to the top of the worktree. Invalid UTF-8 is replaced.
    pub path: String,
    /// The filter's error.
    pub why: String,
}

/// Sets index and files to the tree `files`.
pub(super) fn check_out(tree: &Repository, files: &Oid) -> Result<Vec<Stored>> {
    let read = git(tree, "read-tree").args(["--reset", "-u", files.as_str()]);
    let first = read.output()?;
    if first.status.success() && complaint(&first).is_none() {
        return Ok(Vec::new());
    }
    let names = names_of_filters(tree)?;
    if names.is_empty() && !first.status.success() {
        return Err(failed("read-tree".into(), &first));
    }
    // Writes everything without filters first. An existing index would make files count as up to date.
    remove_index(tree)?;
    without(git(tree, "read-tree"), &names).args(["--reset", "-u", files.as_str()]).run()?;
    let filtered = filtered(tree, &names)?;
    let mut stored = Vec::new();
    for (number, (path, object, attributes)) in filtered.iter().enumerate() {
        let why = if number < MOST_TRIED {
            smudge(tree, path, object)?
        } else {
            Some(format!("one of {} files that git rewrites", filtered.len()))
        };
        if let Some(why) = why {
            age(&place(tree, path))?;
            let said = if attributes.filter.is_empty() { &attributes.encoding } else { &attributes.filter };
            stored.push(Stored { path: String::from_utf8_lossy(path).into_owned(), why: format!("{said}: {why}") });
        }
    }
    // Refreshed once without filters and once with them. Both report what they could not refresh.
    without(git(tree, "update-index"), &names).args(["-q", "--refresh"]).output()?;
    git(tree, "update-index").args(["-q", "--refresh"]).output()?;
    Ok(stored)
}

/// Writes the files of another tree that do not exist yet, without filters where those fail.
pub(super) fn add(tree: &Repository, files: &Oid) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(Error::io("write in", &std::env::temp_dir()))?;
    let index = scratch.path().join("index");
    git(tree, "read-tree").index(&index).arg(files.as_str()).run()?;
    let write = |git: Git| git.index(&index).args(["-a", "-q"]);
    if write(git(tree, "checkout-index")).output()?.status.success() {
        return Ok(());
    }
    write(without(git(tree, "checkout-index"), &names_of_filters(tree)?)).run()?;
    Ok(())
}

/// A git command for the takeover. A sparse checkout of the user's does not apply here, because everything is needed.
/// Whether the disk folds case is tested.
fn git(tree: &Repository, verb: &'static str) -> Git {
    tree.git(verb).config("core.sparseCheckout=false").config(format!("core.ignorecase={}", folds_case(tree.top())))
}

fn names_of_filters(tree: &Repository) -> Result<Vec<String>> {
    Ok(tree.config()?.filters().into_iter().map(str::to_owned).collect())
}

/// The same command with all filters off.
fn without(git: Git, names: &[String]) -> Git {
    names.iter().fold(git, |git, name| {
        let none = ["clean=", "smudge=", "process=", "required=false"];
        none.iter().fold(git, |git, setting| git.config(format!("filter.{name}.{setting}")))
    })
}

fn remove_index(tree: &Repository) -> Result<()> {
    let index = tree.git_path("index");
    match std::fs::remove_file(&index) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", &index)(error)),
        _ => Ok(()),
    }
}

/// The files that git rewrites on checkout, with their objects. LFS is left out, because its content is not downloaded.
fn filtered(tree: &Repository, names: &[String]) -> Result<Vec<(Vec<u8>, String, Attributes)>> {
    let listed = tree.git("ls-files").args(["-s", "-z"]).run()?;
    let mut objects = std::collections::HashMap::new();
    let mut paths = Vec::new();
    for entry in listed.split(|b| *b == 0).filter(|entry| entry.starts_with(b"100")) {
        let Some(tab) = entry.iter().position(|b| *b == b'\t') else { continue };
        let head = String::from_utf8_lossy(&entry[..tab]);
        let Some(object) = head.split(' ').nth(1) else { continue };
        objects.insert(entry[tab + 1..].to_vec(), object.to_owned());
        paths.extend_from_slice(&entry[tab + 1..]);
        paths.push(0);
    }
    let known = |it: &Attributes| names.contains(&it.filter) && it.filter != "lfs" || !it.encoding.is_empty();
    let all = attributes::of(tree.git("check-attr"), paths)?.into_iter().filter(|(_, it)| known(it));
    Ok(all.filter_map(|(path, it)| Some((path.clone(), objects.remove(&path)?, it))).collect())
}

/// Filters one file. Returns the error if that fails; the file then stays as it was.
fn smudge(tree: &Repository, path: &[u8], object: &str) -> Result<Option<String>> {
    let mut option = OsString::from("--path=");
    option.push(OsStr::from_bytes(path));
    let target = place(tree, path);
    let made = tempfile::NamedTempFile::new_in(tree.top()).map_err(Error::io("write in", tree.top()))?;
    let file = made.as_file().try_clone().map_err(Error::io("write in", tree.top()))?;
    let output = tree.git("cat-file").arg("--filters").arg(option).arg(object).stdout_file(file).output()?;
    let said = complaint(&output);
    if !output.status.success() {
        return Ok(Some(said.unwrap_or_else(|| output.status.to_string())));
    }
    // A filter that may fail leaves the stored bytes. One that succeeded may print something, too.
    let same = || Ok(std::fs::read(made.path())? == std::fs::read(&target)?);
    if said.is_some() && same().map_err(Error::io("read", &target))? {
        return Ok(said);
    }
    let mode = target.symlink_metadata().map_err(Error::io("read", &target))?.permissions();
    made.as_file().set_permissions(mode).map_err(Error::io("write", &target))?;
    made.persist(&target).map_err(|error| Error::io("write", &target)(error.error))?;
    Ok(None)
}

/// The first line that reports a failure.
fn complaint(output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stderr);
    let failed = text.lines().any(|line| line.starts_with("error: ") || line.starts_with("fatal: "));
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    failed.then(|| lines.next().unwrap_or_default().to_owned())
}

fn place(tree: &Repository, path: &[u8]) -> PathBuf {
    tree.top().join(OsStr::from_bytes(path))
}

/// Makes a file older than the index that is written next, so that no later `git status` runs the filter again.
fn age(path: &std::path::Path) -> Result<()> {
    let then = SystemTime::now() - AGE;
    let file = File::options().write(true).open(path);
    file.and_then(|file| file.set_times(FileTimes::new().set_modified(then))).map_err(Error::io("write", path))
}
