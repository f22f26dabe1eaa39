//! What a host could not put into an attempt's capture. It exists only on the host, and is listed here.

use serde::{Deserialize, Serialize};

/// Paths that a capture lacks. A tree with such paths is not released unless the user discards them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Uncaptured {
    /// Number of paths; a directory counts as one.
    pub count: u64,
    /// Their size in bytes, as far as the host could see it.
    pub bytes: u64,
    /// The first paths, at most [`Uncaptured::NAMED`].
    #[serde(default)]
    pub first: Vec<UncapturedPath>,
}

/// One path of the checkout that is in no capture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct UncapturedPath {
    /// The path as the host reports it, from the top of the checkout; control characters are `?`.
    pub path: String,
    /// Size of the file in bytes, or of what is visible below the directory.
    pub bytes: u64,
    pub reason: UncapturedReason,
}

/// Why a path could not be captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UncapturedReason {
    /// The account on the host may not read it.
    Unreadable,
    /// Another repository inside the checkout.
    Nested,
    /// Longer than the host's maximum path.
    TooLong,
    /// A named pipe, a socket or a device.
    Special,
    /// Below the directory of the record, which no capture contains.
    Record,
    /// Git does not accept it: a name that no tree may have, or content that does not fit its attributes.
    Refused,
    /// A reason of a newer runner, or one that has no word.
    #[serde(other)]
    Other,
}

impl UncapturedReason {
    const ALL: [UncapturedReason; 7] =
        [Self::Unreadable, Self::Nested, Self::TooLong, Self::Special, Self::Record, Self::Refused, Self::Other];

    /// The word in the host's file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Nested => "nested",
            Self::TooLong => "too-long",
            Self::Special => "special",
            Self::Record => "record",
            Self::Refused => "refused",
            Self::Other => "other",
        }
    }

    /// The reason for people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Unreadable => "could not be read",
            Self::Nested => "a repository of its own",
            Self::TooLong => "the path is too long",
            Self::Special => "a pipe, socket or device",
            Self::Record => "in the record's directory",
            Self::Refused => "refused by git",
            Self::Other => "could not be captured",
        }
    }

    fn from_word(word: &str) -> Self {
        Self::ALL.into_iter().find(|reason| reason.word() == word).unwrap_or(Self::Other)
    }
}

impl Uncaptured {
    /// Maximum paths that are listed.
    pub const NAMED: usize = 10;

    /// Parses the lines of a host's file `uncaptured`: `count <N> bytes <B>`, then `<bytes> <reason> <path>`. `None` if
    /// nothing is missing.
    pub fn read<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Uncaptured> {
        let mut all = Uncaptured::default();
        for line in lines {
            let mut words = line.splitn(3, ' ');
            match (words.next(), words.next(), words.next()) {
                (Some("count"), Some(count), Some(rest)) => {
                    all.count = count.parse().unwrap_or(0);
                    all.bytes = rest.strip_prefix("bytes ").and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
                }
                (Some(bytes), Some(reason), Some(path)) if all.first.len() < Self::NAMED => {
                    let Ok(bytes) = bytes.parse() else { continue };
                    let reason = UncapturedReason::from_word(reason);
                    all.first.push(UncapturedPath { path: path.to_owned(), bytes, reason });
                }
                _ => {}
            }
        }
        all.count = all.count.max(all.first.len() as u64);
        (all.count > 0).then_some(all)
    }

    /// Number of paths that are not listed.
    pub fn more(&self) -> u64 {
        self.count.saturating_sub(self.first.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_host_are_read() {
        let lines = ["count 12 bytes 5000", "4096 unreadable dist", "0 special a b", "7 later-word x"];
        let all = Uncaptured::read(lines.into_iter()).unwrap();
        assert_eq!((all.count, all.bytes, all.more()), (12, 5000, 9));
        let path = |n: usize| (all.first[n].path.as_str(), all.first[n].bytes, all.first[n].reason);
        assert_eq!(path(0), ("dist", 4096, UncapturedReason::Unreadable));
        assert_eq!(path(1), ("a b", 0, UncapturedReason::Special));
        assert_eq!(path(2), ("x", 7, UncapturedReason::Other));
    }

    #[test]
    fn no_lines_and_garbage_give_none() {
        assert_eq!(Uncaptured::read(std::iter::empty()), None);
        assert_eq!(Uncaptured::read(["", "x", "count many bytes lots", "x unreadable y"].into_iter()), None);
    }

    #[test]
    fn the_count_is_at_least_the_number_of_listed_paths() {
        let all = Uncaptured::read(["1 nested x"].into_iter()).unwrap();
        assert_eq!(all.count, 1);
    }

    #[test]
    fn an_unknown_reason_of_a_newer_program_is_read() {
        let path: UncapturedPath = serde_json::from_str(r#"{"path":"p","bytes":1,"reason":"new"}"#).unwrap();
        assert_eq!(path.reason, UncapturedReason::Other);
        for reason in UncapturedReason::ALL {
            assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.word()));
            assert_eq!(UncapturedReason::from_word(reason.word()), reason);
        }
    }
}
