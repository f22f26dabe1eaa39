//! The contents of `handoff.md` and the prompts: only the journal's state and what the logs prove.

use std::fmt::Write as _;

use crate::agent::output::Output;
use crate::agent::summary::{Item, Items, Summary};
use crate::config::markdown;
use crate::config::templates::{HandoffPage, PromptContext, PromptKind, TemplateError, render_prompt};
use crate::model::attempt::{AttemptNo, Next};
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;
use crate::model::status::Status;

/// Maximum lines of a list in a prompt; the record has all of them.
const IN_PROMPT: usize = 12;

/// What the attempts' logs say, by attempt.
pub type Findings = Vec<(AttemptNo, Found)>;

/// What the logs of one attempt say.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub summary: Summary,
    /// The end of the output of a failed setup or check.
    pub output: Option<Output>,
}

/// The facts about a handoff that both the prompts and the page contain.
pub struct Story {
    /// The latest known state.
    pub state: Option<String>,
    pub tried: Vec<String>,
    pub files: Vec<String>,
    pub blockers: Vec<String>,
    /// One concrete next step.
    pub next_step: Option<String>,
}

/// Collects the facts.
pub fn story(handoff: &Handoff, findings: &Findings) -> Story {
    let list = |pick: fn(&Summary) -> &Items| -> Vec<String> {
        let items = of_line(handoff, findings)
            .flat_map(|(n, found)| pick(&found.summary).shown.iter().map(move |item| claim(*n, item)));
        items.collect()
    };
    let mut blockers = list(|summary| &summary.blockers);
    if let Some((n, verdict)) = last_verdict(handoff)
        && !matches!(verdict.class, crate::model::verdict::Class::Done | crate::model::verdict::Class::Unchecked)
    {
        let at = verdict.pointer(n).map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
        blockers.push(format!("attempt {n} ended {}: {}{at}", verdict.class, verdict.evidence));
    }
    if let Some((n, verdict)) = last_verdict(handoff) {
        blockers.extend(verdict.notes.iter().map(|note| format!("attempt {n}: {note}")));
    }
    if let Some((n, output)) = last_output(handoff, findings) {
        let end: String = output.lines.iter().map(|line| format!("\n    {line}")).collect();
        blockers.push(format!("attempt {n}: {}; its output ends (`{}`):\n{end}", output.fact(), output.pointer()));
    }
    Story {
        state: state(handoff, findings),
        tried: list(|summary| &summary.tried),
        files: list(|summary| &summary.files),
        blockers,
        next_step: next_step(handoff),
    }
}

/// Where the worktrees of a handoff are now, which may not be where they were when they were recorded.
pub struct Located<'a> {
    /// The worktree that the handoff was given from.
    pub workspace: &'a str,
    /// The worktree of a takeover.
    pub worktree: Option<&'a str>,
}

/// The page's values. `logs`: the names of the files next to it. `overrides`: the user's templates, which are also used
/// for the two prompts.
pub fn page(
    handoff: &Handoff,
    findings: &Findings,
    places: &Located<'_>,
    logs: &[String],
    repo: &str,
    overrides: Option<&std::path::Path>,
) -> Result<HandoffPage, TemplateError> {
    let story = story(handoff, findings);
    let prompt = |kind| with_context(handoff, &story, repo, None, |context| render_prompt(kind, context, overrides));
    let last = handoff.last_attempt();
    let verdict = last_verdict(handoff).map(|(_, verdict)| format!("{} ({})", verdict.class, verdict.evidence));
    Ok(HandoffPage {
        id: handoff.request().id.to_string(),
        status: handoff.status().word().to_owned(),
        task: handoff.request().task.clone(),
        model: handoff.request().model.clone(),
        session: session(handoff),
        workspace: places.workspace.to_owned(),
        started: time(handoff.created_at()),
        current_attempt: last.map_or(1, |(n, _)| n),
        host: Some(handoff.host().to_owned()),
        agent: Some(handoff.request().agent.clone()),
        verdict,
        ended: last.and_then(|(_, attempt)| attempt.ended).map(time),
        unreachable_since: handoff.unreachable().map(|(since, why)| format!("{} ({why})", time(since))),
        extra: extra(handoff, places.worktree),
        commands: handoff.attempts().iter().map(|(n, attempt)| command(*n, attempt)).collect(),
        logs: logs.to_vec(),
        latest_summary: latest_summary(handoff, findings),
        resume_prompt: prompt(PromptKind::Resume)?,
        takeover_prompt: prompt(PromptKind::Takeover)?,
        what_it_tried: story.tried,
        files: story.files,
        errors: story.blockers,
        next_step: story.next_step,
        final_outcome: None,
    })
}

/// Calls `render` with the values that a prompt of this handoff may use.
pub fn with_context<T>(
    handoff: &Handoff,
    story: &Story,
    repo: &str,
    message: Option<&str>,
    render: impl Fn(&PromptContext<'_>) -> T,
) -> T {
    let list = |items: &[String]| {
        let from = items.len().saturating_sub(IN_PROMPT);
        let lines: Vec<String> = items[from..].iter().map(|item| format!("- {item}")).collect();
        (!lines.is_empty()).then(|| lines.join("\n").replace("\n\n", "\n"))
    };
    let (tried, blockers) = (list(&story.tried), list(&story.blockers));
    render(&PromptContext {
        task: &handoff.request().task,
        repo,
        branch: handoff.request().base.branch.as_deref(),
        check: handoff.request().check.as_deref(),
        state: story.state.as_deref(),
        next_step: prompt_step(handoff),
        message,
        tried: tried.as_deref(),
        blockers: blockers.as_deref(),
        editor: Some("Cursor"),
    })
}

/// The command of an attempt as it was run, or as a comment if it has not run. If the host made the session, its id
/// became known only after the command was recorded.
fn command(n: AttemptNo, attempt: &Attempt) -> String {
    let command = match &attempt.session {
        Some(session) => attempt.command.replacen(" SESSION ", &format!(" {session} "), 1),
        None => attempt.command.clone(),
    };
    match (attempt.started, &attempt.outcome) {
        (Some(_), _) => command,
        (None, None) => format!("# attempt {n}, not known to have started: {command}"),
        (None, Some(outcome)) => format!("# attempt {n} ended before its start ({}): {command}", outcome.reason),
    }
}

/// The session of the newest attempt. Sessions of earlier attempts are not used.
fn session(handoff: &Handoff) -> Option<String> {
    match handoff.last_attempt() {
        Some((_, attempt)) if attempt.session.is_some() => attempt.session.clone(),
        // The host has yet to make it.
        Some((_, attempt)) if attempt.started.is_none() && attempt.command.contains(" SESSION ") => None,
        _ => handoff.session().map(str::to_owned),
    }
}

fn claim(n: AttemptNo, item: &Item) -> String {
    format!("{} (`{}`)", item.text, item.pointer(n))
}

fn last_verdict(handoff: &Handoff) -> Option<(AttemptNo, &crate::model::verdict::Verdict)> {
    handoff.lineage().rev().find_map(|(n, attempt)| Some((n, attempt.verdict.as_ref()?)))
}

fn state(handoff: &Handoff, findings: &Findings) -> Option<String> {
    let mut text = String::new();
    for (n, attempt) in handoff.lineage() {
        if let Some(verdict) = &attempt.verdict {
            _ = writeln!(text, "Attempt {n} on {} ended {}: {}", attempt.host, verdict.class, verdict.evidence);
        }
    }
    if let Some((n, said)) =
        of_line(handoff, findings).rev().find_map(|(n, found)| Some((n, found.summary.said.as_ref()?)))
    {
        _ = write!(text, "The agent's last words (`{}`):\n{}", said.pointer(*n), markdown::quoted(&said.text));
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

/// The findings of the attempts that the work is based on.
fn of_line<'a>(
    handoff: &'a Handoff,
    findings: &'a Findings,
) -> impl DoubleEndedIterator<Item = &'a (AttemptNo, Found)> {
    findings.iter().filter(|(n, _)| handoff.attempts().get(n).is_some_and(|attempt| !attempt.superseded))
}

/// The output of the newest attempt if its setup or check failed.
fn last_output<'a>(handoff: &'a Handoff, findings: &'a Findings) -> Option<(AttemptNo, &'a Output)> {
    let (n, found) = of_line(handoff, findings).next_back()?;
    Some((*n, found.output.as_ref()?))
}

fn latest_summary(handoff: &Handoff, findings: &Findings) -> Option<String> {
    let (n, found) = of_line(handoff, findings).next_back()?;
    let summary = &found.summary;
    let running = handoff.phase(*n).is_some_and(|phase| phase.is_open());
    let mut text = String::new();
    if running {
        _ = writeln!(text, "Partial: attempt {n} is still running.\n");
    }
    if let Some(attempt) = handoff.attempts().get(n).filter(|attempt| attempt.verdict.is_some()) {
        _ = writeln!(text, "{}\n", ended(*n, attempt));
    }
    if let Some(said) = &summary.said {
        _ = write!(text, "The agent's last words (`{}`):\n\n{}", said.pointer(*n), markdown::quoted(&said.text));
    }
    let text = text.trim_end();
    (!text.is_empty()).then(|| text.to_owned())
}

fn ended(n: AttemptNo, attempt: &Attempt) -> String {
    let Some(verdict) = &attempt.verdict else { return String::new() };
    let at = verdict.pointer(n).map_or(String::new(), |pointer| format!(" (`{pointer}`)"));
    let work =
        attempt.fetched.as_ref().map_or(String::new(), |commit| format!(" Its work is commit {}.", commit.short()));
    format!(
        "Attempt {n} on {} ended {}: {}{at}.{work}",
        attempt.host,
        verdict.class,
        verdict.evidence.trim_end_matches('.')
    )
}

fn next_step(handoff: &Handoff) -> Option<String> {
    let id = &handoff.request().id;
    let step = match handoff.status() {
        Status::Queued | Status::Running => return None,
        Status::Waiting => "Wait: the next attempt starts by itself.".to_owned(),
        Status::Done => format!("Review the change (`handoff diff {id}`) and take it over (`handoff takeover {id}`)."),
        Status::Interactive => "Review the change in this worktree against the task, then do what is left.".to_owned(),
        Status::Stopped => {
            format!("Continue with `handoff resume {id}`, or take it over with `handoff takeover {id}`.")
        }
        Status::Parked | Status::Failed => {
            match handoff.last_attempt().and_then(|(_, attempt)| attempt.next.as_ref()) {
                Some(Next::Park { why }) if !why.is_empty() => why.clone(),
                _ => format!("See why it ended (`handoff show {id}`), then run `handoff resume {id}`."),
            }
        }
        Status::Finished => return None,
    };
    Some(step)
}

/// The next step for an agent, which has no `handoff` command and cannot ask the user.
fn prompt_step(handoff: &Handoff) -> Option<&'static str> {
    use crate::model::verdict::Class;
    match handoff.history().last()? {
        Class::CheckFailed => Some("Find out why the check fails, fix the cause, and run it again until it passes."),
        Class::NoWork => Some("Nothing is changed so far. Do the task, and leave the result in the checkout."),
        Class::Done | Class::Unchecked => Some("Review what was done against the task, then do what is left."),
        _ => Some(
            "Look at the checkout (git status, git diff), continue where the work was cut off, and finish the task.",
        ),
    }
}

fn extra(handoff: &Handoff, worktree: Option<&str>) -> Vec<(String, String)> {
    let mut lines = vec![("Base".to_owned(), handoff.request().base.head.to_string())];
    if let Some(check) = &handoff.request().check {
        lines.push(("Check".to_owned(), check.clone()));
    }
    if handoff.is_taken_over() {
        let how =
            if handoff.ownership().is_confirmed() { "confirmed by the host" } else { "taken without confirmation" };
        lines.push(("Owner".to_owned(), format!("interactive since epoch {}, {how}", handoff.epoch())));
    }
    for host in handoff.unfenced_hosts() {
        let text =
            "not reachable when the handoff moved on; anything it still produces is saved separately and never applied";
        lines.push(("Not stopped".to_owned(), format!("{host}, {text}")));
    }
    for (n, attempt) in handoff.superseded() {
        let class = attempt.verdict.as_ref().map_or("not known to have ended", |verdict| verdict.class.word());
        let kept = attempt.fetched.as_ref().map_or(String::new(), |_| {
            format!(", saved as refs/handoff/{}/{n}/work and not applied", handoff.request().id)
        });
        lines.push(("Superseded".to_owned(), format!("attempt {n} on {}: {class}{kept}", attempt.host)));
    }
    for (n, attempt) in handoff.attempts() {
        let Some(lacks) = &attempt.uncaptured else { continue };
        for path in &lacks.first {
            let text =
                format!("{} ({} bytes; {}), still on {}", path.path, path.bytes, path.reason.text(), attempt.host);
            lines.push((format!("Not captured of attempt {n}"), text));
        }
        if lacks.more() > 0 {
            let text = format!("{} more paths, still on {}", lacks.more(), attempt.host);
            lines.push((format!("Not captured of attempt {n}"), text));
        }
    }
    if let Some(worktree) = worktree {
        lines.push(("Worktree".to_owned(), worktree.to_owned()));
    }
    lines
}

fn time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
