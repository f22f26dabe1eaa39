//! What a watcher records about the end of an attempt: signals, sessions, background work, and what counts as work.

use super::host::{TestHost, grant, shells};
use crate::agent::{host_rules, profiles};

/// The spec's files for the verdict of Claude Code.
fn claude() -> Vec<(&'static str, String)> {
    host_rules::files(&profiles::built_in().unwrap()["claude"])
}

fn ensure(host: &TestHost, files: &[(&'static str, String)], changes: &[(&str, &str)]) {
    let mut spec: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    spec.extend_from_slice(changes);
    host.ensure(1, &spec);
}

const INIT: &str = "echo '{\"type\":\"system\",\"subtype\":\"init\",\"session_id\":\"s-new\"}'";
const SAYS: &str = "echo '{\"type\":\"assistant\",\"message\":{\"content\":[]},\"session_id\":\"s-new\"}'";
const RESULT: &str = "echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"session_id\":\"s-new\"}'";

#[test]
fn a_status_above_128_is_a_signal_only_where_one_was_seen() {
    for shell in shells() {
        for (agent, exit, signal) in [
            ("exit 137", "137", None),
            ("sh -c 'exit 139'; exit $?", "139", None),
            ("kill -KILL $$", "137", Some("9")),
            ("kill -SEGV $$", "139", Some("11")),
        ] {
            let host = TestHost::shipped(shell.clone(), agent);
            // The check's status is read after the agent's and says nothing about it.
            host.ensure(1, &[("grant", &grant(&[("last", "1")])), ("check", "exit 1\n")]);
            let result = host.result(1);
            assert_eq!(
                (result.get("exit"), result.get("signal")),
                (Some(exit), signal),
                "{shell}: {agent}: {}",
                result.0
            );
            assert_eq!(result.class(), "crashed");
        }
    }
}

#[test]
fn work_after_the_first_result_event_continues_and_counts() {
    let beats = format!("for i in 1 2 3 4 5 6 7 8 9 10; do sleep 1; {SAYS}; done");
    for shell in shells() {
        for (rest, class, reason) in [
            (format!("{beats}; {RESULT}"), "unchecked", "exit"),
            (format!("{beats}; exit 1"), "crashed", "exit"),
            ("sleep 600".to_owned(), "unchecked", "grace"),
        ] {
            let host = TestHost::shipped(shell.clone(), &format!("echo w >w; {INIT}; {RESULT}; {rest}"));
            ensure(&host, &claude(), &[("grant", &grant(&[("grace", "9"), ("last", "1")]))]);
            let result = host.result(1);
            assert_eq!((result.class(), result.get("reason")), (class, Some(reason)), "{shell}: {}", result.0);
        }
    }
}

#[test]
fn the_session_that_the_stream_opens_is_the_one_that_is_resumed() {
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), &format!("echo w >w; {INIT}; {RESULT}"));
        ensure(
            &host,
            &claude(),
            &[("grant", &grant(&[("session_mode", "preset"), ("session", "s-old"), ("last", "1")]))],
        );
        let result = host.result(1);
        assert_eq!((result.class(), result.get("session")), ("unchecked", Some("s-new")), "{shell}: {}", result.0);
        let host = TestHost::shipped(shell, &format!("echo w >w; {INIT}; {RESULT}"));
        let asked = [("session_mode", "preset"), ("session", "s-old"), ("start", "resume"), ("last", "1")];
        ensure(&host, &claude(), &[("grant", &grant(&asked))]);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("resumed")), ("session", Some("s-old")), "{}", result.0);
    }
}

#[test]
fn a_commit_and_an_ignored_file_that_the_check_wants_are_work() {
    let commit = "git add -A && git -c user.name=A -c user.email=a@b commit -qm work";
    for shell in shells() {
        for (agent, check, class) in [
            (commit, None, "unchecked"),
            ("true", None, "no-work"),
            (": >../built.o", Some("test -f built.o\n"), "done"),
            ("true", Some("true\n"), "no-work"),
        ] {
            let host = TestHost::shipped(shell.clone(), agent);
            let last = grant(&[("last", "1")]);
            let mut changes = vec![("grant", last.as_str())];
            changes.extend(check.map(|check| ("check", check)));
            host.ensure(1, &changes);
            let result = host.result(1);
            assert_eq!(result.class(), class, "{shell}: {agent}: {}", result.0);
        }
    }
}

#[test]
fn the_check_is_compared_with_its_status_at_the_base() {
    // The first attempt makes the check pass and is cut short; the second has nothing left to do.
    let agent = "[ \"$1\" = resume ] || { : >../built.o; echo rate limit; exit 1; }";
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), agent);
        let check = ("check", "test -f built.o\n");
        host.ensure(1, &[("grant", &grant(&[("session_mode", "preset"), ("last", "2"), ("delays", "1")])), check]);
        assert_eq!(host.result(1).class(), "throttled");
        let second = host.result(2);
        assert_eq!((second.class(), second.get("check_before")), ("done", Some("1")), "{shell}: {}", second.0);
    }
}

#[test]
fn files_of_the_check_that_changed_are_named() {
    let host = TestHost::shipped(shells().remove(0), "echo changed >>../script.sh; echo w >w");
    let changes = [("check", "sh ./script.sh || true\n"), ("check_files", "sh\nscript.sh\n")];
    host.ensure(1, &[("grant", &grant(&[("last", "1")])), changes[0], changes[1]]);
    let result = host.result(1);
    assert_eq!((result.class(), result.get("changed")), ("done", Some("script.sh")), "{}", result.0);
}
