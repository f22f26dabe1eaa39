//! After a higher epoch a host starts nothing, whatever step its watcher is in.

use super::host::{TestHost, grant, shells};
use super::*;

/// Sends the host epoch 2.
fn raise(host: &TestHost) {
    let put = host.call(Verb::SetEpoch, format!("name {}\nepoch 2\n\n", host.name).as_bytes());
    assert!(put.contains("\nintent "), "{put}");
}

/// Checks that no watcher is alive and that `starts` agents were started in all.
fn assert_idle(host: &TestHost, attempt: u32, starts: usize) {
    let pid = host.pid(attempt, "watch.1");
    // A zombie has no command line.
    let lives = || std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty());
    host.until("end of the watcher", || (!lives()).then_some(()));
    assert_eq!(host.starts(), starts);
}

#[test]
fn a_watcher_in_setup_or_the_first_check_starts_nothing() {
    for shell in shells() {
        for step in ["setup", "check"] {
            let host = TestHost::shipped(shell.clone(), "echo start >>$HOME/starts");
            host.ensure(1, &[(step, "echo up >$HOME/up; exec sleep 60\n")]);
            host.until(step, || host.home().join("up").exists().then_some(()));
            raise(&host);
            assert_eq!(host.result(1).get("reason"), Some("epoch"), "{step}");
            assert!(host.link(1, "intent").is_none());
            assert_idle(&host, 1, 0);
        }
    }
}

#[test]
fn a_watcher_between_two_attempts_starts_nothing() {
    // The delay, a delay that the laptop chose, and a usage limit.
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
            assert_idle(&host, 1, 1);
            assert!(!host.at(2).exists() || host.link(2, "intent").is_none());
        }
    }
}

#[test]
fn an_epoch_that_is_raised_while_ensure_takes_the_objects_in_refuses_the_attempt() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        let raise = format!("true >'{}/epoch/2'", host.work().display());
        host.shadow_git("*--verify*refs/handoff/*/ship/1*", &raise);
        let reply = host.ensure(1, &[]);
        assert!(reply.contains("error epoch the handoff is at epoch 2"), "{reply}");
        assert!(!host.at(1).exists() && !host.root().join("trees").exists());
        assert_eq!(host.starts(), 0);
    }
}

#[test]
fn an_attempt_that_was_called_off_touches_no_tree() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
        // The first step of the watcher that needs git's objects.
        let raise = format!("true >'{}/epoch/2'", host.work().display());
        host.shadow("df", &format!("{raise}\nexec /bin/df \"$@\""));
        host.ensure(1, &[]);
        assert_eq!(host.result(1).get("reason"), Some("epoch"));
        assert!(!host.root().join("trees").exists(), "no checkout was made");
        assert_idle(&host, 1, 0);
    }
}
