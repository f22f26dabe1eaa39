//! Makes text from other sources safe and short for people.

/// Maximum characters of evidence or of a summary line.
pub const SHORT: usize = 200;

/// One printable line of at most `max` characters. Control characters, newlines and characters that reorder or hide
/// text become spaces, runs of white space become one space, and a cut is marked with `…`.
pub fn one_line(text: &str, max: usize) -> String {
    cut(text.split(|c: char| c.is_whitespace() || is_unsafe(c)).filter(|word| !word.is_empty()), max, " ")
}

/// One printable line of at most [`SHORT`] characters without backticks, so that it neither ends a code span of Markdown
/// nor begins one.
pub fn code(text: &str) -> String {
    one_line(text, SHORT).replace('`', "'")
}

/// Several printable lines of at most `max` characters together. Like [`one_line`], but newlines and indents stay.
pub fn paragraph(text: &str, max: usize) -> String {
    let clean: Vec<String> =
        text.lines().map(|line| line.replace(|c: char| is_unsafe(c) && c != '\t', " ").trim_end().to_owned()).collect();
    cut(clean.iter().map(String::as_str), max, "\n").trim().to_owned()
}

/// Joins pieces until `max` characters are used.
fn cut<'a>(pieces: impl Iterator<Item = &'a str>, max: usize, joint: &str) -> String {
    let (mut out, mut used) = (String::new(), 0);
    for (n, piece) in pieces.enumerate() {
        let joint = if n == 0 { "" } else { joint };
        for c in joint.chars().chain(piece.chars()) {
            if used + 1 >= max {
                out.push('…');
                return out;
            }
            out.push(c);
            used += 1;
        }
    }
    out
}

/// Whether a character is a control character, or a format character that changes how other text is shown
/// (bidirectional overrides, zero-width characters, tags).
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// The longest start of `text` that has at most `max` bytes.
pub fn prefix(text: &str, max: usize) -> &str {
    let end = (0..=max.min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// A path of the agent's relative to its checkout (`…/trees/till-1/till/total.sh` is `total.sh`), so that the user can
/// open it here. Any other path is unchanged.
pub fn in_checkout(path: &str) -> &str {
    let Some((_, below)) = path.split_once("/trees/") else { return path };
    let mut parts = below.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(slot), Some(name), Some(rest)) if path.starts_with('/') && is_slot_of(slot, name) => rest,
        _ => path,
    }
}

fn is_slot_of(slot: &str, name: &str) -> bool {
    let number = slot.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_a_path_in_the_checkout_becomes_relative() {
        assert_eq!(in_checkout("/home/dev/.handoff/trees/till-1/till/src/a.rs"), "src/a.rs");
        assert_eq!(in_checkout("/srv/h/trees/my-app-12/my-app/x y"), "x y");
        for path in ["src/trees/till-1/till/a", "/trees/till-1/tally/a", "/trees/till-x/till/a", "/etc/passwd", "a.rs"]
        {
            assert_eq!(in_checkout(path), path);
        }
    }

    #[test]
    fn escapes_line_breaks_and_overrides_do_not_reach_the_terminal() {
        assert_eq!(one_line("a\x1b[31mred\x1b[0m\r\nb\u{202e}c", 80), "a [31mred [0m b c");
        assert_eq!(paragraph("one\n\n  two\x07 \u{9b}3m\n\n", 80), "one\n\n  two   3m");
    }

    #[test]
    fn a_cut_is_marked_and_counted_in_characters() {
        assert_eq!(one_line("ääääää", 4), "äää…");
        assert_eq!(prefix("aä", 2), "a");
    }

    proptest! {
        #[test]
        fn the_result_is_bounded_and_printable(text in any::<String>(), max in 1usize..300) {
            let line = one_line(&text, max);
            prop_assert!(line.chars().count() <= max);
            prop_assert!(!line.chars().any(is_unsafe));
            prop_assert!(paragraph(&text, max).chars().count() <= max);
        }
    }
}
