//! Plain lines: what one sees where there is no terminal. What a person must do is said on stderr, all else on stdout.

use std::io::Write;

use super::line::lines;
use crate::supervise::progress::{Progress, Reporter};

/// Prints a line for each event.
pub struct Plain;

impl Reporter for Plain {
    fn tell(&self, progress: &Progress) {
        if let Progress::Parked { .. } = progress {
            lines(progress).iter().for_each(|line| eprintln!("{line}"));
            return;
        }
        let mut out = std::io::stdout().lock();
        for line in lines(progress) {
            // A closed pipe ends our printing, never the task.
            let _ = writeln!(out, "{line}");
        }
        let _ = out.flush();
    }
}
