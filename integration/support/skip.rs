//! A test that cannot run here says so; `integration/run` prints and counts what was said.

use std::io::Write;

/// Ends the calling test as skipped, with its name and the reason. Use as `return skip!("npm is missing")`.
#[macro_export]
macro_rules! skip {
    ($($why:tt)*) => {
        $crate::support::skip::record(&std::thread::current().name().unwrap_or("a test").to_owned(), &format!($($why)*))
    };
}

/// Writes one line for a skipped test: to stderr, and to the file that HANDOFF_TEST_SKIPS names.
///
/// With HANDOFF_TEST_NO_SKIPS set it fails instead, for machines that are known to have everything.
pub fn record(test: &str, why: &str) {
    assert!(std::env::var_os("HANDOFF_TEST_NO_SKIPS").is_none(), "{test} would be skipped: {why}");
    eprintln!("SKIPPED {test}: {why}");
    if let Some(path) = std::env::var_os("HANDOFF_TEST_SKIPS") {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{test}: {why}").unwrap();
    }
}
