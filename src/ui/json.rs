//! Prints one JSON event a line, for programs.

use super::screen;
use crate::supervise::progress::{Progress, Reporter};

/// Prints each event as a JSON object.
pub struct Json;

impl Reporter for Json {
    fn tell(&self, progress: &Progress) {
        if matches!(progress, Progress::Log { .. }) {
            return;
        }
        screen::out(&screen::json(progress));
    }
}
