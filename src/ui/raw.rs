//! Writes the log's bytes to stdout unchanged, and everything else to stderr.

use super::line::lines;
use super::screen;
use crate::supervise::progress::{Progress, Reporter};

/// Copies log bytes to stdout.
pub struct Raw;

impl Reporter for Raw {
    fn tell(&self, progress: &Progress) {
        match progress {
            Progress::Log { bytes, .. } => {
                screen::raw(bytes);
            }
            Progress::Agent { .. } => {}
            other => {
                lines(other).iter().for_each(|line| screen::err(line));
            }
        }
    }
}
