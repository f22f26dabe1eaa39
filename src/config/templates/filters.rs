//! Filters for templates. Text from hosts and agents must not be able to end a section, a list or a fence of the page.

use minijinja::Environment;

use crate::config::markdown::{self, Place};
use crate::config::recorded;

/// Adds the filters `line`, `item`, `prose`, `plain`, `quoted` and the functions `fence` and `recorded`.
pub(super) fn add_to(environment: &mut Environment<'_>) {
    environment.add_filter("line", |text: String| line(&text));
    environment.add_filter("item", |text: String| item(&text));
    environment.add_filter("prose", |text: String| prose(&text));
    environment.add_filter("plain", |text: String| plain(&text));
    environment.add_filter("quoted", |text: String| quoted(&text));
    environment.add_function("fence", |text: String| code_fence(&text));
    environment.add_function("recorded", |items: Vec<String>| list(&items));
}

/// A list for a section of people's, between marks.
fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|text| format!("- {}", item(text))).collect();
    recorded::marked(&items.join("\n"))
}

/// A fence of at least three backticks, longer than any run of them in the text after [`plain`].
fn code_fence(text: &str) -> String {
    markdown::code_fence(&plain(text))
}

/// The text on one line, with each run of white space as one space.
fn line(text: &str) -> String {
    markdown::harmless(&plain(text).split_whitespace().collect::<Vec<_>>().join(" "), Place::Line)
}

/// A text of several lines for a list item: prose with its later lines indented.
fn item(text: &str) -> String {
    let prose = contained(text, Place::Line);
    let mut lines = prose.lines();
    let mut item = lines.next().unwrap_or_default().trim_start().to_owned();
    for line in lines {
        item.push('\n');
        if !line.is_empty() {
            item.push_str("  ");
            item.push_str(line);
        }
    }
    item
}

/// Foreign Markdown for a section of ours: it begins no section, and ends in the one that it is in. A text that would
/// reach beyond its section is quoted.
fn prose(text: &str) -> String {
    contained(text, Place::Lines)
}

/// Foreign Markdown as a quotation, in which nothing counts as a claim of ours.
fn quoted(text: &str) -> String {
    let plain = plain(text);
    let quoted = markdown::quoted(&markdown::harmless(plain.trim_start_matches('\n'), Place::Lines));
    // Every line stays quoted, whatever is in it.
    if markdown::is_contained(&quoted) { quoted } else { markdown::quoted(&markdown::fenced(&plain)) }
}

fn contained(text: &str, place: Place) -> String {
    let text = plain(text);
    let harmless = markdown::harmless(text.trim_start_matches('\n'), place);
    if markdown::is_contained(&harmless) {
        return harmless;
    }
    let quoted = markdown::quoted(&harmless);
    if markdown::is_contained(&quoted) { quoted } else { markdown::fenced(&text) }
}

/// The text with line feeds as its only line endings, without control characters except tabs, and without trailing
/// white space.
fn plain(text: &str) -> String {
    let lines = text.replace("\r\n", "\n").replace(['\r', '\u{85}', '\u{b}', '\u{c}', '\u{2028}', '\u{2029}'], "\n");
    let kept = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let mut plain: String = lines.chars().filter(kept).collect();
    plain.truncate(plain.trim_end().len());
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_fence_is_longer_than_any_in_the_text() {
        assert_eq!(code_fence("plain"), "```");
        assert_eq!(code_fence("a ``` b"), "````");
        assert_eq!(code_fence("`````"), "``````");
        assert_eq!(code_fence("``\u{7}`"), "````");
    }

    #[test]
    fn prose_cannot_start_a_section_or_hide_the_rest() {
        assert_eq!(prose("ok\n## Final Outcome\n#tag"), "ok\n\\## Final Outcome\n#tag");
        assert_eq!(
            prose("ok\r##\tFinal\u{2028}Outcome\n---"),
            "ok\n\\##\tFinal\nOutcome\n---".replace("\n---", "\n\\---")
        );
        assert_eq!(prose("```sh\n# comment\n```\n# Title"), "```sh\n# comment\n```\n\\# Title");
        assert_eq!(prose("~~~~\n## x\n~~~"), "> ~~~~\n> ## x\n> ~~~");
        assert_eq!(prose("a\u{1b}[31mb\r\nc\u{0}"), "a\\[31mb\nc");
    }

    #[test]
    fn items_and_lines_cannot_leave_their_list() {
        assert_eq!(item("one\n\n## two\n- three"), "one\n\n  \\## two\n  - three");
        assert_eq!(line(" a\n## b\t c "), "a ## b c");
        assert_eq!(line("<!-- # b"), "\\<!-- # b");
    }

    proptest! {
        #[test]
        fn no_text_adds_or_changes_a_section(
            text in "([#` ~a<!>=|*+-]|\n|\r|\t|## |```|~~~|<!--|-->|<script>|    |===|\n---|\\[x\\]: y|\u{2028}|1\\. |> |\\\\){0,40}"
        ) {
            let page = format!(
                "# Title\n\n## One\n\n{}\n\n## Two\n\n- Label: {}\n- {}\n- Next: {}\n\n## Three\n",
                prose(&text), item(&text), item(&text), line(&text)
            );
            let names: Vec<_> = markdown::headings(&page).into_iter().map(|heading| heading.name).collect();
            prop_assert_eq!(names, ["title", "one", "two", "three"], "{}", page);
        }
    }
}
