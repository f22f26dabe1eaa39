//! Processes by pid: their children, those of one user, and their end.

use std::path::Path;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::wait;

/// One row of the process table.
#[derive(Clone, Debug)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub uid: u32,
    /// `Z` is a zombie.
    pub state: char,
}

/// The process table, from /proc if it exists (a bare container has no `ps`), else from `ps`.
pub fn all() -> Vec<Process> {
    if Path::new("/proc/self/stat").exists() { from_proc() } else { from_ps() }
}

/// Processes whose parent is `pid`.
pub fn children_of(pid: i32) -> Vec<i32> {
    all().into_iter().filter(|p| p.parent == pid && p.state != 'Z').map(|p| p.pid).collect()
}

/// Processes that run as `uid`.
pub fn of_user(uid: u32) -> Vec<i32> {
    all().into_iter().filter(|p| p.uid == uid && p.state != 'Z').map(|p| p.pid).collect()
}

/// One line for each process of a user: pid, parent, state and command line.
pub fn shown(uid: u32) -> String {
    let line = |p: Process| {
        let command = std::fs::read(format!("/proc/{}/cmdline", p.pid)).unwrap_or_default();
        let command: String = String::from_utf8_lossy(&command).replace('\0', " ").chars().take(200).collect();
        format!("{} {} {} {}\n", p.pid, p.parent, p.state, command.replace('\n', " "))
    };
    all().into_iter().filter(|p| p.uid == uid).map(line).collect()
}

/// Processes of a user that have this word among their arguments. Other tests, here and in other runs, use the word
/// too.
pub fn with_argument(uid: u32, word: &str) -> Vec<i32> {
    let has = |pid: &i32| match std::fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(line) => line.split(|byte| *byte == 0).any(|arg| arg == word.as_bytes()),
        Err(_) => false,
    };
    of_user(uid).into_iter().filter(has).collect()
}

/// Sends a signal. A process that is gone is ignored.
pub fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = kill_process(pid, signal);
    }
}

/// Ends every process of a user that exists for one test only.
pub fn end_all_of(uid: u32) {
    assert_ne!(uid, 0, "the superuser exists for more than a test");
    wait::until("the processes of the test's user to end", Duration::from_secs(10), || {
        let left = of_user(uid);
        left.iter().for_each(|pid| signal(*pid, Signal::KILL));
        left.is_empty().then_some(())
    });
}

fn from_proc() -> Vec<Process> {
    let read = |entry: std::fs::DirEntry| {
        use std::os::unix::fs::MetadataExt;
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        Some(Process { pid, parent, uid: entry.metadata().ok()?.uid(), state })
    };
    std::fs::read_dir("/proc").unwrap().flatten().filter_map(read).collect()
}

fn from_ps() -> Vec<Process> {
    let out = std::process::Command::new("ps").args(["-axo", "pid=,ppid=,uid=,state="]).output().unwrap();
    let read = |line: &str| {
        let mut fields = line.split_whitespace();
        let pid = fields.next()?.parse().ok()?;
        let parent = fields.next()?.parse().ok()?;
        let uid = fields.next()?.parse().ok()?;
        Some(Process { pid, parent, uid, state: fields.next()?.chars().next()? })
    };
    String::from_utf8_lossy(&out.stdout).lines().filter_map(read).collect()
}
