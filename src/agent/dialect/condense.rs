//! Condenses a JSON line of any length in bounded memory: long strings keep their start, long lists their first
//! elements.

/// Bytes of one string that are kept.
const MAX_STRING: usize = 4096;
/// Size in bytes after which elements of nested values are left out, and after which the line is given up.
const ENOUGH: usize = 512 * 1024;
const TOO_MUCH: usize = 4 * ENOUGH;
/// Maximum nesting depth, and maximum length of a number or word outside a string.
const MAX_DEPTH: usize = 120;
const MAX_WORD: usize = 4096;

/// Takes the bytes of one line and makes a shorter line that is valid if the first one is.
#[derive(Default)]
pub(super) struct Condenser {
    out: Vec<u8>,
    in_string: bool,
    /// Whether the rest of the current string is left out.
    cut: bool,
    string: usize,
    /// Remaining bytes of the current escape; and its code, if it has four digits.
    escape: u8,
    code: u32,
    word: usize,
    /// Open brackets.
    open: Vec<u8>,
    /// The open brackets at the point where elements began to be left out.
    left_out: Option<Vec<u8>>,
    failed: bool,
}

impl Condenser {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((&byte, after)) = rest.split_first().filter(|_| !self.failed) {
            if self.in_string && (self.cut || self.left_out.is_some()) && self.escape == 0 {
                // Nothing of this string is kept, so only its end matters.
                let Some(at) = memchr::memchr2(b'"', b'\\', rest) else { return };
                rest = &rest[at + 1..];
                self.string_byte(bytes[bytes.len() - rest.len() - 1]);
                continue;
            }
            rest = after;
            if self.in_string { self.string_byte(byte) } else { self.structure(byte) }
        }
    }

    /// The shorter line, or an open brace if the line could not be parsed.
    pub(super) fn finish(self) -> Vec<u8> {
        if self.failed { b"{".to_vec() } else { self.out }
    }

    fn keep(&mut self, byte: u8) {
        if self.left_out.is_none() {
            self.out.push(byte);
            self.failed |= self.out.len() > TOO_MUCH;
        }
    }

    fn string_byte(&mut self, byte: u8) {
        if self.escape > 0 {
            self.escape_byte(byte);
        } else if byte == b'"' {
            (self.in_string, self.cut) = (false, false);
            self.keep(byte);
            return;
        } else {
            // The second half of a surrogate pair or of a character is kept with the first.
            let boundary = !(0x80..0xc0).contains(&byte) && !(0xd800..0xdc00).contains(&self.code);
            self.cut |= self.string >= MAX_STRING && boundary;
            if byte == b'\\' {
                self.escape = 1;
            }
            self.code = 0;
        }
        if !self.cut {
            self.string += 1;
            self.keep(byte);
        }
    }

    fn escape_byte(&mut self, byte: u8) {
        if self.escape == 1 {
            self.escape = if byte == b'u' { 5 } else { 0 };
            return;
        }
        self.code = self.code * 16 + (byte as char).to_digit(16).unwrap_or(0);
        self.escape = if self.escape == 2 { 0 } else { self.escape - 1 };
    }

    fn structure(&mut self, byte: u8) {
        match byte {
            b'"' => {
                (self.in_string, self.string, self.code) = (true, 0, 0);
                self.word = 0;
            }
            b'{' | b'[' => {
                self.open.push(byte);
                self.failed |= self.open.len() > MAX_DEPTH;
            }
            b'}' | b']' => return self.close(byte),
            b',' if self.open.len() > 1 && self.out.len() > ENOUGH && self.left_out.is_none() => {
                self.left_out = Some(self.open.clone());
            }
            _ => {}
        }
        self.word = if byte.is_ascii_alphanumeric() || byte.is_ascii_whitespace() { self.word + 1 } else { 0 };
        self.failed |= self.word > MAX_WORD;
        self.keep(byte);
    }

    fn close(&mut self, byte: u8) {
        self.open.pop();
        self.word = 0;
        if self.open.len() > 1 || self.left_out.is_none() {
            return self.keep(byte);
        }
        let left_out = self.left_out.take().unwrap_or_default();
        let ends = left_out.iter().skip(1).rev().map(|open| if *open == b'{' { b'}' } else { b']' });
        self.out.extend(ends);
        if self.open.is_empty() {
            self.out.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn condense(line: &str, piece: usize) -> String {
        let mut condenser = Condenser::default();
        line.as_bytes().chunks(piece).for_each(|piece| condenser.push(piece));
        String::from_utf8(condenser.finish()).unwrap()
    }

    #[test]
    fn a_long_string_keeps_its_start_and_the_line_its_other_fields() {
        for filler in ["x", "\\n", "é", "\\ud83d\\ude00", "\\\"", "漢"] {
            let line = format!("{{\"a\":\"{}\",\"type\":\"result\"}}", filler.repeat(900_000));
            let short = condense(&line, 4093);
            assert!(short.len() < 10_000);
            let value: serde_json::Value = serde_json::from_str(&short).unwrap();
            assert_eq!(value["type"], "result", "{filler}");
            assert!(value["a"].as_str().unwrap().len() >= 600, "{filler}");
        }
    }

    #[test]
    fn a_long_list_keeps_its_first_elements() {
        let element = format!("{{\"tool_name\":\"Bash\",\"tool_input\":{{\"command\":[\"{}\"]}}}}", "y".repeat(200));
        let list = vec![element; 40_000].join(",");
        let line = format!("{{\"permission_denials\":[{list}],\"subtype\":\"success\",\"x\":[[1,2],[3]]}}");
        let short = condense(&line, 1 << 16);
        assert!(short.len() < ENOUGH + 2048, "{}", short.len());
        let value: serde_json::Value = serde_json::from_str(&short).unwrap();
        assert_eq!((value["subtype"].as_str(), &value["x"][0][0]), (Some("success"), &1.into()));
        assert_eq!(value["permission_denials"][0]["tool_name"], "Bash");
    }

    #[test]
    fn a_line_without_an_end_is_given_up() {
        for line in ["[".repeat(10_000), format!("{{\"a\":{}", "1".repeat(10_000)), "{\"a\":1,".repeat(900_000)] {
            assert_eq!(condense(&line, 1000), "{");
        }
    }

    proptest! {
        #[test]
        fn a_short_line_is_unchanged(text in any::<String>(), number in any::<i32>(), piece in 1usize..20) {
            let line = serde_json::json!({ "a": [text.clone(), { "b": number }], "c": text }).to_string();
            prop_assert_eq!(condense(&line, piece), line);
        }
    }
}
