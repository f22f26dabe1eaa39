//! The journal: whole lines count, an incomplete last line is ignored, and appended events are read back.
#![no_main]

use std::path::Path;
use std::sync::LazyLock;

use handoff::model::event::{Event, Kind};
use handoff::state::journal::{Journal, NAME};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

/// In memory if there is such a directory, because every input is a file.
static DIRECTORY: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap());

fuzz_target!(|data: &[u8]| {
    events_are_written_as_they_were_read(data);
    let directory = DIRECTORY.path();
    let path = directory.join(NAME);
    std::fs::write(&path, data).unwrap();
    let Ok(journal) = Journal::open(directory) else { return };
    let length = usize::try_from(journal.length()).unwrap();
    assert!(data[..length].ends_with(b"\n") && !data[length..].contains(&b'\n'), "{length} bytes were folded");
    let state = journal.handoff().clone();

    // After a crash at any byte of the last line, the lines before it are read.
    let before = data[..length - 1].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if before > 0 {
        std::fs::write(&path, &data[..before]).unwrap();
        let earlier = Journal::open(directory).unwrap().handoff().clone();
        std::fs::write(&path, &data[..before + (length - before) / 2]).unwrap();
        assert_eq!(*Journal::open(directory).unwrap().handoff(), earlier);
    }

    std::fs::write(&path, data).unwrap();
    let mut journal = Journal::open(directory).unwrap();
    assert_eq!(*journal.handoff(), state);
    append(directory, &mut journal, &data[..length]);
});

fn append(directory: &Path, journal: &mut Journal, before: &[u8]) {
    let path = directory.join(NAME);
    let torn = std::fs::read(&path).unwrap();
    match journal.append(Kind::StopRequested) {
        Ok(()) => {
            let after = std::fs::read(&path).unwrap();
            assert!(after.starts_with(before) && after.ends_with(b"\n"));
            assert_eq!(after.len() as u64, journal.length());
            assert_eq!(Journal::open(directory).unwrap().handoff(), journal.handoff());
        }
        Err(_) => assert_eq!(std::fs::read(&path).unwrap(), torn, "nothing was written"),
    }
}

fn events_are_written_as_they_were_read(data: &[u8]) {
    for line in data.split(|byte| *byte == b'\n') {
        let Ok(event) = serde_json::from_slice::<Event>(line) else { continue };
        if event.kind != Kind::Unknown {
            let again = serde_json::to_vec(&event).unwrap();
            assert_eq!(serde_json::from_slice::<Event>(&again).unwrap(), event);
        }
    }
}
