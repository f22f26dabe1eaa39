//! Attempts from `ensure` to `result` and the next attempt.

use super::host::{TestHost, grant, script, shells};
use super::*;

#[test]
fn an_attempt_runs_in_the_shipped_tree_and_its_work_is_captured() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "pwd; cat; echo \"$* $FOO\"; umask; cd ..; git status --porcelain=v2 --branch >$HOME/status\n\
             echo c >committed; git add committed; git commit -qm work; echo l >loose; echo i >i.o\n\
             echo s >staged-late; git add staged-late\n\
             echo hidden >hidden; echo hidden >>.git/info/exclude; git update-index --assume-unchanged staged; echo 4 >staged\n\
             git branch side; mkdir -p .cursor/agent-handoffs/x; echo r >.cursor/agent-handoffs/x/handoff.md",
        );
        host.ensure(1, &[]);
        let result = host.result(1);
        assert_eq!(result.class(), "unchecked", "{}", result.0);
        let tree = host.root().join("trees/my repo-1/my repo");
        assert_eq!(host.log(1), format!("{}/sub\ndo it\nfresh  bar  baz\n0022\n", tree.display()));
        let status = std::fs::read_to_string(host.home().join("status")).unwrap();
        assert_eq!(status.trim_end(), host.git(&host.laptop(), &["status", "--porcelain=v2", "--branch"]));
        let before = std::fs::read_to_string(host.at(1).join("before")).unwrap();
        assert!(before.contains(&format!("baseline {}\n", host.oids[3])), "{before}");
        // The capture does not contain the agent's own file in the record's directory.
        assert_eq!((result.get("uncaptured"), result.get("baseline")), (Some("1"), Some(host.oids[3].as_str())));

        let cache = host.cache();
        let capture = result.get("capture").unwrap();
        assert_eq!(host.git(&cache, &["rev-parse", &format!("refs/capture/{}/1/work", host.name)]), capture);
        let changed = host.git(&cache, &["diff", "--name-only", &host.oids[0], capture]);
        assert_eq!(changed, "committed\nhidden\nloose\nstaged\nstaged-late");
        let staged = host.git(&cache, &["diff", "--name-only", &format!("{capture}^1"), &format!("{capture}^2")]);
        assert!(staged.contains("staged-late") && !staged.contains("loose"), "{staged}");
        assert_eq!(host.git(&cache, &["log", "-1", "--format=%s", &format!("{capture}^1")]), "work");
        let side = format!("refs/capture/{}/1/heads/side", host.name);
        assert_eq!(Some(host.git(&cache, &["rev-parse", &side]).as_str()), result.get("head"));
        host.git(&cache, &["fsck", "--connectivity-only", "--no-dangling"]);
    }
}

#[test]
fn an_attempt_starts_once_however_often_ensure_is_sent() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts; sleep 0.5");
        let request = host.ensure_request(1, &[], "");
        std::thread::scope(|scope| {
            for _ in 0..10 {
                scope.spawn(|| {
                    let reply = host.call(Verb::Ensure, &request);
                    assert!(reply.contains(" watch=") && reply.contains("end 0"), "{reply}");
                });
            }
        });
        host.result(1);
        assert!(host.call(Verb::Ensure, &request).contains(" result=1 "));
        assert_eq!(host.starts(), 1);
    }
}

#[test]
fn a_later_watcher_never_starts_the_agent_again() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts; sleep 1.5; echo w >work");
        host.ensure(1, &[]);
        host.pid(1, "task");
        kill(host.pid(1, "watch.1"));
        host.ensure(1, &[]);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("exit"), host.starts()), ("unchecked", Some("0"), 1));
        assert!(host.link(1, "watch.2").is_some());
    }
}

#[test]
fn an_agent_without_an_exit_status_is_lost_not_failed() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts; echo w >work; echo up; exec sleep 60");
        host.ensure(1, &[]);
        host.until("output", || (!host.log(1).is_empty()).then_some(()));
        kill(host.pid(1, "watch.1"));
        let task = host.pid(1, "task");
        kill(task);
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        // The agent is alive and continues, although no process will record how it ends.
        std::thread::sleep(std::time::Duration::from_millis(2500));
        assert!(host.link(1, "watch.2").is_some() && !host.at(1).join("result").exists());
        let group = rustix::process::Pid::from_raw(task).unwrap();
        rustix::process::kill_process_group(group, rustix::process::Signal::KILL).unwrap();
        let result = host.result(1);
        assert_eq!((result.class(), result.get("exit"), host.starts()), ("lost", None, 1));
        assert!(result.get("capture").is_some());
    }
}

#[test]
fn a_ship_that_differs_starts_nothing() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        let wrong =
            host.ship().replace(&format!("index_tree {}", host.oids[2]), &format!("index_tree {}", host.oids[3]));
        host.ensure(1, &[("ship", &wrong)]);
        let result = host.result(1);
        assert_eq!((result.get("reason"), host.starts()), (Some("ship"), 0), "{}", result.0);
        assert!(host.link(1, "intent").is_none());
    }
}

#[test]
fn an_attempt_whose_ship_is_not_there_is_refused_before_any_of_it_exists() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        std::fs::remove_dir_all(host.cache()).unwrap();
        let refused = host.ensure(1, &[]);
        assert!(refused.contains("\nerror lacking ") && refused.ends_with("end 1\n"), "{refused}");
        assert!(!host.at(1).exists());
        host.push();
        host.ensure(1, &[]);
        host.result(1);
        assert_eq!(host.starts(), 1);
    }
}

#[test]
fn an_agent_that_does_not_answer_is_not_called_another_tool() {
    // An agent that is killed looks like one that timed out.
    let silent = "case $1 in --version) kill -KILL $$ ;; esac; echo start >>$HOME/starts; echo w >work";
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), silent);
        host.ensure(1, &[("agent", "version ^fake [0-9]\nbinary no-such-agent\nbinary fakeagent\n")]);
        assert_eq!((host.result(1).class(), host.starts()), ("unchecked", 1));
        let log = std::fs::read_to_string(host.work().join("runner.log")).unwrap();
        assert!(log.contains("bin/fakeagent did not answer --version within 20 s"), "{log}");

        // If another binary has the right version, it is used.
        let host = TestHost::shipped(shell.clone(), silent);
        script(&host.home().join("bin/second"), "[ $1 != --version ] || echo fake 2; echo second >>$HOME/second");
        host.ensure(1, &[("agent", "version ^fake [0-9]\nbinary fakeagent\nbinary second\n")]);
        host.result(1);
        assert_eq!((host.starts(), host.home().join("second").exists()), (0, true));

        // An agent that prints a version or fails at once has answered.
        for (body, known) in
            [("echo grafana 9", "reports version 'grafana 9'"), ("exit 3", "no version: exit status 3")]
        {
            let host = TestHost::shipped(shell.clone(), body);
            host.ensure(1, &[("agent", "version ^fake [0-9]\nbinary fakeagent\n")]);
            let result = host.result(1);
            assert_eq!((result.get("reason"), host.link(1, "intent")), (Some("agent-missing"), None));
            assert!(result.get("detail").unwrap().contains(known), "{}", result.0);
        }
    }
}

/// `head` of BSD and macOS.
#[test]
fn head_is_never_called_for_zero_bytes() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "true");
        let body = "[ \"$2\" != 0 ] || { echo 'head: illegal byte count -- 0' >&2; exit 1; }";
        host.shadow("head", &format!("{body}\nPATH=${{PATH#*:}} exec head \"$@\""));
        host.ensure(1, &[("exclude", "")]);
        assert_eq!(host.result(1).class(), "no-work");
    }
}

#[test]
fn a_ship_with_a_lost_object_is_followed_by_the_action_in_the_table() {
    for (actions, next) in [("network\tpark\tpark\n", "host:park:0"), ("network\tresume\tresume\n", "host:resume:1")] {
        let host = TestHost::shipped(shells().remove(0), "echo start >>$HOME/starts");
        let oid = host.git(&host.laptop(), &["hash-object", "untracked one"]);
        std::fs::remove_file(host.cache().join("objects").join(&oid[..2]).join(&oid[2..])).unwrap();
        host.ensure(1, &[("actions", actions), ("grant", &grant(&[("last", "2")]))]);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("reason"), host.starts()), ("network", Some("ship"), 0), "{}", result.0);
        assert_eq!(host.until("next", || host.link(1, "next")), next, "{actions}");
        // The laptop sends the object again with the next `ensure`; until then nothing waits for it.
        let pid = host.pid(1, "watch.1");
        let lives = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty());
        host.until("end of the watcher", || (!lives()).then_some(()));
        assert!(!host.at(2).exists(), "{actions}");
    }
}

#[test]
fn a_cut_request_changes_nothing() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        let request = host.ensure_request(1, &[], "");
        for length in [0, 9, 40, 200, request.len() - 1] {
            let reply = host.call(Verb::Ensure, &request[..length]);
            assert!(reply.contains("error truncated"), "{length}: {reply}");
        }
        assert!(!host.work().exists());
        let left: Vec<_> = std::fs::read_dir(host.root()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "lib" || name == "cache"), "{left:?}");
    }
}

#[test]
fn a_raised_epoch_starts_nothing() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        let put = host.call(Verb::SetEpoch, format!("name {}\nepoch 2\n\n", host.name).as_bytes());
        assert!(put.contains("\nintent 0\n"), "{put}");
        let reply = host.ensure(1, &[]);
        assert!(reply.contains("error epoch") && reply.contains("end 1"), "{reply}");
        assert_eq!(host.starts(), 0);
    }
}

#[test]
fn secrets_reach_the_agent_and_nothing_else() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "echo \"$CANARY\" | wc -c; [ \"$SECOND\" = '* ?' ] && echo second; cat /proc/[0-9]*/cmdline >$HOME/lines 2>/dev/null; sleep 0.3",
        );
        let secret = "kept5ecret";
        let request =
            host.ensure_request(1, &[], &format!("secret CANARY {secret}\\0012\\0134\\0045\nsecret SECOND *\\0040?\n"));
        host.call(Verb::Ensure, &request);
        host.result(1);
        assert_eq!(host.log(1).trim(), format!("{}\nsecond", secret.len() + 4));
        let lines = String::from_utf8_lossy(&std::fs::read(host.home().join("lines")).unwrap()).into_owned();
        assert!(lines.contains("fakeagent") && !lines.contains(secret));
        let found = std::process::Command::new("grep").args(["-rl", secret]).arg(host.root()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    }
}

#[test]
fn cancel_ends_processes_that_left_the_group() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "setsid sleep 71 & echo $! >$HOME/pids; (sleep 72 & echo $! >>$HOME/pids); trap '' TERM; echo up; \
             while :; do sleep 1; done",
        );
        host.ensure(1, &[]);
        host.until("output", || (!host.log(1).is_empty()).then_some(()));
        host.call(Verb::Cancel, format!("name {}\nattempt 1\nreason stop\ngrace 1\n\n", host.name).as_bytes());
        assert_eq!(host.result(1).class(), "stopped");
        for pid in std::fs::read_to_string(host.home().join("pids")).unwrap().lines() {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
        }
    }
}

#[test]
fn every_limit_ends_an_agent_and_is_named() {
    let cases = [
        ("active", "echo hi; sleep 60", "timeout", "timeout"),
        ("first_output", "sleep 60", "hung", "no-first-output"),
        ("no_progress", "echo hi; sleep 60", "hung", "no-progress"),
        ("grace", "echo w >w; echo FINISHED; sleep 60", "unchecked", "grace"),
    ];
    for shell in shells() {
        for (limit, agent, class, reason) in cases {
            let host = TestHost::shipped(shell.clone(), agent);
            let grant = grant(&[(limit, "2"), ("last", "1")]);
            host.ensure(1, &[("grant", &grant), ("terminal", "FINISHED\n"), ("success", "FINISHED\n")]);
            let result = host.result(1);
            assert_eq!((result.class(), result.get("reason")), (class, Some(reason)), "{limit}: {}", result.0);
        }
    }
}

#[test]
fn a_limit_stays_the_cause_when_its_watcher_dies_while_it_ends_the_agent() {
    let agent = "trap 'echo >$HOME/told; until [ -e $HOME/go ]; do sleep 0.05; done; exit 143' TERM; \
                 while :; do sleep 0.1; done";
    for shell in shells() {
        // The next watcher finds either the status that the signal caused, or an agent that still runs.
        for (obeys, limit, class, reason) in
            [(true, "active", "timeout", "timeout"), (false, "first_output", "hung", "no-first-output")]
        {
            let host = TestHost::shipped(shell.clone(), agent);
            let grant = grant(&[(limit, "2"), ("last", "1")]);
            host.ensure(1, &[("grant", &grant)]);
            host.until("the signal", || host.home().join("told").exists().then_some(()));
            kill(host.pid(1, "watch.1"));
            if obeys {
                std::fs::write(host.home().join("go"), "").unwrap();
                let exit = || std::fs::read_to_string(host.at(1).join("exit")).unwrap();
                host.until("the status", || exit().starts_with("143").then_some(()));
            }
            host.ensure(1, &[("grant", &grant)]);
            let result = host.result(1);
            assert!(host.link(1, "watch.2").is_some());
            assert_eq!((result.class(), result.get("reason")), (class, Some(reason)), "{limit}: {}", result.0);
        }
    }
}

#[test]
fn time_while_a_host_sleeps_does_not_count() {
    std::thread::scope(|scope| shells().into_iter().for_each(|shell| drop(scope.spawn(|| slept(shell)))));
}

fn slept(shell: String) {
    let host = TestHost::shipped(shell, "until [ -e $HOME/go ]; do sleep 0.05; done; echo w >w");
    host.ensure(1, &[("grant", &grant(&[("active", "4"), ("no_progress", "4"), ("last", "1")]))]);
    host.until("a tick", || host.at(1).join("beat").exists().then_some(()));
    let watcher = rustix::process::Pid::from_raw(host.pid(1, "watch.1")).unwrap();
    rustix::process::kill_process(watcher, rustix::process::Signal::STOP).unwrap();
    // Longer than every limit, like a night of sleep: a shell has no clock that a test could move.
    std::thread::sleep(std::time::Duration::from_millis(4_500));
    rustix::process::kill_process(watcher, rustix::process::Signal::CONT).unwrap();
    std::fs::write(host.home().join("go"), "").unwrap();
    let result = host.result(1);
    assert_eq!((result.class(), result.get("exit")), ("unchecked", Some("0")), "{}", result.0);
    assert!(result.get("active").is_some_and(|active| active.parse::<u32>().unwrap() <= 3), "{}", result.0);
}

#[test]
fn work_without_output_is_progress() {
    let host = TestHost::shipped(
        shells().remove(0),
        "echo hi; (sleep 1; echo a >a; sleep 1; echo b >b; sleep 1; echo c >c); echo end",
    );
    host.ensure(1, &[("grant", &grant(&[("no_progress", "2"), ("last", "1")]))]);
    assert_eq!(host.result(1).class(), "unchecked");
}

#[test]
fn computing_without_output_is_progress() {
    let host =
        TestHost::shipped(shells().remove(0), "echo hi; timeout 6 sh -c 'while :; do :; done'; echo w >w; echo end");
    host.ensure(1, &[("grant", &grant(&[("no_progress", "2"), ("last", "1")]))]);
    assert_eq!((host.result(1).class(), host.log(1).as_str()), ("unchecked", "hi\nend\n"));
}

#[test]
fn a_throttled_agent_is_resumed_alone_in_its_session() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "cat; echo \"$*\"; [ \"$1\" = resume ] && { echo w >w; exit 0; }; echo 'session: s-1_x'; echo 'Rate Limit'; exit 1",
        );
        let grant = grant(&[("session_mode", "stream"), ("delays", "1 1")]);
        host.ensure(1, &[("grant", &grant), ("session_pattern", "s/^session: ([A-Za-z0-9_-]+)$/\\1/p\n")]);
        assert_eq!(host.result(1).class(), "throttled");
        let second = host.result(2);
        assert_eq!((second.class(), second.get("session")), ("unchecked", Some("s-1_x")));
        assert_eq!(host.log(2), "go on\nresume s-1_x\n");
        assert_eq!(host.link(1, "next").as_deref(), Some("host:resume:1"));
        assert_eq!(host.until("next", || host.link(2, "next")), "host:end:0");
        assert!(!host.at(3).exists());
    }
}

#[test]
fn a_failed_check_is_quoted_in_the_next_prompt() {
    for shell in shells() {
        let host =
            TestHost::shipped(shell, "cat; echo x >>tries; [ $(grep -c x tries) -lt 2 ] || echo ok >../good; true");
        host.ensure(1, &[("check", "echo looking in; test -f good\n")]);
        let first = host.result(1);
        assert_eq!(
            (first.class(), first.get("check"), first.get("check_before")),
            ("check-failed", Some("1"), Some("1"))
        );
        let second = host.result(2);
        assert_eq!((second.class(), second.get("check"), second.get("check_before")), ("done", Some("0"), Some("1")));
        assert_eq!(host.log(2), "HEAD\nlooking in\nFOOT\n");
    }
}

#[test]
fn without_a_session_the_agent_does_not_start() {
    for shell in shells() {
        let create = ("run.create", "exec \"$HANDOFF_AGENT\" create\n");
        let made = grant(&[("session_mode", "create"), ("last", "1")]);
        let host =
            TestHost::shipped(shell.clone(), "[ \"$1\" = create ] && { echo noise; echo 'id: chat_7'; }; echo \"$*\"");
        host.agent("if [ \"$1\" = create ]; then echo noise; echo 'id: chat_7'; else echo \"$*\"; fi");
        host.ensure(1, &[("grant", &made), create]);
        assert_eq!((host.result(1).get("session"), host.log(1).trim()), (Some("chat_7"), "fresh chat_7"));

        for bad in ["exit 3", "echo '../../etc'", "true"] {
            let host = TestHost::shipped(shell.clone(), &format!("[ \"$1\" = create ] || echo >$HOME/starts; {bad}"));
            host.ensure(1, &[("grant", &made), create]);
            let result = host.result(1);
            assert_eq!((result.class(), result.get("reason"), host.starts()), ("session", Some("session"), 0), "{bad}");
        }
    }
}

#[test]
fn the_first_writer_of_next_wins() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "exit 1");
        host.ensure(1, &[("grant", &grant(&[("delays", "9 9")]))]);
        host.result(1);
        let answers: Vec<String> = std::thread::scope(|scope| {
            let put = |n| {
                let name = &host.name;
                let request = format!("name {name}\nattempt 1\nnext laptop:wait:{}\n\n", 4_000_000_000_u64 + n);
                host.call(Verb::SetNext, request.as_bytes())
            };
            let threads: Vec<_> = (0..5).map(|n| scope.spawn(move || put(n))).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        let stands = format!("next {}", host.link(1, "next").unwrap());
        assert!(answers.iter().all(|a| a.contains(&stands)), "{answers:?}");
        let name = &host.name;
        assert!(
            host.call(Verb::SetNext, format!("name {name}\nattempt 1\nnext x:y\n\n").as_bytes())
                .contains("error request")
        );
    }
}

pub(super) fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    while std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).is_ok_and(|s| !s.contains(") Z ")) {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
