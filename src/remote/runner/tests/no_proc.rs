//! A host without /proc, like macOS: only the runner gets an empty /proc, and `ps` prints what it prints on macOS.

use std::process::{Command, Stdio};

use super::host::{TestHost, script, shells};

/// Shells that see an empty /proc; none where a mount namespace cannot be made.
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
        let status =
            Command::new(word).args(["-c", "[ ! -e /proc/self ] && [ -x /usr/bin/ps ]"]).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    let (able, unable): (Vec<_>, Vec<_>) = wrapped.partition(works);
    if !unable.is_empty() {
        skip!("no mount namespace can be made for {} shells, or ps is missing", unable.len());
    }
    able
}

/// What `ps` prints of environments. On macOS it shows none for programs of the system.
const NONE: &str = "-ax";
const ALL: &str = "axeww";

fn host(shell: &str, environments: &str, agent: &str) -> TestHost {
    let host = TestHost::shipped(shell.to_owned(), agent);
    let ps = "[ ! -e /proc/self ] || exec /usr/bin/ps \"$@\"\n\
              exec unshare -m /bin/sh -c 'umount /proc && exec /usr/bin/ps \"$@\"' ps \"$@\"";
    host.shadow("ps", &format!("case $1 in -axE) shift; set -- {environments} \"$@\" ;; esac\n{ps}"));
    // The awk of BSD and macOS.
    let awk = "case $1,$2 in -v,*'\n'*) echo 'awk: newline in string' >&2; exit 2 ;; esac\n\
               PATH=${PATH#*:} exec awk \"$@\"";
    host.shadow("awk", awk);
    host
}

/// Whether the process is gone whose id the agent wrote down.
fn leftover_is_gone(host: &TestHost) -> bool {
    let left = std::fs::read_to_string(host.home().join("left")).unwrap();
    !std::fs::read_to_string(format!("/proc/{}/cmdline", left.trim())).is_ok_and(|command| command.contains("sleep"))
}

#[test]
fn an_attempt_runs_and_its_leftover_processes_are_ended() {
    for (_dir, shell) in shells_without_proc() {
        let host = host(&shell, NONE, "echo work >made; sleep 307 & echo $! >$HOME/left");
        host.ensure(1, &[]);
        assert_eq!(host.result(1).class(), "unchecked", "{shell}");
        assert!(leftover_is_gone(&host), "{shell}: it still runs after the result");
    }
}

#[test]
fn cancel_ends_processes_that_left_the_agents_group() {
    for (_dir, shell) in shells_without_proc() {
        let host = host(&shell, NONE, "setsid sleep 308 & echo $! >$HOME/left; wait");
        host.ensure(1, &[]);
        host.until("the agent's child", || std::fs::metadata(host.home().join("left")).ok().filter(|m| m.len() > 0));
        host.call(super::Verb::Cancel, format!("name {}\nattempt 1\nreason stop\ngrace 2\n\n", host.name).as_bytes());
        assert_eq!(host.result(1).class(), "stopped", "{shell}");
        assert!(leftover_is_gone(&host), "{shell}: it still runs after the result");
    }
}

#[test]
fn processes_with_and_without_the_mark_are_ended_together() {
    for (_dir, shell) in shells_without_proc() {
        let host = host(&shell, ALL, "sleep 309 & sleep 309 & env -i sleep 309 & echo $! >$HOME/left");
        host.ensure(1, &[]);
        host.result(1);
        assert!(leftover_is_gone(&host), "{shell}: it still runs after the result");
        let said = std::fs::read_to_string(host.work().join("runner.log")).unwrap();
        assert_eq!(said, "", "{shell}");
    }
}
