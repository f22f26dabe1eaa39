//! `.worktreeinclude`: a file at the top of a repository that names ignored files which a new worktree needs. Its syntax
//! is that of `.gitignore`. Claude Code and Cursor read it when they make a worktree on the same machine.
//!
//! Here the files leave the machine. So names that look like secrets, and a selection too large to be meant, are left
//! behind unless the user names them for handoff.

use std::path::Path;

use super::ignored_matching::matching;
use super::scratch::{Scratch, path_of};
use crate::git::{Repository, Result};

/// The file's name.
pub(super) const NAME: &str = ".worktreeinclude";
/// Maximum bytes of the files that it selects.
const MOST_BYTES: u64 = 100 << 20;
/// Why a file that it selects is left behind.
pub(super) const SECRET: &str = "may be a secret; `--include PATH` sends it";
const TOO_LARGE: &str = "one of more than 100 MiB in .worktreeinclude; `--include PATH` sends it";

/// What the file selects.
#[derive(Default)]
pub(super) struct Selected {
    pub sent: Vec<Vec<u8>>,
    /// Paths that are left behind, with the reason.
    pub withheld: Vec<(Vec<u8>, &'static str)>,
}

/// The ignored files that `.worktreeinclude` selects. `files` is an index of all other files.
pub(super) fn select(repo: &Repository, scratch: &Scratch, files: &Path) -> Result<Selected> {
    let list = repo.top().join(NAME);
    if !list.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(Selected::default());
    }
    let selected = matching(repo, scratch, files, &list)?;
    let (secret, others): (Vec<_>, Vec<_>) = selected.into_iter().partition(|path| is_secret(path));
    let size = |path: &Vec<u8>| repo.top().join(path_of(path)).symlink_metadata().map_or(0, |metadata| metadata.len());
    let fits = others.iter().map(size).sum::<u64>() <= MOST_BYTES;
    let (sent, too_large) = if fits { (others, vec![]) } else { (vec![], others) };
    let withheld = secret.into_iter().map(|path| (path, SECRET));
    let withheld = withheld.chain(too_large.into_iter().map(|path| (path, TOO_LARGE))).collect();
    Ok(Selected { sent, withheld })
}

/// Whether a file's name is one that is usual for credentials.
pub(in crate::git) fn is_secret(path: &[u8]) -> bool {
    let path = String::from_utf8_lossy(path).to_lowercase();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_example = ["example", "sample", "template", "dist"].iter().any(|end| name.ends_with(&format!(".{end}")));
    let begins =
        [".env", ".netrc", ".npmrc", ".pypirc", ".pgpass", ".git-credentials", "id_rsa", "id_ed25519", "id_ecdsa"];
    let contains = ["secret", "credential", "password", "passwd", "token", "service-account", "service_account"];
    let ends = [".pem", ".key", ".p12", ".pfx", ".jks", ".keystore", ".kdbx", ".ppk", ".tfvars", ".tfstate"];
    let in_directory = [".ssh/", ".aws/", ".gnupg/"];
    !is_example
        && (begins.iter().any(|word| name.starts_with(word))
            || contains.iter().any(|word| name.contains(word))
            || ends.iter().any(|word| name.ends_with(word))
            || in_directory.iter().any(|word| path.starts_with(word) || path.contains(&format!("/{word}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_credentials_are_recognised() {
        for path in [".env", "web/.env.local", "certs/server.PEM", ".aws/config", "x/.ssh/config", "api_token.txt"] {
            assert!(is_secret(path.as_bytes()), "{path}");
        }
        for path in [".env.example", "env.h", "local/settings.toml", "build/cache.bin", "keys.md"] {
            assert!(!is_secret(path.as_bytes()), "{path}");
        }
    }
}
