//! Makes bytes from a host safe for a terminal.

use std::borrow::Cow;
use std::time::Duration;

/// `text` without anything that a terminal would act on: control characters (C0, DEL, C1) and characters that reorder
/// text become visible pictures or `?`. A tab becomes a space.
pub fn neutral(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_obeyed) {
        return Cow::Borrowed(text);
    }
    let picture = |c: char| match c {
        '\t' => ' ',
        '\0'..='\u{1f}' => char::from_u32(0x2400 + c as u32).unwrap_or('?'),
        '\u{7f}' => '\u{2421}',
        c if is_obeyed(c) => '?',
        c => c,
    };
    Cow::Owned(text.chars().map(picture).collect())
}

/// Whether a terminal acts on a character instead of showing it.
pub(super) fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{2028}' | '\u{2029}' | '\u{e0000}'..='\u{e007f}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The first line of `text`, made safe, and cut to `most` characters with `…`.
pub fn first_line(text: &str, most: usize) -> String {
    let text = text.trim();
    let line = text.lines().next().unwrap_or("");
    let more = text.len() > line.len();
    let cut: String = line.chars().take(most).collect();
    let cut_here = cut.len() < line.len();
    let ellipsis = if more || cut_here { "…" } else { "" };
    format!("{}{ellipsis}", neutral(&cut))
}

/// An error of the system in its own words, without the number: `No such file or directory`.
pub fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

/// `75 s` as `1:15`, an hour and more as `1:02:03`.
pub fn clock(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// An age for people: `12 s`, `5 min`, `3 h`, `2 days`.
pub fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{} s", seconds.max(0)),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_are_made_visible() {
        assert_eq!(neutral("a\x1b[2Jb\r\n"), "a␛[2Jb␍␊");
        assert_eq!(neutral("\u{9b}31m"), "?31m");
        assert_eq!(neutral("ab\u{202e}c"), "ab?c");
        assert!(matches!(neutral("plain ä 漢"), Cow::Borrowed(_)));
    }

    #[test]
    fn a_first_line_says_that_there_is_more() {
        assert_eq!(first_line("one\ntwo", 10), "one…");
        assert_eq!(first_line("abcdef", 3), "abc…");
        assert_eq!(first_line(" one\n", 10), "one");
    }

    #[test]
    fn times_are_short() {
        assert_eq!(clock(Duration::from_secs(75)), "1:15");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        assert_eq!(
            (age(12), age(300), age(7200), age(400_000)),
            ("12 s".into(), "5 min".into(), "2 h".into(), "4 days".into())
        );
    }

    proptest! {
        #[test]
        fn no_control_character_is_left(text in any::<String>()) {
            prop_assert!(!neutral(&text).chars().any(is_obeyed));
        }
    }
}
