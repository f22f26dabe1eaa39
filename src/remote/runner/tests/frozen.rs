//! Processes of ours that are stopped (SIGSTOP) at any step. The attempt still ends, with one start.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::attempt::kill;
use super::host::{TestHost, grant, shells};
use super::*;

const WAITS: &str = "echo start >>$HOME/starts; echo up; until [ -e $HOME/go ]; do sleep 0.05; done; echo w >work";

fn stop(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::STOP).unwrap();
}

fn go(host: &TestHost) {
    std::fs::write(host.home().join("go"), "").unwrap();
}

/// An attempt whose agent runs, and the pid of its watcher.
fn running_attempt(shell: String) -> (TestHost, i32) {
    let host = TestHost::shipped(shell, WAITS);
    host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
    host.until("output", || (!host.log(1).is_empty()).then_some(()));
    let watcher = host.pid(1, "watch.1");
    (host, watcher)
}

fn cancel(host: &TestHost) -> String {
    host.call(Verb::Cancel, format!("name {}\nattempt 1\nreason stop\ngrace 1\n\n", host.name).as_bytes())
}

fn poll(host: &TestHost) -> String {
    host.call(Verb::Poll, format!("wait 0\nmax 0\nwant {} 1 log 0 0\n\n", host.name).as_bytes())
}

#[test]
fn a_stopped_watcher_is_reported_and_continued_by_cancel() {
    for shell in shells() {
        let (host, watcher) = running_attempt(shell);
        stop(watcher);
        assert!(poll(&host).contains(" watch=stopped "), "it is not alive to whoever waits for it");
        cancel(&host);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("reason"), host.starts()), ("stopped", Some("stop"), 1), "{}", result.0);
        assert_eq!(host.link(1, "watch.2"), None);
    }
}

#[test]
fn the_end_of_the_agent_continues_a_stopped_watcher() {
    for shell in shells() {
        let (host, watcher) = running_attempt(shell);
        stop(watcher);
        go(&host);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("exit")), ("unchecked", Some("0")), "{}", result.0);
    }
}

#[test]
fn a_watcher_that_cannot_be_continued_is_ended_before_another_takes_its_place() {
    for shell in shells() {
        let (host, watcher) = running_attempt(shell);
        let over = AtomicBool::new(false);
        let request = host.ensure_request(1, &[("grant", &grant(&[("last", "1")]))], "");
        let reply = std::thread::scope(|scope| {
            // Like a frozen cgroup: the process stops again each time it is continued.
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed)
                    && kill_process(Pid::from_raw(watcher).unwrap(), Signal::STOP).is_ok()
                {
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            let reply = host.call(Verb::Ensure, &request);
            over.store(true, Ordering::Relaxed);
            reply
        });
        assert!(reply.contains(" watch=alive "), "{reply}");
        let stat = std::fs::read_to_string(format!("/proc/{watcher}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "two watchers at once: {stat}");
        go(&host);
        let result = host.result(1);
        assert_eq!((result.class(), host.starts()), ("unchecked", 1), "{}", result.0);
        assert!(host.link(1, "watch.2").is_some());
    }
}

/// The watcher itself runs, and waits for what does not.
#[test]
fn a_stopped_step_of_the_watcher_continues_when_the_attempt_is_cancelled() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo w >work; mkdir ~/now");
        let now = host.home().join("now");
        let others = "ps -eo pid=,pgid= | awk -v group=\"$(($(ps -o pgid= -p $$)))\" -v self=$$ '\
            $2 == group && $1 != group && $1 != self { print $1 }'";
        let stop = format!("if rmdir '{}'; then kill -STOP $({others}) $$; fi 2>/dev/null", now.display());
        host.shadow_git("*' add -A '*", &stop);
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        host.until("exit", || std::fs::read_to_string(host.at(1).join("exit")).ok().filter(|it| it.starts_with('0')));
        host.until("stop", || (!now.exists()).then_some(()));
        std::thread::sleep(Duration::from_millis(500));
        assert!(!host.at(1).join("result").exists());
        cancel(&host);
        let result = host.result(1);
        assert!(result.get("capture").is_some(), "{}", result.0);
    }
}

#[test]
fn a_stopped_wrapper_still_records_how_the_agent_ended() {
    for shell in shells() {
        let (host, _) = running_attempt(shell);
        stop(host.pid(1, "task"));
        go(&host);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("exit")), ("unchecked", Some("0")), "{}", result.0);
    }
}

#[test]
fn everything_stopped_at_once_ends_when_it_is_cancelled() {
    for shell in shells() {
        let (host, watcher) = running_attempt(shell);
        for pid in [watcher, host.pid(1, "task")] {
            stop(pid);
        }
        cancel(&host);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("reason")), ("stopped", Some("stop")), "{}", result.0);
    }
}

#[test]
fn a_wrapper_stopped_before_it_named_itself_starts_nothing_after_the_attempt() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        // A wrapper that never reaches its first line.
        let runner = host.root().join(format!("lib/runner-{}.sh", sha256()));
        let text = std::fs::read_to_string(&runner).unwrap();
        let held = text.replace("run_task() {\n", "run_task() {\n  [ \"$2\" != task ] || exit 0\n");
        assert_ne!(held, text);
        std::fs::write(&runner, &held).unwrap();
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        assert_eq!(host.result(1).class(), "lost");
        std::fs::write(&runner, &text).unwrap();
        let at = host.at(1);
        let file = |name: &str| at.join(name).display().to_string();
        let spec = host.work().join("spec/1/run.fresh").display().to_string();
        let mut words: Vec<String> = host.shell().split(' ').map(str::to_owned).collect();
        words.extend([runner.display().to_string(), "task".into(), "aa".into(), host.root().display().to_string()]);
        words.extend([host.shell().to_owned(), "022".into(), host.name.clone(), "1".into()]);
        words.extend([file("exit"), "task".into(), file("log"), "/dev/null".into(), spec, String::new(), file("")]);
        let late = std::process::Command::new(&words[0])
            .args(&words[1..])
            .env("HANDOFF_AGENT", host.home().join("bin/fakeagent"))
            .output()
            .unwrap();
        assert_eq!((late.status.code(), host.starts()), (Some(127), 0), "{}", String::from_utf8_lossy(&late.stderr));
    }
}

#[test]
fn a_watcher_that_died_while_it_was_stopped_is_dead() {
    for shell in shells() {
        let (host, watcher) = running_attempt(shell);
        stop(watcher);
        kill(watcher);
        assert!(poll(&host).contains(" watch=dead "));
        go(&host);
        host.until("the status", || {
            std::fs::read_to_string(host.at(1).join("exit")).ok().filter(|status| status.starts_with('0'))
        });
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let result = host.result(1);
        assert_eq!((result.class(), host.starts()), ("unchecked", 1), "{}", result.0);
    }
}

#[test]
fn a_step_of_a_killed_watcher_ends_with_it() {
    for shell in shells() {
        // The watcher is killed while it waits for an answer that never comes.
        let host = TestHost::shipped(shell, "case $1 in create) echo $$ >$HOME/asked; exec sleep 1000 ;; esac");
        let create = ("run.create", "exec \"$HANDOFF_AGENT\" create\n");
        host.ensure(1, &[create, ("grant", &grant(&[("session_mode", "create")]))]);
        let asked = || std::fs::read_to_string(host.home().join("asked")).ok()?.trim().parse().ok();
        let step = Pid::from_raw(host.until("the question", asked)).unwrap();
        kill(host.pid(1, "watch.1"));
        host.until("the end of the step", || rustix::process::test_kill_process(step).is_err().then_some(()));
        host.until("the end of its time limit", || with_home(&host.home()).is_empty().then_some(()));
    }
}

/// Processes with this home directory, if the system shows environments.
fn with_home(home: &std::path::Path) -> Vec<std::path::PathBuf> {
    let home = format!("HOME={}", home.display());
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path());
    let is_ours = |path: &std::path::PathBuf| {
        let variables = std::fs::read(path.join("environ")).unwrap_or_default();
        variables.split(|byte| *byte == 0).any(|variable| variable == home.as_bytes())
    };
    entries.filter(is_ours).collect()
}
