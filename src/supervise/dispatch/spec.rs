//! The files of `spec/<grant>/`: everything that a host needs to act alone. `docs/host.md` has the formats.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use crate::agent::command::CommandError;
use crate::agent::{command, host_rules};
use crate::git::repository::Repository;
use crate::git::ship_facts::ShipFacts;
use crate::model::attempt::Grant;
use crate::model::companion::word_of;
use crate::model::handoff::Handoff;
use crate::model::host::Host;
use crate::model::profile::{Profile, SessionMode};
use crate::model::snapshot::{Companion, Oid, Snapshot};

/// How the first attempt of a grant begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    Fresh,
    Resume,
}

/// The rendered prompts of a grant.
pub struct Prompts {
    pub fresh: String,
    pub resume: String,
    pub check_head: String,
    pub check_foot: String,
    /// The text before the list of attached files.
    pub attached: String,
}

/// A companion that is sent.
pub struct SentCompanion {
    pub companion: Companion,
    pub repository: Repository,
    pub facts: ShipFacts,
    /// As in [`Parts`].
    pub lfs: Option<Oid>,
    pub raw: Vec<Vec<u8>>,
}

/// The inputs of a grant's spec.
pub struct Parts<'a> {
    pub handoff: &'a Handoff,
    pub grant: &'a Grant,
    pub host: &'a Host,
    pub profile: &'a Profile,
    pub facts: &'a ShipFacts,
    /// The state that the tree is made from.
    pub ship: &'a Snapshot,
    /// The commit of the contents of Git LFS.
    pub lfs: Option<&'a Oid>,
    /// Paths that are no pointers, though their attributes say Git LFS.
    pub raw: &'a [Vec<u8>],
    /// The companions that are sent with it.
    pub companions: &'a [SentCompanion],
    /// `false`: the tree stays as the last attempt left it.
    pub checkout: bool,
    pub start: Start,
    pub session: Option<&'a str>,
    pub prompts: &'a Prompts,
    /// Seconds between attempts.
    pub delays: &'a [u64],
    /// Ids of what the laptop holds: lines `tree <id>` and `commit <id>`.
    pub held: &'a str,
    /// Handoffs at rest whose trees the host may use: lines `handoff <name>`, each followed by lines as in `held`.
    pub resting: &'a str,
}

/// The files, by name.
///
/// # Errors
/// An argument of the profile cannot be written to a script.
pub fn files(parts: &Parts) -> Result<BTreeMap<String, Bytes>, CommandError> {
    let Parts { handoff, host, profile, facts, prompts, .. } = *parts;
    let model = handoff.model_of(parts.grant.first);
    let mut files = BTreeMap::new();
    let mut put = |name: &str, text: String| {
        files.insert(name.to_owned(), Bytes::from(text));
    };
    put("grant", grant(parts));
    put("ship", ship(facts, parts.ship, parts.lfs, parts.checkout, &handoff.request().subdir));
    put("held", parts.held.to_owned());
    put("resting", parts.resting.to_owned());
    put("caches", caches(host));
    put("remotes", remotes(facts));
    put("config", facts.config.clone());
    put("agent", agent(profile, &host.path));
    for (name, text) in command::scripts(profile, model)? {
        put(name, text);
    }
    put("env", env(profile, host));
    put("unset", unset(profile));
    if let Some(setup) = &host.setup {
        put("setup", format!("{setup}\n"));
    }
    if let Some(check) = &handoff.request().check {
        put("check", format!("{check}\n"));
        put("check_files", host_rules::check_files(check).iter().map(|name| format!("{name}\n")).collect());
    }
    put("prompt.fresh", prompts.fresh.clone());
    put("prompt.resume", prompts.resume.clone());
    put("prompt.check-head", prompts.check_head.clone());
    put("prompt.check-foot", prompts.check_foot.clone());
    if let Some(attached) = &handoff.request().attached {
        put("attached", attached.files.iter().map(|file| format!("{} {}\n", file.object, file.name)).collect());
        put("prompt.attached", prompts.attached.clone());
    }
    for (name, text) in host_rules::files(profile) {
        put(name, text);
    }
    if !parts.raw.is_empty() {
        files.insert("lfs-raw".to_owned(), lines_of(parts.raw));
    }
    files.insert("exclude".to_owned(), Bytes::from(facts.excludes.clone()));
    companions(parts, &mut files);
    Ok(files)
}

/// The list of the companions, and the files of each.
fn companions(parts: &Parts, files: &mut BTreeMap<String, Bytes>) {
    let mut list = String::new();
    for SentCompanion { companion, facts, lfs, raw, .. } in parts.companions {
        let word = word_of(&companion.path);
        _ = writeln!(list, "{word} {}", companion.path);
        let mut put = |name: &str, content: Bytes| files.insert(format!("companion/{word}/{name}"), content);
        put("ship", Bytes::from(ship(facts, &companion.work, lfs.as_ref(), true, "")));
        put("remotes", Bytes::from(remotes(facts)));
        put("config", Bytes::from(facts.config.clone()));
        put("exclude", Bytes::from(facts.excludes.clone()));
        put("held", Bytes::from(parts.held.to_owned()));
        put("caches", Bytes::from(caches(parts.host)));
        if !raw.is_empty() {
            put("lfs-raw", lines_of(raw));
        }
    }
    if !list.is_empty() {
        files.insert("companions".to_owned(), Bytes::from(list));
    }
}

/// Paths, one a line; \u{1} stands for a newline.
fn lines_of(paths: &[Vec<u8>]) -> Bytes {
    let line = |path: &Vec<u8>| path.iter().map(|byte| if *byte == b'\n' { 1 } else { *byte }).chain([b'\n']).collect();
    let lines: Vec<Vec<u8>> = paths.iter().map(line).collect();
    Bytes::from(lines.concat())
}

fn caches(host: &Host) -> String {
    host.caches.iter().map(|pattern| format!("{}\n", pattern.replace('\n', " "))).collect()
}

fn remotes(facts: &ShipFacts) -> String {
    facts.remotes.iter().map(|(name, url)| format!("{name}\t{url}\n")).collect()
}

fn grant(parts: &Parts) -> String {
    let Parts { handoff, grant, profile, session, start, delays, .. } = parts;
    let limits = handoff.request().limits;
    let mode = match profile.session {
        SessionMode::Create => "create",
        SessionMode::Preset => "preset",
        SessionMode::Stream => "stream",
        SessionMode::None => "none",
    };
    let start = match start {
        Start::Fresh => "fresh",
        Start::Resume => "resume",
    };
    let mut text =
        format!("epoch {}\nfirst {}\nlast {}\nactive {}\n", grant.epoch, grant.first, grant.last, grant.active);
    let limits = [("first_output", limits.first_output), ("no_progress", limits.no_progress), ("grace", limits.grace)];
    for (key, seconds) in limits {
        _ = writeln!(text, "{key} {seconds}");
    }
    let delays: Vec<String> = delays.iter().map(u64::to_string).collect();
    _ = write!(text, "delays {}\nsession_mode {mode}\nstart {start}\n", delays.join(" "));
    if let Some(session) = session {
        _ = writeln!(text, "session {session}");
    }
    if let Some(status) = check_at_base(handoff) {
        _ = writeln!(text, "check_base {status}");
    }
    text
}

/// What the check returned at the base of the work, if that is known: before the first attempt, or before the first one
/// after the user gave the work back. Later attempts are compared with that.
fn check_at_base(handoff: &Handoff) -> Option<i32> {
    handoff.request().check.as_ref()?;
    let given = handoff.given().keys().next_back().copied().unwrap_or_default();
    let mut since = handoff.attempts().range(given + 1..);
    since.find_map(|(_, attempt)| attempt.outcome.as_ref()?.check_before)
}

fn ship(facts: &ShipFacts, ship: &Snapshot, lfs: Option<&Oid>, checkout: bool, subdir: &str) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: &str| {
        if !value.is_empty() {
            _ = writeln!(text, "{key} {}", value.replace(['\n', '\r'], " "));
        }
    };
    line("key", &facts.cache_key);
    line("repo", &facts.directory);
    line("format", &facts.object_format);
    line("commit", ship.commit.as_str());
    line("head", ship.head.commit().map_or("", Oid::as_str));
    line("index_tree", ship.index_tree.as_str());
    line("files_tree", ship.files_tree.as_str());
    if let Some(extra) = ship.extra.as_ref().filter(|_| checkout) {
        line("extra_tree", extra.tree.as_str());
    }
    if let Some(lfs) = lfs {
        line("content", lfs.as_str());
    }
    if let Some(operation) = ship.operation.as_ref().filter(|_| checkout) {
        line("operation", operation.commit.as_str());
        line("listing", operation.listing.as_ref().map_or("", Oid::as_str));
        for (oid, name) in &operation.branches {
            line("ref", &format!("{oid} {name}"));
        }
    }
    line("branch", ship.branch.as_deref().unwrap_or(""));
    if let Some((remote, merge)) = &facts.upstream {
        line("upstream", &format!("{remote} {merge}"));
    }
    line("subdir", subdir);
    line("author", &facts.author_name);
    line("email", &facts.author_email);
    line("adopt", if checkout { "yes" } else { "no" });
    for (oid, name) in &facts.refs {
        line("ref", &format!("{oid} {name}"));
    }
    text
}

fn agent(profile: &Profile, path: &[String]) -> String {
    let mut text: String = profile.binary.iter().map(|name| format!("binary {name}\n")).collect();
    if let Some(version) = &profile.version_pattern {
        _ = writeln!(text, "version {version}");
    }
    for dir in path {
        _ = writeln!(text, "path {}", dir.replace('\n', " "));
    }
    text
}

/// Names of variables that the agent does not get, one a line.
pub(in crate::supervise) fn unset(profile: &Profile) -> String {
    profile.unset.iter().map(|name| format!("{name}\n")).collect()
}

/// `export` lines. Values are quoted for sh; names were checked when the file was read.
pub(in crate::supervise) fn env(profile: &Profile, host: &Host) -> String {
    let mut text = String::new();
    for (name, value) in profile.env.iter().chain(&host.env) {
        let quoted = shlex::try_quote(value).unwrap_or_else(|_| "''".into());
        _ = writeln!(text, "export {name}={quoted}");
    }
    text
}
