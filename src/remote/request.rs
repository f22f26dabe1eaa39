//! The input of a verb: nonce, root, header lines, an empty line, a blob.

use bytes::{BufMut, Bytes, BytesMut};
use secrecy::{ExposeSecret, SecretString};

/// A request being built. Values may contain any bytes; only this type makes them safe.
#[derive(Default)]
pub struct Request {
    header: BytesMut,
    parts: Vec<(String, Bytes)>,
}

impl Request {
    /// An empty request.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a header line. A newline in a value would start another header, so it becomes a space.
    #[must_use]
    pub fn line(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        let value = value.to_string().replace(['\n', '\r', '\0'], " ");
        self.header.put_slice(key.as_bytes());
        self.header.put_u8(b' ');
        self.header.put_slice(value.as_bytes());
        self.header.put_u8(b'\n');
        self
    }

    /// Adds a file, which is sent in the blob byte for byte.
    #[must_use]
    pub fn part(mut self, name: &str, content: impl Into<Bytes>) -> Self {
        self.parts.push((name.to_owned(), content.into()));
        self
    }

    /// Adds a secret in `printf %b` form. The runner keeps it in memory only.
    #[must_use]
    pub fn secret(mut self, name: &str, value: &SecretString) -> Self {
        self.header.put_slice(format!("secret {name} ").as_bytes());
        self.header.put_slice(&percent_b(value.expose_secret()));
        self.header.put_u8(b'\n');
        self
    }

    /// The bytes to send.
    pub fn encode(self, nonce: &str, root: &str) -> Bytes {
        let size: usize = self.parts.iter().map(|(_, content)| content.len()).sum();
        let mut all = BytesMut::with_capacity(self.header.len() + size + 256);
        all.put_slice(format!("{nonce}\n{}\n", root.replace('\n', " ")).as_bytes());
        all.put_slice(&self.header);
        for (name, content) in &self.parts {
            all.put_slice(format!("part {name} {}\n", content.len()).as_bytes());
        }
        if !self.parts.is_empty() {
            all.put_slice(format!("blob {size}\n").as_bytes());
        }
        all.put_u8(b'\n');
        for (_, content) in &self.parts {
            all.put_slice(content);
        }
        all.freeze()
    }
}

/// Encodes `text` so that `printf %b` prints exactly `text`: characters other than safe ones become `\0ooo`.
fn percent_b(text: &str) -> BytesMut {
    let mut out = BytesMut::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"_-./:=+,@%".contains(&byte) {
            out.put_u8(byte);
        } else {
            out.put_slice(format!("\\0{byte:03o}").as_bytes());
        }
    }
    out
}

/// Returns 16 random hex digits. The answer to this call contains them.
pub fn nonce() -> String {
    if cfg!(fuzzing) {
        // In a fuzz target the host's answer is fixed before the call.
        return "0123456789abcdef".to_owned();
    }
    let mut bytes = [0u8; 8];
    // Without randomness the time still distinguishes two calls. A nonce is no secret.
    if getrandom::fill(&mut bytes).is_err() {
        let now = jiff::Timestamp::now().as_nanosecond().to_le_bytes();
        bytes.copy_from_slice(&now[..8]);
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newline_in_a_value_cannot_add_a_header() {
        let bytes = Request::new().line("name", "x\nsecret A b").encode("00", "");
        assert_eq!(bytes, &b"00\n\nname x secret A b\n\n"[..]);
    }

    #[test]
    fn parts_are_sent_with_their_lengths() {
        let bytes = Request::new().line("a", 1).part("p", "héé\n").part("q", "").encode("n", "~/r");
        assert_eq!(bytes, "n\n~/r\na 1\npart p 6\npart q 0\nblob 6\n\nhéé\n".as_bytes());
    }

    #[test]
    fn secrets_survive_printf() {
        let secret = "a'b\"c\\d\n$x `y` % é\t!";
        let encoded = percent_b(secret);
        let out = std::process::Command::new("sh")
            .args(["-c", "printf %b \"$1\"", "sh"])
            .arg(std::str::from_utf8(&encoded).unwrap())
            .output()
            .unwrap();
        assert_eq!(out.stdout, secret.as_bytes());
    }
}
