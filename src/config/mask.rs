//! Masks secrets in what this program writes: each value that the process has read is replaced in every text that comes
//! from a host. Length and newlines stay, so lines and offsets of a log are those of its masked copy.

use std::borrow::Cow;

use memchr::memmem::Finder;
use secrecy::zeroize::Zeroizing;

/// Minimum length. A shorter value or line is not masked, because it would match everywhere.
const SHORTEST: usize = 4;

/// The mark where a text for people was cut.
const CUT: char = '…';

/// The values to mask.
#[derive(Clone, Default)]
pub struct Mask {
    needles: Vec<Zeroizing<Vec<u8>>>,
}

impl Mask {
    /// Adds a value in the forms in which a log may show it: as it is, each of its lines alone, in a JSON string, in a
    /// JSON string inside another, percent-encoded, and in base64 at any position of a longer text.
    pub fn add(&mut self, value: &str) {
        let lines = value.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
        let all = [value.trim()].into_iter().chain(lines);
        for text in all.filter(|text| text.chars().count() >= SHORTEST) {
            let json = in_json(text);
            // The form in a one-line summary.
            let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "'");
            let forms = [text.to_owned(), in_json(&json), json, in_percent(text), one_line];
            for form in forms.into_iter().chain(in_base64(text.as_bytes())) {
                let form = Zeroizing::new(form.into_bytes());
                if form.len() >= SHORTEST && !self.needles.contains(&form) {
                    self.needles.push(form);
                }
            }
        }
    }

    /// Whether there is no value to mask.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Length of the longest form in bytes.
    pub fn longest(&self) -> usize {
        self.needles.iter().map(|needle| needle.len()).max().unwrap_or(0)
    }

    /// Replaces each byte of a secret in `text` by `*`.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let covered = match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            // Each form is whole characters, so the result is valid UTF-8.
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        };
        if self.is_empty() || !covered.contains(CUT) { covered } else { Cow::Owned(self.beginnings(&covered)) }
    }

    /// A text that was cut may end with the beginning of a secret.
    fn beginnings(&self, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        for (at, _) in text.match_indices(CUT) {
            let before = &text.as_bytes()[..at];
            let longest = |needle: &Zeroizing<Vec<u8>>| {
                (SHORTEST..needle.len().min(at + 1)).rev().find(|length| before.ends_with(&needle[..*length]))
            };
            if let Some(length) = self.needles.iter().filter_map(longest).max() {
                // Masking starts at a character boundary.
                let start = (at - length..at).find(|start| text.is_char_boundary(*start)).unwrap_or(at);
                bytes[start..at].fill(b'*');
            }
        }
        String::from_utf8(bytes).unwrap_or_default()
    }

    /// The same for bytes.
    pub fn bytes<'a>(&self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let mut masked: Option<Vec<u8>> = None;
        for needle in &self.needles {
            let finder = Finder::new(needle.as_slice());
            // Searched in the original, so that masking one form does not hide another.
            for at in finder.find_iter(bytes) {
                let masked = masked.get_or_insert_with(|| bytes.to_vec());
                for byte in masked[at..at + needle.len()].iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')) {
                    *byte = b'*';
                }
            }
        }
        masked.map_or(Cow::Borrowed(bytes), Cow::Owned)
    }
}

fn in_json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

fn in_percent(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The base64 characters that depend only on the text, for each of its three positions in a group.
fn in_base64(text: &[u8]) -> Vec<String> {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let at_place = |place: usize| {
        let padded: Vec<u8> = std::iter::repeat_n(0, place).chain(text.iter().copied()).collect();
        let bit = |n: usize| padded.get(n / 8).map_or(0, |byte| byte >> (7 - n % 8) & 1);
        let (first, last) = ((place * 8).div_ceil(6), padded.len() * 8 / 6);
        let sign = |n: usize| SIGNS[(0..6).fold(0, |value, k| value << 1 | usize::from(bit(n * 6 + k)))];
        (first..last).map(|n| char::from(sign(n))).collect::<String>()
    };
    // A short piece of base64 would match other text.
    let long = |form: &String| form.len() >= 8;
    let plain: Vec<String> = (0..3).map(at_place).filter(long).collect();
    let for_urls = plain.iter().map(|form| form.replace('+', "-").replace('/', "_")).collect::<Vec<_>>();
    plain.into_iter().chain(for_urls).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(values: &[&str]) -> Mask {
        let mut mask = Mask::default();
        values.iter().for_each(|value| mask.add(value));
        mask
    }

    #[test]
    fn a_secret_is_masked_in_each_form_of_a_log() {
        let mask = mask(&["s3cr\"t/ü+"]);
        for text in ["s3cr\"t/ü+", "s3cr\\\"t/ü+", "s3cr\\\\\\\"t/ü+", "s3cr%22t%2F%C3%BC%2B"] {
            assert_eq!(mask.text(&format!("<{text}>")), format!("<{}>", "*".repeat(text.len())), "{text}");
        }
        // `user:s3cr"t/ü+` and only the secret, as `base64` prints them.
        for text in ["dXNlcjpzM2NyInQvw7wr", "czNjciJ0L8O8Kw=="] {
            let masked = mask.text(text).into_owned();
            assert!(masked.matches('*').count() >= 12 && masked.len() == text.len(), "{masked}");
        }
        assert!(matches!(mask.text("s3cret"), Cow::Borrowed(_)));
    }

    #[test]
    fn single_lines_of_a_long_secret_are_masked_and_newlines_stay() {
        let mask = mask(&["-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n"]);
        assert_eq!(mask.text("x CCCCDDDD y"), "x ******** y");
        let whole = mask.text("-----BEGIN KEY-----\nAAAABBBB\nCCCCDDDD\n-----END KEY-----\n").into_owned();
        assert_eq!(whole.lines().count(), 4);
        assert!(!whole.contains("AAAA"));
        assert_eq!(mask.text("-----BEGIN KEY-----"), "-----BEGIN KEY-----");
    }

    #[test]
    fn the_beginning_of_a_secret_before_a_cut_is_masked() {
        let mask = mask(&["hunter2-and-more"]);
        assert_eq!(mask.text("the token hunter2-an… and x…"), "the token **********… and x…");
        assert_eq!(mask.text("a hun…"), "a hun…");
    }

    #[test]
    fn a_value_of_three_characters_is_not_masked() {
        assert!(mask(&["abc", " \n", ""]).is_empty());
    }

    proptest! {
        #[test]
        fn lengths_and_newlines_stay(values in prop::collection::vec("[ab\n\"]{0,6}", 0..4), text in "[ab\n\"\\\\]{0,60}") {
            let mask = mask(&values.iter().map(String::as_str).collect::<Vec<_>>());
            let masked = mask.text(&text).into_owned();
            prop_assert_eq!(masked.len(), text.len());
            let breaks = |text: &str| text.match_indices('\n').map(|(at, _)| at).collect::<Vec<_>>();
            prop_assert_eq!(breaks(&masked), breaks(&text));
            prop_assert!(values.iter().filter(|value| value.trim().len() >= 4).all(|value| !masked.contains(value.trim())));
        }
    }
}
