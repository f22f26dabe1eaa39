//! The decision table from the facts of an attempt's end to its class. The laptop and a host's watcher use the same
//! table: the laptop evaluates the rows, and the watcher evaluates them as patterns of its shell.

use super::verdict::Class;

/// The facts of an attempt's end, each as one word. The laptop and the host gather them in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Why the watcher ended it, as `reason` in `result`; `ship-lacking` if objects of the ship are missing.
    pub reason: String,
    pub exit: Exit,
    /// The kernel killed a process in the attempt's cgroup for lack of memory, and the agent was killed or is lost.
    pub out_of_memory: bool,
    /// The host's disk is full.
    pub disk_full: bool,
    pub end: End,
    /// The stream belongs to another session than the resumed one, or ends with an event of another session.
    pub other_session: bool,
    /// Whether a tool call was refused.
    pub refused: bool,
    /// The class of the last structured error without progress after it.
    pub error: Option<Class>,
    /// The class of the stray lines after the last progress event.
    pub stray: Option<Class>,
    pub check: Check,
    pub work: Work,
}

/// How the agent's process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// No status was recorded.
    Unknown,
    Zero,
    /// Status 126 or 127 without an event in the stream: the command could not be started.
    NotStarted,
    /// The wrapper saw the signal. A status above 128 without that is an exit code.
    Signal,
    Failed,
    /// The watcher ended it some time after its terminal event (`grace`).
    Ended,
}

/// The last terminal event at the top level of the right session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// There is none, or the agent continued after it.
    Missing,
    Good,
    Bad,
}

/// The result of the check command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    NotSet,
    Passed,
    Failed,
    /// A check is set and has no status.
    Missing,
}

/// What the attempt left, compared with its start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Same tree, same HEAD, and the same status of the check as at the handoff's base.
    Same,
    Changed,
    /// The capture failed.
    Missing,
}

/// Each fact and its possible words (for classes, some of them). Patterns and the facts' text use this order.
pub const KEYS: [(&str, &[&str]); 11] = [
    ("reason", &REASONS),
    ("exit", &["unknown", "zero", "not-started", "signal", "failed", "ended"]),
    ("oom", &["no", "yes"]),
    ("disk", &["free", "full"]),
    ("end", &["missing", "good", "bad"]),
    ("session", &["same", "other"]),
    ("refused", &["no", "yes"]),
    ("error", &["-", "auth", "disk-full"]),
    ("stray", &["-", "network", "disk-full"]),
    ("check", &["not-set", "passed", "failed", "missing"]),
    ("work", &["same", "changed", "missing"]),
];

/// Every reason that a watcher records.
const REASONS: [&str; 16] = [
    "exit",
    "grace",
    "stop",
    "epoch",
    "timeout",
    "no-first-output",
    "no-progress",
    "lost",
    "gone",
    "disk-full",
    "ship",
    "ship-lacking",
    "agent-missing",
    "setup",
    "capture",
    "session",
];

/// The class that a row gives: a fixed one, or that of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Class(Class),
    Error,
    Stray,
}

/// A key and its accepted words; `any` means every word but `-`.
type Condition = (&'static str, &'static [&'static str]);

/// A row matches if all of its conditions do. The first matching row decides.
pub struct Row {
    pub gives: Gives,
    pub when: &'static [Condition],
}

const fn row(class: Class, when: &'static [Condition]) -> Row {
    Row { gives: Gives::Class(class), when }
}

const ANY: &[&str] = &["any"];
const WELL: Condition = ("exit", &["zero", "ended"]);
const GOOD: Condition = ("end", &["good"]);

/// The evidence by precedence: what the watcher recorded, the kernel, the terminal event, its error, the signal, the
/// CLI's last output, the exit code.
pub static ROWS: &[Row] = &[
    row(Class::Stopped, &[("reason", &["stop", "epoch"])]),
    row(Class::Timeout, &[("reason", &["timeout"])]),
    row(Class::Hung, &[("reason", &["no-first-output", "no-progress"])]),
    row(Class::Oom, &[("reason", &["lost"]), ("oom", &["yes"])]),
    row(Class::Lost, &[("reason", &["lost", "gone"])]),
    row(Class::DiskFull, &[("reason", &["disk-full"])]),
    row(Class::Network, &[("reason", &["ship-lacking"])]),
    row(Class::Config, &[("reason", &["ship", "agent-missing", "setup", "capture"])]),
    row(Class::Session, &[("reason", &["session"]), ("stray", &["-", "disk-full"])]),
    Row { gives: Gives::Stray, when: &[("reason", &["session"])] },
    row(Class::Oom, &[("oom", &["yes"]), ("end", &["missing", "bad"])]),
    row(Class::Oom, &[("reason", &["exit"]), ("exit", &["signal", "failed"]), ("oom", &["yes"])]),
    row(Class::Session, &[("session", &["other"])]),
    row(Class::Blocked, &[WELL, GOOD, ("refused", &["yes"])]),
    // A result that is not known to be good is no success: work that cannot be fetched, a check that could not run.
    row(Class::DiskFull, &[WELL, ("disk", &["full"]), GOOD, ("work", &["missing"])]),
    row(Class::Config, &[WELL, GOOD, ("work", &["missing"])]),
    row(Class::DiskFull, &[WELL, ("disk", &["full"]), GOOD, ("check", &["missing"])]),
    row(Class::CheckFailed, &[WELL, GOOD, ("check", &["missing", "failed"])]),
    row(Class::NoWork, &[WELL, GOOD, ("work", &["same"])]),
    row(Class::Done, &[WELL, GOOD, ("check", &["passed"])]),
    row(Class::Unchecked, &[WELL, GOOD]),
    // A message about a full disk proves nothing while the host has room, because the agent may only have quoted it.
    Row { gives: Gives::Error, when: &[("disk", &["full"]), ("end", &["bad"]), ("error", &["disk-full"])] },
    row(Class::Crashed, &[("end", &["bad"]), ("error", &["disk-full"])]),
    Row { gives: Gives::Error, when: &[("end", &["bad"]), ("error", ANY)] },
    row(Class::Crashed, &[("exit", &["signal"]), ("disk", &["free"])]),
    row(Class::DiskFull, &[("exit", &["signal"])]),
    row(Class::DiskFull, &[("disk", &["full"]), ("error", &["disk-full"])]),
    row(Class::Crashed, &[("error", &["disk-full"])]),
    Row { gives: Gives::Error, when: &[("error", ANY)] },
    row(Class::DiskFull, &[("disk", &["full"]), ("stray", &["disk-full"])]),
    row(Class::Crashed, &[("stray", &["disk-full"])]),
    Row { gives: Gives::Stray, when: &[("stray", ANY)] },
    row(Class::DiskFull, &[("disk", &["full"])]),
    row(Class::Config, &[("exit", &["not-started"])]),
    row(Class::Hung, &[("exit", &["ended"])]),
    row(Class::Truncated, &[("exit", &["zero"]), ("end", &["missing"])]),
    row(Class::Lost, &[("exit", &["unknown"])]),
    row(Class::Crashed, &[]),
];

impl Facts {
    /// The words in the order of the keys.
    fn words(&self) -> [(&'static str, &str); 11] {
        let yes = |is: bool| if is { "yes" } else { "no" };
        let class = |class: Option<Class>| class.map_or("-", Class::word);
        [
            ("reason", &self.reason),
            ("exit", self.exit.word()),
            ("oom", yes(self.out_of_memory)),
            ("disk", if self.disk_full { "full" } else { "free" }),
            ("end", self.end.word()),
            ("session", if self.other_session { "other" } else { "same" }),
            ("refused", yes(self.refused)),
            ("error", class(self.error)),
            ("stray", class(self.stray)),
            ("check", self.check.word()),
            ("work", self.work.word()),
        ]
    }

    /// The facts in the form of a host: ` reason:exit exit:zero … `.
    pub fn text(&self) -> String {
        self.words().iter().map(|(key, word)| format!(" {key}:{word}")).collect::<String>() + " "
    }

    /// The first matching row. The last row always matches.
    pub fn row(&self) -> &'static Row {
        let words = self.words();
        let holds = |(key, wanted): &Condition| {
            let word = words.iter().find(|(name, _)| name == key).map_or("", |(_, word)| word);
            wanted.iter().any(|want| if *want == "any" { word != "-" } else { *want == word })
        };
        ROWS.iter().find(|row| row.when.iter().all(holds)).unwrap_or(&ROWS[ROWS.len() - 1])
    }

    /// The class of the end.
    pub fn class(&self) -> Class {
        match self.row().gives {
            Gives::Class(class) => class,
            Gives::Error => self.error.unwrap_or(Class::Crashed),
            Gives::Stray => self.stray.unwrap_or(Class::Crashed),
        }
    }
}

/// The table in the form for a host: lines `<class>\t<shell pattern for the facts>`. The class is `=error` or `=stray`
/// if it is that of the fact.
pub fn table() -> String {
    let mut text = String::new();
    for Row { gives, when } in ROWS {
        let class = match gives {
            Gives::Class(class) => class.word(),
            Gives::Error => "=error",
            Gives::Stray => "=stray",
        };
        for pattern in patterns(when) {
            text.push_str(&format!("{class}\t{pattern}\n"));
        }
    }
    text
}

/// One pattern for each combination of words.
fn patterns(when: &[Condition]) -> Vec<String> {
    let mut patterns = vec!["*".to_owned()];
    for (key, words) in when {
        let choice = |word: &&str| if *word == "any" { format!("{key}:[!-]*") } else { format!("{key}:{word} *") };
        let join =
            |start: &String| words.iter().map(move |word| format!("{start}{}", choice(word))).collect::<Vec<_>>();
        patterns = patterns.iter().flat_map(join).collect();
    }
    patterns
}

impl Exit {
    fn word(self) -> &'static str {
        KEYS[1].1[self as usize]
    }
}

impl End {
    fn word(self) -> &'static str {
        KEYS[4].1[self as usize]
    }
}

impl Check {
    fn word(self) -> &'static str {
        KEYS[9].1[self as usize]
    }
}

impl Work {
    fn word(self) -> &'static str {
        KEYS[10].1[self as usize]
    }
}

#[cfg(test)]
pub mod tests;
