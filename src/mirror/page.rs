//! The contents of `handoff.md` and the prompts: only the journal's state and what the logs prove.

mod blockers;
mod changes;
mod next_step;
mod noted;
mod state;
mod tried;

pub use tried::by_hand_lines;

use crate::agent::output::Output;
use crate::agent::sanitize::code;
use crate::agent::summary::{Item, Summary};
use crate::config::templates::{HandoffPage, PromptContext, PromptKind, TemplateError, render_prompt};
use crate::git::diff::{Changes, how_to_see};
use crate::mirror::RECORD;
use crate::model::attempt::AttemptNo;
use crate::model::attempts::Attempt;
use crate::model::handoff::Handoff;
use crate::model::status::Status;
use state::{latest_summary, state};
use tried::quote;

/// Maximum lines of a list in a prompt; the record has all of them.
const IN_PROMPT: usize = 24;

/// What the logs and git show of the attempts.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    /// By attempt, in order.
    pub attempts: Vec<(AttemptNo, Found)>,
    /// From the base to the newest work that is here.
    pub total: Option<Changes>,
}

/// What is known of one attempt.
#[derive(Clone, Debug, Default)]
pub struct Found {
    pub summary: Summary,
    /// The end of the output of a failed setup or check.
    pub output: Option<Output>,
    /// What it changed; `None` without its work.
    pub changes: Option<Changes>,
}

/// The facts about a handoff that both the prompts and the page contain.
pub struct Story {
    /// The latest known state.
    pub state: Option<String>,
    pub tried: Vec<String>,
    pub files: Vec<String>,
    /// All of the work as one list, for prompts.
    pub all_files: Vec<String>,
    pub blockers: Vec<String>,
    /// What the check said last; `None` without a check.
    pub check: Option<String>,
    /// One concrete next step.
    pub next_step: String,
}

/// Collects the facts.
pub fn story(handoff: &Handoff, findings: &Findings) -> Story {
    Story {
        state: state(handoff, findings),
        tried: tried::tried(handoff, findings),
        files: changes::files(handoff, findings),
        all_files: changes::files_in_prompt(handoff, findings),
        blockers: blockers::blockers(handoff, findings),
        check: check_state(handoff),
        next_step: next_step::next_step(handoff),
    }
}

/// Where the worktrees of a handoff are now, which may not be where they were when they were recorded, and its attached
/// files.
pub struct Located<'a> {
    /// The worktree that the handoff was created in.
    pub workspace: &'a str,
    /// The worktree of a takeover.
    pub worktree: Option<&'a str>,
    /// The attached files.
    pub attached: &'a [String],
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
    let render = |kind| move |context: &PromptContext<'_>| render_prompt(kind, context, overrides);
    let prompt = |kind| with_context(handoff, &story, repo, None, places.attached, render(kind));
    let last = handoff.last_attempt();
    let verdict = last_verdict(handoff).map(|(_, verdict)| format!("{} ({})", verdict.class, quote(&verdict.evidence)));
    Ok(HandoffPage {
        id: handoff.request().id.to_string(),
        status: handoff.status().word().to_owned(),
        task: handoff.request().task.clone(),
        model: model(handoff, findings),
        session: session(handoff),
        workspace: places.workspace.to_owned(),
        started: plain_time(handoff.created_at()),
        current_attempt: last.map_or(1, |(n, _)| n),
        host: (!handoff.is_only_by_hand()).then(|| handoff.host().to_owned()),
        agent: Some(handoff.agent().to_owned()),
        verdict,
        // Only a host records when an attempt ended.
        ended: last.and_then(|(_, attempt)| attempt.ended.filter(|_| !attempt.by_hand)).map(plain_time),
        unreachable_since: handoff.unreachable().map(|(since, why)| format!("{} ({why})", plain_time(since))),
        extra: extra(handoff, places),
        commands: handoff.attempts().iter().map(|(n, attempt)| command(*n, attempt)).collect(),
        logs: logs.to_vec(),
        latest_summary: latest_summary(handoff, findings),
        resume_prompt: prompt(PromptKind::Resume)?,
        takeover_prompt: prompt(PromptKind::Takeover)?,
        what_it_tried: or_known(story.tried, handoff, "Nothing: no attempt has begun."),
        files: or_known(story.files, handoff, "No file is known to have changed."),
        errors: or_known(story.blockers, handoff, "None."),
        next_step: Some(story.next_step),
        outcome: outcome(handoff),
        noted: noted::noted(handoff),
    })
}

/// The items of a section, or `none` once there will be no others by themselves. Without either, the page says that
/// they are pending.
fn or_known(mut items: Vec<String>, handoff: &Handoff, none: &str) -> Vec<String> {
    if items.is_empty() && !matches!(handoff.status(), Status::Queued | Status::Running) {
        items.push(none.to_owned());
    }
    items
}

/// The model that the newest attempt really used, as its CLI reports it, else the one that the user chose.
fn model(handoff: &Handoff, findings: &Findings) -> Option<String> {
    let chosen = handoff.model_of(AttemptNo::MAX);
    let reported = of_line(handoff, findings).rev().find(|(n, _)| handoff.agent_of(*n) == handoff.agent());
    let Some(used) = reported.and_then(|(_, found)| found.summary.model.as_deref()) else {
        return chosen.map(str::to_owned);
    };
    Some(match chosen.filter(|chosen| *chosen != used) {
        Some(chosen) => format!("{used} (chosen: {chosen})"),
        None => used.to_owned(),
    })
}

/// Calls `render` with the values that a prompt of this handoff may use. `attached`: the paths of the attached files, where
/// the laptop knows them.
pub fn with_context<T>(
    handoff: &Handoff,
    story: &Story,
    repo: &str,
    message: Option<&str>,
    attached: &[String],
    render: impl Fn(&PromptContext<'_>) -> T,
) -> T {
    let (tried, blockers) = (in_prompt(&story.tried), in_prompt(&story.blockers));
    let files = in_prompt(&story.all_files);
    let id = &handoff.request().id;
    let fetched = handoff.lineage().rev().find(|(_, attempt)| attempt.fetched.is_some());
    let diff = fetched.map(|(n, _)| how_to_see(id, n));
    let (record, base) = (format!("{RECORD}/{id}"), began_with(handoff));
    let noted = noted::noted_in_prompt(handoff);
    render(&PromptContext {
        task: &handoff.request().task,
        repo,
        branch: handoff.request().base.branch.as_deref(),
        check: handoff.request().check.as_deref(),
        state: story.state.as_deref(),
        next_step: next_step::prompt_step(handoff),
        message,
        tried: tried.as_deref(),
        blockers: blockers.as_deref(),
        editor: Some("Cursor"),
        attached,
        base: &base,
        files: files.as_deref(),
        diff: diff.as_deref(),
        check_state: story.check.as_deref(),
        record: &record,
        noted: noted.as_deref(),
    })
}

/// The last items as a list for a prompt.
fn in_prompt(items: &[String]) -> Option<String> {
    let from = items.len().saturating_sub(IN_PROMPT);
    let earlier = (from > 0).then(|| format!("- ({from} earlier entries are in handoff.md)"));
    let shown = items[from..].iter().map(|item| format!("- {}", item.replace("\n- ", "\n  - ")));
    let lines: Vec<String> = earlier.into_iter().chain(shown).collect();
    (!lines.is_empty()).then(|| lines.join("\n").replace("\n\n", "\n"))
}

/// What the check said after the last attempt that ended, and before it.
fn check_state(handoff: &Handoff) -> Option<String> {
    handoff.request().check.as_ref()?;
    let (n, outcome) = handoff.lineage().rev().find_map(|(n, attempt)| Some((n, attempt.outcome.as_ref()?)))?;
    let said = |status: Option<i32>| match status {
        Some(0) => "passed".to_owned(),
        Some(status) => format!("failed with exit code {status}"),
        None => "did not run".to_owned(),
    };
    let before =
        outcome.check_before.map_or(String::new(), |status| format!("; before the work it {}", said(Some(status))));
    Some(format!("It {} after attempt {n}{before}.", said(outcome.check)))
}

/// The command of an attempt as it was run, or as a comment if it has not run. If the host made the session, its id
/// became known only after the command was recorded.
fn command(n: AttemptNo, attempt: &Attempt) -> String {
    let command = match &attempt.session {
        Some(session) => attempt.command.replacen(" SESSION ", &format!(" {session} "), 1),
        None => attempt.command.clone(),
    };
    match (attempt.started, &attempt.outcome) {
        _ if attempt.by_hand && command.is_empty() => {
            format!("# attempt {n} was run by hand; its command is not known")
        }
        _ if attempt.by_hand => command,
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

/// The findings of the attempts that the work is based on.
fn of_line<'a>(
    handoff: &'a Handoff,
    findings: &'a Findings,
) -> impl DoubleEndedIterator<Item = &'a (AttemptNo, Found)> {
    findings.attempts.iter().filter(|(n, _)| handoff.attempts().get(n).is_some_and(|attempt| !attempt.superseded))
}

/// How the user ended the handoff.
fn outcome(handoff: &Handoff) -> Vec<String> {
    let Some((since, finish)) = handoff.finished() else { return vec![] };
    let last = last_verdict(handoff)
        .map_or(String::new(), |(n, verdict)| format!(", after attempt {n} ended {}", verdict.class));
    let mut lines = vec![format!("Finished: {}{last}.", plain_time(since))];
    if let (Some(branch), Some(commit)) = (&finish.branch, &finish.commit) {
        lines.push(format!("Branch: {}, at commit `{commit}`.", code(branch)));
    }
    lines.extend(finish.pull_request.iter().map(|address| format!("Pull request: {address}")));
    if let Some(by_hand) = &finish.by_hand {
        lines.extend(by_hand_lines("By hand since the takeover", by_hand));
    }
    lines
}

/// What the work began with.
fn beginning(handoff: &Handoff) -> String {
    match handoff.request().base.head.commit() {
        Some(commit) => format!("commit `{commit}`"),
        None => "a branch without a commit".to_owned(),
    }
}

/// The same for a prompt. What was run by hand may have begun with an earlier state than the base.
fn began_with(handoff: &Handoff) -> String {
    match handoff.adopted() {
        Some(adopted) if adopted.work.is_none() && !adopted.attempts.is_empty() => {
            format!("a state that is not known, and was adopted at {}", beginning(handoff))
        }
        _ => beginning(handoff),
    }
}

fn extra(handoff: &Handoff, places: &Located<'_>) -> Vec<(String, String)> {
    let mut lines = vec![("Base".to_owned(), beginning(handoff))];
    if let Some(adopted) = handoff.adopted() {
        let status =
            adopted.status.as_ref().map_or(String::new(), |status| format!("; its status was {}", code(status)));
        let started = adopted.started.as_ref().map_or(String::new(), |at| format!(", started {}", code(at)));
        let said = if adopted.ended_by_user { "; you said that nothing of it runs any more" } else { "" };
        lines.push(("Adopted".to_owned(), format!("from {}{started}{status}{said}", adopted.directory)));
    }
    let attached = handoff.request().attached.iter().flat_map(|attached| &attached.files);
    for (file, path) in attached.zip(places.attached) {
        lines.push(("Attached".to_owned(), format!("{path} ({} bytes)", file.bytes)));
    }
    if let Some(check) = &handoff.request().check {
        lines.push(("Check".to_owned(), check.clone()));
    }
    if handoff.is_taken_over() {
        let how =
            if handoff.ownership().is_confirmed() { "confirmed by the host" } else { "taken without confirmation" };
        lines.push(("Owner".to_owned(), format!("interactive since epoch {}, {how}", handoff.epoch())));
    }
    for (last, given) in handoff.given() {
        lines.push((
            "Given back".to_owned(),
            format!("after attempt {last}, as commit `{}`", given.work.commit.short()),
        ));
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
    if let Some(worktree) = places.worktree {
        lines.push(("Worktree".to_owned(), worktree.to_owned()));
    }
    lines
}

/// The time of day with its date, as everywhere on the page.
pub(super) fn plain_time(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests;
