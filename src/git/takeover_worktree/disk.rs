//! Checks whether a disk can store a tree, before anything of the tree is written. The disk itself is asked, with empty
//! files of these names in a directory of ours: which names it takes for the same, and which it refuses.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// Maximum names in one message.
const SHOWN: usize = 10;
/// Names of at least this many bytes are tried, because some file systems (eCryptfs) allow only 143.
const LONG: usize = 140;
/// Device names in DOS, reserved with any extension.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The names that are children of each directory of a tree.
type Directories = BTreeMap<Vec<u8>, BTreeSet<Vec<u8>>>;

/// Fails with the names if the disk of `place`, an empty directory of ours, cannot store the tree.
pub(super) fn check(repo: &Repository, tree: &Oid, place: &Path) -> Result<()> {
    let printed = repo.git("ls-tree").args(["-r", "-z", "--full-tree", tree.as_str()]).run()?;
    let (mut directories, mut links) = (Directories::new(), 0);
    for entry in printed.split(|b| *b == 0) {
        let Some(tab) = entry.iter().position(|b| *b == b'\t') else { continue };
        links += usize::from(entry.starts_with(b"120000 "));
        add(&mut directories, &entry[tab + 1..]);
    }
    let mut found = Vec::new();
    for (number, (directory, names)) in directories.iter().enumerate() {
        let suspects = suspects(names);
        if !suspects.is_empty() {
            let here = place.join(number.to_string());
            std::fs::create_dir(&here).map_err(Error::io("make", &here))?;
            try_names(&here, directory, &suspects, &mut found)?;
        }
    }
    let plain = repo.config()?.get("core.symlinks").is_some_and(|value| value.eq_ignore_ascii_case("false"));
    if links > 0 && !plain && std::os::unix::fs::symlink("x", place.join("link")).is_err() {
        found.push(format!("{links} symbolic links, which the file system does not support"));
    }
    match found.is_empty() {
        true => Ok(()),
        false => Err(refused(place.parent().unwrap_or(place), &found)),
    }
}

fn add(directories: &mut Directories, path: &[u8]) {
    let mut at = path;
    loop {
        let (directory, name) = match at.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&at[..slash], &at[slash + 1..]),
            None => (&at[..0], at),
        };
        let new = directories.entry(directory.to_vec()).or_default().insert(name.to_vec());
        if !new || directory.is_empty() {
            return;
        }
        at = directory;
    }
}

/// The names that some file system refuses, or takes for another name in the same directory.
fn suspects(names: &BTreeSet<Vec<u8>>) -> Vec<&[u8]> {
    let mut folded: HashMap<Vec<u8>, u32> = HashMap::new();
    for name in names {
        *folded.entry(name.to_ascii_lowercase()).or_default() += 1;
    }
    let suspect = |name: &&Vec<u8>| folded[&name.to_ascii_lowercase()] > 1 || is_odd(name);
    names.iter().filter(suspect).map(Vec::as_slice).collect()
}

fn is_odd(name: &[u8]) -> bool {
    let odd = |b: &u8| !b.is_ascii() || b.is_ascii_control() || b"<>:\"|?*\\".contains(b);
    let stem = name.split(|b| *b == b'.').next().unwrap_or_default().to_ascii_lowercase();
    let device = DEVICES.iter().any(|device| stem.starts_with(device.as_bytes()) && stem.len() <= device.len() + 1);
    name.len() >= LONG || matches!(name.last(), Some(b'.' | b' ')) || device || name.iter().any(odd)
}

/// Creates a file of each name, and notes names that collide or cannot be created.
fn try_names(here: &Path, directory: &[u8], names: &[&[u8]], found: &mut Vec<String>) -> Result<()> {
    let shown = |name: &[u8]| {
        let whole = if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() };
        String::from_utf8_lossy(&whole).into_owned()
    };
    let mut made: HashMap<(u64, u64), &[u8]> = HashMap::new();
    for name in names {
        let file = here.join(OsStr::from_bytes(name));
        match OpenOptions::new().write(true).create_new(true).open(&file) {
            Ok(_) => {
                let meta = file.symlink_metadata().map_err(Error::io("read", &file))?;
                made.insert((meta.dev(), meta.ino()), name);
            }
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let first = file.symlink_metadata().ok().and_then(|meta| made.get(&(meta.dev(), meta.ino())).copied());
                found.push(format!(
                    "{} and {} have the same name there",
                    first.map_or("another".into(), shown),
                    shown(name)
                ));
            }
            Err(error) if is_of_the_disk(&error) => return Err(Error::io("write in", here)(error)),
            Err(error) => found.push(format!("{} ({error})", shown(name))),
        }
    }
    Ok(())
}

/// Whether the error has nothing to do with the name, so that no file could be created.
fn is_of_the_disk(error: &std::io::Error) -> bool {
    use ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | ReadOnlyFilesystem | PermissionDenied)
}

fn refused(parent: &Path, found: &[String]) -> Error {
    let mut what = format!("the file system of {} cannot store the work; nothing was written:", parent.display());
    found.iter().take(SHOWN).for_each(|line| what.push_str(&format!("\n  {line}")));
    if found.len() > SHOWN {
        what.push_str(&format!("\n  and {} more", found.len() - SHOWN));
    }
    Error::unfit(what, "choose a directory on another file system with --worktree DIR; `handoff diff` shows the work")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directories(paths: &[&[u8]]) -> Directories {
        let mut all = Directories::new();
        paths.iter().for_each(|path| add(&mut all, path));
        all
    }

    #[test]
    fn only_unusual_names_are_tried() {
        let all = directories(&[b"a/Guide.md", b"a/guide.md", b"a/plain", b"b/x", b"B/y", b"c/d", b"c/D/e"]);
        let of = |directory: &str| suspects(&all[directory.as_bytes()]);
        assert_eq!(of("a"), [b"Guide.md", b"guide.md"]);
        assert_eq!(of(""), [b"B", b"b"]);
        assert_eq!(of("c"), [b"D", b"d"]);
        for odd in ["é", "a:b", "nul", "Com1.txt", "end.", "end ", "tab\t", &"x".repeat(200)] {
            assert!(is_odd(odd.as_bytes()), "{odd}");
        }
        for plain in ["README.md", "console.log", "auxiliary", ".gitignore", "nulls"] {
            assert!(!is_odd(plain.as_bytes()), "{plain}");
        }
    }

    #[test]
    fn a_name_that_collides_or_cannot_be_created_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let long = "x".repeat(300);
        let mut found = Vec::new();
        // The same name twice has the effect of two names on a disk that folds case.
        try_names(folder.path(), b"docs", &[b"guide", b"guide", long.as_bytes()], &mut found).unwrap();
        assert_eq!(found[0], "docs/guide and docs/guide have the same name there");
        assert!(found[1].starts_with("docs/xxx") && found[1].contains("name too long"), "{found:?}");
        let said = refused(folder.path(), &found).to_string();
        assert!(said.contains("\n  docs/guide and docs/guide have the same name there"), "{said}");
    }
}
