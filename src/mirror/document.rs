//! `handoff.md` keeps what people write: *Final Outcome*, and every section the template does not know, survive every
//! rendering byte for byte.

/// The section that belongs to people from its first word on.
const OUTCOME: &str = "## Final Outcome";

/// A heading line with what stands under it.
struct Section<'a> {
    /// The `## ` line, trimmed at its end; empty for what stands before the first.
    heading: &'a str,
    /// Heading and body, byte for byte.
    text: &'a str,
}

/// The rendered page with what people wrote in the existing one.
pub fn merge(rendered: &str, existing: Option<&str>) -> String {
    let Some(existing) = existing else { return rendered.to_owned() };
    let (new, old) = (sections(rendered), sections(existing));
    let is_known = |section: &Section| new.iter().any(|known| known.heading == section.heading);
    let mut page = String::with_capacity(rendered.len() + 256);
    // A section of a person's own follows the section it followed before.
    let mut after = String::new();
    let mut own: Vec<(String, &str)> = Vec::new();
    for section in &old {
        if is_known(section) { section.heading.clone_into(&mut after) } else { own.push((after.clone(), section.text)) }
    }
    for section in &new {
        let outcome = old.iter().find(|old| section.heading == OUTCOME && old.heading == OUTCOME);
        add(&mut page, outcome.map_or(section.text, |old| old.text));
        for (_, text) in own.iter().filter(|(after, _)| after == section.heading) {
            add(&mut page, text);
        }
    }
    page
}

/// A section begins on a line of its own.
fn add(page: &mut String, text: &str) {
    if !page.is_empty() && !page.ends_with('\n') {
        page.push('\n');
    }
    page.push_str(text);
}

/// Cuts at `## ` lines outside of fences (CommonMark: three or more backticks or tildes, closed by as many).
fn sections(page: &str) -> Vec<Section<'_>> {
    let mut found = Vec::new();
    let (mut start, mut heading, mut at) = (0, "", 0);
    let mut fence: Option<(char, usize)> = None;
    for line in page.split_inclusive('\n') {
        let text = line.trim_end();
        match (fence, fence_of(text)) {
            (None, Some((mark, length, _))) => fence = Some((mark, length)),
            (Some((open, least)), Some((mark, length, bare))) if open == mark && length >= least && bare => {
                fence = None
            }
            (None, None) if text.starts_with("## ") => {
                if at > 0 {
                    found.push(Section { heading, text: &page[start..at] });
                }
                (start, heading) = (at, text);
            }
            _ => {}
        }
        at += line.len();
    }
    if at > start {
        found.push(Section { heading, text: &page[start..] });
    }
    found
}

/// The mark, its length, and whether nothing follows it.
fn fence_of(line: &str) -> Option<(char, usize, bool)> {
    let text = line.trim_start_matches(' ');
    if line.len() - text.len() > 3 {
        return None;
    }
    let mark = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(mark);
    let length = text.len() - rest.len();
    // The words behind an opening fence of backticks hold none.
    (length >= 3 && !(mark == '`' && rest.contains('`'))).then_some((mark, length, rest.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PAGE: &str =
        "# H\n\n## Metadata\n- a\n\n## Logs\n```text\n## not a heading\n```\n\n## Final Outcome\n\n- Pending.\n";

    #[test]
    fn what_people_wrote_stays() {
        let mine = PAGE.replace("- Pending.", "It works, ship it.").replace("## Logs", "## My Notes\n\n- x\n\n## Logs");
        let merged = merge(&PAGE.replace("- a", "- b"), Some(&mine));
        assert_eq!(merged, mine.replace("- a", "- b"));
    }

    #[test]
    fn a_heading_in_a_fence_is_no_heading() {
        assert_eq!(sections(PAGE).len(), 4);
        assert_eq!(merge(PAGE, Some(PAGE)), PAGE);
        let longer = "## A\n````\n```\n## no\n````\n## B\n";
        let headings: Vec<_> = sections(longer).iter().map(|s| s.heading).collect();
        assert_eq!(headings, ["## A", "## B"]);
    }

    #[test]
    fn an_edit_of_a_known_section_gives_way() {
        let edited = PAGE.replace("- a", "- lies");
        assert_eq!(merge(PAGE, Some(&edited)), PAGE);
    }

    proptest! {
        #[test]
        fn merging_twice_is_merging_once(text in "([#`~a \n]|## |```){0,60}") {
            let once = merge(PAGE, Some(&text));
            prop_assert_eq!(merge(PAGE, Some(&once)), once);
        }

        #[test]
        fn cutting_loses_nothing(text in any::<String>()) {
            let joined: String = sections(&text).iter().map(|section| section.text).collect();
            prop_assert_eq!(joined, text);
        }
    }
}
