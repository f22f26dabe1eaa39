//! The report about a host after a failed test: everything that is needed to explain the failure.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Number of bytes from the end of a file that are shown.
const SHOWN: u64 = 8 << 10;

/// The handoffs below a host's home: the watchers' output, and each attempt's directory with the contents of its files.
pub fn of_home(home: &Path) -> String {
    let mut text = String::new();
    let work = home.join(".handoff/work");
    if !work.exists() {
        return format!("{} does not exist\n", work.display());
    }
    for handoff in entries(&work) {
        let _ = writeln!(text, "--- {}", handoff.display());
        for entry in entries(&handoff) {
            let name = entry.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name == "runner.log" || name == "events" {
                let _ = writeln!(text, "{}", file(&entry));
            } else if name.parse::<u32>().is_ok() {
                let _ = writeln!(text, "--- attempt {name}");
                text.extend(entries(&entry).iter().map(|path| file(path) + "\n"));
            } else {
                let _ = writeln!(text, "{name}{}", target(&entry));
            }
        }
    }
    text
}

/// The end of a file, or a note that it has none.
pub fn end_of(path: &Path) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || {
        let mut file = std::fs::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN)))?;
        let mut bytes = Vec::new();
        file.take(SHOWN).read_to_end(&mut bytes)?;
        let cut = if length > SHOWN { format!("… the last {SHOWN} of {length} bytes:\n") } else { String::new() };
        Ok(cut + &String::from_utf8_lossy(&bytes))
    };
    read().unwrap_or_else(|error: std::io::Error| format!("({error})"))
}

/// One line for an entry without content, else the name and an indented end of it.
fn file(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Reading a pipe would block.
    let plain = std::fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
    if !plain {
        return format!("{name}{}", target(path));
    }
    let content: String = end_of(path).lines().map(|line| format!("\n    {}", line.trim_end())).collect();
    format!("{name}:{content}")
}

/// The target of a link.
fn target(path: &Path) -> String {
    std::fs::read_link(path).map_or_else(|_| String::new(), |target| format!(" -> {}", target.display()))
}

fn entries(dir: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    found.sort();
    found
}
