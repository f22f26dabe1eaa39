//! Marks around a text that handoff writes into a section of people's, so that the next rendering replaces this text and
//! nothing else. A text that people have changed is theirs: the mark has its digest.

use sha2::{Digest, Sha256};

const BEGIN: &str = "<!-- recorded by handoff ";
const CLOSE: &str = " -->\n";
const END: &str = "\n<!-- end of what handoff recorded -->";

/// The text between marks.
pub fn marked(text: &str) -> String {
    // No text can contain a mark.
    let text = text.replace("<!--", "&lt;!--");
    format!("{BEGIN}{}{CLOSE}{text}{END}", digest(text.as_bytes()))
}

/// The bytes without every marked text that is unchanged, each with the newline after it. `None`: there is none.
pub fn without(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = bytes;
    let (mut kept, mut found) = (Vec::new(), false);
    while let Some(at) = position(rest, BEGIN) {
        match length_of(&rest[at..]) {
            Some(length) => {
                kept.extend_from_slice(&rest[..at]);
                rest = &rest[at + length..];
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
                found = true;
            }
            None => {
                let end = at + BEGIN.len();
                kept.extend_from_slice(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    kept.extend_from_slice(rest);
    found.then_some(kept)
}

/// Every marked text that is unchanged, each on lines of its own.
pub fn of(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut found) = (bytes, Vec::new());
    while let Some(at) = position(rest, BEGIN) {
        let length = length_of(&rest[at..]);
        if let Some(length) = length {
            found.extend_from_slice(&rest[at..at + length]);
            found.push(b'\n');
        }
        rest = &rest[at + length.unwrap_or(BEGIN.len())..];
    }
    found
}

/// The length of the marked text at the start of the bytes, if it is unchanged.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let stated = BEGIN.len()..BEGIN.len() + position(&bytes[BEGIN.len()..], CLOSE)?;
    let start = stated.end + CLOSE.len();
    let text = start..start + position(&bytes[start..], END)?;
    (digest(&bytes[text.clone()]).as_bytes() == &bytes[stated]).then_some(text.end + END.len())
}

fn position(bytes: &[u8], text: &str) -> Option<usize> {
    bytes.windows(text.len()).position(|window| window == text.as_bytes())
}

fn digest(text: &[u8]) -> String {
    Sha256::digest(text).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Option<String> {
        without(text.as_bytes()).map(|kept| String::from_utf8(kept).unwrap())
    }

    #[test]
    fn only_a_text_that_nobody_changed_is_cut() {
        let ours = marked("- Finished.\n- <!-- end of what handoff recorded -->");
        assert_eq!(cut(&format!("before\n{ours}\nafter\n")).as_deref(), Some("before\nafter\n"));
        assert_eq!(cut(&format!("{ours}{ours}")).as_deref(), Some(""));
        assert_eq!(of(format!("before\n{ours}\nafter\n{ours}").as_bytes()), format!("{ours}\n{ours}\n").into_bytes());
        assert_eq!(of(ours.replace("Finished", "Changed").as_bytes()), b"");
        let edited = ours.replace("Finished", "Finished by me");
        assert_eq!(cut(&edited), None);
        assert_eq!(cut(&format!("{edited}\n{ours}\n")).unwrap(), format!("{edited}\n"));
        for broken in ["", BEGIN, "<!-- recorded by handoff 00 -->\n", &ours[..ours.len() - 1]] {
            assert_eq!(cut(broken), None, "{broken:?}");
        }
    }
}
