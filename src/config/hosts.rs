//! `hosts.toml`: the user's machines, each with the defaults filled in.
//!
//! A name that is not in the file is a host too, known by nothing but what `ssh` makes of it.

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

pub use rules::{is_name, is_pattern};

/// The commented example that users start from.
pub const EXAMPLE: &str = include_str!("../../config/hosts.toml");
/// The JSON schema of the file, for editors.
pub const SCHEMA: &str = include_str!("../../config/hosts.schema.json");

/// A larger file is not a hosts file.
const MAX_FILE: u64 = 1 << 20;

/// Every host of the file, in its order, and [`LOCAL`], last unless the file has it elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Hosts {
    /// The file they were read from; `None` when there was none.
    pub file: Option<PathBuf>,
    pub hosts: Vec<Host>,
    defaults: Entry,
}

/// Why there are no hosts.
#[derive(Debug, thiserror::Error)]
pub enum HostsError {
    #[error("no hosts file at {file}, where {by} says it is")]
    Missing { file: PathBuf, by: &'static str },
    #[error("cannot read {file}: {source}")]
    Unreadable { file: PathBuf, source: std::io::Error },
    #[error("{file} is larger than 1 MiB, which no hosts file is")]
    TooLarge { file: PathBuf },
    /// It names commands that run on this machine.
    #[error("anybody on this machine may write {file}, and it names commands that run here: `chmod o-w` it first")]
    Exposed { file: PathBuf },
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

/// A name that no host can have, because it could be read as an option, a path or shell text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host name: use letters, digits, `.`, `_`, `@` and `-`, starting with a letter or a digit")]
pub struct NotAHostName(pub String);

impl Hosts {
    /// Reads the file. A default file that is not there is an empty set of hosts.
    ///
    /// # Errors
    /// When a file named by the flag or the variable is not there, when it cannot be read or anybody may write it, and
    /// with every mistake found in it.
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

    /// No file: [`LOCAL`], and whatever `ssh` knows.
    pub fn none() -> Self {
        Self { file: None, hosts: vec![Host::bare(LOCAL)], defaults: Entry::default() }
    }

    /// Reads the text of a hosts file; `~/` in an identity is under `home`.
    ///
    /// # Errors
    /// With every mistake found, in the order of the lines.
    pub fn parse(file: &Path, text: &str, home: &Path) -> Result<Self, Diagnostics> {
        let (defaults, entries) = parse::parse(file, text, home)?;
        let mut hosts: Vec<Host> =
            entries.into_iter().map(|(name, entry)| entry.over(&defaults).into_host(&name)).collect();
        if !hosts.iter().any(|host| host.name == LOCAL) {
            hosts.push(Entry::default().over(&defaults).into_host(LOCAL));
        }
        Ok(Self { file: Some(file.to_owned()), hosts, defaults })
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

    /// The host of that name, or else one that only `ssh` knows, with the defaults.
    ///
    /// # Errors
    /// When the name could not be a host's; whether `ssh` knows it shows only when it is asked.
    pub fn resolve(&self, name: &str) -> Result<Host, NotAHostName> {
        if !is_name(name) {
            return Err(NotAHostName(name.chars().take(80).collect()));
        }
        let bare = || Entry::default().over(&self.defaults).into_host(name);
        Ok(self.get(name).cloned().unwrap_or_else(bare))
    }

    /// The name in the file nearest to one that nothing answers to.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        diagnostic::nearest(name, self.hosts.iter().map(|host| host.name.as_str()))
    }
}

/// The bytes of a hosts file; `None` when it is not there.
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
