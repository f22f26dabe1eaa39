//! Patterns of the user that select nothing, so that a typing error is noticed before the host lacks a file.

use std::path::Path;

use super::Include;
use super::scratch::Scratch;
use crate::git::{Error, Result};

/// The patterns of a new handoff that match no path of `sent`, an index of everything that is sent.
pub(super) fn find(scratch: &Scratch, include: Include, sent: &Path) -> Result<Vec<String>> {
    let mut unmatched = Vec::new();
    for pattern in include.patterns.iter().filter(|_| include.run.is_some()) {
        let file = scratch.place("pattern");
        std::fs::write(&file, format!("{pattern}\n")).map_err(Error::io("write", &file))?;
        let mut question = std::ffi::OsString::from("--exclude-from=");
        question.push(&file);
        if scratch.git("ls-files").index(sent).args(["-z", "-c", "-i"]).arg(question).run()?.is_empty() {
            unmatched.push(pattern.clone());
        }
    }
    Ok(unmatched)
}
