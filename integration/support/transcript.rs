//! The output and exit status of a test's commands, shown when the test fails.

use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Bytes at the end of each stream that are shown.
const SHOWN: usize = 8 << 10;

/// The commands of one laptop, in the order of their starts.
#[derive(Clone, Default)]
pub struct Transcript(Arc<Mutex<Vec<Entry>>>);

/// One command.
#[derive(Clone)]
pub struct Entry {
    shown: String,
    streams: [(&'static str, Arc<Mutex<Vec<u8>>>); 2],
    /// How the command ended. The first value is kept.
    end: Arc<Mutex<Option<String>>>,
}

impl Transcript {
    pub fn begin(&self, shown: &str, stdout: &Collected, stderr: &Collected) -> Entry {
        let streams = [("stdout", stdout.text.clone()), ("stderr", stderr.text.clone())];
        let entry = Entry { shown: shown.to_owned(), streams, end: Arc::default() };
        self.0.lock().unwrap().push(entry.clone());
        entry
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for entry in self.0.lock().unwrap().iter() {
            let end = entry.end.lock().unwrap().clone();
            let _ = writeln!(text, "--- {}: {}", entry.shown, end.as_deref().unwrap_or("it has not ended"));
            for (name, bytes) in &entry.streams {
                let bytes = bytes.lock().unwrap();
                let end = &bytes[bytes.len().saturating_sub(SHOWN)..];
                if !end.is_empty() {
                    let _ = writeln!(text, "--- its {name}\n{}", String::from_utf8_lossy(end));
                }
            }
        }
        text
    }
}

impl Entry {
    pub fn ended(&self, how: &str) {
        self.end.lock().unwrap().get_or_insert_with(|| how.to_owned());
    }
}

/// A pipe that a thread reads continuously.
pub struct Collected {
    text: Arc<Mutex<Vec<u8>>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

impl Collected {
    pub fn of(pipe: impl Read + Send + 'static) -> Collected {
        let text = Arc::new(Mutex::new(Vec::new()));
        let into = text.clone();
        let reader = std::thread::spawn(move || {
            let mut pipe = BufReader::new(pipe);
            while let Ok(bytes @ [_, ..]) = pipe.fill_buf() {
                let length = bytes.len();
                into.lock().unwrap().extend_from_slice(bytes);
                pipe.consume(length);
            }
        });
        Collected { text, reader: Some(reader) }
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.lock().unwrap()).into_owned()
    }

    pub fn is_whole(&self) -> bool {
        self.reader.as_ref().is_none_or(std::thread::JoinHandle::is_finished)
    }

    /// All of the output, after the writer has ended. A descendant that keeps the pipe open would block here for ever.
    pub fn all(&mut self) -> String {
        let reader = self.reader.take().unwrap();
        let end = Instant::now() + Duration::from_secs(5);
        while !reader.is_finished() {
            assert!(Instant::now() < end, "a descendant of the command still has its output open");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.text()
    }
}
