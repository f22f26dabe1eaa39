//! Makes the scripts that a host runs from a profile's argument lists, and the command line that a user would type.

use crate::model::attempt::AttemptNo;
use crate::model::profile::{Profile, SessionMode};

/// How an attempt starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch {
    Fresh,
    /// Continues the session. A CLI without sessions is started fresh.
    Resume,
}

/// Why an argument list cannot be written as a script.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    #[error("{0:?} contains a control character")]
    Control(String),
    #[error("{0:?} is not a placeholder; use {{session}}, {{workspace}}, {{model}}, or the word {{model_args}}")]
    Placeholder(String),
    #[error("{0:?} needs a session, but the profile has `session = \"none\"`")]
    NoSession(String),
}

/// What the command line of one attempt needs in addition to the profile.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The name or path of the binary on the host.
    pub binary: &'a str,
    /// `None` if not known yet.
    pub session: Option<&'a str>,
    /// The checkout on the host.
    pub workspace: &'a str,
    pub attempt: AttemptNo,
}

enum Piece {
    Text(String),
    Session,
    Workspace,
}

/// The scripts `run.fresh`, `run.resume` and, if `create` makes sessions, `run.create` of docs/host.md, by file name.
pub fn scripts(profile: &Profile, model: Option<&str>) -> Result<Vec<(&'static str, String)>, CommandError> {
    let run = |launch, note| script(profile, arguments(profile, launch), model, note);
    let mut scripts = vec![
        ("run.fresh", run(Launch::Fresh, "Starts the agent; $1 is the session, the prompt is on stdin.")?),
        ("run.resume", run(Launch::Resume, "Continues session $1; the prompt is on stdin.")?),
    ];
    if profile.session == SessionMode::Create {
        scripts.push(("run.create", script(profile, &profile.create, model, "Prints the id of a new session.")?));
    }
    Ok(scripts)
}

/// The command of one attempt as a user would type it on the host, in the checkout.
pub fn display(
    profile: &Profile,
    launch: Launch,
    model: Option<&str>,
    place: Place<'_>,
) -> Result<String, CommandError> {
    let mut line = quoted(place.binary)?;
    for word in words(profile, arguments(profile, launch), model)? {
        let mut whole = String::new();
        for piece in &word {
            whole.push_str(match piece {
                Piece::Text(text) => text,
                Piece::Session => place.session.unwrap_or("SESSION"),
                Piece::Workspace => place.workspace,
            });
        }
        line.push(' ');
        line.push_str(&quoted(&whole)?);
    }
    Ok(format!("{line} < prompt > attempt-{}.log 2>&1", place.attempt))
}

fn arguments(profile: &Profile, launch: Launch) -> &[String] {
    match launch {
        Launch::Resume if profile.session != SessionMode::None => &profile.resume,
        _ => &profile.start,
    }
}

fn script(profile: &Profile, arguments: &[String], model: Option<&str>, note: &str) -> Result<String, CommandError> {
    let mut script = format!("#!/bin/sh\n# {note}\n");
    if !profile.root_env.is_empty() {
        script.push_str("if [ \"$(id -u)\" = 0 ]; then\n");
        for (name, value) in &profile.root_env {
            script.push_str(&format!("  {name}={}\n  export {name}\n", quoted(value)?));
        }
        script.push_str("fi\n");
    }
    script.push_str("exec \"$HANDOFF_AGENT\"");
    for word in words(profile, arguments, model)? {
        script.push(' ');
        for piece in &word {
            match piece {
                Piece::Text(text) => script.push_str(&quoted(text)?),
                Piece::Session => script.push_str("\"$1\""),
                Piece::Workspace => script.push_str("\"$PWD\""),
            }
        }
    }
    script.push('\n');
    Ok(script)
}

/// The argument list with the model's group inserted and the model's name filled in.
fn words(profile: &Profile, arguments: &[String], model: Option<&str>) -> Result<Vec<Vec<Piece>>, CommandError> {
    let model = model.filter(|model| !model.is_empty());
    let group = if model.is_some() { profile.model_args.as_slice() } else { &[] };
    let placed = arguments.iter().any(|word| word == "{model_args}");
    let runs = std::ptr::eq(arguments, profile.start.as_slice()) || std::ptr::eq(arguments, profile.resume.as_slice());
    let mut words: Vec<&String> = Vec::new();
    for word in arguments {
        match word.as_str() {
            "{model_args}" => words.extend(group),
            _ => words.push(word),
        }
    }
    if runs && !placed {
        words.extend(group);
    }
    words.into_iter().map(|word| pieces(profile, word, model)).collect()
}

fn pieces(profile: &Profile, word: &str, model: Option<&str>) -> Result<Vec<Piece>, CommandError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, name, after)) = placeholder(rest) {
        text.push_str(before);
        match (name, model) {
            ("{session}", _) if profile.session == SessionMode::None => {
                return Err(CommandError::NoSession(word.to_owned()));
            }
            ("{model}", Some(model)) => text.push_str(model),
            ("{session}" | "{workspace}", _) => {
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(if name == "{session}" { Piece::Session } else { Piece::Workspace });
            }
            _ => return Err(CommandError::Placeholder(word.to_owned())),
        }
        rest = after;
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    // Only a word that is completely empty is written as ''.
    let has_more = pieces.len() > 1;
    pieces.retain(|piece| !has_more || !matches!(piece, Piece::Text(text) if text.is_empty()));
    Ok(pieces)
}

/// The first `{name}` of a word, with the text before and after it. Other braces are plain text, such as JSON.
fn placeholder(word: &str) -> Option<(&str, &str, &str)> {
    for (start, _) in word.match_indices('{') {
        let Some(length) = word[start..].find('}') else { break };
        let name = &word[start + 1..start + length];
        if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') {
            let end = start + length + 1;
            return Some((&word[..start], &word[start..end], &word[end..]));
        }
    }
    None
}

fn quoted(text: &str) -> Result<String, CommandError> {
    let control = || CommandError::Control(text.escape_debug().take(80).collect());
    if text.chars().any(char::is_control) {
        return Err(control());
    }
    shlex::try_quote(text).map(std::borrow::Cow::into_owned).map_err(|_| control())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;
    use proptest::prelude::*;

    fn profile(name: &str) -> Profile {
        profiles::built_in().unwrap().remove(name).unwrap()
    }

    #[test]
    fn cursor_is_started_and_resumed_with_its_documented_arguments() {
        let scripts = scripts(&profile("cursor"), Some("gpt 5")).unwrap();
        let names: Vec<_> = scripts.iter().map(|script| script.0).collect();
        assert_eq!(names, ["run.fresh", "run.resume", "run.create"]);
        assert!(scripts[0].1.ends_with(
            "exec \"$HANDOFF_AGENT\" --resume \"$1\" --print --output-format stream-json --trust --yolo --workspace \"$PWD\" --model 'gpt 5'\n"
        ));
        assert!(scripts[2].1.ends_with("exec \"$HANDOFF_AGENT\" create-chat\n"));
    }

    #[test]
    fn the_shown_command_can_be_typed_as_it_is() {
        let place = Place { binary: "agent", session: Some("9d-1"), workspace: "/home/b/my repo", attempt: 2 };
        assert_eq!(
            display(&profile("cursor"), Launch::Resume, None, place).unwrap(),
            "agent --resume 9d-1 --print --output-format stream-json --trust --yolo --workspace '/home/b/my repo' < prompt > attempt-2.log 2>&1"
        );
        assert!(display(&profile("codex"), Launch::Fresh, Some("o4"), place).unwrap().contains(" -m o4 - < prompt"));
    }

    #[test]
    fn claude_is_told_of_a_sandbox_only_as_root() {
        let scripts = scripts(&profile("claude"), None).unwrap();
        let fresh = &scripts[0].1;
        assert!(fresh.contains("if [ \"$(id -u)\" = 0 ]; then\n  IS_SANDBOX=1\n  export IS_SANDBOX\nfi\n"), "{fresh}");
        assert_eq!(scripts.len(), 2);
    }

    #[test]
    fn mistakes_in_words_are_named() {
        let mut mine = profile("cursor");
        mine.start = vec!["--x={sesion}".into()];
        assert_eq!(scripts(&mine, None), Err(CommandError::Placeholder("--x={sesion}".into())));
        mine.start = vec!["{\"json\": {}}".into(), "--id={session}.log".into(), String::new()];
        let fresh = scripts(&mine, None).unwrap().remove(0).1;
        assert!(fresh.ends_with("exec \"$HANDOFF_AGENT\" '{\"json\": {}}' '--id='\"$1\".log ''\n"), "{fresh}");
        assert!(matches!(scripts(&mine, Some("a\nb")), Err(CommandError::Control(_))));
        mine.session = SessionMode::None;
        assert!(matches!(scripts(&mine, None), Err(CommandError::NoSession(_))));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        /// A real shell passes every word to the agent unchanged.
        #[test]
        fn a_shell_reads_the_words_back(words in prop::collection::vec("[ -~äß]{0,12}", 1..6), model in "[ -~]{1,10}") {
            let mut mine = profile("cursor");
            mine.start = words.iter().map(|word| word.replace('{', "(")).chain(["{session}".into()]).collect();
            let script = scripts(&mine, Some(&model)).unwrap().remove(0).1;
            let script = script.replace("exec \"$HANDOFF_AGENT\"", "printf '%s\\n'");
            let output = std::process::Command::new("sh").arg("-c").arg(&script).args(["sh", "the id"]).output().unwrap();
            let mut expected = mine.start.clone();
            *expected.last_mut().unwrap() = "the id".into();
            expected.extend(["--model".to_owned(), model]);
            prop_assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.join("\n") + "\n");
        }
    }
}
