//! One row of the matrix under test. It records its result for `docs/faults.md` at its end.

use std::io::Write;
use std::path::PathBuf;

use crate::matrix::{FAULTS, Fault};

/// A row under test. It passes when dropped, unless it was skipped or the test panics.
#[must_use = "the row is recorded when it is dropped"]
pub struct Row {
    fault: &'static Fault,
    skipped: Option<String>,
}

impl Row {
    /// Begins the row of this number. The calling test must have its name.
    pub fn begin(number: u8) -> Row {
        let fault = FAULTS.iter().find(|fault| fault.number == number).expect("no such row");
        let test = std::thread::current().name().unwrap_or_default().to_owned();
        let wanted = format!("r{number:02}_{}", fault.name);
        assert_eq!(test.rsplit("::").next(), Some(&*wanted), "the test of a row bears its name");
        Row { fault, skipped: None }
    }

    /// Ends the row as skipped, because this machine lacks a facility.
    #[allow(dead_code, reason = "every row may run where nothing is missing")]
    pub fn skip(mut self, missing: &str) {
        self.skipped = Some(missing.to_owned());
        crate::support::skip::record(&format!("row {}", self.fault.number), missing);
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let Some(dir) = results() else { return };
        let outcome = match &self.skipped {
            _ if std::thread::panicking() => "failed".to_owned(),
            Some(missing) => format!("skipped: {missing}"),
            None => "passed".to_owned(),
        };
        let path = dir.join(self.fault.number.to_string());
        let written = std::fs::File::create(path).and_then(|mut file| file.write_all(outcome.as_bytes()));
        // A second panic would hide the first.
        if let Err(error) = written {
            eprintln!("row {}: {error}", self.fault.number);
        }
    }
}

/// The folder for results, from HANDOFF_FAULTS.
pub fn results() -> Option<PathBuf> {
    std::env::var_os("HANDOFF_FAULTS").map(PathBuf::from)
}
