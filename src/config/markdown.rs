//! Markdown by the rules of CommonMark. People's text is read and agents' text is escaped with one parser, so an
//! escaped text has no heading that this parser would find.

use std::ops::Range;

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag};

/// Maximum rounds of escaping before a text is shown as code instead. One is enough for most texts.
const ROUNDS: usize = 32;

/// A heading of level 1 or 2 that is not inside a list, quote or other block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    pub level: u8,
    /// Its source text in lower case.
    pub name: String,
    /// Byte range of the heading, from the start of its line.
    pub range: Range<usize>,
}

/// The headings that begin sections, in order.
pub fn headings(text: &str) -> Vec<Heading> {
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for (event, range) in parse(text) {
        match event {
            Event::Start(Tag::Heading { level, .. }) => {
                if depth == 0 && matches!(level, HeadingLevel::H1 | HeadingLevel::H2) {
                    let level = if level == HeadingLevel::H1 { 1 } else { 2 };
                    let start = text[..range.start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
                    found.push(Heading { level, name: name(&text[range.clone()]), range: start..range.end });
                }
                depth += 1;
            }
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    found
}

/// The text of a heading in either form (CommonMark, sections 4.2 and 4.3).
fn name(heading: &str) -> String {
    let heading = heading.trim();
    let title = match heading.strip_prefix('#') {
        Some(rest) => {
            let title = rest.trim_start_matches('#').trim();
            // A closing sequence of `#` is not part of the text.
            let bare = title.trim_end_matches('#');
            if bare.is_empty() || bare.ends_with([' ', '\t']) { bare.trim_end() } else { title }
        }
        None => heading.trim_end_matches(['=', '-']).trim(),
    };
    title.to_lowercase()
}

/// The text that ends a block which `text` leaves open, so that a section may follow; usually empty.
pub fn closer(text: &str, next: &str) -> String {
    let is_closed = |closer: &str| {
        let whole = format!("{text}{closer}{next}");
        let at = text.len() + closer.len();
        headings(&whole).iter().any(|heading| heading.range.start == at)
    };
    let ends = ["-->", "?>", "]]>", ">", "</script>", "</pre>", "</style>", "</textarea>"];
    let blank = ["", "\n"].map(str::to_owned);
    let ends = ends.map(|end| format!("{end}\n"));
    let mut candidates = blank.into_iter().chain(open_code_fence(text).map(|fence| fence + "\n")).chain(ends);
    candidates.find(|closer| is_closed(closer)).unwrap_or_else(|| "\n".to_owned())
}

/// The fence of the last code block at the top level, if it is open.
fn open_code_fence(text: &str) -> Option<String> {
    let blocks =
        parse(text).filter_map(|(event, range)| matches!(event, Event::Start(Tag::CodeBlock(_))).then_some(range));
    let block = text[blocks.last()?.start..].trim_start();
    let sign = block.chars().next().filter(|sign| matches!(sign, '`' | '~'))?;
    Some(block.chars().take_while(|c| *c == sign).collect())
}

/// Where a text is inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// On lines of its own.
    Lines,
    /// After our own words on a line, or at the start of a line.
    Line,
}

/// Removes headings, HTML, images and links from foreign Markdown by escaping. Code stays as it is.
pub fn harmless(text: &str, place: Place) -> String {
    let mut text = text.to_owned();
    for _ in 0..ROUNDS {
        let mut places = escapes(&text);
        if place == Place::Line {
            places.extend(escapes(&format!("x {text}")).into_iter().filter_map(|at| at.checked_sub(2)));
            places.sort_unstable();
            places.dedup();
        }
        if places.is_empty() {
            return text;
        }
        let mut escaped = String::with_capacity(text.len() + places.len());
        let mut done = 0;
        for at in places {
            escaped.push_str(&text[done..at]);
            escaped.push('\\');
            done = at;
        }
        escaped.push_str(&text[done..]);
        text = escaped;
    }
    fenced(&text)
}

/// Positions to escape with a backslash: headings, and `<` and `[` outside of code.
fn escapes(text: &str) -> Vec<usize> {
    let (mut places, mut code) = (Vec::new(), Vec::new());
    for (event, range) in parse(text) {
        match event {
            Event::Start(Tag::Heading { .. }) => places.push(mark_of(text, range)),
            Event::Start(Tag::CodeBlock(_)) | Event::Code(_) => code.push(range),
            _ => {}
        }
    }
    let mut code = code.into_iter().peekable();
    for (at, _) in text.match_indices(['<', '[']) {
        while code.next_if(|range| range.end <= at).is_some() {}
        let is_code = code.peek().is_some_and(|range| range.start <= at);
        let backslashes = text[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if !is_code && backslashes % 2 == 0 {
            places.push(at);
        }
    }
    places.sort_unstable();
    places.dedup();
    places
}

/// The first `#` of a heading, or the underline of a heading without `#`.
fn mark_of(text: &str, range: Range<usize>) -> usize {
    let heading = &text[range.clone()];
    let indent = heading.len() - heading.trim_start().len();
    if heading[indent..].starts_with('#') {
        return range.start + indent;
    }
    let bare = heading.trim_end();
    range.start + bare.trim_end_matches(['=', '-']).len()
}

/// Whether the text begins no section and a section can follow it.
pub fn is_contained(text: &str) -> bool {
    let whole = format!("{text}\n\n## x\n");
    let found = headings(&whole);
    found.len() == 1 && found[0].range.start == text.len() + 2
}

/// Quotes each line, so that everything in the text ends with the quotation.
pub fn quoted(text: &str) -> String {
    let line = |line: &str| if line.is_empty() { ">\n".to_owned() } else { format!("> {line}\n") };
    let mut quoted: String = text.lines().map(line).collect();
    quoted.truncate(quoted.trim_end_matches('\n').len());
    quoted
}

/// The text as a block of code.
pub fn fenced(text: &str) -> String {
    let fence = code_fence(text);
    format!("{fence}\n{text}\n{fence}")
}

/// A fence of at least three backticks, longer than any run of them in the text.
pub fn code_fence(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    "`".repeat(longest.max(2) + 1)
}

fn parse(text: &str) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
    Parser::new_ext(text, Options::empty()).into_offset_iter()
}

/// Whether a text contains nothing that [`harmless`] removes.
#[cfg(test)]
pub fn is_harmless(text: &str) -> bool {
    !parse(text).any(|(event, _)| {
        matches!(
            event,
            Event::Start(Tag::Heading { .. } | Tag::HtmlBlock | Tag::Image { .. } | Tag::Link { .. })
                | Event::Html(_)
                | Event::InlineHtml(_)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        headings(text).into_iter().map(|heading| heading.name).collect()
    }

    #[test]
    fn every_form_of_a_heading_is_found_and_no_other_line() {
        let text = "# Title #\r\n   ##\tTabbed ##\n\nUnder\nlined\n---\rOne\r===\r\n- ## in a list\n> ## quoted\n\n    ## code\n\n~~~\n## fenced\n~~~\n<!--\n## hidden\n-->\n### deeper\n##no\n## Last";
        assert_eq!(names(text), ["title", "tabbed", "under\nlined", "one", "last"]);
        let starts: Vec<&str> = headings(text).iter().map(|heading| &text[heading.range.start..][..3]).collect();
        assert_eq!(starts, ["# T", "   ", "Und", "One", "## "]);
    }

    #[test]
    fn no_markdown_of_an_agent_is_a_heading_html_an_image_or_a_link() {
        for text in [
            "ok\n\n##\tFinal Outcome\n",
            "Final Outcome\n-----",
            "Final Outcome\n   ===",
            "   ## Final Outcome ##",
            "a\r## b\r\n#\n##",
            "- a\n  ## b\n\n  c\n  ---",
            "> # q\n> text\nlazy\n> ===",
            "<!-- open\n\n## x",
            "text <!-- open\n## x",
            "<script>\n## x",
            "<img src=x> <a href=\"`\">`</a> `",
            "![i](http://x) [l](x) [r]\n\n[r]: http://x\n\n<http://auto.link>",
            "\\<b> \\\\<b> \\[x](y)",
            "```\n<b> ## x",
            "~~~~\n## x\n~~~",
            "- ```\n  ## x",
            "| a |\n|---|\n| <b> |",
            "a\n1. b\n===\n",
            "`<b>` and ``[x](y)`` stay",
            "&lt;b&gt; &#35;&#35; x",
        ] {
            let alone = harmless(text, Place::Lines);
            assert!(is_harmless(&alone), "{text:?} became {alone:?}");
            let both = harmless(text, Place::Line);
            assert!(is_harmless(&both) && is_harmless(&format!("x {both}")), "{text:?} became {both:?}");
        }
        assert_eq!(harmless("`Vec<T>` in <b>", Place::Line), "`Vec<T>` in \\<b>");
        assert_eq!(harmless("plain *words*, 1 < 2", Place::Lines), "plain *words*, 1 \\< 2");
    }

    #[test]
    fn a_block_left_open_is_closed_before_a_section() {
        for (text, end) in [
            ("a\n", ""),
            ("```sh\nmake\n", "```\n"),
            ("~~~~\n```\n", "~~~~\n"),
            ("- ```\n", ""),
            ("<!-- note\n", "-->\n"),
            ("<pre>\n", "</pre>\n"),
            ("<div>\nx\n", "\n"),
            ("<?x\n", "?>\n"),
        ] {
            assert_eq!(closer(text, "## Next\n"), end, "{text:?}");
        }
        assert_eq!(closer("words\n", "Next\n---\n"), "\n", "or the words would be part of the heading");
    }
}
