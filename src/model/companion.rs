//! Other repositories that go with a handoff: submodules, nested repositories and repositories next to the checkout.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::snapshot::Oid;

/// Names next to the checkout that the host uses itself; see `docs/host.md`.
const RESERVED: [&str; 5] = ["owner", "key", "kept", "held", "gone"];

/// What an attempt left in a companion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct CapturedCompanion {
    /// The path of [`super::snapshot::Companion`].
    pub path: String,
    /// A commit like the one of the handoff's own capture, in the companion's repository.
    pub commit: Oid,
}

/// The name of a companion on hosts: ten hex digits made of its path, so it stays the same at each ship.
pub fn word_of(path: &str) -> String {
    Sha256::digest(path.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a companion can be at a path on any host: inside the checkout, or directly next to it. The path has no
/// characters that a line of a file could not have.
pub fn is_possible(path: &str) -> bool {
    let inner = path.strip_prefix("../");
    let plain = inner.unwrap_or(path);
    let good = |part: &str| {
        !part.is_empty() && part.trim() == part && part != "." && part != ".." && !part.eq_ignore_ascii_case(".git")
    };
    let is_direct = inner.is_none_or(|name| !name.contains('/') && !RESERVED.contains(&name));
    is_direct && path.len() <= 1000 && !path.chars().any(char::is_control) && plain.split('/').all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_companion_is_inside_the_checkout_or_next_to_it() {
        for good in ["lib", "a/b c/ä", "../lib", ".x/y"] {
            assert!(is_possible(good), "{good}");
        }
        for bad in
            ["", "/x", "a//b", "..", "../", "../..", "../a/b", "a/../b", ".git", "a/.GIT/x", "../owner", "a\nb", "./a"]
        {
            assert!(!is_possible(bad), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_possible_path_leaves_the_directory_around_the_checkout(path in "[./a]{0,12}") {
            let outside = path.strip_prefix("../").unwrap_or(&path).split('/').any(|part| part == ".." || part.is_empty());
            prop_assert!(!outside || !is_possible(&path));
        }
    }

    #[test]
    fn a_word_fits_the_names_of_a_host() {
        let word = word_of("lib");
        assert_eq!((word.len(), word.bytes().all(|c| c.is_ascii_hexdigit())), (10, true));
        assert_ne!(word, word_of("lib2"));
    }
}
