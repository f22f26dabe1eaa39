//! Parses the structure of the file: `[defaults]`, `[host.NAME]`, `[takeover]`, `[plugin]`, and conditions on several keys of a table.

use std::path::Path;

use toml::Spanned;
use toml::de::{DeString, DeTable};

use super::entry::Entry;
use super::keys::KEYS;
use super::reader::{Reader, Value};
use super::rules;
use crate::config::diagnostic::{Diagnostics, meant, nearest};
use crate::model::host::{LOCAL, TransportKind};

/// A key with its position in the text.
type Name<'i> = Spanned<DeString<'i>>;

/// The top-level tables.
const TOP: [&str; 4] = ["defaults", "host", "plugin", "takeover"];

/// What the file says.
#[derive(Default)]
pub(super) struct Tables {
    pub(super) defaults: Entry,
    /// In the order of the file.
    pub(super) hosts: Vec<(String, Entry)>,
    pub(super) takeover_command: Option<String>,
    pub(super) report_to_chat: Option<bool>,
}

/// Parses the whole file.
pub(super) fn parse(file: &Path, text: &str, home: &Path) -> Result<Tables, Diagnostics> {
    let mut reader = Reader::new(file, text, home);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // If the syntax is broken, errors in the values would only distract.
        errors.iter().for_each(|error| reader.report_syntax(error));
        return reader.finish().map(|()| Tables::default());
    }
    let mut tables = Tables::default();
    for (name, value) in document.get_ref().iter() {
        match name.get_ref().as_ref() {
            "defaults" => tables.defaults = entry(&mut reader, None, value),
            "host" => tables.hosts = all_hosts(&mut reader, value),
            "takeover" => {
                let rule =
                    |reader: &mut Reader<'_>, key: &str, value: &Value<'_>| reader.ruled(key, value, &rules::COMMAND);
                tables.takeover_command = only_key(&mut reader, "takeover", "command", value, rule);
            }
            "plugin" => {
                tables.report_to_chat = only_key(&mut reader, "plugin", "report-to-chat", value, Reader::boolean);
            }
            _ => unknown_top(&mut reader, name, value),
        }
    }
    reader.finish()?;
    Ok(tables)
}

fn unknown_top(reader: &mut Reader<'_>, name: &Name<'_>, value: &Value<'_>) {
    let word = name.get_ref().as_ref();
    let help = match nearest(word, TOP) {
        Some(near) => format!("did you mean `{near}`?"),
        None if value.get_ref().is_table() => format!("a host is written as `[host.{word}]`"),
        None => "keys belong in `[defaults]` or in a `[host.NAME]`".to_owned(),
    };
    let kind = if value.get_ref().is_table() { "table" } else { "key" };
    reader.report_with_help(name.span(), format!("unknown {kind} `{word}`"), help);
}

fn all_hosts(reader: &mut Reader<'_>, value: &Value<'_>) -> Vec<(String, Entry)> {
    let Some(table) = reader.table("host", value, "a table of hosts") else { return Vec::new() };
    let mut hosts = Vec::new();
    for (name, value) in table.iter() {
        let word = name.get_ref().as_ref();
        if KEYS.iter().any(|key| key.name == word) && !value.get_ref().is_table() {
            let help = format!("a host is written as `[host.NAME]`, with `{word}` below it");
            reader.report_with_help(name.span(), format!("`{word}` is outside of a host"), help);
            continue;
        }
        if !(rules::NAME.holds)(word) {
            reader.report(name.span(), format!("a host's name must be {}", rules::NAME.wants));
        }
        hosts.push((name.span().start, word.to_owned(), entry(reader, Some(word), value)));
    }
    hosts.sort_by_key(|(at, ..)| *at);
    hosts.into_iter().map(|(_, name, entry)| (name, entry)).collect()
}

/// The value of a table that has one key.
fn only_key<'a, T>(
    reader: &mut Reader<'a>,
    title: &str,
    key: &str,
    value: &Value<'_>,
    parse: impl Fn(&mut Reader<'a>, &str, &Value<'_>) -> Option<T>,
) -> Option<T> {
    let mut found = None;
    for (name, value) in reader.table(title, value, "a table")?.iter() {
        match name.get_ref().as_ref() {
            word if word == key => found = parse(reader, key, value),
            word => reader.report_with_help(name.span(), format!("unknown key `{word}`"), meant(word, &[key])),
        }
    }
    found
}

/// Parses one table; `host` is its name, `None` for `[defaults]`.
fn entry(reader: &mut Reader<'_>, host: Option<&str>, value: &Value<'_>) -> Entry {
    let mut entry = Entry::default();
    let title = host.map_or_else(|| "defaults".to_owned(), |name| format!("host.{name}"));
    let Some(table) = reader.table(&title, value, "a table") else { return entry };
    for (name, value) in table.iter() {
        let word = name.get_ref().as_ref();
        match KEYS.iter().find(|key| key.name == word) {
            Some(key) if host.is_none() && !key.in_defaults() => {
                reader.report(name.span(), format!("`{word}` belongs to one host, not to `[defaults]`"));
            }
            Some(key) => (key.set)(reader, &mut entry, value),
            None => {
                let known = KEYS.map(|key| key.name);
                reader.report_with_help(name.span(), format!("unknown key `{word}`"), meant(word, &known));
            }
        }
    }
    check_reach(reader, host, &entry, table);
    check_variables(reader, &entry, table);
    entry
}

/// Checks that a host which is this machine has no keys for reaching it, and that only a host itself says that it is
/// this machine.
fn check_reach(reader: &mut Reader<'_>, host: Option<&str>, entry: &Entry, table: &DeTable<'_>) {
    let local = host == Some(LOCAL) || entry.transport == Some(TransportKind::Local);
    for (name, value) in table.iter().filter(|_| local) {
        let word = name.get_ref().as_ref();
        let is_reach = KEYS.iter().any(|key| key.name == word && key.reach);
        if word == "transport" {
            if host.is_none() {
                reader.report(value.span(), "`transport` can be \"local\" for one host only, not in `[defaults]`");
            } else if entry.transport.is_some_and(|transport| transport != TransportKind::Local) {
                reader.report(value.span(), format!("`{LOCAL}` is this machine; it has no other transport"));
            }
        } else if is_reach && host.is_some() {
            reader.report(name.span(), format!("`{word}` has no meaning for this machine"));
        }
    }
}

/// Checks that no name is both a plain variable and a secret.
fn check_variables(reader: &mut Reader<'_>, entry: &Entry, table: &DeTable<'_>) {
    let secrets =
        table.iter().find(|(key, _)| key.get_ref() == "secrets").and_then(|(_, value)| value.get_ref().as_table());
    for (name, _) in secrets.into_iter().flat_map(|table| table.iter()) {
        let word = name.get_ref().as_ref();
        if entry.env.contains_key(word) {
            reader.report(name.span(), format!("`{word}` is in `env` and in `secrets`"));
        }
    }
}
