//! The log's bytes on stdout as they are; everything else on stderr.

use std::io::Write;

use super::line::lines;
use crate::supervise::progress::{Progress, Reporter};

/// Copies log bytes to stdout.
pub struct Raw;

impl Reporter for Raw {
    fn tell(&self, progress: &Progress) {
        match progress {
            Progress::Log { bytes, .. } => {
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(bytes);
                let _ = out.flush();
            }
            Progress::Agent { .. } => {}
            other => {
                for line in lines(other) {
                    let _ = writeln!(std::io::stderr(), "{line}");
                }
            }
        }
    }
}
