//! Two writers, incomplete lines, and lines of a newer program; processes that append at once or end in the middle of a
//! line.

use proptest::prelude::*;

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
fn appended_events_are_read_back() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    journal.append(grant()).unwrap();
    let again = Journal::open(directory.path()).unwrap();
    assert_eq!(again.handoff(), journal.handoff());
    assert_eq!(again.length(), std::fs::metadata(directory.path().join(NAME)).unwrap().len());
}

#[test]
fn the_same_event_of_two_processes_is_written_once() {
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
        assert!(journal.handoff().grants().is_empty(), "cut at {cut}");
        journal.append(grant()).unwrap();
        assert_eq!(Journal::open(directory.path()).unwrap().handoff().grants().len(), 1, "cut at {cut}");
    }
}

#[test]
fn a_malformed_line_in_the_middle_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    let path = directory.path().join(NAME);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"{\"v\":1}\n").unwrap();
    let error = journal.append(grant()).unwrap_err().to_string();
    assert!(error.contains("journal.jsonl:2: "), "{error}");
}

#[test]
fn a_line_of_a_newer_program_makes_the_journal_read_only() {
    let directory = tempfile::tempdir().unwrap();
    let mut journal = new(directory.path());
    let mut file = OpenOptions::new().append(true).open(directory.path().join(NAME)).unwrap();
    file.write_all(b"{\"v\":1,\"at\":\"2026-11-21T00:00:00Z\",\"event\":\"teleported\"}\n").unwrap();
    let error = journal.append(grant()).unwrap_err().to_string();
    assert!(error.contains("upgrade handoff"), "{error}");
}

fn kind(number: u8) -> Kind {
    let host = "b".to_owned();
    match number % 8 {
        0 => Kind::Granted { grant: Grant { number: 1, epoch: 1, host, first: 1, last: 2, active: 60 } },
        1 => Kind::Dispatched { attempt: 1, grant: 1, host, command: "agent".into() },
        2 => Kind::Started { attempt: 1, command: None, session: None },
        3 => Kind::Unreachable { host, reason: "it rains".into() },
        4 => Kind::Reachable { host },
        5 => Kind::StopRequested,
        n => Kind::Session { session: format!("s-{n}-{number}"), attempt: None },
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// One of three processes appends an event.
    Append(usize, u8),
    /// One of them ends after this many bytes of a line, and another takes its place.
    Killed(usize, u8, usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0usize..3, any::<u8>()).prop_map(|(who, what)| Step::Append(who, what)),
        1 => (0usize..3, any::<u8>(), 0usize..400).prop_map(|(who, what, cut)| Step::Killed(who, what, cut)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn appended_events_exist_once_and_in_order(steps in proptest::collection::vec(step(), 1..25)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(NAME);
        let mut processes = vec![new(directory.path())];
        processes.extend((0..2).map(|_| Journal::open(directory.path()).unwrap()));
        let mut kinds = Vec::new();
        for step in steps {
            match step {
                Step::Append(who, what) => {
                    if processes[who].append(kind(what)).is_ok() {
                        kinds.push(kind(what));
                    }
                }
                Step::Killed(who, what, cut) => {
                    let before = processes[who].refresh().map(|()| processes[who].length()).unwrap();
                    let appended = processes[who].append(kind(what)).is_ok();
                    let line = std::fs::metadata(&path).unwrap().len() - before;
                    let kept = (cut as u64).min(line);
                    if appended {
                        OpenOptions::new().write(true).open(&path).unwrap().set_len(before + kept).unwrap();
                    }
                    if appended && kept == line {
                        kinds.push(kind(what));
                    }
                    processes[who] = Journal::open(directory.path()).unwrap();
                }
            }
            let read = Journal::open(directory.path()).unwrap();
            for process in &mut processes {
                process.refresh().unwrap();
                prop_assert_eq!(process.handoff(), read.handoff());
            }
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).skip(1);
        let found: Vec<Kind> = whole.map(|line| serde_json::from_str::<Event>(line).unwrap().kind).collect();
        prop_assert_eq!(found, kinds);
    }
}

#[test]
fn every_event_of_many_concurrent_appends_has_its_line() {
    let directory = tempfile::tempdir().unwrap();
    new(directory.path());
    let append = &|who: usize| {
        let mut journal = Journal::open(directory.path()).unwrap();
        (0..20).for_each(|n| journal.append(Kind::Session { session: format!("s-{who}-{n}"), attempt: None }).unwrap());
    };
    std::thread::scope(|scope| {
        (0..4).for_each(|who| drop(scope.spawn(move || append(who))));
    });
    let text = std::fs::read_to_string(directory.path().join(NAME)).unwrap();
    assert_eq!(text.lines().count(), 1 + 4 * 20);
    for who in 0..4 {
        let own: Vec<usize> = (0..20).map(|n| text.find(&format!("\"s-{who}-{n}\"")).unwrap()).collect();
        assert!(own.is_sorted(), "one process's events stand in the order in which it wrote them");
    }
    Journal::open(directory.path()).unwrap();
}
