//! Puts a text on the clipboard: with a program of the desktop, or by asking the terminal.

use std::io::{IsTerminal, Write};
use std::process::{Command, Stdio};

use base64ct::{Base64, Encoding};

use crate::ui::screen;

/// Programs that read the clipboard's text on stdin, each with the variable that says that its desktop is there.
const PROGRAMS: [(&str, &[&str], &str); 3] = [
    ("wl-copy", &[], "WAYLAND_DISPLAY"),
    ("xclip", &["-selection", "clipboard"], "DISPLAY"),
    ("xsel", &["--clipboard", "--input"], "DISPLAY"),
];

/// Copies the text, and returns where it is, for the user. A terminal does not say whether it took the text.
pub(super) fn copy(text: &str) -> Option<&'static str> {
    let is_there = |variable: &str| std::env::var_os(variable).is_some();
    let copied = match cfg!(target_os = "macos") && !is_there("SSH_CONNECTION") {
        true => feed("pbcopy", &[], text),
        false => PROGRAMS.iter().any(|(name, arguments, needs)| is_there(needs) && feed(name, arguments, text)),
    };
    if copied {
        return Some("the clipboard");
    }
    if !std::io::stdout().is_terminal() {
        return None;
    }
    screen::raw(osc52(text).as_bytes());
    Some("the clipboard, if your terminal lets programs set it")
}

/// The escape sequence that sets the clipboard of a terminal, also over SSH.
/// Source: "Operating System Commands", 52, in xterm's ctlseqs.
fn osc52(text: &str) -> String {
    format!("\x1b]52;c;{}\x07", Base64::encode_string(text.as_bytes()))
}

/// Runs a program with the text on its stdin, and says whether it succeeded.
fn feed(name: &str, arguments: &[&str], text: &str) -> bool {
    // What a clipboard program leaves running must not hold our output open.
    let spawned =
        Command::new(name).args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let Ok(mut child) = spawned else { return false };
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(text.as_bytes()).is_ok());
    child.wait().is_ok_and(|status| status.success()) && written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_is_asked_with_osc_52() {
        assert_eq!(osc52("Read it."), "\x1b]52;c;UmVhZCBpdC4=\x07");
    }
}
