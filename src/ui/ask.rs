//! Prompts for the user at a terminal.

use std::io::{BufRead, IsTerminal};
use std::sync::{Mutex, PoisonError};

use secrecy::SecretString;

use super::live::shown_line::aside;
use super::screen;
use crate::transport::Prompter;

/// Only one question is on the terminal at a time: of two, a password for one host could go to the other.
static ASKING: Mutex<()> = Mutex::new(());

/// Asks on the terminal; without one, it returns no answer.
pub struct Terminal;

impl Terminal {
    /// Whether there is a terminal to ask on, and it is not used by a protocol.
    pub fn is_there() -> bool {
        !screen::is_reserved() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

impl Prompter for Terminal {
    fn secret(&self, prompt: &str, echo: bool) -> Option<SecretString> {
        if !Terminal::is_there() {
            return None;
        }
        let prompt = screen::harmless(prompt);
        let _turn = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = aside(|| if echo { read_line(&prompt) } else { rpassword::prompt_password(prompt).ok() });
        answer.map(SecretString::from)
    }

    fn confirm(&self, prompt: &str) -> Option<bool> {
        if !Terminal::is_there() {
            return None;
        }
        let _turn = ASKING.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = aside(|| read_line(&format!("{} (yes/no) ", screen::harmless(prompt))))?;
        Some(matches!(answer.trim(), "y" | "yes" | "Yes" | "YES"))
    }
}

fn read_line(prompt: &str) -> Option<String> {
    screen::ask(prompt);
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).ok()?;
    Some(line.trim_end_matches(['\r', '\n']).to_owned())
}
