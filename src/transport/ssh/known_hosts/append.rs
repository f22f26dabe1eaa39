//! Stores a host key that the user has accepted.

use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use russh::keys::PublicKey;
use russh::keys::ssh_encoding::base64::{Base64, Encoding};
use russh::keys::ssh_key::public::KeyData;

use super::entry::hashed;

/// Appends a line for `name` (as in known_hosts) to `file`. A new file has mode 0600, its directory 0700. `hash` hides
/// the name, as HashKnownHosts does.
///
/// # Errors
/// The reason, with the path.
pub fn append(file: &Path, name: &str, key: &KeyData, hash: bool) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("cannot write {}: {e}", file.display());
    let line = line(name, key, hash).ok_or_else(|| format!("cannot write a key of {name} as known_hosts has it"))?;
    if let Some(directory) = file.parent().filter(|d| !d.as_os_str().is_empty()) {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    }
    let mut options = std::fs::OpenOptions::new();
    let mut out = options.read(true).append(true).create(true).mode(0o600).open(file).map_err(failed)?;
    let break_first = if ends_in_a_line(&mut out).map_err(failed)? { "" } else { "\n" };
    // One write, so that another program that appends at the same time does not split the line.
    out.write_all(format!("{break_first}{line}\n").as_bytes()).map_err(failed)
}

/// Whether the file is empty or ends with a newline, which an editor may have left out.
fn ends_in_a_line(file: &mut std::fs::File) -> std::io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last[0] == b'\n')
}

/// A line of known_hosts, without its newline.
fn line(name: &str, key: &KeyData, hash: bool) -> Option<String> {
    let key = PublicKey::new(key.clone(), "").to_openssh().ok()?;
    let name = if hash { hidden(name)? } else { name.to_owned() };
    Some(format!("{name} {}", key.trim_end()))
}

fn hidden(name: &str) -> Option<String> {
    let mut salt = [0; 20];
    getrandom::fill(&mut salt).ok()?;
    Some(format!("|1|{}|{}", Base64::encode_string(&salt), Base64::encode_string(&hashed(&salt, name)?)))
}
