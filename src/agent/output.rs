//! The end of the output of a setup or check, which shows why it failed.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use serde::Serialize;

use crate::agent::sanitize::one_line;

/// Maximum lines that are shown.
pub const LINES: usize = 10;
/// Maximum characters of a line.
const WIDTH: usize = 160;
/// Bytes at the end of a file that are searched for lines.
const WINDOW: u64 = 16 << 10;
const CHUNK: usize = 256 << 10;

/// The last output of a step of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Output {
    /// `setup` or `check`.
    pub step: String,
    /// Its exit status, if known.
    pub status: Option<i32>,
    /// The name of the file in the record.
    pub log: String,
    /// Number of the first shown line, from 1.
    pub line: u64,
    /// The last lines, made printable.
    pub lines: Vec<String>,
}

impl Output {
    /// Reads the end of a log whose file has this name; `None` if it is empty.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(step: &str, status: Option<i32>, name: String, mut file: File) -> std::io::Result<Option<Output>> {
        let length = file.metadata()?.len();
        let start = length.saturating_sub(WINDOW);
        // Lines before the searched part are only counted.
        let mut before = 0;
        let mut buffer = vec![0; CHUNK];
        let mut head = (&mut file).take(start);
        loop {
            match head.read(&mut buffer)? {
                0 => break,
                read => before += memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64,
            }
        }
        file.seek(SeekFrom::Start(start))?;
        let mut end = Vec::new();
        file.take(WINDOW).read_to_end(&mut end)?;
        let text = String::from_utf8_lossy(&end);
        let numbered = (before + 1..).zip(text.lines());
        // The searched part may begin within a line.
        let whole = numbered.skip(usize::from(start > 0 && text.contains('\n')));
        let lines: Vec<(u64, String)> = whole.map(|(n, line)| (n, one_line(line, WIDTH))).collect();
        let last = lines.iter().rposition(|(_, line)| !line.is_empty()).map_or(0, |at| at + 1);
        let lines = &lines[last.saturating_sub(LINES)..last];
        let Some((line, _)) = lines.first() else { return Ok(None) };
        let shown = lines.iter().map(|(_, line)| line.clone()).collect();
        Ok(Some(Output { step: step.to_owned(), status, log: name, line: *line, lines: shown }))
    }

    /// `the check failed with exit code 1`.
    pub fn fact(&self) -> String {
        match self.status {
            Some(status) => format!("the {} failed with exit code {status}", self.step),
            None => format!("the {} failed", self.step),
        }
    }

    /// `attempt-1.check.log:118`.
    pub fn pointer(&self) -> String {
        format!("{}:{}", self.log, self.line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Output> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("attempt-1.check.log");
        std::fs::write(&path, text).unwrap();
        Output::read("check", Some(1), "attempt-1.check.log".to_owned(), File::open(&path).unwrap()).unwrap()
    }

    #[test]
    fn the_last_lines_are_shown_with_the_number_of_the_first() {
        let long: String = (1..=50_000).map(|n| format!("line {n}\n")).collect();
        let output = read(&format!("{long}\n\n")).unwrap();
        assert_eq!((output.lines.len(), output.lines[9].as_str()), (LINES, "line 50000"));
        assert_eq!((output.lines[0].as_str(), output.pointer().as_str()), ("line 49991", "attempt-1.check.log:49991"));
        let short = read("a\x1b[2J\nlast").unwrap();
        assert_eq!((short.line, short.lines), (1, vec!["a [2J".to_owned(), "last".into()]));
        assert_eq!(read(""), None);
        assert_eq!(read(&"x".repeat(100_000)).unwrap().lines[0].chars().count(), WIDTH);
    }
}
