//! New ed25519 keys.

use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

/// A new key in memory.
///
/// # Errors
/// The system has no randomness.
pub fn random() -> std::io::Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| std::io::Error::other(e.to_string()))?;
    Ok(Ed25519Keypair::from_seed(&seed).into())
}

/// Writes a new key to `path` (0600) and its public half next to it, and returns the public line.
///
/// # Errors
/// The files cannot be written.
pub fn generate(path: &Path) -> std::io::Result<String> {
    let key = random()?;
    let public = key.public_key().to_openssh().map_err(std::io::Error::other)?;
    key.write_openssh_file(path, LineEnding::LF).map_err(std::io::Error::other)?;
    std::fs::write(path.with_extension("pub"), format!("{public}\n"))?;
    Ok(public)
}
