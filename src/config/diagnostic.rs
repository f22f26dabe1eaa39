//! A mistake in a file of the user's: its place, the line itself, and a correction.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Maximum characters of a line that are shown.
const SHOWN: usize = 100;
/// Maximum mistakes that are shown of one file.
const MOST: usize = 20;

/// A mistake in a file, ready to print. `Display` prints several lines without a newline at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The line, and a line of carets below it. Control characters are replaced. Empty if there is nothing to show.
    pub excerpt: String,
    /// A lower-case fragment.
    pub message: String,
    /// The correction, if known.
    pub help: Option<String>,
}

/// The mistakes of one file, sorted by line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostic {
    /// A mistake at the bytes `span` of `text`. A span outside the text is moved into it.
    pub fn at(file: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> Self {
        let start = char_boundary(text, span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        let rest = &text[line_start..];
        let line = rest.split('\n').next().unwrap_or_default().trim_end_matches('\r');
        let column = text[line_start..start].chars().count();
        let marked = text[start..char_boundary(text, span.end.max(start))].split('\n').next().unwrap_or_default();
        Diagnostic {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: column + 1,
            excerpt: excerpt(line, column, marked.trim_end_matches('\r').chars().count()),
            message: message.into(),
            help: None,
        }
    }

    /// A mistake that the `toml` crate found, in the syntax or through serde. Its first sentence is the message and the
    /// rest is the help. For an unknown key, the most similar one that serde lists is suggested.
    pub fn of_toml(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let mut lines = error.message().lines();
        let first = lines.next().unwrap_or("is not valid TOML");
        if let Some((message, help)) = serde_unknown(first) {
            return Self::at(file, text, error.span().unwrap_or(0..0), message).with_help(help);
        }
        let rest = lines.collect::<Vec<_>>().join("; ");
        let shown = Self::at(file, text, error.span().unwrap_or(0..0), first);
        if rest.is_empty() { shown } else { shown.with_help(rest) }
    }

    /// Adds a correction.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Cuts the excerpt after the first `=`, for lines whose value may be a secret.
    #[must_use]
    pub fn without_value(mut self) -> Self {
        let line = self.excerpt.lines().next().unwrap_or_default();
        self.excerpt = match line.split_once('=') {
            Some((key, _)) => format!("{key}= …\n{}", "^".repeat(key.trim_end().chars().count().max(1))),
            None => String::new(),
        };
        self
    }
}

/// The candidate most similar to `word`, if it is similar enough.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Jaro-Winkler favours common beginnings. Below 0.8 its guesses are useless, but a short word with one typo scores
    // lower.
    let one_slip = |candidate: &str| candidate.len() > 2 && strsim::damerau_levenshtein(word, candidate) == 1;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(likeness, candidate)| *likeness >= 0.8 || one_slip(candidate))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// "did you mean", or else the list of known words.
pub fn meant(word: &str, known: &[&str]) -> String {
    match nearest(word, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// Splits serde's "unknown field `x`, expected one of `a`, `b`" into a message and a guess.
fn serde_unknown(message: &str) -> Option<(String, String)> {
    let (kind, rest) = [("unknown field `", "key"), ("unknown variant `", "value")]
        .into_iter()
        .find_map(|(start, kind)| message.strip_prefix(start).map(|rest| (kind, rest)))?;
    let (word, expected) = rest.split_once('`')?;
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    Some((format!("unknown {kind} `{word}`"), meant(word, &known)))
}

/// The nearest character boundary at or below `at`.
fn char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0)
}

/// The part of the line around `column` (from 0), with carets below `width` characters of it.
fn excerpt(line: &str, column: usize, width: usize) -> String {
    let first = if line.chars().count() > SHOWN { column.saturating_sub(SHOWN / 2) } else { 0 };
    let mut shown = String::new();
    let mut lead = column - first;
    if first > 0 {
        shown.push('…');
        lead += 1;
    }
    shown.extend(line.chars().skip(first).take(SHOWN).map(printable));
    if line.chars().count() > first + SHOWN {
        shown.push('…');
    }
    let width = width.clamp(1, shown.chars().count().saturating_sub(lead).max(1));
    format!("{shown}\n{}{}", " ".repeat(lead), "^".repeat(width))
}

/// A tab counts as one space, so that carets are in the right column; other control characters must not reach a
/// terminal.
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        let number = self.line.to_string();
        let mut gutter = number.as_str();
        let blank = " ".repeat(number.len());
        for line in self.excerpt.lines() {
            write!(f, "\n  {gutter} | {line}")?;
            gutter = &blank;
        }
        if let Some(help) = &self.help {
            write!(f, "\n  {help}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, diagnostic) in self.0.iter().take(MOST).enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{diagnostic}")?;
        }
        if self.0.len() > MOST {
            write!(f, "\nand {} more", self.0.len() - MOST)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_line_the_caret_and_the_help_are_shown() {
        let text = "[host.box]\n\tadress = \"10.0.0.4\"\r\nport = 22\n";
        let at = text.find("adress").unwrap();
        let shown = Diagnostic::at(Path::new("hosts.toml"), text, at..at + 6, "unknown key `adress`")
            .with_help(meant("adress", &["address", "port"]))
            .to_string();
        assert_eq!(
            shown,
            "hosts.toml:2:2: unknown key `adress`\n  2 |  adress = \"10.0.0.4\"\n    |  ^^^^^^\n  did you mean `address`?"
        );
    }

    #[test]
    fn a_long_line_is_cut_around_the_mistake_and_escapes_are_harmless() {
        let text = format!("a = \"{}\u{1b}[31m{}\"", "x".repeat(200), "y".repeat(200));
        let diagnostic = Diagnostic::at(Path::new("f"), &text, 205..206, "bad");
        let mut lines = diagnostic.excerpt.lines();
        let (line, carets) = (lines.next().unwrap(), lines.next().unwrap());
        assert!(line.chars().count() <= SHOWN + 2 && line.starts_with('…') && line.ends_with('…'));
        assert_eq!(line.chars().nth(carets.len() - 1), Some('\u{fffd}'));
        assert!(!diagnostic.to_string().contains('\u{1b}'));
    }

    #[test]
    fn a_value_can_be_left_out() {
        let text = "TOKEN = \"ghp_secret\"";
        let shown = Diagnostic::at(Path::new("f"), text, 8..20, "bad").without_value().to_string();
        assert_eq!(shown, "f:1:9: bad\n  1 | TOKEN = …\n    | ^^^^^");
        let shown = Diagnostic::at(Path::new("f"), "\"ghp_secret\"", 0..5, "bad").without_value().to_string();
        assert_eq!(shown, "f:1:1: bad");
    }

    #[test]
    fn only_similar_words_are_suggested() {
        let known = ["address", "first-output", "no-progress", "memory", "port"];
        for (word, near) in
            [("adress", "address"), ("first_output", "first-output"), ("noprogress", "no-progress"), ("prt", "port")]
        {
            assert_eq!(nearest(word, known), Some(near));
        }
        assert_eq!(nearest("zebra", known), None);
        assert_eq!(meant("zebra", &["a", "b"]), "known here: a, b");
    }

    #[test]
    fn errors_of_serde_become_suggestions() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        #[allow(dead_code)]
        struct Agent {
            binary: String,
            start: String,
        }
        let text = "binari = \"x\"\n";
        let error = toml::from_str::<Agent>(text).unwrap_err();
        let shown = Diagnostic::of_toml(Path::new("agents.toml"), text, &error).to_string();
        assert_eq!(
            shown,
            "agents.toml:1:1: unknown key `binari`\n  1 | binari = \"x\"\n    | ^^^^^^\n  did you mean `binary`?"
        );
    }

    proptest! {
        #[test]
        fn any_span_of_any_text_can_be_shown(text in any::<String>(), a in 0usize..200, b in 0usize..200) {
            let shown = Diagnostic::at(Path::new("f"), &text, a..b, "bad").to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n'));
            let _ = Diagnostic::at(Path::new("f"), &text, a..b, "bad").without_value().to_string();
        }
    }
}
