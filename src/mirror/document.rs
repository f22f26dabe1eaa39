//! `handoff.md` rendered anew, with what people wrote in it kept.

use super::fence::Fences;

/// The section that belongs to people.
const OUTCOME: &str = "final outcome";

/// Headings of the skill's template, lower-cased: never people's, even where a template of the user's has no use for
/// them.
const OURS: [&str; 10] = [
    "metadata",
    "commands",
    "logs",
    "latest summary",
    "what it tried",
    "files or areas touched",
    "errors or blockers",
    "recommended next step",
    "resume prompt",
    "headed takeover prompt",
];

/// A heading and what follows it, up to the next; or what stands before the first.
struct Section<'a> {
    /// Lower-cased; `None` for what stands before the first heading.
    name: Option<String>,
    /// With its heading.
    text: &'a str,
}

/// The rendered page with what people wrote in the existing one: *Final Outcome*, and every section the rendered page
/// does not have, byte for byte and behind the section it followed.
///
/// A section begins at a heading of level 2 outside code, or of level 1 below the title. A fence that was left open is
/// closed at the end of its section. An empty rendering changes nothing.
pub fn merge(rendered: &str, existing: Option<&str>) -> String {
    let Some(existing) = existing else { return rendered.to_owned() };
    if rendered.trim().is_empty() {
        return existing.to_owned();
    }
    let page = sections(rendered);
    let kept = Kept::from(&sections(existing), &page);
    let mut pieces = Vec::new();
    for (place, section) in page.iter().enumerate() {
        if section.is_outcome() && !kept.outcomes.is_empty() && Some(place) == position(&page, OUTCOME) {
            pieces.extend(&kept.outcomes);
        } else {
            pieces.push(section.text);
        }
        pieces.extend(&kept.after[place]);
    }
    join(&pieces)
}

/// What people wrote.
struct Kept<'a> {
    outcomes: Vec<&'a str>,
    /// Sections to put behind each of the page's.
    after: Vec<Vec<&'a str>>,
}

impl<'a> Kept<'a> {
    fn from(existing: &[Section<'a>], page: &[Section<'_>]) -> Kept<'a> {
        let mut kept = Kept { outcomes: Vec::new(), after: vec![Vec::new(); page.len()] };
        let mut place = 0;
        for section in existing {
            let Some(name) = &section.name else { continue };
            match position(page, name) {
                Some(at) => {
                    place = at;
                    if section.is_outcome() && section.is_written() {
                        kept.outcomes.push(section.text);
                    }
                }
                None if OURS.contains(&name.as_str()) => {}
                None => {
                    // At the very top, a heading of level 1 would be the title the next time.
                    let title = place == 0 && page[0].text.trim().is_empty() && level(section.text) == Some(1);
                    kept.after[if title { 1.min(page.len() - 1) } else { place }].push(section.text);
                }
            }
        }
        kept
    }
}

impl Section<'_> {
    fn is_outcome(&self) -> bool {
        self.name.as_deref() == Some(OUTCOME)
    }

    /// Whether it says more than the template does.
    fn is_written(&self) -> bool {
        let body = self.text.split_once('\n').map_or("", |(_, body)| body);
        !matches!(body.trim(), "" | "-" | "Pending." | "- Pending.")
    }
}

fn position(page: &[Section<'_>], name: &str) -> Option<usize> {
    page.iter().position(|section| section.name.as_deref() == Some(name))
}

/// The texts in order, each on lines of its own and none within the code of another.
fn join(pieces: &[&str]) -> String {
    let mut joined = String::with_capacity(pieces.iter().map(|piece| piece.len() + 1).sum());
    for (n, piece) in pieces.iter().enumerate() {
        joined.push_str(piece);
        if n + 1 == pieces.len() || piece.is_empty() {
            continue;
        }
        if !piece.ends_with('\n') {
            joined.push('\n');
        }
        let mut fences = Fences::default();
        for line in piece.split_inclusive('\n') {
            fences.cover(line);
        }
        joined.extend(fences.closer());
    }
    joined
}

/// The text cut at its headings; the first piece, perhaps empty, stands before them.
fn sections(text: &str) -> Vec<Section<'_>> {
    let mut found = Vec::new();
    let (mut name, mut start, mut at) = (None, 0, 0);
    let (mut fences, mut blank_so_far) = (Fences::default(), true);
    for line in text.split_inclusive('\n') {
        if !fences.cover(line)
            && let Some((level, title)) = heading(line)
            && (level == 2 || !blank_so_far)
        {
            found.push(Section { name: name.take(), text: &text[start..at] });
            (name, start) = (Some(title.to_lowercase()), at);
        }
        blank_so_far &= line.trim().is_empty();
        at += line.len();
    }
    found.push(Section { name, text: &text[start..] });
    found
}

/// Level and title of an ATX heading of level 1 or 2 (CommonMark, section 4.2).
fn heading(line: &str) -> Option<(usize, &str)> {
    let bare = line.trim_start_matches(' ');
    let rest = bare.trim_start_matches('#');
    let level = bare.len() - rest.len();
    let is_heading = line.len() - bare.len() < 4 && (1..=2).contains(&level);
    let ends = rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']);
    let title = rest.trim();
    // A closing run of signs is decoration.
    let undecorated = title.trim_end_matches('#');
    let title =
        if undecorated.is_empty() || undecorated.ends_with([' ', '\t']) { undecorated.trim_end() } else { title };
    (is_heading && ends).then_some((level, title))
}

fn level(section: &str) -> Option<usize> {
    heading(section.split_inclusive('\n').next()?).map(|(level, _)| level)
}

#[cfg(test)]
mod tests;
