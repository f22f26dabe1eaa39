//! The processes of a host: those with its HOME in their environment, also in other sessions.

use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

/// Pid and command line of each process.
pub fn of_home(home: &Path) -> Vec<(i32, String)> {
    let carried = format!("HOME={}", home.display());
    let Ok(proc) = std::fs::read_dir("/proc") else { return listed(&carried) };
    let mut found = Vec::new();
    for entry in proc.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // A process may end between the two reads, or belong to another user.
        let Ok(environment) = std::fs::read(entry.path().join("environ")) else { continue };
        if environment.split(|b| *b == 0).any(|variable| variable == carried.as_bytes()) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push((pid, String::from_utf8_lossy(&command).replace('\0', " ")));
        }
    }
    found
}

/// For systems without /proc: `ps` prints environments after the commands.
fn listed(carried: &str) -> Vec<(i32, String)> {
    let output = Command::new("ps").args(["axeww", "-o", "pid=,command="]).output().expect("ps");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines = text.lines().filter(|line| line.split_whitespace().any(|word| word == carried));
    lines
        .filter_map(|line| line.trim().split_once(' ').map(|(pid, rest)| (pid.parse().ok(), rest.to_owned())))
        .filter_map(|(pid, rest)| Some((pid?, rest)))
        .collect()
}

/// Kills the processes until none is left. A process may fork while it is being killed.
pub fn end(home: &Path) {
    for _ in 0..200 {
        let left = of_home(home);
        if left.is_empty() {
            return;
        }
        for (pid, _) in left {
            if let Some(pid) = Pid::from_raw(pid) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}
