//! `docs/faults.md`, made from the matrix and the results of the preceding run.

use std::path::Path;

use crate::matrix::{FAULTS, Fault};
use crate::row::results;

const HEAD: &str = "# Faults\n\
    \n\
    Every row is a test in `integration/faults/`. It injects the fault into a real sshd, a real connection, real processes or a real\n\
    file system. `integration/run faults` runs them all and fails when this page differs from what the run found. A row is skipped\n\
    only where a probe finds that the machine lacks something: the run then names it, and the row counts as not tried.\n\
    `HANDOFF_FAULTS_WRITE=1 integration/run faults` writes the page again.\n\
    \n\
    | # | fault injected | what is promised | outcome |\n\
    |---|---|---|---|\n";

/// Compares the page with the run, or writes it with HANDOFF_FAULTS_WRITE. `integration/run faults` runs this after all
/// other tests.
#[test]
#[ignore = "reads what the other tests of a run recorded"]
fn the_page_says_what_the_run_found() {
    let results = results().expect("HANDOFF_FAULTS names the directory of a run's results");
    let outcome = |fault: &Fault| {
        let found = std::fs::read_to_string(results.join(fault.number.to_string()));
        found.unwrap_or_else(|_| "not run".to_owned())
    };
    let line = |fault: &Fault, outcome: &str| {
        format!("| {} | {} | {} | {outcome} |\n", fault.number, fault.injected, fault.promised)
    };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    if std::env::var_os("HANDOFF_FAULTS_WRITE").is_some() {
        let rows: String = FAULTS.iter().map(|fault| line(fault, &outcome(fault))).collect();
        std::fs::write(&path, format!("{HEAD}{rows}")).unwrap();
        return;
    }
    let rows = committed.strip_prefix(HEAD).expect("docs/faults.md has another head");
    assert_eq!(rows.lines().count(), FAULTS.len(), "docs/faults.md needs one line for each row");
    let (mut ran, mut untried) = (0, 0);
    for (fault, row) in FAULTS.iter().zip(rows.split_inclusive('\n')) {
        let found = outcome(fault);
        ran += u32::from(found == "passed");
        if found.starts_with("skipped: ") && row == line(fault, "passed") {
            // The row passed on the machine that made the page. This machine lacks a facility for it.
            untried += 1;
            println!("  row {} was not tried here: {found}", fault.number);
            continue;
        }
        assert_eq!(row, line(fault, &found), "docs/faults.md differs from what this run found");
    }
    println!("  {ran} of {} rows passed, {untried} that pass elsewhere were not tried here", FAULTS.len());
}
