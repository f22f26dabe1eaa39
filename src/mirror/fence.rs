//! Which lines of a Markdown text are code, as CommonMark has it (section 4.5): a `#` there is no heading.

/// Walks a text line by line.
#[derive(Debug, Default)]
pub(super) struct Fences {
    open: Option<Fence>,
}

#[derive(Debug)]
struct Fence {
    sign: char,
    length: usize,
    /// Columns of the list items it stands in.
    offset: usize,
}

impl Fences {
    /// Whether the next line is fenced code or a fence.
    pub(super) fn cover(&mut self, line: &str) -> bool {
        let bare = line.trim_start_matches(' ');
        let indent = line.len() - bare.len();
        if let Some(fence) = &self.open {
            // A line that leaves the list item ends the code in it.
            if indent >= fence.offset || bare.trim().is_empty() {
                if indent < fence.offset + 4 && fence.is_closed_by(bare) {
                    self.open = None;
                }
                return true;
            }
        }
        self.open = opening(bare, indent);
        self.open.is_some()
    }

    /// The line that closes what is open.
    pub(super) fn closer(&self) -> Option<String> {
        let fence = self.open.as_ref()?;
        Some(format!("{}{}\n", " ".repeat(fence.offset), fence.sign.to_string().repeat(fence.length)))
    }
}

impl Fence {
    fn is_closed_by(&self, bare: &str) -> bool {
        let rest = bare.trim_start_matches(self.sign);
        bare.len() - rest.len() >= self.length && rest.trim().is_empty()
    }
}

/// The fence that a line opens, itself or as the content of list items.
fn opening(mut bare: &str, mut indent: usize) -> Option<Fence> {
    let mut offset = 0;
    while indent < 4 {
        if let Some(sign) = bare.chars().next().filter(|sign| matches!(sign, '`' | '~')) {
            let rest = bare.trim_start_matches(sign);
            let length = bare.len() - rest.len();
            // Behind backticks no other may follow, or it is code within a line.
            return (length >= 3 && (sign == '~' || !rest.contains('`'))).then_some(Fence { sign, length, offset });
        }
        let marker = list_marker(bare)?;
        let rest = bare[marker..].trim_start_matches(' ');
        let blanks = bare.len() - marker - rest.len();
        if !(1..=4).contains(&blanks) {
            return None;
        }
        offset += indent + marker + blanks;
        (bare, indent) = (rest, 0);
    }
    None
}

/// Bytes of `-`, `*`, `+`, `1.` or `1)` at the start.
fn list_marker(bare: &str) -> Option<usize> {
    let digits = bare.bytes().take_while(u8::is_ascii_digit).count();
    match (digits, bare.as_bytes().get(digits)?) {
        (0, b'-' | b'*' | b'+') => Some(1),
        (1..=9, b'.' | b')') => Some(digits + 1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One letter a line: `c` for code, `.` for the rest.
    fn map(text: &str) -> String {
        let mut fences = Fences::default();
        text.lines().map(|line| if fences.cover(line) { 'c' } else { '.' }).collect()
    }

    #[test]
    fn fences_open_and_close_as_commonmark_has_it() {
        assert_eq!(map("a\n```\n## x\n```\nb"), ".ccc.");
        assert_eq!(map("````\n```\n## x\n````\nb"), "cccc.", "a shorter fence closes nothing");
        assert_eq!(map("~~~ sh\n```\n~~~~\nb"), "ccc.");
        assert_eq!(map("```\n``` no\n```\nb"), "ccc.", "a closing fence has no words");
        assert_eq!(map("``` a`b\nb"), "..", "code within a line");
        assert_eq!(map("    ```\nb"), "..", "indented code");
        assert_eq!(map("```\n    ```\nc"), "ccc");
    }

    #[test]
    fn a_fence_in_a_list_item_ends_with_the_item() {
        assert_eq!(map("- ```sh\n  ## x\n  ```\n## y"), "ccc.");
        assert_eq!(map("- ```sh\n  ## x\n## y"), "cc.");
        assert_eq!(map("10. - ~~~\n      x\n\n      ~~~\n## y"), "cccc.");
    }

    #[test]
    fn what_is_open_can_be_closed() {
        for text in ["````", "~~~", "- ```x", "1. ```"] {
            let mut fences = Fences::default();
            assert!(fences.cover(text));
            let closer = fences.closer().unwrap();
            assert!(fences.cover(&closer));
            assert_eq!(fences.closer(), None, "{text}");
        }
    }
}
