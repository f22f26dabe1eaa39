//! Two writers, torn lines, and lines from the future.

use super::*;
use crate::model::attempt::Grant;
use crate::model::testing::created;

fn new(directory: &Path) -> Journal {
    let event = Event::new(jiff::Timestamp::now(), Kind::Created(Box::new(created("20261121-x"))));
    Journal::create(directory, &event).unwrap()
}

fn grant() -> Kind {
    Kind::Granted { grant: Grant { number: 1, epoch: 1, host: "b".into(), first: 1, last: 2, active: 60 } }
}

#[test]
fn what_is_appended_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    journal.append(grant()).unwrap();
    let again = Journal::open(directory.path()).unwrap();
    assert_eq!(again.handoff(), journal.handoff());
    assert_eq!(again.length(), std::fs::metadata(directory.path().join(NAME)).unwrap().len());
}

#[test]
fn of_two_processes_with_the_same_event_one_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let mut one = new(directory.path());
    let mut two = Journal::open(directory.path()).unwrap();
    one.append(grant()).unwrap();
    assert!(two.append(grant()).unwrap_err().is_stale());
    assert_eq!(two.handoff(), one.handoff(), "the loser knows what the winner wrote");
    assert_eq!(std::fs::read_to_string(directory.path().join(NAME)).unwrap().lines().count(), 2);
}

#[test]
fn a_crash_at_any_byte_loses_at_most_the_line_being_written() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    let path = directory.path().join(NAME);
    let one = std::fs::read(&path).unwrap();
    journal.append(grant()).unwrap();
    let two = std::fs::read(&path).unwrap();
    for cut in one.len()..two.len() {
        std::fs::write(&path, &two[..cut]).unwrap();
        let mut journal = Journal::open(directory.path()).unwrap();
        assert!(journal.handoff().grants.is_empty(), "cut at {cut}");
        journal.append(grant()).unwrap();
        assert_eq!(Journal::open(directory.path()).unwrap().handoff().grants.len(), 1, "cut at {cut}");
    }
}

#[test]
fn a_broken_line_in_the_middle_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    let path = directory.path().join(NAME);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"v\":1}\n").unwrap();
    let error = journal.append(grant()).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl:2: "), "{error}");
}

#[test]
fn a_line_from_the_future_makes_it_read_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    let mut file = OpenOptions::new().append(true).open(directory.path().join(NAME)).unwrap();
    file.write_all(b"{\"v\":1,\"at\":\"2026-11-21T00:00:00Z\",\"event\":\"teleported\"}\n").unwrap();
    let error = journal.append(grant()).unwrap_err().to_string();
    assert!(error.contains("upgrade handoff"), "{error}");
}
