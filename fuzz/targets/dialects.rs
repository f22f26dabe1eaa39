//! An agent's log in every dialect: any cut gives the same events, and their lines contain no control characters.
#![no_main]

use std::sync::LazyLock;

use handoff::agent::classify::{Log, classify_log};
use handoff::agent::dialect::Reader;
use handoff::agent::profiles::{Profiles, built_in};
use handoff::agent::summary::summarise;
use handoff::model::agent_event::AgentEvent;
use handoff::model::attempt::Outcome;
use handoff::model::profile::DialectName;
use handoff::supervise::progress::Progress;
use handoff::ui::line::lines;
use handoff_fuzz::{assert_harmless, cut, hash};
use libfuzzer_sys::fuzz_target;

static PROFILES: LazyLock<Profiles> = LazyLock::new(|| built_in().unwrap());

fuzz_target!(|data: &[u8]| {
    for dialect in [DialectName::Cursor, DialectName::Claude, DialectName::Codex, DialectName::Plain] {
        let whole = read(dialect, &[data]);
        assert_eq!(read(dialect, &cut(data)), whole);
        let last = data.split(|byte| *byte == b'\n').count() as u64;
        for (line, event) in whole {
            assert!((1..=last).contains(&line), "line {line} of {last}");
            lines(&Progress::Agent { attempt: 1, line, event }).iter().for_each(|line| assert_harmless(line));
        }
        let summary = summarise(dialect, data, None).unwrap();
        for item in [summary.messages.shown, summary.files.shown, summary.blockers.shown].concat() {
            assert_harmless(&item.text);
        }
        summary.commands.shown.iter().for_each(|command| assert_harmless(&command.text));
    }
    let hash = hash(data);
    if hash % 8 == 0 {
        judge(data, hash / 8);
    }
});

fn read(dialect: DialectName, pieces: &[&[u8]]) -> Vec<(u64, AgentEvent)> {
    let mut reader = Reader::new(dialect);
    let mut events: Vec<_> = pieces.iter().flat_map(|piece| reader.push(piece)).collect();
    events.extend(reader.finish());
    events
}

/// The verdict names only existing lines, and its evidence is printable. Only some inputs are tried, with one agent,
/// because compiling its patterns takes longer than everything else.
fn judge(data: &[u8], hash: u64) {
    let now = jiff::Timestamp::UNIX_EPOCH.to_zoned(jiff::tz::TimeZone::UTC);
    let profile = PROFILES.values().nth(hash as usize % PROFILES.len()).unwrap();
    let exit = data.first().map_or(0, |byte| i32::from(byte % 2));
    let outcome = Outcome { exit: Some(exit), reason: "exit".into(), ..Outcome::default() };
    let verdict = classify_log(profile, &Log::read(profile, data), &outcome, &now);
    assert_harmless(&verdict.evidence);
    verdict.notes.iter().for_each(|note| assert_harmless(note));
    assert!(verdict.evidence.chars().count() <= handoff::agent::sanitize::SHORT);
    let last = data.split(|byte| *byte == b'\n').count() as u64;
    assert!(verdict.line.is_none_or(|line| (1..=last).contains(&line)), "{verdict:?}");
}
