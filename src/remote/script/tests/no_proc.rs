//! A host without /proc, as macOS is: an empty one is mounted for the runner alone, and `ps` says what it says there.

use std::process::{Command, Stdio};

use super::host::{TestHost, script, shells};

/// Shells for which /proc is empty; none where no mount namespace can be made.
fn shells_without_proc() -> Vec<(tempfile::TempDir, String)> {
    let wrapped = shells().into_iter().map(|shell| {
        let dir = tempfile::tempdir().unwrap();
        let body = format!(
            "[ -e /proc/self ] || exec {shell} \"$@\"\n\
             exec unshare -m /bin/sh -c 'mount -t tmpfs none /proc && exec {shell} \"$@\"' sh \"$@\""
        );
        script(&dir.path().join("sh"), &body);
        let word = dir.path().join("sh").display().to_string();
        (dir, word)
    });
    let works = |(_, word): &(_, String)| {
        let status = Command::new(word).args(["-c", "[ ! -e /proc/self ]"]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let (able, unable): (Vec<_>, Vec<_>) = wrapped.partition(works);
    if !unable.is_empty() {
        eprintln!("skipped: {} shells without /proc, no mount namespace can be made", unable.len());
    }
    able
}

/// A host in whose `ps` no environment shows, which on macOS is so for each program that comes with the system.
fn host(shell: &str, agent: &str) -> TestHost {
    let host = TestHost::shipped(shell.to_owned(), agent);
    let body = "case $1 in -axE) shift; set -- -ax \"$@\" ;; esac\n[ ! -e /proc/self ] || exec /usr/bin/ps \"$@\"\n\
                exec unshare -m /bin/sh -c 'umount /proc && exec /usr/bin/ps \"$@\"' ps \"$@\"";
    host.shadow("ps", body);
    host
}

#[test]
fn an_attempt_runs_and_what_it_left_behind_is_ended() {
    for (_dir, shell) in shells_without_proc() {
        let host = host(&shell, "echo work >made; sleep 307 & echo $! >$HOME/left");
        host.ensure(1, &[]);
        assert_eq!(host.result(1).class(), "unchecked", "{shell}");
        let left = std::fs::read_to_string(host.home().join("left")).unwrap();
        let command = std::fs::read_to_string(format!("/proc/{}/cmdline", left.trim())).unwrap_or_default();
        assert!(!command.contains("307"), "{shell}: it goes on beside the result");
    }
}

#[test]
fn a_cancelled_agent_is_ended_with_what_left_its_group() {
    for (_dir, shell) in shells_without_proc() {
        let host = host(&shell, "setsid sleep 308 & echo $! >$HOME/left; wait");
        host.ensure(1, &[]);
        host.until("the agent's child", || std::fs::metadata(host.home().join("left")).ok().filter(|m| m.len() > 0));
        host.call(super::Verb::Cancel, format!("name {}\nattempt 1\nreason stop\ngrace 2\n\n", host.name).as_bytes());
        assert_eq!(host.result(1).class(), "stopped", "{shell}");
        let left = std::fs::read_to_string(host.home().join("left")).unwrap();
        let command = std::fs::read_to_string(format!("/proc/{}/cmdline", left.trim())).unwrap_or_default();
        assert!(!command.contains("308"), "{shell}: it goes on beside the result");
    }
}
