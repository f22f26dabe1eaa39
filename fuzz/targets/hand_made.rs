//! A `handoff.md` and a log that were made by hand: whatever they contain is read, bounded, and harmless on a terminal.
#![no_main]

use handoff::agent::recognise::origin;
use handoff::mirror::hand_made::Page;
use handoff_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let page = Page::read(data);
    let notes = page.notes.iter().flat_map(|note| [&note.section, &note.text]);
    let values = [&page.status, &page.task, &page.model, &page.session, &page.started, &page.base];
    for text in values.into_iter().flatten().chain(page.commands.values()).chain(notes) {
        text.lines().for_each(|line| assert_harmless(&line.replace('\t', " ")));
    }
    assert!(page.notes.len() <= 40 && page.attempts.iter().all(|n| (1..=9999).contains(n)));
    origin(data).unwrap();
});
