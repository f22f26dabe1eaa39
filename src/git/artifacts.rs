//! Build results of an attempt: the files of a commit that a host made of what its ignore rules leave out.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::background::blocking;
use super::pack_file::PackFile;
use super::quarantine::{Quarantine, TakenIn};
use super::refs;
use super::{Error, Repository, Result};
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;

/// One file of the commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// Relative, with `/` between names; no name is `.`, `..` or `.git`.
    pub path: PathBuf,
    pub bytes: u64,
    pub object: Oid,
    pub is_executable: bool,
}

impl Repository {
    /// Takes the commit of the artifacts of attempt `n` from a pack into `refs/handoff/<id>/artifacts/<n>`, through a
    /// quarantine as a capture. `None`: the pack is damaged, or builds on objects that are not here.
    ///
    /// # Errors
    /// git fails.
    pub async fn take_in_artifacts(
        &self,
        id: &HandoffId,
        n: AttemptNo,
        commit: &Oid,
        pack: &PackFile,
    ) -> Result<Option<TakenIn>> {
        let (repo, id, commit, pack) = (self.clone(), id.clone(), commit.clone(), pack.clone());
        let take_in = move || {
            let tips = [(refs::artifacts(&id, n), commit.clone())];
            let quarantine = Quarantine::new(&repo, &id)?;
            if !quarantine.unpack(&pack)? {
                return Ok(None);
            }
            // The disk may not have room for both.
            _ = std::fs::remove_file(&pack.path);
            if !quarantine.is_connected(&tips)? {
                return Ok(None);
            }
            let taken = quarantine.take_in(&refs::of(&id), &tips)?;
            if !taken.refs.is_empty() {
                repo.verify_connected(&[commit])?;
            }
            Ok(Some(taken))
        };
        blocking(take_in).await
    }

    /// Whether the artifacts of attempt `n` are here as this commit, whole.
    ///
    /// # Errors
    /// git fails.
    pub fn has_artifacts(&self, id: &HandoffId, n: AttemptNo, commit: &Oid) -> Result<bool> {
        let own = self.list_refs(&refs::artifacts(id, n))?;
        Ok(own.iter().any(|(_, oid)| oid == commit) && self.verify_connected(std::slice::from_ref(commit)).is_ok())
    }

    /// The files of a commit of artifacts, in order.
    ///
    /// # Errors
    /// It has anything except regular files in directories, or a name that a file here must not have.
    pub fn artifacts_of(&self, commit: &Oid) -> Result<Vec<Artifact>> {
        let listed = self.git("ls-tree").args(["-r", "-l", "-z", "--full-tree", commit.as_str()]).run()?;
        listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()).map(read_entry).collect()
    }

    /// Whether an open file has the content of an artifact.
    ///
    /// # Errors
    /// git fails.
    pub fn is_artifact(&self, artifact: &Artifact, file: File) -> Result<bool> {
        Ok(self.git("hash-object").args(["--no-filters", "--stdin"]).stdin_file(file).line()?
            == artifact.object.as_str())
    }

    /// Writes the content of a file into an open file, byte for byte.
    ///
    /// # Errors
    /// git or the disk fails.
    pub fn write_artifact(&self, artifact: &Artifact, to: &File) -> Result<()> {
        let to = to.try_clone().map_err(Error::io("write", &artifact.path))?;
        self.git("cat-file").args(["blob", artifact.object.as_str()]).stdout_file(to).run().map(drop)
    }
}

/// `<mode> blob <oid> <bytes>\t<path>`.
fn read_entry(entry: &[u8]) -> Result<Artifact> {
    let wrong = || Error::untrusted(format!("{:?} is no artifact", String::from_utf8_lossy(entry)));
    let tab = entry.iter().position(|byte| *byte == b'\t').ok_or_else(wrong)?;
    let (head, path) = (String::from_utf8_lossy(&entry[..tab]), &entry[tab + 1..]);
    let [mode, "blob", object, bytes] = head.split_whitespace().collect::<Vec<_>>()[..] else { return Err(wrong()) };
    let is_executable = match mode {
        "100644" => false,
        "100755" => true,
        _ => return Err(wrong()),
    };
    let is_bad = |name: &[u8]| name.is_empty() || name == b"." || name == b".." || name.eq_ignore_ascii_case(b".git");
    if path.split(|byte| *byte == b'/').any(is_bad) {
        return Err(wrong());
    }
    let (object, bytes) = (object.parse().map_err(|_| wrong())?, bytes.parse().map_err(|_| wrong())?);
    Ok(Artifact { path: OsString::from_vec(path.to_vec()).into(), bytes, object, is_executable })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regular_files_with_usable_names_are_artifacts() {
        let oid = "1".repeat(40);
        let read = |head: &str, path: &str| read_entry(format!("{head} {oid}       7\t{path}").as_bytes());
        let artifact = read("100755 blob", "target/a \"b\"\n").unwrap();
        assert_eq!((artifact.path.to_str(), artifact.bytes), (Some("target/a \"b\"\n"), 7));
        assert!(artifact.is_executable && !read("100644 blob", "x").unwrap().is_executable);
        for (head, path) in [
            ("120000 blob", "x"),
            ("160000 commit", "x"),
            ("100644 tree", "x"),
            ("100644 blob", "../x"),
            ("100644 blob", "a/../x"),
            ("100644 blob", "/etc/x"),
            ("100644 blob", "a/.GIT/config"),
            ("100644 blob", "a//x"),
            ("100644 blob", "."),
            ("100644 blob", ""),
        ] {
            assert!(read(head, path).is_err(), "{head} {path}");
        }
    }
}
