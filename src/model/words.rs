//! Words that a host or the journal writes, as enums. A newer program may write a word that this one does not know.

/// Declares an enum with one variant for each word, and `Other` for a word of a newer program. It is stored as the word.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(from = "String", into = "String")]
        #[schemars(extend("examples" = [$($word),*]))]
        pub enum $name {
            $($(#[$doc])* $variant,)*
            /// A word of a newer program.
            Other(String),
        }

        impl $name {
            /// The word on disk and in requests.
            pub fn word(&self) -> &str {
                match self {
                    $($name::$variant => $word,)*
                    $name::Other(word) => word,
                }
            }
        }

        impl From<&str> for $name {
            fn from(word: &str) -> Self {
                match word {
                    $($word => $name::$variant,)*
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                word.as_str().into()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.word().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.word())
            }
        }
    };
}

pub(crate) use words;

#[cfg(test)]
mod tests {
    use crate::model::attempt::{CancelReason, Reason, VerdictClass};
    use crate::model::verdict::Class;

    #[test]
    fn a_word_is_stored_as_it_was_read_known_or_not() {
        for word in ["exit", "no-first-output", "agent-missing", "dance", ""] {
            let read: Reason = serde_json::from_str(&format!("\"{word}\"")).unwrap();
            assert_eq!(read.word(), word);
            assert_eq!(serde_json::to_string(&read).unwrap(), format!("\"{word}\""));
            assert_eq!(matches!(read, Reason::Other(_)), ["dance", ""].contains(&word), "{word}");
        }
        assert_eq!(CancelReason::from("moved"), CancelReason::Moved);
    }

    #[test]
    fn every_class_is_read_from_its_word() {
        for class in Class::ALL {
            assert!(VerdictClass::from(class.word()).is(class));
        }
        assert_eq!(VerdictClass::from("dance").word(), "dance");
    }
}
