//! Merges a new rendering of `handoff.md` with what people wrote in it, which is kept byte for byte.

use crate::config::{markdown, recorded};

/// The section that people write.
const OUTCOME: &str = "final outcome";

/// Headings of the skill's template in lower case. They are never people's, even if a user's template does not use
/// them.
pub(super) const OURS: [&str; 10] = [
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

/// A heading with the text up to the next one, or the text before the first.
struct Section<'a> {
    /// In lower case; `None` for the text before the first heading.
    name: Option<String>,
    level: u8,
    /// Includes the heading.
    text: &'a [u8],
    /// Offset in `text` at which the heading ends.
    body: usize,
}

/// The rendered page with what people wrote in the existing one: *Final Outcome*, and every section that the rendered
/// page does not have, byte for byte and after the section that it followed. In *Final Outcome*, what handoff recorded
/// comes before what people wrote.
///
/// A section begins at a heading of level 2, or of level 1 below the title, that is not inside another block. A block
/// that was left open is closed at the end of its section. An empty rendering changes nothing.
pub fn merge(rendered: &str, existing: Option<&[u8]>) -> Vec<u8> {
    let Some(existing) = existing else { return rendered.as_bytes().to_vec() };
    if rendered.trim().is_empty() {
        return existing.to_vec();
    }
    let page = sections(rendered.as_bytes());
    let existing = sections(existing);
    let kept = Kept::from(&existing, &page);
    let words: Vec<u8> = kept.outcomes.iter().flat_map(|outcome| outcome.words()).collect();
    let outcome = position(&page, OUTCOME).map_or_else(Vec::new, |at| [page[at].text, &words].concat());
    let mut pieces = Vec::new();
    for (place, section) in page.iter().enumerate() {
        let is_replaced = section.is_outcome() && Some(place) == position(&page, OUTCOME);
        if !is_replaced || kept.outcomes.is_empty() {
            pieces.push(section.text);
        } else if section.is_recorded() {
            pieces.push(&outcome);
        } else {
            pieces.extend(kept.outcomes.iter().map(|outcome| outcome.text));
        }
        pieces.extend(&kept.after[place]);
    }
    join(&pieces)
}

/// The sections that handoff writes, each with its name in lower case and its text. Of *Final Outcome*, only what
/// handoff recorded.
pub fn ours(page: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let of_section = |section: Section<'_>| match section.name? {
        name if name == OUTCOME => Some((name, text(&recorded::of(section.text)))),
        name if OURS.contains(&name.as_str()) => Some((name, text(section.text))),
        _ => None,
    };
    sections(page).into_iter().filter_map(of_section).collect()
}

/// Every section in order: its name in lower case, empty for the text before the first heading, and what is below the
/// heading.
pub fn bodies(page: &[u8]) -> Vec<(String, String)> {
    let body = |section: &Section<'_>| String::from_utf8_lossy(&section.text[section.body..]).into_owned();
    sections(page).iter().map(|section| (section.name.clone().unwrap_or_default(), body(section))).collect()
}

/// Text that people wrote.
struct Kept<'a> {
    outcomes: Vec<&'a Section<'a>>,
    /// Sections to insert after each section of the page.
    after: Vec<Vec<&'a [u8]>>,
}

impl<'a> Kept<'a> {
    fn from(existing: &'a [Section<'a>], page: &[Section<'_>]) -> Kept<'a> {
        let mut kept = Kept { outcomes: Vec::new(), after: vec![Vec::new(); page.len()] };
        let mut place = 0;
        for section in existing {
            let Some(name) = &section.name else { continue };
            match position(page, name) {
                Some(at) => {
                    place = at;
                    if section.is_outcome() && section.is_written() {
                        kept.outcomes.push(section);
                    }
                }
                None if OURS.contains(&name.as_str()) => {}
                None => {
                    // At the very top, a heading of level 1 would be read as the title next time.
                    let title = place == 0 && page[0].text.trim_ascii().is_empty() && section.level == 1;
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

    /// Whether it contains more than the template.
    fn is_written(&self) -> bool {
        is_written(&self.text[self.body..])
    }

    /// Whether it contains a text that handoff recorded.
    fn is_recorded(&self) -> bool {
        recorded::without(self.text).is_some()
    }

    /// What people wrote in it, after an empty line; empty if they wrote nothing.
    fn words(&self) -> Vec<u8> {
        let body = &self.text[self.body..];
        let words = recorded::without(body).unwrap_or_else(|| body.to_vec());
        let start = words.iter().position(|byte| !matches!(byte, b'\n' | b'\r')).unwrap_or(words.len());
        if is_written(&words) { [b"\n", &words[start..]].concat() } else { vec![] }
    }
}

/// Whether the body of a section contains more than the template.
pub(super) fn is_written(body: &[u8]) -> bool {
    !matches!(body.trim_ascii(), b"" | b"-" | b"Pending." | b"- Pending.")
}

fn position(page: &[Section<'_>], name: &str) -> Option<usize> {
    page.iter().position(|section| section.name.as_deref() == Some(name))
}

/// Joins the texts in order. Each begins on a new line and outside the blocks of the others.
fn join(pieces: &[&[u8]]) -> Vec<u8> {
    let pieces: Vec<&[u8]> = pieces.iter().filter(|piece| !piece.is_empty()).copied().collect();
    let mut joined = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + 1).sum());
    for (n, piece) in pieces.iter().enumerate() {
        let mut piece = piece.to_vec();
        if let Some(next) = pieces.get(n + 1) {
            if !piece.ends_with(b"\n") {
                piece.push(b'\n');
            }
            let closer = markdown::closer(&readable(&piece), &readable(next));
            piece.extend_from_slice(closer.as_bytes());
        }
        joined.extend(piece);
    }
    joined
}

/// Cuts the text at its headings. The first piece, which may be empty, is the text before them.
fn sections(bytes: &[u8]) -> Vec<Section<'_>> {
    let text = readable(bytes);
    let (mut found, mut start) = (Vec::new(), 0);
    let (mut name, mut level, mut body) = (None, 0, 0);
    for heading in markdown::headings(&text) {
        let is_title = heading.level == 1 && text[..heading.range.start].trim().is_empty();
        if is_title {
            continue;
        }
        let at = heading.range.start;
        found.push(Section { name: name.replace(heading.name), level, text: &bytes[start..at], body });
        (level, start, body) = (heading.level, at, heading.range.end - at);
    }
    found.push(Section { name, level, text: &bytes[start..], body });
    found
}

/// The bytes as text of the same length. Invalid UTF-8 has no meaning in Markdown.
fn readable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| '?'));
    }
    text
}

#[cfg(test)]
mod tests;
