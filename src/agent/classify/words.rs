//! The evidence of a verdict in words, and notes next to it.

use super::Case;
use crate::agent::sanitize::{SHORT, one_line};
use crate::model::attempt::Reason;
use crate::model::judgement::{Check, End, Exit, Gives};
use crate::model::verdict::{Class, Verdict};

/// The verdict for a class, with the words of the deciding row.
pub(super) fn verdict(case: &Case, class: Class) -> Verdict {
    let well = case.facts.end == End::Good && matches!(case.facts.exit, Exit::Zero | Exit::Ended);
    match case.facts.row().gives {
        Gives::Error | Gives::Stray if case.outcome.reason == Reason::Session => {
            verdict_with(class, detail(case), None)
        }
        Gives::Error => found(class, case.error.as_ref()),
        Gives::Stray => found(class, case.stray.as_ref()),
        Gives::Class(_) if !matches!(case.outcome.reason.word(), "" | "exit" | "grace") => from_outside(case, class),
        Gives::Class(Class::Oom) => out_of_memory(case),
        Gives::Class(Class::Session) => other_session(case),
        Gives::Class(_) if well => of_work(case, class),
        Gives::Class(_) => of_exit(case, class),
    }
}

/// Notes about facts that do not change the class.
pub(super) fn notes(case: &Case) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(killed) = case.outcome.oom.as_deref().filter(|_| !case.facts.out_of_memory) {
        let (whose, what) = killed.split_once(' ').unwrap_or((killed, ""));
        notes.push(match whose {
            "agent" => {
                format!("a process of the agent was killed because memory ran out; the agent continued ({what})")
            }
            _ => format!("the kernel ran out of memory somewhere on the host ({what})"),
        });
    }
    let seen = case.log.reader.facts();
    if let Some(foreign) = seen.foreign.as_ref().filter(|_| !case.facts.other_session) {
        notes.push(format!("the log has events of another session, {} (line {})", foreign.text, foreign.line));
    }
    if !case.outcome.check_files.is_empty() {
        notes.push(format!("the agent changed files that the check uses: {}", case.outcome.check_files.join(", ")));
    }
    notes.iter().map(|note| one_line(note, 2 * SHORT)).collect()
}

fn verdict_with(class: Class, evidence: &str, line: Option<u64>) -> Verdict {
    Verdict { line, ..Verdict::new(class, one_line(evidence, SHORT)) }
}

fn found(class: Class, found: Option<&super::Found>) -> Verdict {
    let Some(found) = found else { return verdict_with(class, "", None) };
    verdict_with(class, around(&found.words.text, found.at), Some(found.words.line).filter(|line| *line > 0))
}

/// The part of a long text that begins shortly before the proof, so that a cut keeps the proof.
fn around(text: &str, at: usize) -> &str {
    let from = if at < SHORT / 2 { 0 } else { at - SHORT / 4 };
    let from = (from..=at).find(|&from| text.is_char_boundary(from)).unwrap_or(at);
    &text[from..]
}

fn detail<'a>(case: &'a Case) -> &'a str {
    case.outcome.detail.as_deref().unwrap_or_default()
}

/// A fact with the host's detail.
fn with_detail(case: &Case, fact: &str) -> String {
    if detail(case).is_empty() { fact.to_owned() } else { format!("{fact}: {}", detail(case)) }
}

/// A fact, followed by the last words of the log if there are any.
fn with_last_words(case: &Case, class: Class, fact: &str) -> Verdict {
    match case.error.as_ref().or(case.stray.as_ref()).map(|found| &found.words).filter(|words| !words.text.is_empty()) {
        Some(words) => verdict_with(class, &format!("{fact}; last words: {}", words.text), Some(words.line)),
        None => verdict_with(class, fact, case.end.as_ref().map(|words| words.line)),
    }
}

/// Verdicts for ends that the watcher caused, or that came before the agent ran.
fn from_outside(case: &Case, class: Class) -> Verdict {
    let active = time(case.outcome.active);
    let fact = |fact: &str| with_detail(case, fact);
    match &case.outcome.reason {
        Reason::Timeout => with_last_words(case, class, &fact(&format!("timed out after {active}"))),
        Reason::NoFirstOutput => verdict_with(class, &fact(&format!("no output within {active}")), None),
        Reason::NoProgress => {
            with_last_words(case, class, &fact("no progress: no output, no CPU time and no changed file"))
        }
        Reason::Lost if class == Class::Oom => {
            verdict_with(class, &memory(case, "the agent process is gone and left no exit status"), None)
        }
        Reason::Lost => with_last_words(case, class, &fact("the agent process is gone and left no exit status")),
        Reason::DiskFull => verdict_with(class, &fact("the host's disk is full"), None),
        Reason::AgentMissing => {
            verdict_with(class, &fact(&format!("{} was not found on the host", case.profile.binary.join(" or "))), None)
        }
        Reason::Session => verdict_with(class, or(detail(case), "the agent CLI created no session"), None),
        Reason::Setup => verdict_with(class, &fact("the setup command failed"), None),
        Reason::Ship if class == Class::Network => {
            verdict_with(class, &fact("the repository did not arrive on the host"), None)
        }
        Reason::Ship => verdict_with(class, &fact("the checkout on the host differs from what was sent"), None),
        Reason::Capture => verdict_with(class, &fact("the checkout on the host could not be captured"), None),
        _ => verdict_with(class, &fact("stopped on request"), None),
    }
}

fn memory(case: &Case, fact: &str) -> String {
    let counted = case.outcome.oom.as_deref().and_then(|oom| Some(oom.split_once(' ')?.1));
    let words = counted.or(case.outcome.detail.as_deref()).unwrap_or("the host recorded that it ran out of memory");
    if fact.is_empty() { words.to_owned() } else { format!("{fact}; {words}") }
}

fn out_of_memory(case: &Case) -> Verdict {
    let how = case.outcome.signal.map_or_else(String::new, |number| format!("killed by {}", signal(number)));
    verdict_with(Class::Oom, &memory(case, &how), None)
}

fn other_session(case: &Case) -> Verdict {
    let seen = case.log.reader.facts();
    let opened = seen.session.as_deref().unwrap_or("none");
    match (&case.outcome.resumed, &seen.foreign) {
        (Some(asked), _) if asked != opened => verdict_with(
            Class::Session,
            &format!("the agent CLI opened session {opened} instead of resuming {asked}"),
            None,
        ),
        (_, Some(foreign)) => {
            let text = format!("the log starts with session {opened} and continues with session {}", foreign.text);
            verdict_with(Class::Session, &text, Some(foreign.line))
        }
        _ => verdict_with(Class::Session, "the log belongs to another session", None),
    }
}

/// Verdicts for an agent that reports success.
fn of_work(case: &Case, class: Class) -> Verdict {
    let (line, words) = case.end.as_ref().map_or((None, ""), |words| (Some(words.line), words.text.as_str()));
    let outcome = case.outcome;
    let text = match class {
        Class::Blocked => return refused(case),
        Class::DiskFull => {
            format!("the agent finished, but the host's disk was full: {}", or(detail(case), NOT_CAPTURED))
        }
        Class::Config => format!("the agent finished, but {}", or(detail(case), NOT_CAPTURED)),
        Class::CheckFailed if case.facts.check == Check::Missing => {
            "the agent finished, but the check could not be run".into()
        }
        Class::CheckFailed => {
            format!("the agent finished, but the check failed with exit code {}", outcome.check.unwrap_or_default())
        }
        Class::NoWork if words.is_empty() => "the agent finished without changing a file".into(),
        Class::NoWork => format!("the agent finished without changing a file; it said: {words}"),
        Class::Done => match outcome.check_before {
            Some(0) => "the check passes, as it did before the attempt".into(),
            Some(code) => format!("the check passes; it failed with exit code {code} before the attempt"),
            None => "the check passes".into(),
        },
        _ if words.is_empty() => "the agent finished, no check was set".into(),
        _ => format!("the agent finished, no check was set; it said: {words}"),
    };
    verdict_with(class, &text, line)
}

const NOT_CAPTURED: &str = "its work could not be captured";

fn or<'a>(text: &'a str, otherwise: &'a str) -> &'a str {
    if text.is_empty() { otherwise } else { text }
}

fn refused(case: &Case) -> Verdict {
    let (line, what) = case.log.refused.clone().unzip();
    let more = match case.log.refusals.saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    verdict_with(Class::Blocked, &format!("a tool was refused: {}{more}", what.unwrap_or_default()), line)
}

/// Verdicts without an error in the log, by how the process ended.
fn of_exit(case: &Case, class: Class) -> Verdict {
    let code = case.outcome.exit.unwrap_or_default();
    let reported = case.end.as_ref().filter(|words| !words.text.is_empty());
    match (class, case.facts.exit) {
        (Class::DiskFull, _) => with_last_words(case, class, "the host's disk was full"),
        (Class::Hung, _) => with_last_words(case, class, "did not exit after its final event"),
        (Class::Config, _) => {
            with_last_words(case, class, &format!("the agent could not be started (exit code {code})"))
        }
        (Class::Truncated, _) => truncated(case),
        (_, Exit::Unknown) => with_last_words(case, class, "no exit status was recorded"),
        (_, Exit::Signal) => {
            let number = case.outcome.signal.unwrap_or(code - 128);
            with_last_words(case, class, &format!("killed by {}", signal(number)))
        }
        (_, Exit::Zero) => match reported {
            Some(words) => verdict_with(class, &format!("the agent reported: {}", words.text), Some(words.line)),
            None => with_last_words(case, class, "the final event reports an error"),
        },
        (_, exit) => {
            let code =
                if exit == Exit::Ended { "ended after its final event".into() } else { format!("exit code {code}") };
            match (case.facts.end, reported) {
                (End::Bad, Some(words)) => {
                    verdict_with(class, &format!("{code}; the agent reported: {}", words.text), Some(words.line))
                }
                (End::Good, _) if !case.log.plain => {
                    with_last_words(case, class, &format!("{code}, although its final event reports success"))
                }
                _ => with_last_words(case, class, &code),
            }
        }
    }
}

fn truncated(case: &Case) -> Verdict {
    match &case.log.error {
        Some(error) => verdict_with(Class::Truncated, &format!("the log could not be read to its end: {error}"), None),
        None if case.log.plain => with_last_words(case, Class::Truncated, "exit code 0, but no line reports success"),
        None => with_last_words(case, Class::Truncated, "exit code 0 without a final event"),
    }
}

/// A duration for people: `45 s`, `20 min`, `4 h`, `2 h 30 min`.
fn time(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0 | 1) => format!("{seconds} s"),
        (0 | 1, _) => format!("{} min", seconds / 60),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// A signal's name. Numbers other than these differ between systems.
fn signal(number: i32) -> String {
    let name = match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        6 => "ABRT",
        8 => "FPE",
        9 => "KILL",
        11 => "SEGV",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        _ => return format!("signal {number}"),
    };
    format!("SIG{name}")
}
