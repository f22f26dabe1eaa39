//! The files of a host as its superuser sees them, by content.

use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

/// A file that an agent left. It must not be lost.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kept {
    /// Relative to the checkout's directory, for messages and for the names that the user reads.
    pub path: String,
    /// The directory that was searched.
    pub checkout: PathBuf,
    /// Git's id of the content.
    pub blob: String,
    /// The same with LF instead of CRLF, if every line ends with CRLF. Git stores this for a file that it checked out
    /// with `eol=crlf`.
    pub stored: Option<String>,
}

impl Kept {
    /// Whether these ids include its content.
    pub fn is_in(&self, ids: &HashSet<String>) -> bool {
        ids.contains(&self.blob) || self.stored.as_ref().is_some_and(|stored| ids.contains(stored))
    }
}

/// The content with LF instead of CRLF, if every line ends with CRLF.
fn without_crlf(content: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<&[u8]> = content.strip_suffix(b"\n")?.split(|byte| *byte == b'\n').collect();
    let plain: Option<Vec<&[u8]>> = lines.into_iter().map(|line| line.strip_suffix(b"\r")).collect();
    Some([plain?.join(&b'\n'), b"\n".to_vec()].concat())
}

/// Git's id of a blob.
pub fn blob_id(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every file with content and every link below a directory, except git's own files: any directory or file `.git`, and
/// a git directory under another name. Their commits are checked separately.
///
/// Each directory is opened from its parent, so that paths longer than PATH_MAX work.
pub fn below(directory: &Path) -> Vec<Kept> {
    let mut found = Vec::new();
    walk(directory, &OsString::new(), &mut found);
    found.into_iter().map(|kept| Kept { checkout: directory.to_owned(), ..kept }).collect()
}

fn walk(directory: &Path, name: &OsString, found: &mut Vec<Kept>) {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let Ok(handle) = openat(CWD, directory, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW, Mode::empty())
    else {
        return;
    };
    // A directory of /proc/self/fd keeps every path short.
    let here = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&handle)));
    if here.join("objects").is_dir() && here.join("refs").is_dir() {
        return;
    }
    let Ok(entries) = std::fs::read_dir(&here) else { return };
    for entry in entries.flatten() {
        let (file, Ok(kind)) = (entry.file_name(), entry.file_type()) else { continue };
        if file == ".git" {
            continue;
        }
        let mut path = name.clone();
        if !path.is_empty() {
            path.push("/");
        }
        path.push(&file);
        let content = if kind.is_dir() {
            walk(&here.join(&file), &path, found);
            continue;
        } else if kind.is_symlink() {
            std::fs::read_link(here.join(&file)).ok().map(|target| target.into_os_string().into_vec())
        } else if kind.is_file() && !kind.is_fifo() {
            std::fs::read(here.join(&file)).ok()
        } else {
            None
        };
        if let Some(content) = content.filter(|content| !content.is_empty()) {
            found.push(Kept {
                path: String::from_utf8_lossy(path.as_bytes()).into_owned(),
                checkout: PathBuf::new(),
                blob: blob_id(&content),
                stored: without_crlf(&content).as_deref().map(blob_id),
            });
        }
    }
}

/// The contents of all files below some directories.
pub fn contents(directories: &[PathBuf]) -> HashSet<String> {
    directories.iter().flat_map(|directory| below(directory)).map(|kept| kept.blob).collect()
}
