//! Reads `hosts.toml`: the user's machines, each with the defaults filled in.
//!
//! A name that is not in the file is a host too, as `ssh` resolves it.

mod entry;
mod keys;
mod parse;
mod reader;
mod rules;

use std::io::Read;
use std::path::{Path, PathBuf};

use super::diagnostic::{self, Diagnostic, Diagnostics};
use super::paths::{HOSTS_VARIABLE, HostsFile, NamedBy};
use crate::model::host::{Host, LOCAL};
use entry::Entry;
use parse::Tables;

pub use rules::{is_name, is_pattern};

/// The commented example file.
pub const EXAMPLE: &str = include_str!("../../config/hosts.toml");
/// The JSON schema of the file, for editors.
pub const SCHEMA: &str = include_str!("../../config/hosts.schema.json");

/// Maximum bytes of a hosts file.
const MAX_FILE: u64 = 1 << 20;

/// The hosts of the file in their order, and [`LOCAL`], which is last unless the file contains it.
#[derive(Clone, Debug, PartialEq)]
pub struct Hosts {
    /// The file that was read; `None` without a file.
    pub file: Option<PathBuf>,
    pub hosts: Vec<Host>,
    /// What opens the work of a takeover instead of an editor, for `sh -c`.
    pub takeover_command: Option<String>,
    /// Whether a chat of Cursor reports the handoffs that it started when they come to rest.
    pub report_to_chat: bool,
    defaults: Entry,
}

/// Why the hosts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    #[error("{by} names a hosts file that does not exist: {file}")]
    Missing { file: PathBuf, by: &'static str },
    #[error("cannot read {file}: {source}")]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{file} is larger than 1 MiB, the limit for a hosts file")]
    TooLarge { file: PathBuf },
    /// Other users may write the file, and it names commands that run on this machine.
    #[error("{file} is writable by every user and contains commands that run here; run `chmod o-w {file}` first")]
    Exposed { file: PathBuf },
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

/// The error for a name that could be read as an option, a path or shell text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host name: use letters, digits, `.`, `_`, `@` and `-`, starting with a letter or a digit")]
pub struct NotAHostName(pub String);

impl Hosts {
    /// Reads the file. A missing default file means no hosts.
    ///
    /// # Errors
    /// A file named by the flag or the variable does not exist; the file cannot be read, or anyone may write it; and
    /// every mistake in it.
    pub fn load(file: &HostsFile, home: &Path) -> Result<Self, HostsError> {
        match read(&file.path)? {
            Some(bytes) => Ok(Self::from_bytes(&file.path, &bytes, home)?),
            None => match file.named_by {
                NamedBy::Flag => Err(HostsError::Missing { file: file.path.clone(), by: "--hosts" }),
                NamedBy::Variable => Err(HostsError::Missing { file: file.path.clone(), by: HOSTS_VARIABLE }),
                NamedBy::Default => Ok(Self::none()),
            },
        }
    }

    /// The hosts without a file: [`LOCAL`], and those that `ssh` knows.
    pub fn none() -> Self {
        let hosts = vec![Host::bare(LOCAL)];
        Self { file: None, hosts, takeover_command: None, report_to_chat: true, defaults: Entry::default() }
    }

    /// Parses the text of a hosts file; `~/` in an identity is replaced by `home`.
    ///
    /// # Errors
    /// Every mistake in it, sorted by line.
    pub fn parse(file: &Path, text: &str, home: &Path) -> Result<Self, Diagnostics> {
        let Tables { defaults, hosts, takeover_command, report_to_chat } = parse::parse(file, text, home)?;
        let mut hosts: Vec<Host> =
            hosts.into_iter().map(|(name, entry)| entry.over(&defaults).into_host(&name)).collect();
        if !hosts.iter().any(|host| host.name == LOCAL) {
            hosts.push(Entry::default().over(&defaults).into_host(LOCAL));
        }
        let report_to_chat = report_to_chat.unwrap_or(true);
        Ok(Self { file: Some(file.to_owned()), hosts, takeover_command, report_to_chat, defaults })
    }

    fn from_bytes(file: &Path, bytes: &[u8], home: &Path) -> Result<Self, Diagnostics> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::parse(file, text, home),
            Err(error) => {
                let (at, lossy) = (error.valid_up_to(), String::from_utf8_lossy(bytes));
                Err(Diagnostics(vec![Diagnostic::at(file, &lossy, at..at + 1, "this byte is not UTF-8")]))
            }
        }
    }

    /// The host of that name, if the file has it.
    pub fn get(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// The host with that name, or else a host with the defaults that `ssh` may know.
    ///
    /// # Errors
    /// The name cannot be a host's. Whether `ssh` knows it is found out by connecting.
    pub fn resolve(&self, name: &str) -> Result<Host, NotAHostName> {
        if !is_name(name) {
            return Err(NotAHostName(name.chars().take(80).collect()));
        }
        let bare = || Entry::default().over(&self.defaults).into_host(name);
        Ok(self.get(name).cloned().unwrap_or_else(bare))
    }

    /// The most similar name in the file.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        diagnostic::nearest(name, self.hosts.iter().map(|host| host.name.as_str()))
    }
}

/// The bytes of a hosts file; `None` if it does not exist.
fn read(path: &Path) -> Result<Option<Vec<u8>>, HostsError> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |source| HostsError::Unreadable { file: path.to_owned(), source };
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(unreadable)?,
    };
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file() && metadata.permissions().mode() & 0o002 != 0 {
        return Err(HostsError::Exposed { file: path.to_owned() });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(HostsError::TooLarge { file: path.to_owned() });
    }
    Ok(Some(bytes))
}

#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;
