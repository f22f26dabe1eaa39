//! Plain lines, for output without a terminal. Anything that the user must do goes to stderr, everything else to
//! stdout.

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

/// Prints a line for each event on stderr, because stdout is for something else.
pub struct PlainErrors;

impl Reporter for PlainErrors {
    fn tell(&self, progress: &Progress) {
        lines(progress).iter().for_each(|line| screen::err(line));
    }
}
