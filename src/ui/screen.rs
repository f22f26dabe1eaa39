//! The only place that writes to a terminal. Text from a host, from git or from a file is made safe for the terminal
//! here, and secrets that this process has read are masked.

use std::io::{IsTerminal, Write};

use serde::Serialize;

use super::live::aside;
use super::text::{is_obeyed, neutral};
use crate::config::secrets::mask;

/// Text for people: line feeds and tabs stay, and all other control characters are made visible.
pub fn harmless(text: &str) -> String {
    let line = |line: &str| line.split('\t').map(neutral).collect::<Vec<_>>().join("\t");
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// A text that may be printed: without control characters and without secrets.
pub fn shown(text: &str) -> String {
    harmless(&mask().text(text))
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
    aside(|| write(&mut std::io::stdout().lock(), text));
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
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// Prints git's diff: with our own colours on a terminal, unchanged for a file or a program.
pub fn diff(text: &[u8]) {
    if std::io::stdout().is_terminal() {
        aside(|| raw(painted(&String::from_utf8_lossy(text)).as_bytes()))
    } else {
        raw(text)
    }
}

/// A patch with git's default colours. All control characters in it are made visible.
fn painted(patch: &str) -> String {
    let mut painted = String::with_capacity(patch.len() + patch.len() / 8);
    let mut in_hunk = false;
    for line in patch.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        in_hunk = (in_hunk || line.starts_with("@@")) && !line.starts_with("diff --git ");
        let colour = match line.as_bytes().first() {
            Some(b'@') if in_hunk => "36",
            Some(b'+') if in_hunk => "32",
            Some(b'-') if in_hunk => "31",
            Some(b'd' | b'i' | b'n' | b'o' | b's' | b'r' | b'c' | b'+' | b'-')
                if !in_hunk && patch.starts_with("diff ") =>
            {
                "1"
            }
            _ => "",
        };
        let line = harmless(line);
        match colour {
            "" => painted.push_str(&line),
            colour => painted.push_str(&format!("\x1b[{colour}m{line}\x1b[m")),
        }
        painted.push_str(end);
    }
    painted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_patch_has_our_colours_and_no_escape_from_a_file() {
        let patch = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@ fn\n a\tb\n-old\n+\x1b]52;c;RVZJTA==\x07 \x1b[2J\u{9b}31m\r\n\\ No newline\ndiff --git a/y b/y\n";
        assert_eq!(
            painted(patch),
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
            let patch = painted(&format!("diff \n@@\n{text}"));
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
