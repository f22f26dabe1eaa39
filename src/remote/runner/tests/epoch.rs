//! A host that was told of a higher epoch starts nothing, wherever its watcher was waiting.

use super::host::{TestHost, grant, shells};
use super::*;

/// Tells the host of epoch 2.
fn raise(host: &TestHost) {
    let put = host.call(Verb::SetEpoch, format!("name {}\nepoch 2\n\n", host.name).as_bytes());
    assert!(put.contains("\nintent "), "{put}");
}

/// No watcher lives, and `starts` agents were started in all.
fn rests(host: &TestHost, attempt: u32, starts: usize) {
    let pid = host.pid(attempt, "watch.1");
    // What has ended and was not waited for has no command line.
    let lives = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty());
    host.until("end of the watcher", || (!lives()).then_some(()));
    assert_eq!(host.starts(), starts);
}

#[test]
fn while_it_waits_for_the_push() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        std::fs::remove_dir_all(host.cache()).unwrap();
        let request = String::from_utf8(host.ensure_request(1, &[], "")).unwrap().replace("wait_ref 2", "wait_ref 60");
        host.call(Verb::Ensure, request.as_bytes());
        raise(&host);
        assert_eq!(host.result(1).get("reason"), Some("epoch"));
        host.push();
        rests(&host, 1, 0);
    }
}

#[test]
fn in_its_setup_and_in_the_check_before_the_agent() {
    for shell in shells() {
        for step in ["setup", "check"] {
            let host = TestHost::shipped(shell.clone(), "echo start >>$HOME/starts");
            host.ensure(1, &[(step, "echo up >$HOME/up; exec sleep 60\n")]);
            host.until(step, || host.home().join("up").exists().then_some(()));
            raise(&host);
            assert_eq!(host.result(1).get("reason"), Some("epoch"), "{step}");
            assert!(host.link(1, "intent").is_none());
            rests(&host, 1, 0);
        }
    }
}

#[test]
fn between_two_attempts() {
    // The delay, a delay of the laptop's choice, and a usage window.
    for (errors, next) in
        [("throttled\trate\n", None), ("throttled\trate\n", Some("laptop:resume:60")), ("limited\trate\n", None)]
    {
        for shell in shells() {
            let host = TestHost::shipped(shell, "echo start >>$HOME/starts; echo rate limit; exit 1");
            let waits = errors.starts_with("limited");
            let delays = if waits { "0 0" } else { "60 60" };
            host.ensure(1, &[("grant", &grant(&[("delays", delays)])), ("errors", errors), ("error_lines", "rate\n")]);
            host.result(1);
            if let Some(next) = next {
                host.call(Verb::SetNext, format!("name {}\nattempt 1\nnext {next}\n\n", host.name).as_bytes());
            }
            if waits {
                host.until("the wait", || host.link(1, "next").filter(|next| next.starts_with("host:wait:")));
            }
            raise(&host);
            rests(&host, 1, 1);
            assert!(!host.at(2).exists() || host.link(2, "intent").is_none());
        }
    }
}
