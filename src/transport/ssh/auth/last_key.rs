//! The key that each server accepted last. It is offered first, because each refused key costs a round trip and one of
//! the few tries that a server allows.

use std::io::Write;
use std::path::Path;

use russh::keys::{HashAlg, PublicKey};

use super::keys::{Candidate, Holder};

/// Maximum number of servers in the file. The oldest is forgotten.
const SERVERS: usize = 200;

/// Moves the key that `server` accepted last to the front. A key that needs a passphrase keeps its place, so that
/// nobody is asked for one while other keys are left.
pub fn first(candidates: &mut [Candidate], file: Option<&Path>, server: &str) {
    let lines = file.map(read).unwrap_or_default();
    let Some(last) = lines.iter().find_map(|line| line.strip_suffix(server)?.strip_suffix(' ')) else { return };
    candidates.sort_by_key(|candidate| {
        let asks = matches!(&candidate.holder, Holder::File(file) if file.encrypted());
        asks || fingerprint(&candidate.public) != last
    });
}

/// Stores the key that `server` accepted. The file is only a hint, so one that cannot be written is ignored.
pub fn keep(file: Option<&Path>, server: &str, key: &PublicKey) {
    let Some(file) = file else { return };
    let mut lines = read(file);
    let line = format!("{} {server}", fingerprint(key));
    if lines.contains(&line) {
        return;
    }
    lines.retain(|line| line.split_once(' ').is_some_and(|(_, known)| known != server));
    lines.push(line);
    let text = lines[lines.len().saturating_sub(SERVERS)..].join("\n") + "\n";
    let _ = replace(file, &text);
}

fn replace(file: &Path, text: &str) -> std::io::Result<()> {
    let directory = file.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let mut new = tempfile::NamedTempFile::new_in(directory)?;
    new.write_all(text.as_bytes())?;
    new.persist(file).map(drop).map_err(|error| error.error)
}

/// Lines `<fingerprint> <user>@<host>:<port>`. A file that cannot be read has none.
fn read(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}
