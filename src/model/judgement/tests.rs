use super::*;

/// Every combination of words, as facts.
pub fn every_combination() -> impl Iterator<Item = Facts> {
    let total: usize = KEYS.iter().map(|(_, words)| words.len()).product();
    (0..total).map(combination)
}

fn combination(mut number: usize) -> Facts {
    let mut word = |key: usize| {
        let words = KEYS[key].1;
        let word = words[number % words.len()];
        number /= words.len();
        word
    };
    let exits = [Exit::Unknown, Exit::Zero, Exit::NotStarted, Exit::Signal, Exit::Failed, Exit::Ended];
    let ends = [End::Missing, End::Good, End::Bad];
    let checks = [Check::NotSet, Check::Passed, Check::Failed, Check::Missing];
    let works = [Work::Same, Work::Changed, Work::Missing];
    fn find<T: Copy>(all: &[T], name: fn(T) -> &'static str, word: &str) -> T {
        all.iter().copied().find(|value| name(*value) == word).unwrap()
    }
    Facts {
        reason: word(0).to_owned(),
        exit: find(&exits, Exit::word, word(1)),
        out_of_memory: word(2) == "yes",
        disk_full: word(3) == "full",
        end: find(&ends, End::word, word(4)),
        other_session: word(5) == "other",
        refused: word(6) == "yes",
        error: Class::from_word(word(7)),
        stray: Class::from_word(word(8)),
        check: find(&checks, Check::word, word(9)),
        work: find(&works, Work::word, word(10)),
    }
}

#[test]
fn every_row_can_decide_and_names_only_known_facts() {
    for row in ROWS {
        for (key, words) in row.when {
            let (_, known) = KEYS.iter().find(|(name, _)| name == key).unwrap();
            assert!(words.iter().all(|word| *word == "any" || known.contains(word)), "{key} {words:?}");
        }
        let order: Vec<_> = row.when.iter().map(|(key, _)| KEYS.iter().position(|(name, _)| name == key)).collect();
        assert!(order.is_sorted(), "the pattern needs the order of the facts: {:?}", row.when);
    }
    let mut decided = std::collections::HashSet::new();
    every_combination().for_each(|facts| {
        decided.insert(std::ptr::from_ref(facts.row()));
    });
    for row in ROWS {
        assert!(decided.contains(&std::ptr::from_ref(row)), "a row above decides all of {:?}", row.when);
    }
}

#[test]
fn a_success_needs_a_good_terminal_event_and_all_the_facts() {
    for facts in every_combination() {
        if matches!(facts.class(), Class::Done | Class::Unchecked) {
            assert!(facts.end == End::Good && matches!(facts.exit, Exit::Zero | Exit::Ended), "{}", facts.text());
            assert!(!facts.refused && !facts.other_session && facts.work == Work::Changed, "{}", facts.text());
            assert!(matches!(facts.check, Check::NotSet | Check::Passed), "{}", facts.text());
        }
        if facts.class() == Class::DiskFull {
            assert!(facts.disk_full || facts.reason == "disk-full", "{}", facts.text());
        }
    }
}

#[test]
fn evidence_is_used_in_its_order_of_precedence() {
    let base = Facts {
        reason: "exit".into(),
        exit: Exit::Failed,
        out_of_memory: false,
        disk_full: false,
        end: End::Missing,
        other_session: false,
        refused: false,
        error: None,
        stray: None,
        check: Check::NotSet,
        work: Work::Changed,
    };
    let with = |change: fn(&mut Facts)| {
        let mut facts = base.clone();
        change(&mut facts);
        facts.class()
    };
    assert_eq!(base.class(), Class::Crashed);
    assert_eq!(with(|f| f.stray = Some(Class::Network)), Class::Network);
    assert_eq!(with(|f| (f.stray, f.error) = (Some(Class::Network), Some(Class::Auth))), Class::Auth);
    assert_eq!(with(|f| (f.stray, f.exit) = (Some(Class::Network), Exit::Signal)), Class::Crashed);
    assert_eq!(with(|f| (f.error, f.end, f.exit) = (Some(Class::Auth), End::Bad, Exit::Signal)), Class::Auth);
    assert_eq!(with(|f| (f.out_of_memory, f.error, f.end) = (true, Some(Class::Auth), End::Bad)), Class::Oom);
    assert_eq!(with(|f| (f.reason, f.out_of_memory) = ("timeout".into(), true)), Class::Timeout);
    assert_eq!(with(|f| f.stray = Some(Class::DiskFull)), Class::Crashed);
    assert_eq!(with(|f| (f.stray, f.disk_full) = (Some(Class::DiskFull), true)), Class::DiskFull);
    assert_eq!(with(|f| f.exit = Exit::Zero), Class::Truncated);
    assert_eq!(with(|f| (f.exit, f.end) = (Exit::Zero, End::Good)), Class::Unchecked);
}
