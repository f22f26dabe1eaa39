//! The fault matrix: each fault between a laptop and a host, its injection by a test, and the promise. The rows are in
//! one file for each kind of fault.

mod host;
mod logs;
mod network;
mod objects;
mod processes;
mod repository;
mod trees;

use std::sync::LazyLock;

/// One row. `docs/faults.md` consists of the rows and of the results of a run.
#[derive(Clone, Copy)]
pub struct Fault {
    pub number: u8,
    /// The test's name after `r<number>_`.
    pub name: &'static str,
    pub injected: &'static str,
    pub promised: &'static str,
}

const fn row(number: u8, name: &'static str, injected: &'static str, promised: &'static str) -> Fault {
    Fault { number, name, injected, promised }
}

/// Every row, by its number.
pub static FAULTS: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    let kinds = [
        network::FAULTS,
        processes::FAULTS,
        host::FAULTS,
        logs::FAULTS,
        objects::FAULTS,
        trees::FAULTS,
        repository::FAULTS,
    ];
    let mut faults = kinds.concat();
    faults.sort_by_key(|fault| fault.number);
    faults
});

#[test]
fn every_number_is_used_once_and_none_is_left_out() {
    let numbers: Vec<u8> = FAULTS.iter().map(|fault| fault.number).collect();
    let expected: Vec<u8> = (1..).take(FAULTS.len()).collect();
    assert_eq!(numbers, expected);
}
