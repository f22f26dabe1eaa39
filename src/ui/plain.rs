//! Plain lines: what one sees where there is no terminal. What a person must do is said on stderr, all else on stdout.

use super::line::lines;
use super::screen;
use crate::supervise::progress::{Progress, Reporter};

/// Prints a line for each event.
pub struct Plain;

impl Reporter for Plain {
    fn tell(&self, progress: &Progress) {
        if let Progress::Parked { .. } = progress {
            lines(progress).iter().for_each(|line| screen::err(line));
            return;
        }
        lines(progress).iter().for_each(|line| screen::out(line));
    }
}
