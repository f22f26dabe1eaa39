//! What a person meant by a command line that cannot be read.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, Error};

use super::Args;
use crate::config::diagnostic::nearest;

/// The error with a suggestion, where there is one.
pub fn explained(error: Error) -> Error {
    let words: Vec<String> = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    with_suggestion(error, &words)
}

fn with_suggestion(mut error: Error, words: &[String]) -> Error {
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand if error.get(ContextKind::SuggestedSubcommand).is_none() => {
            if let Some(near) = text(ContextKind::InvalidSubcommand).and_then(|word| command_near(&word)) {
                error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(vec![near]));
            }
        }
        ErrorKind::UnknownArgument if words.first().is_some_and(|first| first == "run") => {
            if let Some(task) = text(ContextKind::InvalidArg).and_then(|word| unquoted_task(&word, words)) {
                let tip = format!("put the task in quotes: \"{task}\"");
                error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
            }
        }
        _ => {}
    }
    error
}

fn command_near(word: &str) -> Option<String> {
    let command = Args::command();
    let names: Vec<&str> =
        command.get_subcommands().filter(|one| !one.is_hide_set()).map(clap::Command::get_name).collect();
    nearest(word, names).map(str::to_owned)
}

/// The words of a task from the one before `second`, which was read as the whole task, to the next option.
fn unquoted_task(second: &str, words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == second).filter(|at| *at > 0 && !second.starts_with('-'))?;
    let is_word = |word: &&String| !word.starts_with('-');
    let first = words.get(at - 1).filter(is_word)?;
    let rest = words[at..].iter().take_while(is_word);
    Some(std::iter::once(first).chain(rest).map(String::as_str).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn explained(line: &str) -> String {
        let words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let error = Args::try_parse_from(std::iter::once("handoff".to_owned()).chain(words.clone())).unwrap_err();
        with_suggestion(error, &words).to_string()
    }

    #[test]
    fn a_mistyped_command_gets_the_nearest_one() {
        assert!(explained("rnu --host box x").contains("'run'"), "{}", explained("rnu --host box x"));
        assert!(explained("takover").contains("'takeover'"), "{}", explained("takover"));
        assert!(!explained("frobnicate").contains("tip:"), "{}", explained("frobnicate"));
    }

    #[test]
    fn an_unquoted_task_is_shown_in_quotes() {
        let text = explained("run --host box fix the tests --detach");
        assert!(text.contains("put the task in quotes: \"fix the tests\""), "{text}");
        assert!(!explained("run --host box --frob").contains("quotes"), "{}", explained("run --host box --frob"));
    }
}
