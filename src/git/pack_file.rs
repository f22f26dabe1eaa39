//! The objects of a push as a file, which can be sent in parts and continued after a lost connection.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::background::{blocking, run};
use super::boundary::Boundary;
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// The progress of a transfer of at least this many bytes is shown.
pub const LARGE: u64 = 32 << 20;
/// File name extension of a pack that builds on objects that it does not contain.
const THIN: &str = "thin";

/// A pack in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFile {
    pub path: PathBuf,
    /// The checksum at its end, which is its name in git.
    pub hash: Oid,
    /// Length in bytes.
    pub length: u64,
}

impl PackFile {
    /// Whether it builds on objects that it does not contain.
    pub fn is_thin(&self) -> bool {
        self.path.extension().is_some_and(|extension| extension == THIN)
    }
}

/// The pack for `tips` that this process or an earlier one made in `outbox`.
pub fn kept(repo: &Repository, outbox: &Path, tips: &[Oid]) -> Option<PackFile> {
    [THIN, "pack"].iter().find_map(|extension| read(repo, outbox.join(name(tips, extension))).ok())
}

/// Deletes the packs in `outbox`.
///
/// # Errors
/// They could not be removed.
pub fn forget(outbox: &Path) -> Result<()> {
    match std::fs::remove_dir_all(outbox) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", outbox)(error)),
        _ => Ok(()),
    }
}

/// Packs in `outbox` what `tips` reach and `held` do not.
///
/// Ids in `held` that the repository does not have are ignored. The history ends at `ends`, too, which may be incomplete
/// below. One process at a time may use an outbox.
///
/// # Errors
/// git fails, or the file cannot be written.
pub async fn make(repo: &Repository, outbox: &Path, tips: &[Oid], held: &[Oid], ends: &[Oid]) -> Result<PackFile> {
    let held = {
        let (repo, held) = (repo.clone(), held.to_vec());
        blocking(move || repo.with_trees_of_roots(repo.present(&held)?)).await?
    };
    let revs: Vec<_> = tips.iter().map(Oid::to_string).chain(held.iter().map(|oid| format!("^{oid}"))).collect();
    let revs = (revs.join("\n") + "\n").into_bytes();
    forget(outbox)?;
    std::fs::create_dir_all(outbox).map_err(Error::io("make", outbox))?;
    let making = outbox.join("making");
    let boundary = Boundary::with(repo, ends)?;
    // The host's git indexes a pack in place only if it is complete. With nothing to build on, it always is.
    let mut extension = if held.is_empty() { "pack" } else { THIN };
    loop {
        let file = std::fs::File::create(&making).map_err(Error::io("make", &making))?;
        // git holds each candidate of its search for similar objects in memory.
        let pack = repo.git("pack-objects").config("pack.windowMemory=256m").args([
            "--revs",
            "--stdout",
            "--delta-base-offset",
            "-q",
        ]);
        let pack = if extension == THIN { pack.arg("--thin") } else { pack };
        let ran = run(boundary.apply(pack).stdout_file(file), revs.clone()).await?;
        if ran.status.success() {
            let path = outbox.join(name(tips, extension));
            std::fs::rename(&making, &path).map_err(Error::io("make", &path))?;
            return read(repo, path);
        }
        // A partial clone may lack files of commits that the host has, which a thin pack would build on.
        if extension != THIN || !repo.is_partial_clone()? {
            forget(outbox)?;
            return Err(ran.failed("pack-objects"));
        }
        extension = "pack";
    }
}

impl Repository {
    /// Adds the trees of those commits that have no parent, such as one of contents of Git LFS: git leaves the files of a
    /// commit out of a pack only if it is an ancestor of what is packed.
    fn with_trees_of_roots(&self, mut oids: Vec<Oid>) -> Result<Vec<Oid>> {
        let asked: String = oids.iter().map(|oid| format!("{oid}\n")).collect();
        let check = ["--batch-check=%(objectname) %(objecttype)", "--buffer"];
        let types = self.git("cat-file").args(check).stdin(asked).run()?;
        let types = String::from_utf8_lossy(&types).into_owned();
        let commits = types.lines().filter_map(|line| line.strip_suffix(" commit"));
        let commits: String = commits.map(|commit| format!("{commit}\n")).collect();
        if commits.is_empty() {
            return Ok(oids);
        }
        let walk = ["--no-walk=unsorted", "--max-parents=0", "--stdin", "--format=%T"];
        let printed = self.git("rev-list").args(walk).stdin(commits).run()?;
        let printed = String::from_utf8_lossy(&printed).into_owned();
        let trees: Vec<Oid> = printed.lines().filter_map(|line| line.parse().ok()).collect();
        oids.extend(self.present(&trees)?);
        Ok(oids)
    }

    /// Those of `oids` that are in the repository.
    pub(super) fn present(&self, oids: &[Oid]) -> Result<Vec<Oid>> {
        let asked: String = oids.iter().map(|oid| format!("{oid}\n")).collect();
        let printed = self.git("cat-file").args(["--batch-check=%(objectname)", "--buffer"]).stdin(asked).run()?;
        // For a missing object git prints `<oid> missing`, which does not parse.
        Ok(String::from_utf8_lossy(&printed).lines().filter_map(|line| line.parse().ok()).collect())
    }
}

/// The same name for the same tips in any order.
fn name(tips: &[Oid], extension: &str) -> String {
    let mut tips: Vec<_> = tips.iter().map(Oid::as_str).collect();
    tips.sort_unstable();
    let digest = Sha256::digest(tips.join("\n").as_bytes());
    let hex: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.{extension}")
}

/// gitformat-pack(5): the last bytes of a pack are the checksum of the others, in the repository's object format.
fn read(repo: &Repository, path: PathBuf) -> Result<PackFile> {
    let mut sum = vec![0; repo.format().zero().len() / 2];
    let mut read = || {
        let mut file = std::fs::File::open(&path)?;
        file.seek(SeekFrom::End(-(sum.len() as i64)))?;
        file.read_exact(&mut sum)?;
        file.stream_position()
    };
    let length = read().map_err(Error::io("read", &path))?;
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    let hash = hex.parse().map_err(|_| Error::untrusted(format!("{} has no checksum", path.display())))?;
    Ok(PackFile { path, hash, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Repo, git_in};

    /// Indexes a pack in a repository, with what that has.
    fn index(repo: &Path, pack: &PackFile) -> String {
        let script = format!("git index-pack --stdin --fix-thin <'{}'", pack.path.display());
        let run = std::process::Command::new("sh").args(["-c", &script]).current_dir(repo).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        String::from_utf8(run.stdout).unwrap()
    }

    #[tokio::test]
    async fn a_push_becomes_a_pack_that_git_reads() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let tips = [git.head_commit()];
        let outbox = repo.sibling("outbox");
        let made = make(&git, &outbox, &tips, &[], &[]).await.unwrap();
        assert!(!made.is_thin() && made.length == made.path.metadata().unwrap().len());
        assert_eq!(kept(&git, &outbox, &tips), Some(made.clone()));
        let printed = repo.git(["index-pack", made.path.to_str().unwrap()]);
        assert_eq!(printed.trim(), made.hash.as_str());
        assert_eq!(kept(&git, &outbox, &[]), None);
        forget(&outbox).unwrap();
        assert_eq!(kept(&git, &outbox, &tips), None);
        forget(&outbox).unwrap();
    }

    #[tokio::test]
    async fn a_pack_builds_on_what_the_host_has() {
        let repo = Repo::with_commit();
        let line = |n: u32| format!("{}\n", u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_pow(3));
        repo.write("long", (0..4000).map(line).collect::<String>());
        repo.commit("long");
        let host = repo.sibling("host.git");
        repo.git(["clone", "-q", "--bare", repo.top().to_str().unwrap(), host.to_str().unwrap()]);
        let git = repo.open();
        let held = git.head_commit();
        repo.write("long", (0..4001).map(line).collect::<String>());
        repo.commit("one line more");
        let foreign = "0123456789012345678901234567890123456789".parse().unwrap();
        let (outbox, tip) = (repo.sibling("outbox"), git.head_commit());
        let made = make(&git, &outbox, std::slice::from_ref(&tip), &[foreign, held], &[]).await.unwrap();
        assert!(made.is_thin() && made.length < 2000, "{}", made.length);
        assert_eq!(kept(&git, &outbox, std::slice::from_ref(&tip)), Some(made.clone()));
        index(&host, &made);
        git_in(&host, ["rev-list", "--objects", tip.as_str()]);
        // Nothing is missing: the pack is empty, and git reads it.
        let made = make(&git, &outbox, std::slice::from_ref(&tip), std::slice::from_ref(&tip), &[]).await.unwrap();
        assert_eq!(made.length, 32);
        index(&host, &made);
    }
}
