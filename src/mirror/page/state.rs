//! How far the work is: how each attempt ended, and the agent's last words.

use std::fmt::Write as _;

use crate::agent::summary::Item;
use crate::config::markdown;
use crate::mirror::page::tried::quote;
use crate::mirror::page::{Findings, of_line};
use crate::model::attempt::AttemptNo;
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;

/// The latest known state. `None`: nothing is known.
pub fn state(handoff: &Handoff, findings: &Findings) -> Option<String> {
    let mut text = String::new();
    for (n, attempt) in handoff.lineage().filter(|(_, attempt)| attempt.verdict.is_some() || attempt.by_hand) {
        _ = writeln!(text, "{}", ended(n, attempt));
    }
    if let Some((n, said)) = last_words(handoff, findings) {
        _ = write!(text, "The agent's last words (`{}`):\n{}", said.pointer(n), markdown::quoted(&said.text));
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn last_words<'a>(handoff: &'a Handoff, findings: &'a Findings) -> Option<(AttemptNo, &'a Item)> {
    of_line(handoff, findings).rev().find_map(|(n, found)| Some((*n, found.summary.said.as_ref()?)))
}

/// The same of the newest attempt alone. `None`: nothing is known yet.
pub fn latest_summary(handoff: &Handoff, findings: &Findings) -> Option<String> {
    let last = of_line(handoff, findings).next_back();
    if handoff.is_only_by_hand() {
        // Nothing is to come by itself.
        match handoff.last_attempt() {
            None => return Some("No attempt was made.".to_owned()),
            Some((n, attempt)) if last.is_none_or(|(of, _)| *of != n) => return Some(ended(n, attempt)),
            Some(_) => {}
        }
    }
    let (n, found) = last?;
    let summary = &found.summary;
    let running = handoff.phase(*n).is_some_and(|phase| phase.is_open());
    let mut text = String::new();
    if running {
        _ = writeln!(text, "Partial: attempt {n} is still running.\n");
    }
    if let Some(attempt) = handoff.attempt(*n).filter(|attempt| attempt.verdict.is_some() || attempt.by_hand) {
        _ = writeln!(text, "{}\n", ended(*n, attempt));
    }
    if let Some(said) = &summary.said {
        _ = write!(text, "The agent's last words (`{}`):\n\n{}", said.pointer(*n), markdown::quoted(&said.text));
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn ended(n: AttemptNo, attempt: &Attempt) -> String {
    let work = |of: &str| {
        attempt.fetched.as_ref().map_or(String::new(), |commit| format!(" {of} is commit `{}`.", commit.short()))
    };
    let adopted = "The checkout when the record was adopted";
    let Some(verdict) = &attempt.verdict else {
        return match attempt.by_hand {
            true => format!("Attempt {n} was run by hand, and nothing shows how it ended.{}", work(adopted)),
            false => String::new(),
        };
    };
    let at = verdict.pointer(n).map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
    let evidence = quote(&verdict.evidence);
    match attempt.by_hand {
        true => format!("Attempt {n}, run by hand, ended {}: {evidence}{at}.{}", verdict.class, work(adopted)),
        false => {
            format!("Attempt {n} on {} ended {}: {evidence}{at}.{}", attempt.host, verdict.class, work("Its work"))
        }
    }
}
