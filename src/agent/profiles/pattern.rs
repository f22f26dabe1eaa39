//! Patterns with the same meaning for grep -E on a host and for the regex crate.

use regex::{Regex, RegexBuilder};

/// Compiles a profile's pattern, ignoring case. Refuses what POSIX ERE leaves undefined or the regex crate reads
/// differently; the reason is a fragment.
pub fn compile(pattern: &str) -> Result<Regex, String> {
    if pattern.is_empty() || pattern.chars().any(char::is_control) {
        return Err("a pattern must be one line and not empty".into());
    }
    outside_the_common_subset(pattern)
        .map_or(Ok(()), |what| Err(format!("{what} does not work in both grep -E and handoff")))?;
    RegexBuilder::new(pattern).case_insensitive(true).build().map_err(|error| {
        error.to_string().lines().last().unwrap_or("not a regular expression").trim_start_matches("error: ").to_owned()
    })
}

/// The first piece that the two may read differently.
fn outside_the_common_subset(pattern: &str) -> Option<String> {
    let mut rest = pattern;
    // Whether a repetition may follow. At the start of a branch, POSIX leaves it undefined.
    let mut repeatable = false;
    // Whether this branch is still empty; BSD's grep refuses an empty one.
    let mut empty = true;
    while let Some(c) = rest.chars().next() {
        let mut length = c.len_utf8();
        let next = rest[length..].chars().next();
        match c {
            '\\' => {
                let escaped = next?;
                if !r".[]()*+?{}|^$\".contains(escaped) {
                    return Some(format!("\\{escaped}"));
                }
                length += escaped.len_utf8();
                repeatable = true;
            }
            '[' => {
                length = bracket(rest)?;
                if let Some(bad) = ["[", "&&", "--", "~~", "\\"].iter().find(|bad| rest[1..length].contains(**bad)) {
                    return Some(format!("{bad} in a bracket"));
                }
                repeatable = true;
            }
            '*' | '+' | '?' | '{' => {
                if !repeatable {
                    return Some(format!("{c} after nothing"));
                }
                repeatable = false;
                if c == '{' {
                    length = rest.find('}')? + 1;
                }
            }
            '|' | ')' if empty => return Some("an empty branch".into()),
            '(' | '|' | '^' | '$' => repeatable = false,
            _ => repeatable = true,
        }
        empty = matches!(c, '(' | '|');
        rest = &rest[length..];
    }
    empty.then(|| "an empty branch".into())
}

/// Length in bytes of the bracket expression at the start of `text`. A `]` in first place is literal.
fn bracket(text: &str) -> Option<usize> {
    let open = if text.starts_with("[^") { 2 } else { 1 };
    let literal = usize::from(text[open..].starts_with(']'));
    text[open + literal..].find(']').map(|end| open + literal + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_pattern_that_grep_and_regex_read_differently_is_refused() {
        for bad in [
            r"\d",
            r"\bx",
            r"\w+",
            r"(?i)x",
            "x*?",
            "*x",
            "a|*b",
            "(+)",
            "{2}",
            "[[:digit:]]",
            "[a&&b]",
            r"[\d]",
            "(",
            "",
            "a\tb",
            "[",
            "a|",
            "()",
            "[a[b]]",
        ] {
            assert!(compile(bad).is_err(), "{bad}");
        }
        for good in [
            "^[^{]",
            r"\[x\]",
            "a{0,80}b",
            "(a|b)+c?",
            "[]x]",
            "[0-9A-Za-z_-]$",
            "x|y",
            "(status)[\": =(]*429([^0-9]|$)",
        ] {
            assert!(compile(good).is_ok(), "{good}: {:?}", compile(good));
        }
        assert!(compile("ABC").unwrap().is_match("xabcx"));
    }

    proptest! {
        #[test]
        fn no_pattern_panics(pattern in any::<String>()) {
            let _ = compile(&pattern);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// An accepted pattern means the same to grep.
        #[test]
        fn grep_agrees(pattern in r"[ab()|*+?^$.\[\]{}0-9\\-]{1,8}", line in "[ab0-9.-]{0,6}") {
            let Ok(compiled) = compile(&pattern) else { return Ok(()) };
            let found = grep(&pattern, &line);
            prop_assert_eq!(found, Some(compiled.is_match(&line)), "{} on {}", pattern, line);
        }
    }

    /// `None` if grep refuses the pattern.
    fn grep(pattern: &str, line: &str) -> Option<bool> {
        use std::io::Write;
        use std::process::{Command, Stdio};
        let mut grep = Command::new("grep");
        grep.args(["-qiE", "-e", pattern]).stdin(Stdio::piped()).stderr(Stdio::null());
        let mut child = grep.spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{line}").unwrap();
        match child.wait().unwrap().code() {
            Some(0) => Some(true),
            Some(1) => Some(false),
            _ => None,
        }
    }
}
