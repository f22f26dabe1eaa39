//! How an attempt ended, and the line or fact that proves it.

use serde::{Deserialize, Serialize};

/// The class of an attempt's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Ended well, and the check passed.
    Done,
    /// Ended well, and no check was set.
    Unchecked,
    /// Ended well and changed nothing.
    NoWork,
    CheckFailed,
    /// A tool call was refused.
    Blocked,
    /// A rate limit of the service.
    Throttled,
    /// Errors of the model's servers.
    Overloaded,
    Network,
    /// No terminal event in the log.
    Truncated,
    /// A usage limit; the reset time may be known.
    Limited,
    Billing,
    Auth,
    Config,
    /// The conversation exceeds the model's context.
    Context,
    /// The session is unknown, or could not be made.
    Session,
    Hung,
    Timeout,
    Crashed,
    Oom,
    DiskFull,
    /// The facts on the host do not show how it ended.
    Lost,
    Stopped,
}

impl Class {
    /// Every class, in the order of the table that `handoff agents --verdicts` prints.
    pub const ALL: [Class; 22] = [
        Class::Done,
        Class::Unchecked,
        Class::Stopped,
        Class::Throttled,
        Class::Overloaded,
        Class::Network,
        Class::Truncated,
        Class::Crashed,
        Class::Hung,
        Class::Lost,
        Class::Limited,
        Class::CheckFailed,
        Class::NoWork,
        Class::Context,
        Class::Session,
        Class::Oom,
        Class::DiskFull,
        Class::Timeout,
        Class::Auth,
        Class::Billing,
        Class::Config,
        Class::Blocked,
    ];

    /// The kebab-case word on disk, on the screen and on the host.
    pub fn word(self) -> &'static str {
        match self {
            Class::Done => "done",
            Class::Unchecked => "unchecked",
            Class::NoWork => "no-work",
            Class::CheckFailed => "check-failed",
            Class::Blocked => "blocked",
            Class::Throttled => "throttled",
            Class::Overloaded => "overloaded",
            Class::Network => "network",
            Class::Truncated => "truncated",
            Class::Limited => "limited",
            Class::Billing => "billing",
            Class::Auth => "auth",
            Class::Config => "config",
            Class::Context => "context",
            Class::Session => "session",
            Class::Hung => "hung",
            Class::Timeout => "timeout",
            Class::Crashed => "crashed",
            Class::Oom => "oom",
            Class::DiskFull => "disk-full",
            Class::Lost => "lost",
            Class::Stopped => "stopped",
        }
    }

    /// Whether the attempt is a success.
    pub fn is_good(self) -> bool {
        matches!(self, Class::Done | Class::Unchecked)
    }

    /// The class with this word.
    pub fn from_word(word: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.word() == word)
    }
}

impl std::fmt::Display for Class {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// A class with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Verdict {
    pub class: Class,
    /// The line or fact, made safe for a terminal and shortened.
    pub evidence: String,
    /// Line of the log that contains the evidence, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The part of the log with that line, unless it is the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<u32>,
    /// When a usage limit resets, in Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
    /// The class of the error that the agent reported last, if the verdict is about something else. The advice is about
    /// this error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Class>,
    /// Notes that do not change the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Verdict {
    /// A class with its evidence only.
    pub fn new(class: Class, evidence: impl Into<String>) -> Verdict {
        Verdict {
            class,
            evidence: evidence.into(),
            line: None,
            part: None,
            until: None,
            standing: None,
            notes: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_listed_once_with_the_word_that_serde_uses() {
        let mut words: Vec<_> = Class::ALL.iter().map(|c| c.word()).collect();
        for class in Class::ALL {
            assert_eq!(serde_json::to_string(&class).unwrap(), format!("\"{}\"", class.word()));
            assert_eq!(Class::from_word(class.word()), Some(class));
        }
        words.sort_unstable();
        words.dedup();
        assert_eq!(words.len(), Class::ALL.len());
    }
}
