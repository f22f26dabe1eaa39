//! The pointer that git stores in place of a file of Git LFS.

use std::fmt;

/// The first line of every pointer.
const VERSION: &str = "version https://git-lfs.github.com/spec/v1";
/// Maximum bytes of a pointer that is read: the longest has 20 digits of a size.
pub const LONGEST: usize = 160;

/// The SHA-256 of a content, in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ContentId(String);

impl ContentId {
    /// The id; `None` unless the text has 64 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let hex = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        (text.len() == 64 && text.bytes().all(hex)).then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A pointer as git-lfs writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pointer {
    pub id: ContentId,
    /// Number of bytes of the content.
    pub size: u64,
}

impl Pointer {
    /// Reads a pointer. Only the form that git-lfs writes counts: everything else, such as a pointer with extensions,
    /// could not be written again from its content with the same bytes.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lines = text.lines();
        let (version, id, size) = (lines.next()?, lines.next()?, lines.next()?);
        let id = ContentId::parse(id.strip_prefix("oid sha256:")?)?;
        let pointer = Self { id, size: size.strip_prefix("size ")?.parse().ok()? };
        (version == VERSION && pointer.to_string() == text).then_some(pointer)
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{VERSION}\noid sha256:{}\nsize {}", self.id, self.size)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(id: &str, size: &str) -> String {
        format!("{VERSION}\noid sha256:{id}\nsize {size}\n")
    }

    #[test]
    fn only_what_git_lfs_writes_is_a_pointer() {
        let id = "4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393";
        let pointer = Pointer::parse(written(id, "12345").as_bytes()).unwrap();
        assert_eq!((pointer.id.as_str(), pointer.size), (id, 12345));
        assert!(Pointer::parse(written(id, &u64::MAX.to_string()).as_bytes()).is_some());
        for other in [
            String::new(),
            written(&id[1..], "1"),
            written(&id.to_uppercase(), "1"),
            written(id, "01"),
            written(id, "+1"),
            written(id, "-1"),
            written(id, "18446744073709551616"),
            written(id, "1").replace('\n', "\r\n"),
            written(id, "1").trim_end().to_owned(),
            written(id, "1") + "\n",
            written(id, "1") + "x",
            written(id, "1").replace("oid", "ext-0-a sha256:0\noid"),
            written(id, "1").replace("spec/v1", "spec/v2"),
        ] {
            assert_eq!(Pointer::parse(other.as_bytes()), None, "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_and_what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Some(pointer) = Pointer::parse(&bytes) {
                prop_assert_eq!(pointer.to_string().into_bytes(), bytes);
            }
        }

        #[test]
        fn nearly_a_pointer_is_read_as_one_only_if_it_is(
            at in 0..130_usize,
            byte in any::<u8>(),
            size in any::<u64>(),
            id in "[0-9a-f]{64}",
        ) {
            let exact = written(&id, &size.to_string());
            prop_assert_eq!(Pointer::parse(exact.as_bytes()).map(|it| it.size), Some(size));
            prop_assert!(exact.len() <= LONGEST);
            let mut changed = exact.into_bytes();
            if let Some(place) = changed.get_mut(at) {
                *place = byte;
            }
            if let Some(pointer) = Pointer::parse(&changed) {
                prop_assert_eq!(pointer.to_string().into_bytes(), changed);
                prop_assert!(pointer.id.as_str().bytes().all(|c| c.is_ascii_hexdigit()));
            }
        }
    }
}
