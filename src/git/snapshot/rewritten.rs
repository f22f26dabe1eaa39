//! Files whose bytes here differ from those that the host gets, because a filter changes them.

use std::collections::BTreeMap;

use super::scratch::{Entries, GITLINK, LINK, Scratch, path_of};
use crate::git::attributes::{self, Attributes};
use crate::git::config::Config;
use crate::git::lfs::{self, LfsFile, Stored};
use crate::git::{Repository, Result};

/// Maximum files that are read to compare their bytes. Above that, only files with another length are reported.
const MOST_READ: usize = 2000;

/// The reason of a file of Git LFS whose content is not here.
const ABSENT: &str = "LFS content is not here; run: git lfs pull";

/// Each such file with the reason. `files` is what is shipped. Filters use commands and keys of this machine, so a host
/// gets what git stores: cipher text of git-crypt, pointers of git-annex. Of Git LFS it gets the content, too, if that is
/// here. Files that their filter leaves
/// unchanged are not listed.
pub(super) fn find(repo: &Repository, scratch: &Scratch, files: &Entries) -> Result<Vec<(Vec<u8>, String)>> {
    let in_tree = files.keys().any(|path| path_of(path).file_name().is_some_and(|name| name == ".gitattributes"));
    let config = repo.config()?;
    let filters = config.filters();
    let outside = repo.git_path("info/attributes").exists() || has_user_attributes(&config);
    if !in_tree && !outside {
        return Ok(Vec::new());
    }
    let (mut found, mut maybe, mut lfs) = (Vec::new(), Vec::new(), Vec::new());
    for (path, Attributes { filter, encoding }) in attributes(scratch, files)? {
        if filter == lfs::FILTER {
            lfs.push(path);
        } else if filters.contains(filter.as_str()) {
            maybe.push((
                path,
                format!("sent as git stores it, because the filter {filter} exists only on this machine"),
            ));
        } else if outside && !encoding.is_empty() {
            maybe.push((
                path,
                format!("sent in UTF-8, because its encoding {encoding} is not set in .gitattributes of the tree"),
            ));
        }
    }
    found.extend(without_content(repo, scratch, files, lfs)?);
    found.extend(changed(scratch, files, maybe)?);
    Ok(found)
}

/// Whether attributes of the user's own may apply.
fn has_user_attributes(config: &Config) -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(std::path::PathBuf::from);
    let home = || Some(set("HOME")?.join(".config"));
    let place = set("XDG_CONFIG_HOME").or_else(home).map(|directory| directory.join("git/attributes"));
    config.get("core.attributesfile").is_some() || place.is_some_and(|place| place.exists())
}

fn attributes(scratch: &Scratch, files: &Entries) -> Result<BTreeMap<Vec<u8>, Attributes>> {
    let mut paths = Vec::new();
    for (path, _) in files.iter().filter(|(_, (mode, _))| mode != GITLINK && mode != LINK) {
        paths.extend(path);
        paths.push(0);
    }
    attributes::of(scratch.git("check-attr").index(scratch.files()), paths)
}

/// The files of Git LFS whose content is not on this laptop.
fn without_content(
    repo: &Repository,
    scratch: &Scratch,
    files: &Entries,
    paths: Vec<Vec<u8>>,
) -> Result<Vec<(Vec<u8>, String)>> {
    let objects: Vec<&str> = paths.iter().map(|path| files.get(path).map_or("", |(_, object)| object)).collect();
    let stored = lfs::stored_as(&|verb| scratch.git(verb), &objects)?;
    let pointers = paths.into_iter().zip(stored).filter_map(|(path, stored)| match stored {
        Stored::Pointer(pointer) => Some(LfsFile { path, pointer }),
        _ => None,
    });
    let pointers: Vec<LfsFile> = pointers.collect();
    let absent = repo.lfs_absent(&pointers)?;
    Ok(absent.into_iter().map(|path| (path.to_vec(), ABSENT.to_owned())).collect())
}

/// The files whose bytes here differ from what git stores.
fn changed(scratch: &Scratch, files: &Entries, maybe: Vec<(Vec<u8>, String)>) -> Result<Vec<(Vec<u8>, String)>> {
    if maybe.is_empty() {
        return Ok(maybe);
    }
    let object = |path: &[u8]| files.get(path).map_or("", |(_, object)| object.as_str());
    let question: String = maybe.iter().map(|(path, _)| format!("{}\n", object(path))).collect();
    let sizes = scratch.git("cat-file").arg("--batch-check=%(objectsize)").stdin(question).run()?;
    let (mut found, mut same_length) = (Vec::new(), Vec::new());
    for (item, size) in maybe.into_iter().zip(sizes.split(|b| *b == b'\n')) {
        // A file that does not exist was shipped as it is staged.
        let Ok(meta) = scratch.top().join(path_of(&item.0)).symlink_metadata() else { continue };
        if meta.len().to_string().as_bytes() == size { same_length.push(item) } else { found.push(item) }
    }
    // One name a line, so a file with a newline in its name is not compared.
    same_length.retain(|(path, _)| !path.contains(&b'\n'));
    same_length.truncate(MOST_READ);
    let names: Vec<_> = same_length.iter().flat_map(|(path, _)| [path.as_slice(), b"\n"]).collect();
    // If a file was deleted in between, the command fails, and only the lengths are compared.
    let hashes = scratch.git("hash-object").args(["--no-filters", "--stdin-paths"]).stdin(names.concat()).run();
    let hashes = hashes.unwrap_or_default();
    let pairs = same_length.into_iter().zip(hashes.split(|b| *b == b'\n'));
    found.extend(pairs.filter(|(item, hash)| *hash != object(&item.0).as_bytes()).map(|(item, _)| item));
    Ok(found)
}
