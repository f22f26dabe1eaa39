//! What templates may call. Texts of hosts and agents must not be able to end a section, a list or a fence of the page.

use minijinja::Environment;

/// Adds the filters `line`, `item`, `prose`, `plain` and the function `fence`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    environment.add_filter("line", |text: String| line(&text));
    environment.add_filter("item", |text: String| item(&text));
    environment.add_filter("prose", |text: String| prose(&text));
    environment.add_filter("plain", |text: String| plain(&text));
    environment.add_function("fence", |text: String| fence(&text));
}

/// A fence of backticks longer than any run of them in the text as [`plain`] leaves it, three at least.
fn fence(text: &str) -> String {
    let longest = plain(text).split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

/// Everything on one line, runs of white space as one blank.
fn line(text: &str) -> String {
    plain(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of several lines inside a list item: prose whose later lines are indented.
fn item(text: &str) -> String {
    let prose = prose(text);
    let mut lines = prose.lines();
    let mut item = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        item.push('\n');
        if !line.is_empty() {
            item.push_str("  ");
            item.push_str(line);
        }
    }
    item
}

/// Markdown of somebody else's in a section of ours: headings that would look like ours are escaped, and a fence that
/// was left open is closed.
fn prose(text: &str) -> String {
    let mut open: Option<&str> = None;
    let text = plain(text);
    let mut prose = String::with_capacity(text.len());
    for line in text.lines() {
        let bare = line.trim_start_matches(' ');
        let run = run_of_fence(bare).filter(|_| line.len() - bare.len() < 4);
        match (open, run) {
            (None, Some(run)) => open = Some(run),
            (Some(opened), Some(run)) if closes(opened, run, bare) => open = None,
            (None, None) if bare.starts_with("# ") || bare.starts_with("## ") || matches!(bare, "#" | "##") => {
                prose.push_str(&line[..line.len() - bare.len()]);
                prose.push('\\');
                prose.push_str(bare);
                prose.push('\n');
                continue;
            }
            _ => {}
        }
        prose.push_str(line);
        prose.push('\n');
    }
    match open {
        Some(run) => prose.push_str(run),
        None => prose.truncate(prose.trim_end().len()),
    }
    prose
}

/// The three or more backticks or tildes that a line begins with.
fn run_of_fence(line: &str) -> Option<&str> {
    let sign = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let run = &line[..line.len() - line.trim_start_matches(sign).len()];
    // Behind an opening run of backticks no other may follow, or it is code within a line.
    (run.len() >= 3 && (sign == '~' || !line[run.len()..].contains('`'))).then_some(run)
}

fn closes(opened: &str, run: &str, line: &str) -> bool {
    run.starts_with(opened) && line[run.len()..].trim().is_empty()
}

/// The text without control characters other than newlines and tabs, and without white space at its end.
fn plain(text: &str) -> String {
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut plain: String = text.chars().filter(kept).collect();
    plain.truncate(plain.trim_end().len());
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(fence("plain"), "```");
        assert_eq!(fence("a ``` b"), "````");
        assert_eq!(fence("`````"), "``````");
        assert_eq!(fence("``\u{7}`"), "````");
    }

    #[test]
    fn prose_cannot_start_a_section_or_swallow_the_rest() {
        assert_eq!(prose("ok\n## Final Outcome\n### fine\n#tag"), "ok\n\\## Final Outcome\n### fine\n#tag");
        assert_eq!(prose("```sh\n# comment\n```\n# Title"), "```sh\n# comment\n```\n\\# Title");
        assert_eq!(prose("~~~~\n## x\n~~~"), "~~~~\n## x\n~~~\n~~~~");
        assert_eq!(prose("a\u{1b}[31mb\r\nc\u{0}"), "a[31mb\nc");
    }

    #[test]
    fn items_and_lines_stay_in_their_place() {
        assert_eq!(item("one\n\n## two\n- three"), "one\n\n  \\## two\n  - three");
        assert_eq!(line(" a\n## b\t c "), "a ## b c");
    }

    proptest! {
        #[test]
        fn no_prose_has_a_heading_of_ours_outside_fences(text in "([#` ~a\n]|## |```){0,40}") {
            let page = format!("{}\n## Ours\n", prose(&text));
            let mut open: Option<String> = None;
            let mut headings = Vec::new();
            for line in page.lines() {
                let bare = line.trim_start_matches(' ');
                match (&open, run_of_fence(bare).filter(|_| line.len() - bare.len() < 4)) {
                    (None, Some(run)) => open = Some(run.to_owned()),
                    (Some(opened), Some(run)) if closes(opened, run, bare) => open = None,
                    (None, None) if line.starts_with("## ") => headings.push(line.to_owned()),
                    _ => {}
                }
            }
            prop_assert_eq!(headings, ["## Ours"]);
        }
    }
}
