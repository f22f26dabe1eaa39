//! The only place that writes to a terminal. Text from a host, from git or from a file is made safe for the terminal
//! here, and secrets that this process has read are masked.

use std::io::{IsTerminal, Seek, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Serialize;
use serde_json::Value;

use super::live::shown_line::aside;
use super::text::{is_obeyed, neutral};
use crate::config::secrets::mask;
use crate::git::pager::Palette;

/// Whether stdout belongs to a protocol.
static RESERVED: AtomicBool = AtomicBool::new(false);

/// Keeps stdout for a protocol: what is printed from now on goes to stderr, and no question is asked.
pub fn reserve() {
    RESERVED.store(true, Ordering::Relaxed);
}

/// Whether stdout belongs to a protocol.
pub fn is_reserved() -> bool {
    RESERVED.load(Ordering::Relaxed)
}

/// Text for people: line feeds and tabs stay, and all other control characters are made visible.
pub fn harmless(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(neutral).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A text that may be printed: without control characters and without secrets.
pub fn shown(text: &str) -> String {
    harmless(&mask().text(text))
}

/// A text without secrets, for a protocol that encodes it itself.
pub fn masked(text: &str) -> String {
    mask().text(text).into_owned()
}

/// A JSON value without secrets, for a protocol that encodes it itself.
pub fn value(value: &impl Serialize) -> Value {
    let mut value = serde_json::to_value(value).unwrap_or_default();
    mask_in(&mut value);
    value
}

fn mask_in(value: &mut Value) {
    match value {
        Value::String(text) => *text = masked(text),
        Value::Array(items) => items.iter_mut().for_each(mask_in),
        Value::Object(fields) => fields.values_mut().for_each(mask_in),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A JSON text without control characters for a terminal; a program reads the same value.
pub fn json(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    if !text.chars().any(is_obeyed) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_obeyed(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Prints a line on stdout. A closed pipe does not panic.
pub fn out(line: &str) {
    print(&format!("{line}\n"));
}

/// Text on stdout.
pub fn print(text: &str) {
    // On a terminal, the progress line is hidden meanwhile.
    aside(|| match is_reserved() {
        true => write(&mut std::io::stderr().lock(), text),
        false => write(&mut std::io::stdout().lock(), text),
    });
}

/// Prints a line on stderr.
pub fn err(line: &str) {
    aside(|| write(&mut std::io::stderr().lock(), &format!("{line}\n")));
}

/// Prints a question on stderr, without a newline.
pub fn ask(prompt: &str) {
    write(&mut std::io::stderr().lock(), prompt);
}

fn write(to: &mut impl Write, text: &str) {
    let _ = to.write_all(shown(text).as_bytes()).and_then(|()| to.flush());
}

/// Writes bytes to stdout unchanged, because the user asked for that.
pub fn raw(bytes: &[u8]) {
    if is_reserved() {
        return;
    }
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// How a patch is shown on a terminal.
#[derive(Debug, Default)]
pub struct Style {
    /// `None`: without colours.
    pub palette: Option<Palette>,
    /// A command for `sh -c`. `None`: the patch is printed at once.
    pub pager: Option<String>,
}

/// Prints git's diff: in the user's style on a terminal, unchanged for a file or a program. A pager replaces this
/// process, so that it alone has the terminal and its signals.
///
/// # Errors
/// The pager cannot be started.
pub fn diff(text: &[u8], style: impl FnOnce() -> Style) -> std::io::Result<()> {
    if !std::io::stdout().is_terminal() || is_reserved() {
        raw(text);
        return Ok(());
    }
    let style = style();
    let text = painted(&String::from_utf8_lossy(text), &style.palette.unwrap_or_default());
    match style.pager.filter(|_| !text.is_empty()) {
        Some(pager) => Err(page(&text, &pager)),
        None => {
            aside(|| raw(text.as_bytes()));
            Ok(())
        }
    }
}

/// Replaces this process by a pager. The text is in a file without a name. Returns only if that fails.
fn page(text: &str, pager: &str) -> std::io::Error {
    let input = || -> std::io::Result<std::fs::File> {
        let mut file = tempfile::tempfile()?;
        file.write_all(text.as_bytes())?;
        file.rewind()?;
        Ok(file)
    };
    let file = match input() {
        Ok(file) => file,
        Err(error) => return error,
    };
    let mut command = Command::new("sh");
    // git's own defaults: colours, and no pager for a short text.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    command.arg("-c").arg(pager).stdin(file).exec()
}

/// A patch with colours. All control characters in it are made visible.
fn painted(patch: &str, palette: &Palette) -> String {
    let mut painted = String::with_capacity(patch.len() + patch.len() / 8);
    let mut in_hunk = false;
    for line in patch.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        in_hunk = (in_hunk || line.starts_with("@@")) && !line.starts_with("diff --git ");
        let colour = match line.as_bytes().first() {
            Some(b'@') if in_hunk => &palette.frag,
            Some(b'+') if in_hunk => &palette.new,
            Some(b'-') if in_hunk => &palette.old,
            Some(b'd' | b'i' | b'n' | b'o' | b's' | b'r' | b'c' | b'+' | b'-')
                if !in_hunk && patch.starts_with("diff ") =>
            {
                &palette.meta
            }
            _ => &palette.context,
        };
        let line = harmless(line);
        match colour.as_str() {
            "" => painted.push_str(&line),
            colour => painted.extend([colour, &line, &palette.reset]),
        }
        painted.push_str(end);
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// git's default colours.
    fn palette() -> Palette {
        let escape = |code: &str| format!("\x1b[{code}m");
        Palette {
            meta: escape("1"),
            frag: escape("36"),
            old: escape("31"),
            new: escape("32"),
            context: String::new(),
            reset: escape(""),
        }
    }

    #[test]
    fn a_patch_has_the_users_colours_and_no_escape_from_a_file() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn\n a\tb\n-old\n+\x1b]52;c;RVZJTA==\x07 \x1b[2J\u{9b}31m\r\n\\ No newline\ndiff --git a/y b/y\n";
        assert_eq!(
            painted(patch, &palette()),
            "\x1b[1mdiff --git a/x b/x\x1b[m\n\x1b[1m--- a/x\x1b[m\n\x1b[1m+++ b/x\x1b[m\n\x1b[36m@@ -1,2 +1,2 @@ fn\x1b[m\n a\tb\n\
             \x1b[31m-old\x1b[m\n\x1b[32m+␛]52;c;RVZJTA==␇ ␛[2J?31m␍\x1b[m\n\\ No newline\n\x1b[1mdiff --git a/y b/y\x1b[m\n"
        );
    }

    #[test]
    fn json_is_the_same_value_without_control_characters() {
        let value = serde_json::json!({ "path": "a\u{9b}2J\u{202e}\x7f\x1b\n\u{e0041}" });
        let text = json(&value);
        assert!(!text.chars().any(is_obeyed), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }

    proptest! {
        #[test]
        fn only_our_own_escapes_are_printed(text in any::<String>()) {
            let allowed = |c: char| matches!(c, '\n' | '\t') || !is_obeyed(c);
            prop_assert!(harmless(&text).chars().all(allowed));
            let patch = painted(&format!("diff \n@@\n{text}"), &palette());
            let bare = ["\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[36m", "\x1b[m"].iter().fold(patch, |text, ours| text.replace(ours, ""));
            prop_assert!(bare.chars().all(allowed));
        }
    }

    /// Text that is written to a terminal from another place would not be made safe.
    #[test]
    fn only_this_module_writes_to_a_terminal() {
        let source = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
        let mut open = vec![source.to_owned()];
        let mut files = 0;
        while let Some(path) = open.pop() {
            if path.is_dir() {
                open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let name = path.strip_prefix(source).unwrap().to_string_lossy().into_owned();
            if !name.ends_with(".rs") || name == "ui/screen.rs" || name.contains("tests") {
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for line in
                code.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.contains("is_terminal"))
            {
                let direct = ["println!", "print!(", "stdout()", "stderr()"].iter().any(|word| line.contains(word));
                assert!(!direct, "{name}: {line}");
            }
        }
        assert!(files > 50);
    }
}
