use std::fs;

use super::*;
use crate::config::recorded;

const CONTEXT: PromptContext<'static> = PromptContext {
    task: "Fix the benchmark.\n\n  {{ not a template }} <b>&amp;</b>",
    repo: "shop",
    branch: Some("main"),
    check: Some("make test\nmake lint"),
    state: None,
    next_step: None,
    message: None,
    tried: None,
    blockers: None,
    editor: None,
    attached: &[],
    base: "commit `1111111111111111111111111111111111111111`",
    files: None,
    diff: None,
    check_state: None,
    record: ".cursor/agent-handoffs/x",
    noted: None,
};

fn prompt(kind: PromptKind, context: &PromptContext<'_>) -> String {
    render_prompt(kind, context, None).unwrap()
}

#[test]
fn the_prompt_of_a_first_run_has_everything_it_needs() {
    let text = prompt(PromptKind::Fresh, &CONTEXT);
    assert!(text.contains(&format!("Task:\n\n{}\n\n", CONTEXT.task)), "{text}");
    for promise in [
        "No person is watching, and no person can answer",
        "a git checkout of shop on branch main,",
        "    make test\n    make lint\n",
        "Do not push, and do not add, change or remove remotes.",
        "Uncommitted changes are kept",
        "short summary as your last message",
    ] {
        assert!(text.contains(promise), "{promise} is not in\n{text}");
    }
    assert!(text.ends_with(".\n") && !text.contains("\n\n\n") && !text.contains("{%"), "{text}");
}

#[test]
fn unset_values_are_not_mentioned() {
    let context = PromptContext { check: None, branch: None, ..CONTEXT };
    let text = prompt(PromptKind::Fresh, &context);
    assert!(text.contains("with a detached HEAD,") && !text.contains("command") && !text.contains("none"), "{text}");
    assert!(!text.contains("\n\n- Do not push"), "{text}");
}

#[test]
fn the_prompt_of_a_resume_is_complete_and_has_the_skills_sections() {
    let context = PromptContext {
        state: Some("The test is written."),
        next_step: Some("Make it pass."),
        message: Some("Leave bench.rs alone."),
        ..CONTEXT
    };
    let text = prompt(PromptKind::Resume, &context);
    let order = [
        "Continue the delegated task below.\n\nOriginal task:\n\nFix the benchmark.",
        "Latest known state:\n\nThe test is written.\n\n",
        "Message from the user:\n\nLeave bench.rs alone.\n\n",
        "Next step:\n\nMake it pass.\n\n",
        "How this run works:",
    ];
    let places: Vec<usize> =
        order.iter().map(|part| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"))).collect();
    assert!(places.is_sorted());
    let text = prompt(PromptKind::Resume, &CONTEXT);
    assert!(!text.contains("Message from the user") && !text.contains("none") && !text.contains("\n\n\n"), "{text}");
}

#[test]
fn the_checks_output_is_between_head_and_foot() {
    let (head, foot) = (prompt(PromptKind::CheckHead, &CONTEXT), prompt(PromptKind::CheckFoot, &CONTEXT));
    assert!(head.contains("    make test\n    make lint\n") && head.ends_with("-----\n"), "{head}");
    assert!(foot.starts_with('\n') && foot.contains(CONTEXT.task) && foot.contains("No person is watching"), "{foot}");
}

#[test]
fn the_prompt_of_a_takeover_names_what_was_tried_and_the_editor() {
    let context = PromptContext { tried: Some("A lock."), blockers: Some("None."), editor: Some("Cursor"), ..CONTEXT };
    let text = prompt(PromptKind::Takeover, &context);
    assert!(text.starts_with("Continue this task in the current interactive Cursor session.\n"), "{text}");
    assert!(text.contains("What the headless agent already tried:\n\nA lock.\n"), "{text}");
    assert!(
        prompt(PromptKind::Takeover, &CONTEXT).starts_with("Continue this task in the current interactive session.")
    );
}

#[test]
fn attached_files_are_named_by_their_paths_where_these_are_known() {
    let attached = ["/w/.git/handoff/x/attached/a b.png".to_owned()];
    for kind in [PromptKind::Takeover, PromptKind::Resume] {
        let text = prompt(kind, &PromptContext { attached: &attached, ..CONTEXT });
        assert!(text.contains("outside the repository:\n\n- /w/.git/handoff/x/attached/a b.png\n\n"), "{text}");
        assert!(!prompt(kind, &CONTEXT).contains("attached"));
    }
    let head = prompt(PromptKind::Attached, &CONTEXT);
    assert!(head.starts_with('\n') && head.ends_with(":\n\n"), "{head}");
}

/// The page after the first launch.
fn page() -> HandoffPage {
    HandoffPage {
        id: "20260407-fix-benchmark-timeout".into(),
        status: "running".into(),
        task: "Fix the benchmark".into(),
        workspace: "/src/shop".into(),
        started: "2026-04-07T10:00:00Z".into(),
        current_attempt: 1,
        host: Some("buildbox".into()),
        commands: vec!["agent --print < prompt.fresh".into()],
        logs: vec!["attempt-1.log".into()],
        resume_prompt: "Continue the delegated task below.\n".into(),
        takeover_prompt: "Continue this task.\n\n```sh\nmake\n```\n".into(),
        ..HandoffPage::default()
    }
}

#[test]
fn the_page_has_the_sections_of_the_skill() {
    let expected = "\
# Background Agent Handoff: 20260407-fix-benchmark-timeout

## Metadata

- Status: running
- Task: Fix the benchmark
- Model: default
- Session ID: pending
- Workspace: /src/shop
- Started: 2026-04-07T10:00:00Z
- Current attempt: 1
- Host: buildbox

## Commands

```bash
agent --print < prompt.fresh
```

## Logs

- `attempt-1.log`

## Latest Summary

- Pending.

## What It Tried

- Pending.

## Files Or Areas Touched

- Pending.

## Errors Or Blockers

- Pending.

## Recommended Next Step

- Pending.

## Resume Prompt

```text
Continue the delegated task below.
```

## Headed Takeover Prompt

````text
Continue this task.

```sh
make
```
````

## Final Outcome

- Pending.
";
    assert_eq!(render_handoff(&page(), None).unwrap(), expected);
}

#[test]
fn agents_cannot_write_sections() {
    let evil = "fine\n## Final Outcome\n- hacked\n```\nopen".to_owned();
    let text = render_handoff(
        &HandoffPage {
            task: evil.clone(),
            session: Some("a\n## Metadata".into()),
            latest_summary: Some(evil.clone()),
            what_it_tried: vec![evil.clone()],
            errors: vec![evil.clone()],
            next_step: Some(evil.clone()),
            extra: vec![("Note".into(), "x\n## y".into())],
            outcome: vec![evil],
            ..page()
        },
        None,
    )
    .unwrap();
    let headings = |text: &str| text.lines().filter(|l| l.starts_with("## ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(headings(&text), headings(&render_handoff(&page(), None).unwrap()));
    let outcome = &text[text.find("\n## Final Outcome\n").unwrap() + 1..];
    assert!(recorded::without(outcome.as_bytes()).is_some_and(|rest| rest == b"## Final Outcome\n\n"), "{outcome}");
    assert!(text.contains("\n- Note: x ## y\n"), "{text}");
}

#[test]
fn a_users_template_replaces_the_built_in_one() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    write("prompt.rules.j2", "House rules of {{ repo }}.\n");
    let text = render_prompt(PromptKind::Fresh, &CONTEXT, Some(dir.path())).unwrap();
    assert!(text.contains("Fix the benchmark") && text.ends_with("House rules of shop.\n"), "{text}");

    write("handoff.md.j2", "{{ id }}\n");
    assert_eq!(render_handoff(&page(), Some(dir.path())).unwrap(), format!("{}\n", page().id));
}

#[test]
fn a_mistake_in_a_template_is_shown_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("prompt.rules.j2");
    let fails = |text: &str| {
        fs::write(&file, text).unwrap();
        render_prompt(PromptKind::Fresh, &CONTEXT, Some(dir.path())).unwrap_err().to_string()
    };
    let shown = fails("Rules.\nGo to {{ rep }}.\n");
    let place = format!("{}:2:1: undefined value", file.display());
    assert!(shown.starts_with(&place) && shown.contains("2 | Go to {{ rep }}.\n"), "{shown}");
    assert!(
        shown.ends_with(
            "\n  known here: task, repo, branch, check, state, next_step, message, tried, blockers, editor, attached, base, files, diff, check_state, record, noted"
        ),
        "{shown}"
    );
    let shown = fails("{% if %}\n");
    assert!(shown.starts_with(&format!("{}:1:1: syntax error", file.display())), "{shown}");

    fs::create_dir(dir.path().join("prompt.fresh.j2")).unwrap();
    let error = render_prompt(PromptKind::Fresh, &CONTEXT, Some(dir.path())).unwrap_err();
    assert!(matches!(error, TemplateError::Unreadable { .. }), "{error}");
}
