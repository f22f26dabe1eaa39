//! A step of the runner without progress is ended; a slow step is not.

use std::time::{Duration, Instant};

use super::host::{TestHost, grant, shells};
use super::release::{ended, release};
use super::wait::stretched;

/// Seconds without progress after which these tests let a step be ended.
const LIMIT: u32 = 3;
/// Makes git hang: it waits for a writer of a pipe.
const HANG: &str = "mkfifo \"$HOME/pipe\" 2>/dev/null; read -r line <\"$HOME/pipe\"";

/// Prefixes `body` so that it runs only after the agent has made the directory `~/now`.
fn after_now(host: &TestHost, body: &str) -> String {
    format!("if [ -d '{}/now' ]; then {body}; fi", host.home().display())
}

#[test]
fn a_capture_without_progress_is_ended_and_reported() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo new >new; mkdir ~/now");
        host.limit_stalls(LIMIT);
        host.shadow_git("*' add -A '*", &after_now(&host, HANG));
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let result = host.result(1);
        assert!(result.get("capture").is_none(), "{}", result.0);
        assert!(result.0.contains("reading the files was stopped: no progress for 3 s"), "{}", result.0);
        // The work still exists, and is captured once git answers.
        std::fs::remove_dir(host.home().join("now")).unwrap();
        let request = format!("name {}\nattempt 1\n\n", host.name);
        host.until("capture", || {
            let reply = host.call(super::Verb::Capture, request.as_bytes());
            assert!(!reply.contains("\nerror ") || reply.contains("a watcher is running"), "{reply}");
            reply.contains("\ncapture ").then_some(())
        });
        let capture = host.link(1, "capture").unwrap();
        assert_eq!(host.git(&host.cache(), &["show", &format!("{capture}:sub/new")]), "new");
    }
}

#[test]
fn a_ship_without_progress_is_ended_before_the_agent_starts() {
    for (shell, hangs) in
        shells().into_iter().zip(["*' read-tree --reset -u '*", "*' update-index -q --refresh'", "*' clean -ffdq'"])
    {
        let host = TestHost::shipped(shell, "echo started >>~/starts");
        host.limit_stalls(LIMIT);
        host.shadow_git(hangs, HANG);
        host.ensure(1, &[]);
        let result = host.result(1);
        assert_eq!((result.get("reason"), host.starts()), (Some("ship"), 0), "{}", result.0);
        assert!(result.0.contains("no progress for 3 s"), "{hangs}: {}", result.0);
    }
}

#[test]
fn a_step_that_computes_or_starts_processes_is_not_ended() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo new >new; mkdir ~/now");
        host.limit_stalls(LIMIT);
        let compute = "i=0; until [ $(($(date +%s) - began)) -ge 6 ]; do i=$((i + 1)); done";
        let start = "for i in 1 2 3 4 5 6; do sleep 1; done";
        host.shadow_git("*' add -A '*", &after_now(&host, &format!("began=$(date +%s); {compute}; {start}")));
        let began = Instant::now();
        host.ensure(1, &[]);
        let result = host.result(1);
        assert!(result.get("capture").is_some(), "{}", result.0);
        assert!(began.elapsed() > Duration::from_secs(4 * u64::from(LIMIT)));
    }
}

#[test]
fn a_comparison_without_progress_is_ended_and_deletes_nothing() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo new >new");
        host.limit_stalls(LIMIT);
        host.shadow_git("*' ls-files '*", HANG);
        let began = Instant::now();
        let reply = release(&host, &ack);
        assert!(began.elapsed() < stretched(Duration::from_secs(20)), "{:?}", began.elapsed());
        assert!(reply.contains("could not be compared with what is held"), "{reply}");
        assert!(host.work().exists() && super::release::tree(&host).join("sub/new").exists());
    }
}

/// Runs shell code with the functions for limits, and the sleeps that are left of it.
fn sleeps_left_after(shell: &str, code: &str, seconds: u32) -> (String, String) {
    let functions = [include_str!("../descendants.sh"), include_str!("../limit.sh")].concat();
    let mut words = shell.split(' ');
    let mut command = std::process::Command::new(words.next().unwrap());
    let script = format!("proc=yes\n{functions}\n{code}");
    let output = command.args(words).args(["-c", &script]).stderr(std::process::Stdio::null()).output().unwrap();
    // A killed process may still be on its way out.
    let mut left = String::new();
    for _ in 0..100 {
        let found = std::process::Command::new("pgrep").args(["-xf", &format!("sleep {seconds}")]).output().unwrap();
        left = String::from_utf8(found.stdout).unwrap();
        if left.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    (String::from_utf8(output.stdout).unwrap(), left)
}

/// With one signal for each of many processes, the shell that waits for the step can go on in the middle of them.
#[test]
fn a_step_is_ended_with_everything_it_started() {
    for (shell, number) in shells().into_iter().zip(0..) {
        let seconds = 100_000 + std::process::id() * 3 + number;
        let many = format!("i=0; while [ $i -lt 300 ]; do sleep {seconds} >/dev/null & i=$((i + 1)); done; wait");
        let code = format!("many() {{ {many}; }}\nwithin 1 many\necho $status");
        let (status, left) = sleeps_left_after(&shell, &code, seconds);
        for pid in left.lines() {
            let _ = std::process::Command::new("kill").args(["-KILL", pid]).status();
        }
        assert_eq!((status.as_str(), left.lines().count()), ("124\n", 0), "{shell}");
    }
}

/// The watcher lists all processes at a tick only if one of the agent's has run since the last one.
#[cfg(target_os = "linux")]
#[test]
fn a_sleeping_agent_costs_the_watcher_no_list_of_processes() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo out; until [ -e ~/go ]; do sleep 30 & wait; done");
        let mv = "case $* in *.kin.*) echo x >>\"$HOME/lists\" ;; esac; exec /bin/mv \"$@\"";
        host.shadow("mv", mv);
        host.ensure(1, &[("grant", &grant(&[("last", "1"), ("first_output", "29")]))]);
        let lists = || std::fs::read_to_string(host.home().join("lists")).unwrap_or_default().len();
        let beat =
            || std::fs::read_to_string(host.at(1).join("beat")).ok()?.split_whitespace().nth(1)?.parse::<u64>().ok();
        host.until("the first list", || (lists() > 0).then_some(()));
        let at_first = host.until("some ticks", || beat().filter(|beat| *beat >= 4));
        let before = lists();
        host.until("more ticks", || beat().filter(|beat| *beat >= at_first + 4));
        assert!(lists() <= before + 2, "{} lists in four ticks", (lists() - before) / 2);
    }
}

/// What one look stopped must not stay stopped when the next look finds less.
#[test]
fn a_look_that_fails_leaves_nothing_stopped() {
    for (shell, number) in shells().into_iter().zip(0..) {
        let seconds = 400_000 + std::process::id() * 3 + number;
        let code = format!(
            "few() {{ sleep {seconds} >/dev/null & wait; }}\n\
             list_processes() {{ [ -e \"$looked\" ] || {{ cat /proc/[0-9]*/stat; true >\"$looked\"; }}; }}\n\
             looked=$(mktemp -u)\nwithin 1 few\necho $status\nrm -f \"$looked\""
        );
        let (status, left) = sleeps_left_after(&shell, &code, seconds);
        for pid in left.lines() {
            let _ = std::process::Command::new("kill").args(["-KILL", pid]).status();
        }
        assert_eq!((status.as_str(), left.as_str()), ("124\n", ""), "{shell}");
    }
}
