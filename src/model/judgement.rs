//! The decision table: from the facts of an attempt's end to its class. One table for both judges: the laptop evaluates the
//! rows, and a host's watcher evaluates the same rows as patterns of its shell.

use super::verdict::Class;

/// What is known of an attempt's end, each fact in one word. Facts are gathered in the same way on both sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Why the watcher ended it, as `reason` in `result`; `ship-lacking` where objects of the ship are missing.
    pub reason: String,
    pub exit: Exit,
    /// The kernel killed a process of the attempt's cgroup for memory, and the agent was killed or is lost.
    pub out_of_memory: bool,
    /// The host's disk is full.
    pub disk_full: bool,
    pub end: End,
    /// The stream is of another session than the one that was to be resumed, or ends with an event of another session.
    pub other_session: bool,
    /// A tool call was refused.
    pub refused: bool,
    /// The class of the last structured error that no progress follows.
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
    /// 126 or 127, and no event of the stream: the command could not be started.
    NotStarted,
    /// The wrapper saw the signal. A status above 128 alone is an exit code.
    Signal,
    Failed,
    /// The watcher ended it, some time after its terminal event (`grace`).
    Ended,
}

/// The last terminal event at the top level of the right session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// None, or the agent continued after it.
    Missing,
    Good,
    Bad,
}

/// What the check command said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    NotSet,
    Passed,
    Failed,
    /// A check is set and has no status.
    Missing,
}

/// What the attempt left, compared with what it began with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Equal tree, unmoved HEAD, and a check that says what it said at the handoff's base.
    Same,
    Changed,
    /// The capture failed.
    Missing,
}

/// Each fact and the words it can have; of the classes, some. The order is that of the pattern and of the facts' text.
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
const REASONS: [&str; 15] = [
    "exit",
    "grace",
    "stop",
    "epoch",
    "timeout",
    "no-first-output",
    "no-progress",
    "lost",
    "disk-full",
    "ship",
    "ship-lacking",
    "agent-missing",
    "setup",
    "capture",
    "session",
];

/// The class of a row: fixed, or that of a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gives {
    Class(Class),
    Error,
    Stray,
}

/// Any of these words; `any` stands for every word but `-`.
type Condition = (&'static str, &'static [&'static str]);

/// A row holds when all of its conditions hold. The first row that holds decides.
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

/// The evidence in its order: what the watcher recorded, the kernel, the terminal event, its error, the signal, what the
/// CLI wrote last, the exit code.
pub static ROWS: &[Row] = &[
    row(Class::Stopped, &[("reason", &["stop", "epoch"])]),
    row(Class::Timeout, &[("reason", &["timeout"])]),
    row(Class::Hung, &[("reason", &["no-first-output", "no-progress"])]),
    row(Class::Oom, &[("reason", &["lost"]), ("oom", &["yes"])]),
    row(Class::Lost, &[("reason", &["lost"])]),
    row(Class::DiskFull, &[("reason", &["disk-full"])]),
    row(Class::Network, &[("reason", &["ship-lacking"])]),
    row(Class::Config, &[("reason", &["ship", "agent-missing", "setup", "capture"])]),
    row(Class::Session, &[("reason", &["session"]), ("stray", &["-", "disk-full"])]),
    Row { gives: Gives::Stray, when: &[("reason", &["session"])] },
    row(Class::Oom, &[("oom", &["yes"]), ("end", &["missing", "bad"])]),
    row(Class::Oom, &[("reason", &["exit"]), ("exit", &["signal", "failed"]), ("oom", &["yes"])]),
    row(Class::Session, &[("session", &["other"])]),
    row(Class::Blocked, &[WELL, GOOD, ("refused", &["yes"])]),
    // What is not known to be good is no success: work that cannot be fetched, a check that could not be run.
    row(Class::DiskFull, &[WELL, ("disk", &["full"]), GOOD, ("work", &["missing"])]),
    row(Class::Config, &[WELL, GOOD, ("work", &["missing"])]),
    row(Class::DiskFull, &[WELL, ("disk", &["full"]), GOOD, ("check", &["missing"])]),
    row(Class::CheckFailed, &[WELL, GOOD, ("check", &["missing", "failed"])]),
    row(Class::NoWork, &[WELL, GOOD, ("work", &["same"])]),
    row(Class::Done, &[WELL, GOOD, ("check", &["passed"])]),
    row(Class::Unchecked, &[WELL, GOOD]),
    // Words about a full disk prove nothing while the host has room: the agent may only have quoted them.
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
    /// The words, in the order of the keys.
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

    /// The facts as a host writes them: ` reason:exit exit:zero … `.
    pub fn text(&self) -> String {
        self.words().iter().map(|(key, word)| format!(" {key}:{word}")).collect::<String>() + " "
    }

    /// The first row that holds. The last row always does.
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

/// The table as a host reads it: lines `<class>\t<pattern of sh over the facts>`; the class is `=error` or `=stray` where
/// it is that fact's.
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

/// One pattern for every choice of words.
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
