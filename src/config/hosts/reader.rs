//! Converts values of the file to our types, and collects the mistakes with their positions.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use super::rules::{self, Rule};
use crate::config::diagnostic::{Diagnostic, Diagnostics, meant};
use crate::config::settings;
use crate::model::host::{SecretSource, TransportKind};

/// A value with its position in the text.
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

/// The names of [`TransportKind`] in the file.
pub(super) const TRANSPORTS: [(&str, TransportKind); 3] =
    [("ssh", TransportKind::Ssh), ("openssh", TransportKind::Openssh), ("local", TransportKind::Local)];

/// Reads values, and continues after a mistake.
pub(super) struct Reader<'a> {
    file: &'a Path,
    text: &'a str,
    home: &'a Path,
    found: Vec<(usize, Diagnostic)>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a Path, text: &'a str, home: &'a Path) -> Self {
        Self { file, text, home, found: Vec::new() }
    }

    /// `Ok` without mistakes, else all of them in the order of the text.
    pub(super) fn finish(mut self) -> Result<(), Diagnostics> {
        self.found.sort_by_key(|(at, _)| *at);
        if self.found.is_empty() { Ok(()) } else { Err(Diagnostics(self.found.into_iter().map(|(_, d)| d).collect())) }
    }

    pub(super) fn report(&mut self, span: Range<usize>, message: impl Into<String>) {
        self.found.push((span.start, Diagnostic::at(self.file, self.text, span, message)));
    }

    pub(super) fn report_with_help(&mut self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        self.found.push((span.start, Diagnostic::at(self.file, self.text, span, message).with_help(help)));
    }

    /// Reports a syntax error. Only the first in a line is reported, because it causes the others.
    pub(super) fn report_syntax(&mut self, error: &toml::de::Error) {
        let at = error.span().map_or(0, |span| span.start);
        let shown = Diagnostic::of_toml(self.file, self.text, error);
        if self.found.iter().any(|(_, earlier)| earlier.line == shown.line) {
            return;
        }
        let word = |c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-';
        let secret = shown.excerpt.split(word).any(rules::looks_secret);
        self.found.push((at, if secret { shown.without_value() } else { shown }));
    }

    /// Reports a mistake in `secrets` and shows the line without its value.
    fn report_secret(&mut self, span: Range<usize>, message: impl Into<String>, help: &str) {
        let shown = Diagnostic::at(self.file, self.text, span.clone(), message).without_value().with_help(help);
        self.found.push((span.start, shown));
    }

    fn wrong_type(&mut self, key: &str, value: &Value<'_>, wanted: &str) {
        let found = value.get_ref().type_str();
        let article = if found.starts_with(['a', 'i']) { "an" } else { "a" };
        self.report(value.span(), format!("`{key}` must be {wanted}, not {article} {found}"));
    }

    pub(super) fn ruled(&mut self, key: &str, value: &Value<'_>, rule: &Rule) -> Option<String> {
        let DeValue::String(text) = value.get_ref() else {
            self.wrong_type(key, value, "a string");
            return None;
        };
        if !(rule.holds)(text) {
            self.report(value.span(), format!("`{key}` must be {}", rule.wants));
            return None;
        }
        Some(text.clone().into_owned())
    }

    pub(super) fn boolean(&mut self, key: &str, value: &Value<'_>) -> Option<bool> {
        let DeValue::Boolean(is_set) = value.get_ref() else {
            self.wrong_type(key, value, "true or false");
            return None;
        };
        Some(*is_set)
    }

    /// A number in the given range, as type `T`.
    pub(super) fn number<T: TryFrom<u64>>(
        &mut self,
        key: &str,
        value: &Value<'_>,
        range: RangeInclusive<u64>,
    ) -> Option<T> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_type(key, value, "an integer");
            return None;
        };
        let number = unsigned(integer).filter(|n| range.contains(n)).and_then(|n| T::try_from(n).ok());
        if number.is_none() {
            let message = format!("`{key}` must be between {} and {}, not {integer}", range.start(), range.end());
            self.report(value.span(), message);
        }
        number
    }

    pub(super) fn duration(&mut self, key: &str, value: &Value<'_>) -> Option<Duration> {
        let read = match value.get_ref() {
            DeValue::String(text) => settings::parse_duration(text),
            DeValue::Integer(seconds) => settings::parse_duration(&decimal(seconds)),
            _ => {
                self.wrong_type(key, value, "a duration such as \"4h\", or seconds");
                return None;
            }
        };
        match read {
            Ok(Duration::ZERO) => self.report(value.span(), format!("`{key}` must be at least one second")),
            Ok(duration) => return Some(duration),
            Err(error) => self.report(value.span(), format!("`{key}`: {error}")),
        }
        None
    }

    pub(super) fn bytes(&mut self, key: &str, value: &Value<'_>) -> Option<u64> {
        let read = match value.get_ref() {
            DeValue::String(text) => settings::parse_bytes(text),
            DeValue::Integer(bytes) => settings::parse_bytes(&decimal(bytes)),
            _ => {
                self.wrong_type(key, value, "a size such as \"64GiB\", or bytes");
                return None;
            }
        };
        match read {
            Ok(0) => self.report(value.span(), format!("`{key}` must not be zero")),
            Ok(bytes) => return Some(bytes),
            Err(error) => self.report(value.span(), format!("`{key}`: {error}")),
        }
        None
    }

    /// A file on the laptop, with `~/` expanded.
    pub(super) fn file(&mut self, key: &str, value: &Value<'_>) -> Option<PathBuf> {
        let text = self.ruled(key, value, &rules::IDENTITY)?;
        Some(match text.strip_prefix("~/") {
            Some(rest) => self.home.join(rest),
            None => PathBuf::from(text),
        })
    }

    pub(super) fn transport(&mut self, key: &str, value: &Value<'_>) -> Option<TransportKind> {
        let text = self.ruled(key, value, &rules::SCRIPT)?;
        let transport = TRANSPORTS.iter().find(|(word, _)| *word == text).map(|(_, transport)| *transport);
        if transport.is_none() {
            let known = TRANSPORTS.map(|(word, _)| word);
            self.report_with_help(value.span(), format!("unknown transport {text:?}"), meant(&text, &known));
        }
        transport
    }

    /// An array of strings that satisfy the rule, without duplicates.
    pub(super) fn list(&mut self, key: &str, value: &Value<'_>, rule: &Rule) -> Option<Vec<String>> {
        let DeValue::Array(array) = value.get_ref() else {
            self.wrong_type(key, value, "an array of strings");
            return None;
        };
        let mut list = Vec::new();
        for item in array.iter() {
            if let Some(text) = self.ruled(&format!("{key}[{}]", list.len()), item, rule)
                && !list.contains(&text)
            {
                list.push(text);
            }
        }
        Some(list)
    }

    pub(super) fn env(&mut self, key: &str, value: &Value<'_>) -> BTreeMap<String, String> {
        let Some(table) = self.table(key, value, "a table of strings") else { return BTreeMap::new() };
        let mut env = BTreeMap::new();
        for (name, value) in table.iter() {
            self.variable(name.get_ref(), name.span());
            if let Some(text) = self.ruled(&format!("{key}.{}", name.get_ref()), value, &rules::SCRIPT) {
                env.insert(name.get_ref().to_string(), text);
            }
        }
        env
    }

    pub(super) fn secrets(&mut self, key: &str, value: &Value<'_>) -> BTreeMap<String, SecretSource> {
        let Some(table) = self.table(key, value, "a table of sources") else { return BTreeMap::new() };
        let mut secrets = BTreeMap::new();
        for (name, value) in table.iter() {
            self.variable(name.get_ref(), name.span());
            if let Some(source) = self.secret(&format!("{key}.{}", name.get_ref()), value) {
                secrets.insert(name.get_ref().to_string(), source);
            }
        }
        secrets
    }

    fn secret(&mut self, key: &str, value: &Value<'_>) -> Option<SecretSource> {
        const FORMS: &str = "write \"VARIABLE\", { env = \"VARIABLE\" } or { command = \"pass show NAME\" }";
        let (kind, inner) = match value.get_ref() {
            DeValue::String(_) => ("env", value),
            DeValue::Table(table) if table.len() == 1 => match table.iter().next() {
                Some((kind, inner)) if matches!(kind.get_ref().as_ref(), "env" | "command") => {
                    (kind.get_ref().as_ref(), inner)
                }
                _ => return self.no_secret(value, format!("`{key}` has an unknown source"), FORMS),
            },
            _ => return self.no_secret(value, format!("`{key}` must have one source"), FORMS),
        };
        let DeValue::String(text) = inner.get_ref() else {
            return self.no_secret(inner, format!("`{key}` must have a source that is a string"), FORMS);
        };
        if kind == "command" {
            if text.trim().is_empty() || !(rules::SCRIPT.holds)(text) {
                return self.no_secret(inner, format!("`{key}` has no command to run"), FORMS);
            }
            return Some(SecretSource::Command(text.to_string()));
        }
        if rules::looks_secret(text) {
            let help = "write the name of a variable of this machine; never put the value into this file";
            return self.no_secret(inner, format!("`{key}` looks like the secret itself"), help);
        }
        if !(rules::VARIABLE.holds)(text) {
            return self.no_secret(inner, format!("`{key}` must be {}", rules::VARIABLE.wants), FORMS);
        }
        Some(SecretSource::Variable(text.to_string()))
    }

    fn no_secret(&mut self, value: &Value<'_>, message: String, help: &str) -> Option<SecretSource> {
        self.report_secret(value.span(), message, help);
        None
    }

    /// Checks the name of a variable that will be set on the host.
    fn variable(&mut self, name: &str, span: Range<usize>) {
        if !(rules::VARIABLE.holds)(name) {
            self.report_secret(span, format!("{name:?} must be {}", rules::VARIABLE.wants), "rename it");
        } else if let Some(why) = rules::reserved(name) {
            self.report_secret(span, format!("`{name}` cannot be set here"), why);
        }
    }

    /// A table, or a report that the value is not one.
    pub(super) fn table<'v, 'i>(&mut self, key: &str, value: &'v Value<'i>, wanted: &str) -> Option<&'v DeTable<'i>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(key, value, wanted);
        }
        table
    }
}

fn unsigned(integer: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// The number in decimal, or its original text if it is negative or too large, for the error message.
fn decimal(integer: &DeInteger<'_>) -> String {
    unsigned(integer).map_or_else(|| integer.to_string(), |n| n.to_string())
}
