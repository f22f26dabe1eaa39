//! The keys of `[defaults]` and `[host.NAME]`, in one list for the parser, the schema and suggestions.

use super::entry::Entry;
use super::reader::{Reader, Value};
use super::rules;

/// A key and how it is set.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// Whether the key says how a host is reached, which does not apply to this machine.
    pub(super) reach: bool,
    /// Checks the value and sets it, or reports the mistake.
    pub(super) set: fn(&mut Reader<'_>, &mut Entry, &Value<'_>),
}

impl Key {
    /// Whether `[defaults]` may contain it. An address may not be there, because every host has its own.
    pub(super) fn in_defaults(&self) -> bool {
        self.name != "address"
    }
}

const fn reach(name: &'static str, set: fn(&mut Reader<'_>, &mut Entry, &Value<'_>)) -> Key {
    Key { name, reach: true, set }
}

const fn work(name: &'static str, set: fn(&mut Reader<'_>, &mut Entry, &Value<'_>)) -> Key {
    Key { name, reach: false, set }
}

/// Every key, in the order of the documentation.
pub(super) const KEYS: [Key; 27] = [
    reach("address", |r, e, v| e.address = r.ruled("address", v, &rules::ADDRESS)),
    reach("user", |r, e, v| e.user = r.ruled("user", v, &rules::USER)),
    reach("port", |r, e, v| e.port = r.number("port", v, 1..=65_535)),
    reach("identity", |r, e, v| e.identity = r.file("identity", v)),
    reach("jump", |r, e, v| e.jump = r.ruled("jump", v, &rules::JUMP)),
    reach("transport", |r, e, v| e.transport = r.transport("transport", v)),
    work("labels", |r, e, v| e.labels = r.list("labels", v, &rules::LABEL)),
    work("slots", |r, e, v| e.slots = r.number("slots", v, 1..=1000)),
    work("cores", |r, e, v| e.cores = r.number("cores", v, 1..=65_536)),
    work("memory", |r, e, v| e.memory = r.bytes("memory", v)),
    work("root", |r, e, v| e.root = r.ruled("root", v, &rules::ROOT)),
    work("path", |r, e, v| e.path = r.list("path", v, &rules::DIRECTORY)),
    work("env", |r, e, v| e.env = r.env("env", v)),
    work("secrets", |r, e, v| e.secrets = r.secrets("secrets", v)),
    work("caches", |r, e, v| e.caches = r.list("caches", v, &rules::PATTERN)),
    work("include", |r, e, v| e.include = r.list("include", v, &rules::PATTERN)),
    work("artifacts", |r, e, v| e.artifacts = r.list("artifacts", v, &rules::PATTERN)),
    work("setup", |r, e, v| e.setup = r.ruled("setup", v, &rules::SCRIPT)),
    work("agent", |r, e, v| e.agent = r.ruled("agent", v, &rules::AGENT)),
    work("model", |r, e, v| e.model = r.ruled("model", v, &rules::MODEL)),
    work("check", |r, e, v| e.check = r.ruled("check", v, &rules::SCRIPT)),
    work("attempts", |r, e, v| e.limits.attempts = r.number("attempts", v, 1..=1000)),
    work("timeout", |r, e, v| e.limits.timeout = r.duration("timeout", v)),
    work("first-output", |r, e, v| e.limits.first_output = r.duration("first-output", v)),
    work("no-progress", |r, e, v| e.limits.no_progress = r.duration("no-progress", v)),
    work("grace", |r, e, v| e.limits.grace = r.duration("grace", v)),
    work("backoff", |r, e, v| e.limits.backoff = r.duration("backoff", v)),
];
