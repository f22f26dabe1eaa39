//! One launch of the agent, and what a host may do without asking.

use serde::{Deserialize, Serialize};

use super::snapshot::Oid;
use super::uncaptured::Uncaptured;
use super::verdict::{Class, Verdict};
use super::words::words;

/// Grows with every change of owner, from 1.
pub type Epoch = u32;
/// Numbered from 1 across all hosts.
pub type AttemptNo = u32;

/// File name of a part of an attempt's log. The first is `attempt-N.log`. If the host's file was truncated, replaced or
/// deleted, later bytes are in `attempt-N.2.log` and so on.
pub fn log_name(n: AttemptNo, part: u32) -> String {
    if part <= 1 { format!("attempt-{n}.log") } else { format!("attempt-{n}.{part}.log") }
}

impl Verdict {
    /// The place of the evidence of attempt `n`: `attempt-2.log:118`.
    pub fn pointer(&self, n: AttemptNo) -> Option<String> {
        self.line.map(|line| format!("{}:{line}", log_name(n, self.part.unwrap_or(1))))
    }
}

/// What a host may do without asking, under one epoch. A number is never granted twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Grant {
    /// Numbered from 1 for each handoff; names the directory `spec/<number>` on the host.
    pub number: u32,
    pub epoch: Epoch,
    pub host: String,
    pub first: AttemptNo,
    pub last: AttemptNo,
    /// Time limit of each attempt in seconds of active time.
    pub active: u64,
}

impl Grant {
    /// Whether the number is one of the grant's.
    pub fn covers(&self, n: AttemptNo) -> bool {
        self.first <= n && n <= self.last
    }
}

words! {
    /// Why an attempt ended, as its watcher recorded it.
    Reason {
        /// The agent exited.
        Exit = "exit",
        Stop = "stop",
        Timeout = "timeout",
        NoFirstOutput = "no-first-output",
        NoProgress = "no-progress",
        /// The agent announced its end and did not exit.
        Grace = "grace",
        /// The end of the agent was not recorded.
        Lost = "lost",
        /// The ship did not arrive or did not verify, so the agent was not started.
        Ship = "ship",
        AgentMissing = "agent-missing",
        Session = "session",
        Setup = "setup",
        DiskFull = "disk-full",
        Capture = "capture",
        /// The host learned a higher epoch before the start.
        Epoch = "epoch",
        /// The laptop ended it, because the host no longer has it; or the host did, because another handoff has taken the
        /// tree of the attempts before.
        Gone = "gone",
        /// It was run by hand, and nothing recorded its end.
        ByHand = "by-hand",
    }
}

impl Default for Reason {
    fn default() -> Reason {
        Reason::Other(String::new())
    }
}

words! {
    /// Why the laptop cancels an attempt.
    CancelReason {
        Stop = "stop",
        Takeover = "takeover",
        /// The handoff was moved to another host.
        Moved = "moved",
        /// The host no longer has the attempt's directory; its processes may still run.
        Lost = "lost",
    }
}

words! {
    /// Who decided what follows an attempt.
    Writer {
        Laptop = "laptop",
        Host = "host",
    }
}

/// The class that a host gives an attempt, before the laptop judges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(from = "String", into = "String")]
pub enum VerdictClass {
    Known(Class),
    /// A word of a newer program.
    Other(String),
}

impl VerdictClass {
    /// Whether it is this class.
    pub fn is(&self, class: Class) -> bool {
        *self == VerdictClass::Known(class)
    }

    /// The word on disk.
    pub fn word(&self) -> &str {
        match self {
            VerdictClass::Known(class) => class.word(),
            VerdictClass::Other(word) => word,
        }
    }
}

impl Default for VerdictClass {
    fn default() -> VerdictClass {
        VerdictClass::Other(String::new())
    }
}

impl From<&str> for VerdictClass {
    fn from(word: &str) -> VerdictClass {
        let known = Class::ALL.into_iter().find(|class| class.word() == word);
        known.map_or_else(|| VerdictClass::Other(word.to_owned()), VerdictClass::Known)
    }
}

impl From<String> for VerdictClass {
    fn from(word: String) -> VerdictClass {
        word.as_str().into()
    }
}

impl From<VerdictClass> for String {
    fn from(class: VerdictClass) -> String {
        class.word().to_owned()
    }
}

impl From<Class> for VerdictClass {
    fn from(class: Class) -> VerdictClass {
        VerdictClass::Known(class)
    }
}

/// The facts that a host recorded about an attempt's end (`result`), before the laptop gives its verdict.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Outcome {
    /// The host's provisional class.
    pub class: VerdictClass,
    /// Why the watcher ended it, or the step before the agent that failed.
    pub reason: Reason,
    /// The agent's exit status as the shell reports it (128+n for a signal).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended the agent, as its wrapper saw it. A status above 128 without this is an exit code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// Exit status of the check command, if it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<i32>,
    /// Exit status of the check at the handoff's base.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check_before: Option<i32>,
    /// Commit of the capture, in the host's cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture: Option<String>,
    /// Tree of the capture's files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tree: Option<String>,
    /// What the capture lacks; `None` if it is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncaptured: Option<Uncaptured>,
    /// Tree of the files before the agent ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
    /// HEAD of the agent's repository before the agent ran, and at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_head: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Kills for lack of memory during the attempt, as `agent <words>` (in the agent's cgroup) or `host <words>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oom: Option<String>,
    /// `full` if the host's disk was full at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<String>,
    /// The session that the agent was asked to resume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<String>,
    /// Files that the check command names and the agent changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub check_files: Vec<String>,
    /// Ids that change with the files and the HEAD of any companion: before the agent ran, and at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companions_before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companions_after: Option<String>,
    /// The captures of the companions in the host's caches, by the word of the companion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions: Vec<(String, Oid)>,
    /// The companions that were not there any more at the end, by their words.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub companions_gone: Vec<String>,
    /// Active time of the attempt in seconds.
    #[serde(default)]
    pub active: u64,
    /// The session id that the host knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// A message about the failed step, on one line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Outcome {
    /// Whether the host no longer has the attempt, or what it was to continue.
    pub fn is_gone(&self) -> bool {
        self.reason == Reason::Gone
    }
}

/// What follows an attempt. On the host it is the one symlink `next`; the first writer wins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Next {
    /// The work is over.
    End,
    /// Resume on the same host and in the same session after `delay` seconds.
    Resume { delay: u64 },
    /// Resume on the same host, with the end of the check's output in the prompt.
    ResumeWithCheck { delay: u64 },
    /// Resume on the same host at this Unix second. Waiting does not count as an attempt.
    WaitUntil { at: i64 },
    /// Pause: the user must act.
    Park { why: String },
}

impl Next {
    /// The target of the `next` symlink, `<writer>:<action>:<argument>`, under 60 bytes.
    pub fn to_link(&self, writer: &Writer) -> String {
        match self {
            Next::End => format!("{writer}:end:0"),
            Next::Resume { delay } => format!("{writer}:resume:{delay}"),
            Next::ResumeWithCheck { delay } => format!("{writer}:check:{delay}"),
            Next::WaitUntil { at } => format!("{writer}:wait:{at}"),
            Next::Park { .. } => format!("{writer}:park:0"),
        }
    }

    /// Parses a `next` symlink into its writer and action.
    pub fn from_link(link: &str) -> Option<(Writer, Next)> {
        let mut parts = link.split(':');
        let (writer, action, argument) = (parts.next()?, parts.next()?, parts.next()?);
        let next = match action {
            "end" => Next::End,
            "resume" => Next::Resume { delay: argument.parse().ok()? },
            "check" => Next::ResumeWithCheck { delay: argument.parse().ok()? },
            "wait" => Next::WaitUntil { at: argument.parse().ok()? },
            "park" => Next::Park { why: String::new() },
            _ => return None,
        };
        Some((writer.into(), next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_parsed_to_what_it_was_made_from() {
        for next in [
            Next::End,
            Next::Resume { delay: 15 },
            Next::ResumeWithCheck { delay: 3 },
            Next::WaitUntil { at: 1_795_000_000 },
        ] {
            let link = next.to_link(&Writer::Laptop);
            assert!(link.len() < 60);
            assert_eq!(Next::from_link(&link), Some((Writer::Laptop, next)));
        }
        assert_eq!(Next::from_link("laptop:dance:1"), None);
        assert_eq!(Next::from_link(""), None);
    }
}
