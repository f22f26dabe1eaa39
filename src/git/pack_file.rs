//! The objects of a large push as a file, which can be sent in parts and continued after a lost connection.

use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::transfer::{blocking, run};
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// A push of at least this many bytes is sent as a file.
pub const LARGE: u64 = 32 << 20;

/// A pack in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackFile {
    pub path: PathBuf,
    /// The checksum at its end, which is its name in git.
    pub hash: Oid,
    /// Length in bytes.
    pub length: u64,
}

/// The pack for `tips` that this process or an earlier one made in `outbox`.
pub fn kept(repo: &Repository, outbox: &Path, tips: &[Oid]) -> Option<PackFile> {
    read(repo, outbox.join(name(tips))).ok()
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

/// Packs in `outbox` what `tips` reach and `held` do not. `None`, and no file, if that is smaller than [`LARGE`].
///
/// Ids in `held` that the repository does not have are ignored. One process at a time may use an outbox.
///
/// # Errors
/// git fails, or the file cannot be written.
pub async fn make(repo: &Repository, outbox: &Path, tips: &[Oid], held: &[Oid]) -> Result<Option<PackFile>> {
    let held = {
        let (repo, held) = (repo.clone(), held.to_vec());
        blocking(move || repo.present(&held)).await?
    };
    let ends: Vec<_> = tips.iter().map(Oid::to_string).chain(held.iter().map(|oid| format!("^{oid}"))).collect();
    let ends = (ends.join("\n") + "\n").into_bytes();
    // git before 2.31 cannot report the size, so the pack is made and measured.
    let weigh = repo.git("rev-list").args(["--objects", "--disk-usage", "--stdin"]);
    let weighed = run(weigh, ends.clone()).await?;
    if weighed.stdout.trim().parse().is_ok_and(|bytes: u64| bytes < LARGE) {
        return Ok(None);
    }
    forget(outbox)?;
    std::fs::create_dir_all(outbox).map_err(Error::io("make", outbox))?;
    let making = outbox.join("making");
    let file = std::fs::File::create(&making).map_err(Error::io("make", &making))?;
    // Not thin, because the host's git indexes the file in place.
    let pack = repo.git("pack-objects").args(["--revs", "--stdout", "--delta-base-offset", "-q"]).stdout_file(file);
    let ran = run(pack, ends).await?;
    if !ran.status.success() {
        forget(outbox)?;
        return Err(ran.failed("pack-objects"));
    }
    let path = outbox.join(name(tips));
    std::fs::rename(&making, &path).map_err(Error::io("make", &path))?;
    let made = read(repo, path)?;
    if made.length < LARGE {
        forget(outbox)?;
        return Ok(None);
    }
    Ok(Some(made))
}

impl Repository {
    /// A quick estimate of whether a push of everything in the repository would be [`LARGE`]. If it borrows objects
    /// from other directories, the answer is yes.
    ///
    /// # Errors
    /// git fails.
    pub fn may_be_large(&self) -> Result<bool> {
        let printed = self.git("count-objects").arg("-v").run()?;
        let mut kibibytes = 0;
        for line in String::from_utf8_lossy(&printed).lines() {
            match line.split_once(": ") {
                Some(("size" | "size-pack", size)) => kibibytes += size.parse().unwrap_or(0),
                Some(("alternate", _)) => return Ok(true),
                _ => {}
            }
        }
        Ok(kibibytes * 1024 >= LARGE)
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
fn name(tips: &[Oid]) -> String {
    let mut tips: Vec<_> = tips.iter().map(Oid::as_str).collect();
    tips.sort_unstable();
    let digest = Sha256::digest(tips.join("\n").as_bytes());
    let hex: String = digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect();
    format!("{hex}.pack")
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
    use crate::git::testing::Repo;

    /// Bytes that do not compress, the same for the same seed.
    fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut state = seed | 1;
        let step = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        std::iter::repeat_with(step).flatten().take(length).collect()
    }

    fn large() -> (Repo, Repository) {
        let repo = Repo::with_commit();
        std::fs::write(repo.path("large"), noise(LARGE as usize + 4096, 7)).unwrap();
        repo.commit("large");
        let git = repo.open();
        (repo, git)
    }

    #[tokio::test]
    async fn a_large_push_becomes_a_pack_that_git_reads() {
        let (repo, git) = large();
        assert!(git.may_be_large().unwrap());
        let tips = [git.head().unwrap()];
        let outbox = repo.sibling("outbox");
        let made = make(&git, &outbox, &tips, &[]).await.unwrap().unwrap();
        assert!(made.length > LARGE && made.length == made.path.metadata().unwrap().len());
        assert_eq!(kept(&git, &outbox, &tips), Some(made.clone()));
        let printed = repo.git(["index-pack", made.path.to_str().unwrap()]);
        assert_eq!(printed.trim(), made.hash.as_str());
        assert_eq!(kept(&git, &outbox, &[]), None);
        forget(&outbox).unwrap();
        assert_eq!(kept(&git, &outbox, &tips), None);
        forget(&outbox).unwrap();
    }

    #[tokio::test]
    async fn objects_of_the_host_are_left_out_and_then_no_pack_is_large() {
        let (repo, git) = large();
        let held = git.head().unwrap();
        repo.write("small", "x\n");
        repo.commit("small");
        let foreign = "0123456789012345678901234567890123456789".parse().unwrap();
        let outbox = repo.sibling("outbox");
        let made = make(&git, &outbox, &[git.head().unwrap()], &[foreign, held]).await.unwrap();
        assert_eq!(made, None);
        assert!(!outbox.exists());
    }

    #[test]
    fn a_small_repository_may_not_be_large() {
        assert!(!Repo::with_commit().open().may_be_large().unwrap());
    }
}
