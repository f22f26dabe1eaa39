//! One event a line, for programs.

use std::io::Write;

use crate::supervise::progress::{Progress, Reporter};

/// Prints each event as a JSON object.
pub struct Json;

impl Reporter for Json {
    fn tell(&self, progress: &Progress) {
        if matches!(progress, Progress::Log { .. }) {
            return;
        }
        let mut out = std::io::stdout().lock();
        if let Ok(line) = serde_json::to_string(progress) {
            let _ = writeln!(out, "{line}");
            let _ = out.flush();
        }
    }
}
