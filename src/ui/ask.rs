//! Prompts for the user at a terminal.

use std::io::{BufRead, IsTerminal};

use secrecy::SecretString;

use super::live::aside;
use super::screen;
use crate::transport::Prompter;

/// Asks on the terminal; without one, it returns no answer.
pub struct Terminal;

impl Terminal {
    /// Whether there is a terminal to ask on.
    pub fn is_there() -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }
}

impl Prompter for Terminal {
    fn secret(&self, prompt: &str, echo: bool) -> Option<SecretString> {
        if !Terminal::is_there() {
            return None;
        }
        let prompt = screen::harmless(prompt);
        let answer = aside(|| if echo { read_line(&prompt) } else { rpassword::prompt_password(prompt).ok() });
        answer.map(SecretString::from)
    }

    fn confirm(&self, prompt: &str) -> Option<bool> {
        if !Terminal::is_there() {
            return None;
        }
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
