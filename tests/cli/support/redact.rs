//! Replaces text that differs between two runs of the same screen by a name in brackets. No other file does this.

use std::path::Path;
use std::sync::LazyLock;

use regex::Regex;

use super::laptop::Laptop;

/// Patterns and their replacements, applied everywhere in this order.
const RULES: &[(&str, &str)] = &[
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:[FINGERPRINT]"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "[SESSION]"),
    (r"\b[0-9a-f]{64}\b", "[SHA256]"),
    (r"\b[0-9a-f]{40}\b", "[OID]"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)(\[[^\]]*\])?", "[TIME]"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?( UTC|Z)?", "[TIME]"),
    (r"\b[0-9a-f]{10}\b", "[OID]"),
    (r"\b(\d{8}-[a-z-]+)-[0-9A-Za-z]{16}\b", "$1-[UID]"),
    // Default ids begin with today's date.
    (r"\b\d{8}-two-tests", "[DATE]-two-tests"),
    (r"\b\d+ (s|min|h|days) ago\b", "[AGE] ago"),
    (r"\b(for|in|after) (\d+ (s|min|h)|\d+:\d\d)\b", "$1 [DURATION]"),
    (r"\bactive for \[DURATION\](, last tick \[AGE\] ago)?", "active for [DURATION]"),
    // A host counts active time in ticks, so a short attempt has none.
    (r"(?m)^(attempt \d+: [a-z-]+) after \[DURATION\]:", "$1:"),
    (r"log saved \(\d+ bytes\)", "log saved ([BYTES] bytes)"),
    (r"\b\d+(\.\d+)?(KiB|MiB|GiB)\b", "[SIZE]"),
    (r"\bprocess \d+ is", "process [PID] is"),
    // The length of a line in the journal depends on the precision of its time.
    (r"\b(at line \d+ column) \d+", "$1 [COLUMN]"),
    // Messages of the operating system.
    (r"\(os error \d+\)", "(os error [ERRNO])"),
    (r"(?m)(failed to lookup address information): .*$", "$1: [REASON]"),
    (r"(?m)^box: \S+(, \d+ cores?)?(, \[SIZE\])?, git \S+$", "box: [SYSTEM], [CORES], [SIZE], git [VERSION]"),
    // The length of the path determines how much of it a truncated line shows.
    (r"(?m) was not found in \S*…$", " was not found in [PATH]…"),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> =
    LazyLock::new(|| RULES.iter().map(|(pattern, name)| (Regex::new(pattern).unwrap(), *name)).collect());

/// `text` without anything that depends on this run of the tests, this machine or today's date.
pub fn redact(laptop: &Laptop, text: &str) -> String {
    let mut text = text.to_owned();
    let mut names = vec![(laptop.repository(), "[REPO]".to_owned()), (laptop.home(), "[HOME]".to_owned())];
    names.extend(laptop.hosts.iter().map(|host| (host.home.clone(), format!("[{}]", host.name.to_uppercase()))));
    names.push((laptop.top().to_owned(), "[TOP]".to_owned()));
    names.push((env!("CARGO_BIN_EXE_handoff").into(), "[HANDOFF]".to_owned()));
    for (path, name) in names {
        // On macOS a temporary directory has two names, and one contains the other.
        for path in [canonical(&path), path] {
            text = text.replace(&path.display().to_string(), &name);
        }
    }
    for host in &laptop.hosts {
        text = Regex::new(&format!(r"\b{}\b", host.port)).unwrap().replace_all(&text, "[PORT]").into_owned();
    }
    for (pattern, name) in PATTERNS.iter() {
        text = pattern.replace_all(&text, *name).into_owned();
    }
    text
}

fn canonical(path: &Path) -> std::path::PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}
