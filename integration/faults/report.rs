//! `docs/faults.md`, made of the matrix and of what the run before this one found.

use std::path::Path;

use crate::matrix::FAULTS;
use crate::row::results;

const HEAD: &str = "# Faults\n\n\
    Every row is a test in `integration/faults/` that injects the fault into a real sshd, a real line, real processes or a\n\
    real file system. `integration/run faults` runs them all, writes this page, and fails when it differs from what is\n\
    committed. A row is skipped only where a probe finds a facility of the machine missing.\n\n\
    | # | fault injected | what is promised | outcome |\n|---|---|---|---|\n";

/// Compares the page with the run; `HANDOFF_FAULTS_WRITE` writes it instead. Runs after all others: `integration/run faults`.
#[test]
#[ignore = "reads what the other tests of a run recorded"]
fn the_page_says_what_the_run_found() {
    let results = results().expect("HANDOFF_FAULTS names the directory of a run's results");
    let outcome = |number: u8| std::fs::read_to_string(results.join(number.to_string())).ok();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut page = HEAD.to_owned();
    for fault in FAULTS {
        let found = outcome(fault.number).unwrap_or_else(|| "not run".to_owned());
        page += &format!("| {} | {} | {} | {found} |\n", fault.number, fault.injected, fault.promised);
    }
    if std::env::var_os("HANDOFF_FAULTS_WRITE").is_some() {
        std::fs::write(&path, &page).unwrap();
        return;
    }
    for (line, (now, before)) in page.lines().zip(committed.lines().chain(std::iter::repeat(""))).enumerate() {
        assert_eq!(now, before, "docs/faults.md:{} is not what this run found", line + 1);
    }
    assert_eq!(page.len(), committed.len(), "docs/faults.md has lines that no row makes");
    let ran = FAULTS.iter().filter(|fault| outcome(fault.number).is_some_and(|found| found == "passed")).count();
    println!("{ran} of {} rows passed", FAULTS.len());
}
