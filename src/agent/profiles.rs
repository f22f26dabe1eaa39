//! Profiles of agents: the built-in `agents.toml`, with a user's file merged over it.

mod overlay;
mod pattern;

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::agent::command;
use crate::model::profile::{Profile, SessionMode};
use crate::model::verdict::Class;
use overlay::Overlay;

pub use pattern::compile;

/// The built-in profiles, as a file.
pub const BUILT_IN: &str = include_str!("../../config/agents.toml");

/// Profiles by name.
pub type Profiles = BTreeMap<String, Profile>;

/// A mistake in an agents file.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{file}:{line}: {reason}{}", .nearest.as_ref().map_or_else(String::new, |key| format!(" (did you mean {key}?)")))]
pub struct ProfileError {
    /// The file as the user named it.
    pub file: String,
    /// From 1.
    pub line: usize,
    pub reason: String,
    /// The most similar valid key, if one is similar enough.
    pub nearest: Option<String>,
}

/// The error for a name that no profile has.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no agent is called {name:?}{}", .nearest.as_ref().map_or_else(String::new, |name| format!(" (did you mean {name}?)")))]
pub struct UnknownAgent {
    pub name: String,
    pub nearest: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    agent: BTreeMap<Spanned<String>, Spanned<Overlay>>,
}

/// The built-in profiles. A test validates them, because doing so at every start would take longer than reading them.
pub fn built_in() -> Result<Profiles, ProfileError> {
    layer(Profiles::new(), BUILT_IN, "built-in agents.toml", |_| Ok(()))
}

/// The built-in profiles merged with a user's file. `file` names it in errors.
pub fn layered(text: &str, file: &str) -> Result<Profiles, ProfileError> {
    layer(built_in()?, text, file, validate)
}

/// The profile of that name.
pub fn find<'a>(profiles: &'a Profiles, name: &str) -> Result<&'a Profile, UnknownAgent> {
    profiles.get(name).ok_or_else(|| UnknownAgent {
        name: name.to_owned(),
        nearest: nearest(name, profiles.keys().map(String::as_str)),
    })
}

fn layer(
    mut profiles: Profiles,
    text: &str,
    file: &str,
    validate: fn(&Profile) -> Result<(), String>,
) -> Result<Profiles, ProfileError> {
    let fail = |at: usize, reason: String, nearest| ProfileError {
        file: file.to_owned(),
        line: 1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count(),
        reason,
        nearest,
    };
    let parsed: File = toml::from_str(text).map_err(|error| {
        let (reason, nearest) = explain(error.message());
        fail(error.span().map_or(0, |span| span.start), reason, nearest)
    })?;
    let mut tables: Vec<_> = parsed.agent.into_iter().collect();
    // In the order of the file, so that a profile may use `like` with one above it.
    tables.sort_by_key(|(name, _)| name.span().start);
    for (name, table) in tables {
        let (at, name) = (name.span().start, name.into_inner());
        let wrong = |reason: String| fail(at, format!("agent {name}: {reason}"), None);
        if !command_name(&name) {
            return Err(wrong("a name is made of letters, digits, '-' and '_'".into()));
        }
        let overlay = table.into_inner();
        let base = match &overlay.like {
            None => profiles.get(&name).cloned(),
            Some(other) => Some(find(&profiles, other).map_err(|unknown| wrong(unknown.to_string()))?.clone()),
        };
        let profile = overlay.over(base).map_err(|key| wrong(format!("{key} is missing")))?;
        validate(&profile).map_err(wrong)?;
        profiles.insert(name, profile);
    }
    Ok(profiles)
}

/// Shortens serde's "unknown field `x`, expected one of …" and finds the most similar key.
fn explain(message: &str) -> (String, Option<String>) {
    let Some((unknown, expected)) = message.split_once(", expected ") else {
        return (message.trim().to_owned(), None);
    };
    let unknown = unknown.trim();
    let Some(key) = unknown.split('`').nth(1).filter(|_| unknown.starts_with("unknown ")) else {
        return (message.trim().to_owned(), None);
    };
    (unknown.replace("unknown field", "unknown key"), nearest(key, expected.split('`').skip(1).step_by(2)))
}

fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    let scored = known.map(|known| (strsim::jaro_winkler(word, known), known)).filter(|(score, _)| *score > 0.75);
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, known)| known.to_owned())
}

fn command_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Checks what the types do not express. Returns the mistake as a fragment.
fn validate(profile: &Profile) -> Result<(), String> {
    let name = |text: &String| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    if profile.binary.is_empty() || !profile.binary.iter().all(name) {
        return Err("binary needs a name, or several, without spaces".into());
    }
    let asks = |words: &[String]| words.iter().any(|word| word.contains("{session}"));
    match profile.session {
        SessionMode::Create if profile.create.is_empty() => return Err("session create needs the key create".into()),
        SessionMode::Stream if profile.session_pattern.is_none() => {
            return Err("session stream needs the key session_pattern".into());
        }
        SessionMode::Preset if !asks(&profile.start) => return Err("session preset needs {session} in start".into()),
        SessionMode::None => {}
        _ if !asks(&profile.resume) => return Err("resume needs {session}, or session must be none".into()),
        _ => {}
    }
    if !profile.model_args.is_empty() && !profile.model_args.iter().any(|word| word.contains("{model}")) {
        return Err("model_args needs {model}".into());
    }
    if !profile.interactive.is_empty() && !profile.interactive.iter().any(|word| word.contains("{prompt}")) {
        return Err("interactive needs {prompt}".into());
    }
    let env = profile.env.keys().chain(profile.root_env.keys()).chain(&profile.unset);
    if let Some(bad) =
        env.into_iter().find(|name| name.contains('-') || !command_name(name) || name.as_bytes()[0].is_ascii_digit())
    {
        return Err(format!("{bad:?} is not the name of a variable"));
    }
    command::scripts(profile, Some("model")).map_err(|error| error.to_string())?;
    patterns(profile)
}

fn patterns(profile: &Profile) -> Result<(), String> {
    let single = [
        ("version_pattern", &profile.version_pattern),
        ("terminal", &profile.terminal),
        ("error_lines", &profile.error_lines),
        ("session_pattern", &profile.session_pattern),
    ];
    for (key, pattern) in single.into_iter().filter_map(|(key, pattern)| Some((key, pattern.as_ref()?))) {
        let compiled = pattern::compile(pattern).map_err(|reason| format!("{key}: {reason}"))?;
        if key == "session_pattern" && compiled.captures_len() != 2 {
            return Err("session_pattern needs one group, the id".into());
        }
    }
    for pattern in &profile.success {
        pattern::compile(pattern).map_err(|reason| format!("success: {reason}"))?;
    }
    for row in &profile.failure {
        if matches!(row.class, Class::Done | Class::Unchecked | Class::Stopped | Class::NoWork | Class::CheckFailed) {
            return Err(format!("failure: {} is not something a line can prove", row.class));
        }
        if row.pattern.starts_with('@') {
            return Err(format!("failure {}: a pattern that begins with @ names a fact on the host", row.class));
        }
        pattern::compile(&row.pattern).map_err(|reason| format!("failure {}: {reason}", row.class))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
