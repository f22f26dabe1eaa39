//! A handoff directory that was made by hand, as it was found when the handoff was adopted.

use serde::{Deserialize, Serialize};

use super::attempt::{AttemptNo, Next, Outcome, Reason};
use super::attempts::Attempt;
use super::snapshot::Oid;
use super::verdict::Verdict;

/// What was taken over from a directory that was made by hand.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Adopted {
    /// The directory, as an absolute path.
    pub directory: String,
    /// What its `handoff.md` says under *Status*. Nothing proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// When it was started, in the words of its `handoff.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// No log shows how the last attempt ended; the user said that nothing of it runs any more.
    #[serde(default)]
    pub ended_by_user: bool,
    /// The attempts that were run by hand, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<RunByHand>,
    /// What people or agents wrote in `handoff.md`, by section.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<Note>,
    /// The working state at the adoption, if `handoff.md` names an earlier commit as the base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<Oid>,
}

/// An attempt that was run by hand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct RunByHand {
    pub attempt: AttemptNo,
    /// The profile of the CLI that wrote the log. `None`: it was not recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<String>,
    /// The command that `handoff.md` has for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The session that the log names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Bytes of its log. `None`: there was no log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<u64>,
    /// How it ended, as its log proves. `None`: unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// What a section of `handoff.md` said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Note {
    /// The heading, as a section of the template if it is one. Empty: the text before the first heading.
    pub section: String,
    pub text: String,
}

impl Adopted {
    /// What the sections with these names said.
    pub fn note<'a>(&'a self, section: &'a str) -> impl Iterator<Item = &'a str> {
        self.notes.iter().filter(move |note| note.section == section).map(|note| note.text.as_str())
    }
}

impl RunByHand {
    /// The attempt: over, without a host and without a grant. Nothing follows it by itself.
    pub(super) fn to_attempt(&self, at: jiff::Timestamp, work: Option<Oid>) -> Attempt {
        let is_bad = self.verdict.as_ref().is_some_and(|verdict| !verdict.class.is_good());
        Attempt {
            by_hand: true,
            session: self.session.clone(),
            ended: Some(at),
            outcome: Some(Outcome { reason: Reason::ByHand, ..Outcome::default() }),
            verdict: self.verdict.clone(),
            next: Some(if is_bad { Next::Park { why: String::new() } } else { Next::End }),
            fetched: work,
            companions: vec![],
            ..Attempt::new("", 0, self.command.as_deref().unwrap_or_default(), at, false)
        }
    }
}
