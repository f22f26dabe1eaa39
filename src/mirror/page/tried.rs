//! What the agents tried: each attempt with its messages, commands and errors, in the order of the log.

use crate::agent::sanitize::code;
use crate::agent::summary::{Command, Items, Runs, Summary};
use crate::mirror::page::{Findings, of_line, plain_time};
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::attempts::Attempt;
use crate::model::event::ByHand;
use crate::model::handoff::Handoff;

/// Maximum commands of all attempts that are listed: those that ran last.
const MAX_COMMANDS: usize = 60;
/// Maximum attempts that are described in full: the last ones. Of the others, only the end is listed.
const MAX_TOLD: usize = 6;

/// A command with its runs in all attempts.
pub struct Tried {
    pub text: String,
    pub runs: Vec<(AttemptNo, Runs)>,
    left_out: u64,
}

impl Tried {
    /// The last outcome, with the attempt.
    pub fn last(&self) -> Option<&(AttemptNo, Runs)> {
        self.runs.last()
    }

    fn add(&mut self, n: AttemptNo, command: &Command) {
        self.left_out += command.left_out;
        self.runs.extend(command.runs.iter().map(|runs| (n, runs.clone())));
    }

    /// The place of the first run that is known: the order of the list.
    fn began(&self) -> Option<(AttemptNo, u32, u64)> {
        self.runs.first().map(|(n, runs)| (*n, runs.first.part, runs.first.line))
    }

    fn ran_last(&self) -> Option<(AttemptNo, u32, u64)> {
        self.runs.last().map(|(n, runs)| (*n, runs.last.part, runs.last.line))
    }

    /// The command with the sequence of its outcomes and where they are.
    fn told(&self) -> String {
        let runs: Vec<String> = self.runs.iter().map(|(n, runs)| outcome(*n, runs)).collect();
        let before = match self.left_out {
            0 => String::new(),
            count => format!("({count} earlier), "),
        };
        format!("`{}` → {before}{}", self.text, runs.join(", "))
    }
}

/// `3 times exit 1 (…)`.
fn outcome(n: AttemptNo, runs: &Runs) -> String {
    let (first, last) = (runs.first.pointer(n), runs.last.pointer(n));
    match runs.count {
        1 => format!("{} (`{last}`)", runs.ended),
        count => format!("{count} times {} (`{first}` to `{last}`)", runs.ended),
    }
}

/// The commands of all attempts that ran last, in the order of their first run, and the number of the others.
pub fn commands(handoff: &Handoff, findings: &Findings) -> (Vec<Tried>, usize) {
    let (mut all, mut left_out): (Vec<Tried>, usize) = (Vec::new(), 0);
    for (n, found) in of_line(handoff, findings) {
        left_out += found.summary.commands.left_out;
        for command in &found.summary.commands.shown {
            match all.iter_mut().find(|known| known.text == command.text) {
                Some(known) => known.add(*n, command),
                None => {
                    let mut new = Tried { text: command.text.clone(), runs: Vec::new(), left_out: 0 };
                    new.add(*n, command);
                    all.push(new);
                }
            }
        }
    }
    if all.len() > MAX_COMMANDS {
        all.sort_by_key(Tried::ran_last);
        left_out += all.len() - MAX_COMMANDS;
        all.drain(..all.len() - MAX_COMMANDS);
    }
    all.sort_by_key(Tried::began);
    (all, left_out)
}

/// The story of all attempts, one line for each fact.
pub fn tried(handoff: &Handoff, findings: &Findings) -> Vec<String> {
    let (commands, left_out) = commands(handoff, findings);
    let has_begun = |attempt: &Attempt| attempt.started.is_some() || attempt.verdict.is_some() || attempt.by_hand;
    let lineage: Vec<(AttemptNo, &Attempt)> = handoff.lineage().filter(|(_, attempt)| has_begun(attempt)).collect();
    let told_from = lineage.len().saturating_sub(MAX_TOLD);
    let mut lines = Vec::new();
    for (at, (n, attempt)) in lineage.iter().enumerate() {
        let n = *n;
        let found = of_line(handoff, findings).find(|(of, _)| *of == n).map(|(_, found)| found);
        lines.push(heading(handoff, n, attempt, found.map(|found| &found.summary)));
        let mut facts: Vec<((u32, u64), String)> = Vec::new();
        let here = commands.iter().filter(|tried| tried.began().is_some_and(|(of, ..)| of == n));
        facts.extend(here.filter_map(|tried| tried.began().map(|(_, part, line)| ((part, line), tried.told()))));
        if let Some(found) = found.filter(|_| at >= told_from) {
            facts.extend(words(n, &found.summary));
            lines.extend(earlier_messages(n, &found.summary));
        }
        facts.sort();
        lines.extend(facts.into_iter().map(|(_, text)| text));
        if let Some(by_hand) = handoff.given().get(&n).and_then(|given| given.by_hand.as_ref()) {
            lines.extend(by_hand_lines(&format!("A person changed this by hand after attempt {n}"), by_hand));
        }
    }
    if left_out > 0 {
        let logs: Vec<String> =
            lineage.iter().rev().take(MAX_TOLD).map(|(n, _)| format!("`{}`", log_name(*n, 1))).collect();
        lines.push(format!("{left_out} earlier commands are not listed; the logs have them: {}", logs.join(", ")));
    }
    lines
}

/// When an attempt ran, with which agent and model, and how it ended.
fn heading(handoff: &Handoff, n: AttemptNo, attempt: &Attempt, summary: Option<&Summary>) -> String {
    let model = summary.and_then(|summary| summary.model.as_deref()).or(handoff.model_of(n));
    let agent = match model {
        Some(model) => format!("{} ({})", handoff.agent_of(n), code(model)),
        None => handoff.agent_of(n).to_owned(),
    };
    if attempt.by_hand {
        return heading_by_hand(handoff, n, attempt, &agent);
    }
    let head = format!("Attempt {n} on {} with {agent}", attempt.host);
    let (Some(started), verdict) = (attempt.started, attempt.verdict.as_ref()) else {
        return match &attempt.verdict {
            Some(verdict) => {
                format!("{head} ended before the agent started: {}: {}", verdict.class, quote(&verdict.evidence))
            }
            None => format!("{head} is not known to have started"),
        };
    };
    let since = plain_time(started);
    match (verdict, attempt.ended) {
        (Some(verdict), Some(ended)) => {
            let at = verdict.pointer(n).map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
            let evidence = quote(&verdict.evidence);
            format!("{head}, from {since} to {}, ended {}: {evidence}{at}", plain_time(ended), verdict.class)
        }
        _ => format!("{head} runs since {since}"),
    }
}

/// The same for an attempt that was run by hand: only what its log shows.
fn heading_by_hand(handoff: &Handoff, n: AttemptNo, attempt: &Attempt, agent: &str) -> String {
    let run = handoff.run_by_hand(n);
    let agent = if handoff.is_unrecognised(n) { "an agent CLI that is not known here" } else { agent };
    let log = if run.is_some_and(|run| run.log.is_none()) { "; its log is not here" } else { "" };
    let head = format!("Attempt {n}, run by hand with {agent}{log}");
    match &attempt.verdict {
        Some(verdict) => {
            let at = verdict.pointer(n).map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
            format!("{head}, ended {}: {}{at}", verdict.class, quote(&verdict.evidence))
        }
        None => format!("{head}; nothing shows how it ended"),
    }
}

/// Text of the log for our own sentences, in which it must not look like a claim of ours.
pub fn quote(text: &str) -> String {
    text.replace('`', "'").trim_end_matches('.').to_owned()
}

/// The agent's messages, and the errors and refusals after which it continued, with their places.
fn words(n: AttemptNo, summary: &Summary) -> impl Iterator<Item = ((u32, u64), String)> {
    let of = move |items: &Items, told: fn(&str) -> String| {
        let told = items
            .shown
            .iter()
            .map(move |item| ((item.part, item.line), format!("{} (`{}`)", told(&item.text), item.pointer(n))));
        told.collect::<Vec<_>>()
    };
    let said = of(&summary.messages, |text| format!("The agent said: “{text}”"));
    let refused = of(&summary.refused, |text| format!("Refused: {text}"));
    let survived = of(&summary.survived, |text| format!("The agent continued after: {}", quote(text)));
    said.into_iter().chain(refused).chain(survived)
}

fn earlier_messages(n: AttemptNo, summary: &Summary) -> Option<String> {
    let count = summary.messages.left_out;
    (count > 0).then(|| format!("{count} earlier messages of the agent are not quoted; `{}` has them", log_name(n, 1)))
}

/// What a person did, by commit and file.
pub fn by_hand_lines(head: &str, by_hand: &ByHand) -> Vec<String> {
    let count = if by_hand.count.is_empty() { "no file changed" } else { by_hand.count.as_str() };
    let mut text = format!("{head}: {count}.");
    for commit in &by_hand.commits {
        let (id, subject) = commit.split_once(' ').unwrap_or((commit, ""));
        text.push_str(&format!("\n- commit `{}` {}", code(id), quote(subject)));
    }
    text.extend(by_hand.uncommitted.iter().map(|file| format!("\n- not committed: {}", quote(file))));
    vec![text]
}
