//! A test that cannot run on this machine reports that. `integration/run` prints and counts the reports.

use std::io::Write;

/// Ends the calling test as skipped, with its name and the reason. Use as `return skip!("npm is missing")`.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {
        $crate::support::skip::record(&std::thread::current().name().unwrap_or("a test").to_owned(), &format!($($why)*))
    };
}

/// Writes one line for a skipped test: to stderr, and to the file in HANDOFF_TEST_SKIPS.
///
/// With HANDOFF_TEST_NO_SKIPS it fails instead, for machines that must have everything.
pub fn record(test: &str, why: &str) {
    assert!(std::env::var_os("HANDOFF_TEST_NO_SKIPS").is_none(), "{test} would be skipped: {why}");
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("HANDOFF_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}
