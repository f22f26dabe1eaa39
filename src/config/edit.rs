//! `hosts add`: adds a table to `hosts.toml` and leaves everything else byte for byte unchanged.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value, value};

use super::diagnostic::Diagnostics;
use super::hosts::{self, Hosts};
use super::settings;
use crate::model::host::{Host, LOCAL, Limits, SecretSource, TransportKind, default_caches};

/// Why a host was not added. The file is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    #[error("{file} already has a host {name}")]
    AlreadyThere { file: PathBuf, name: String },
    #[error(transparent)]
    NotAHostName(#[from] hosts::NotAHostName),
    /// The file has mistakes that must be fixed first.
    #[error("{0}")]
    Broken(Diagnostics),
    /// The new host has a value that would make the file invalid.
    #[error("the new host is not valid:\n{0}")]
    Refused(Diagnostics),
    #[error("cannot write {file}: {source}")]
    Unwritable { file: PathBuf, source: std::io::Error },
}

/// Adds `[host.NAME]` with the values of `host`. Creates the file (0600) and its directory (0700) if they do not exist.
/// The file is replaced by a rename; a symbolic link to it and its mode are kept.
///
/// # Errors
/// The file is malformed, has the host already, or cannot be written; or a value cannot be read back. The file is then
/// unchanged.
pub fn add_host(file: &Path, host: &Host, home: &Path) -> Result<(), EditError> {
    if !hosts::is_name(&host.name) {
        return Err(hosts::NotAHostName(host.name.clone()).into());
    }
    let unwritable = |source| EditError::Unwritable { file: file.to_owned(), source };
    // The link's target is replaced, because users often keep configuration elsewhere and link to it.
    let target = match fs::canonicalize(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => file.to_owned(),
        found => found.map_err(unwritable)?,
    };
    let directory = match target.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => parent,
        None => Path::new("."),
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(unwritable)?;
    // Locked until the new file is in place, so that none of two additions at once is lost.
    let lock = File::open(directory).map_err(unwritable)?;
    lock.lock().map_err(unwritable)?;
    let before = match fs::read_to_string(&target) {
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        read => read.map_err(unwritable)?,
    };
    Hosts::parse(file, &before, home).map_err(EditError::Broken)?;
    let after = with_host(&before, host).map_err(|source| match source {
        Unmade::AlreadyThere => EditError::AlreadyThere { file: file.to_owned(), name: host.name.clone() },
        Unmade::Other(text) => unwritable(std::io::Error::new(ErrorKind::InvalidInput, text)),
    })?;
    Hosts::parse(file, &after, home).map_err(EditError::Refused)?;
    replace(&target, directory, &after).map_err(unwritable)
}

/// Why no text can be written.
enum Unmade {
    AlreadyThere,
    Other(String),
}

/// The text with the new host: appended, or inserted into `host` if the file has that as one value.
fn with_host(before: &str, host: &Host) -> Result<String, Unmade> {
    let mut document: DocumentMut = before.parse().map_err(|e: toml_edit::TomlError| Unmade::Other(e.to_string()))?;
    let there = document.get("host").and_then(Item::as_table_like);
    if there.is_some_and(|hosts| hosts.contains_key(&host.name)) {
        return Err(Unmade::AlreadyThere);
    }
    let table = table(host).ok_or_else(|| Unmade::Other("the path of the identity is not UTF-8".to_owned()))?;
    // `host = { … }` and `host.box.port = 22` cannot be extended by a table header.
    let closed =
        there.is_some_and(|hosts| hosts.is_dotted()) || document.get("host").is_some_and(Item::is_inline_table);
    if let Some(hosts) = document.get_mut("host").filter(|_| closed).and_then(Item::as_table_like_mut) {
        hosts.insert(&host.name, value(table.into_inline_table()));
        return Ok(document.to_string());
    }
    let mut hosts = Table::new();
    hosts.set_implicit(true);
    hosts.insert(&host.name, Item::Table(table));
    let mut added = DocumentMut::new();
    added.insert("host", Item::Table(hosts));
    let gap = match before {
        "" => "",
        text if text.ends_with('\n') => "\n",
        _ => "\n\n",
    };
    Ok(format!("{before}{gap}{added}"))
}

/// The values of a host except its name; `None` if the path of the identity cannot be written in TOML.
fn table(host: &Host) -> Option<Table> {
    let mut table = Table::new();
    let mut set = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            table.insert(key, Item::Value(value));
        }
    };
    let text = |text: &Option<String>| text.as_deref().map(Value::from);
    let number = |number: Option<u32>| number.map(|n| Value::from(i64::from(n)));
    let identity = match &host.identity {
        Some(path) => Some(path.to_str()?),
        None => None,
    };
    set("address", (host.address != host.name).then(|| host.address.as_str().into()));
    set("user", text(&host.user));
    set("port", number(host.port.map(u32::from)));
    set("identity", identity.map(Value::from));
    set("jump", text(&host.jump));
    set("transport", transport(host).map(Value::from));
    set("labels", list(&host.labels));
    set("slots", number(host.slots));
    set("cores", number(host.cores));
    set("memory", host.memory.map(|bytes| size(bytes).into()));
    set("root", text(&host.root));
    set("path", list(&host.path));
    set("env", pairs(host.env.iter().map(|(name, text)| (name, text.into()))));
    set("secrets", pairs(host.secrets.iter().map(|(name, source)| (name, secret(source)))));
    set("caches", list(&host.caches).filter(|_| host.caches != default_caches()));
    set("include", list(&host.include));
    set("artifacts", list(&host.artifacts));
    set("setup", text(&host.setup));
    set("agent", text(&host.agent));
    set("model", text(&host.model));
    set("check", text(&host.check));
    let Limits { attempts, timeout, first_output, no_progress, grace, backoff } = host.limits;
    set("attempts", number(attempts));
    for (key, limit) in [
        ("timeout", timeout),
        ("first-output", first_output),
        ("no-progress", no_progress),
        ("grace", grace),
        ("backoff", backoff),
    ] {
        set(key, limit.map(|limit| settings::human_duration(limit).into()));
    }
    Some(table)
}

fn transport(host: &Host) -> Option<&'static str> {
    match host.transport {
        TransportKind::Ssh => None,
        TransportKind::Openssh => Some("openssh"),
        TransportKind::Local => (host.name != LOCAL).then_some("local"),
    }
}

/// With a unit if that is exact.
fn size(bytes: u64) -> String {
    let short = settings::human_bytes(bytes);
    if settings::parse_bytes(&short) == Ok(bytes) { short } else { bytes.to_string() }
}

fn secret(source: &SecretSource) -> Value {
    match source {
        SecretSource::Variable(variable) => variable.into(),
        SecretSource::Command(command) => InlineTable::from_iter([("command", command.as_str())]).into(),
    }
}

fn list(texts: &[String]) -> Option<Value> {
    (!texts.is_empty()).then(|| Array::from_iter(texts).into())
}

fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, Value)>) -> Option<Value> {
    let table = InlineTable::from_iter(pairs.map(|(name, value)| (name.as_str(), value)));
    (!table.is_empty()).then(|| table.into())
}

/// Replaces the file by a rename, keeps its mode, and syncs both.
fn replace(target: &Path, directory: &Path, text: &str) -> std::io::Result<()> {
    let mode = match fs::metadata(target) {
        Ok(metadata) => metadata.permissions().mode() & 0o7777,
        Err(_) => 0o600,
    };
    let mut file = tempfile::Builder::new().prefix(".hosts.").tempfile_in(directory)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(target).map_err(|error| error.error)?;
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests;
