//! A root directory that is wiped, moved, unmounted or restored: no attempt starts twice, and no process is left.

use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::host::{NONCE, TestHost, grant, shells};
use super::*;

const WAITS: &str = "echo start >>$HOME/starts; echo up; until [ -e $HOME/go ]; do sleep 0.05; done; echo w >work";
const ID: &str = "0123456789abcdef0123456789abcdef";

fn instance(host: &TestHost) -> String {
    let reply = host.call(Verb::Instance, b"\n");
    reply.lines().find_map(|line| line.strip_prefix("instance ")).unwrap_or_else(|| panic!("{reply}")).to_owned()
}

fn one() -> String {
    grant(&[("last", "1")])
}

/// An attempt whose agent runs.
fn running_attempt(shell: String) -> TestHost {
    let host = TestHost::shipped(shell, WAITS);
    host.ensure(1, &[("grant", &one())]);
    host.until("output", || (!host.log(1).is_empty()).then_some(()));
    host
}

fn go(host: &TestHost) {
    std::fs::write(host.home().join("go"), "").unwrap();
}

fn is_alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn ends(host: &TestHost, what: &str, pid: i32) {
    host.until(&format!("end of {what}"), || (!is_alive(pid)).then_some(()));
}

/// One request for each verb that changes something or reports that something does not exist.
fn requests(host: &TestHost, known: &str) -> Vec<(Verb, Vec<u8>)> {
    let (name, key) = (&host.name, "a".repeat(40));
    let cache = format!("instance {known}\nname {name}\nkey {key}\nformat sha1\n");
    let attempt = format!("instance {known}\nname {name}\nattempt 1\n");
    let text = |verb, text: String| (verb, text.into_bytes());
    vec![
        (Verb::Ensure, host.ensure_request(1, &[], &format!("instance {known}\n"))),
        text(Verb::Poll, format!("instance {known}\nwait 0\nmax 0\nwant {name} 1 log 0 0\n\n")),
        text(Verb::SetEpoch, format!("instance {known}\nname {name}\nepoch 2\n\n")),
        text(Verb::Cancel, format!("{attempt}\n")),
        text(Verb::Capture, format!("{attempt}\n")),
        text(Verb::Release, format!("instance {known}\nname {name}\n\n")),
        text(Verb::RepairCache, format!("{cache}\n")),
        text(Verb::ReceivePack, format!("{cache}\n")),
        text(Verb::SendPack, format!("{cache}attempt 1\n\n")),
    ]
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_root_is_made_once_and_each_ensure_raises_its_counter() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "true");
        let first = instance(&host);
        assert_eq!(first, instance(&host), "a question changes nothing");
        let id = first.split(' ').next().unwrap();
        assert!(id.len() == 32 && id.bytes().all(|c| c.is_ascii_hexdigit()), "{first}");
        let reply = host.ensure(1, &[]);
        let raised = instance(&host);
        assert!(reply.contains(&format!("\ninstance {raised}\n")) && raised != first, "{reply}");
        host.ensure(1, &[]);
        assert_ne!(instance(&host), raised);
        assert!(instance(&host).starts_with(id));
    }
}

#[test]
fn a_root_without_its_instance_is_left_as_it_is() {
    for shell in shells() {
        let host = TestHost::new(shell);
        for (verb, request) in requests(&host, &format!("{ID} 3")) {
            let reply = host.call(verb, &request);
            let wanted = format!("error unmounted {}", host.root().display());
            assert!(reply.contains(&wanted) && reply.contains(" end 1"), "{verb:?}: {reply}");
            assert_eq!(entries(&host.root()), ["lib"], "{verb:?} made something");
        }
    }
}

/// What deleted the root could not delete everything, and took away the link to the owner.
#[test]
fn what_is_left_of_a_deleted_root_is_named_and_kept() {
    for shell in shells() {
        for host in [TestHost::new(shell.clone()), TestHost::without_runner(shell.clone())] {
            let checkout = host.root().join("trees/greeter app-1/greeter app");
            std::fs::create_dir_all(&checkout).unwrap();
            std::fs::write(checkout.join("work"), "w\n").unwrap();
            let left = format!("\nleft {}\n", checkout.display());
            let asked = if host.root().join("lib").exists() {
                let dry = host.call(Verb::Instance, b"dry yes\n\n");
                assert!(dry.contains(&left), "{dry}");
                requests(&host, &format!("{ID} 3")).iter().map(|(verb, request)| host.call(*verb, request)).collect()
            } else {
                vec![host.exec(&install_loader(true), text().as_bytes())]
            };
            for reply in asked {
                assert!(reply.contains(&left), "{reply}");
            }
            assert_eq!(std::fs::read(checkout.join("work")).unwrap(), b"w\n");
        }
    }
}

#[test]
fn the_runner_is_not_installed_where_a_known_root_is_missing() {
    for shell in shells() {
        let host = TestHost::without_runner(shell);
        let reply = host.exec(&install_loader(true), text().as_bytes());
        assert_eq!(
            reply,
            format!("@handoff {NONCE} begin\nerror unmounted {}\n@handoff {NONCE} end 1\n", host.root().display())
        );
        assert!(!host.root().exists());
        // A host of release 0.1.0 has handoffs and no instance.
        std::fs::create_dir_all(host.root().join("work")).unwrap();
        assert!(host.exec(&install_loader(true), text().as_bytes()).contains(" end 0"));
    }
}

#[test]
fn another_root_and_an_older_state_of_it_are_refused_by_every_verb() {
    for shell in shells() {
        let host = TestHost::new(shell);
        let now = instance(&host);
        let (id, count) = now.split_once(' ').unwrap();
        let later = format!("{id} {}", count.parse::<u64>().unwrap() + 1);
        let made = entries(&host.root());
        for known in [format!("{ID} 1"), later] {
            for (verb, request) in requests(&host, &known) {
                let reply = host.call(verb, &request);
                assert!(reply.contains("error instance ") && reply.contains(" end 1"), "{verb:?} {known}: {reply}");
                assert_eq!(entries(&host.root()), made, "{verb:?} made something");
            }
        }
    }
}

#[test]
fn a_started_attempt_without_its_directory_is_not_started_again() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts; echo w >w");
        host.ensure(1, &[("grant", &one())]);
        host.result(1);
        std::fs::remove_dir_all(host.work()).unwrap();
        let reply = host.ensure(1, &[("grant", &one())]);
        assert!(reply.contains("error begun attempt 1 was prepared"), "{reply}");
        assert!(!host.work().exists());
        // A laptop that saw the attempt start sends `started`, whatever the root knows.
        let request = host.ensure_request(2, &[], "started yes\n");
        assert!(host.call(Verb::Ensure, &request).contains("error begun attempt 2 was started"));
        assert_eq!(host.starts(), 1);
    }
}

#[test]
fn an_attempt_that_the_host_started_by_itself_is_not_started_again() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts; [ \"$1\" = resume ] || exit 1; echo w >w");
        let two = [("grant", grant(&[("last", "2")])), ("table", "crashed\tresume\t@any\n".to_owned())];
        let two: Vec<(&str, &str)> = two.iter().map(|(file, text)| (*file, text.as_str())).collect();
        host.ensure(1, &two);
        host.result(2);
        std::fs::remove_dir_all(host.at(2)).unwrap();
        assert!(host.ensure(2, &two).contains("error begun attempt 2 was prepared"));
        assert_eq!(host.starts(), 2);
    }
}

#[test]
fn a_watcher_whose_root_is_deleted_ends_the_agent_and_exits() {
    for shell in shells() {
        let host = running_attempt(shell);
        let (watcher, task) = (host.pid(1, "watch.1"), host.pid(1, "task"));
        std::fs::rename(host.root(), host.home().join("deleted")).unwrap();
        std::fs::remove_dir_all(host.home().join("deleted")).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        assert!(is_alive(task), "it may come back while the agent works");
        go(&host);
        ends(&host, "the wrapper", task);
        ends(&host, "the watcher", watcher);
        assert!(!host.root().exists());
    }
}

#[test]
fn a_root_that_was_away_for_a_moment_changes_nothing() {
    for shell in shells() {
        let host = running_attempt(shell);
        let away = host.home().join("away");
        std::fs::rename(host.root(), &away).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        std::fs::rename(&away, host.root()).unwrap();
        go(&host);
        let result = host.result(1);
        assert_eq!((result.class(), result.get("exit"), host.starts()), ("unchecked", Some("0"), 1), "{}", result.0);
    }
}

#[test]
fn an_agent_that_ends_while_its_root_is_away_gets_its_result_later() {
    for shell in shells() {
        let host = running_attempt(shell);
        let (watcher, task) = (host.pid(1, "watch.1"), host.pid(1, "task"));
        let away = host.home().join("away");
        std::fs::rename(host.root(), &away).unwrap();
        go(&host);
        ends(&host, "the wrapper", task);
        ends(&host, "the watcher", watcher);
        std::fs::rename(&away, host.root()).unwrap();
        host.ensure(1, &[("grant", &one())]);
        let result = host.result(1);
        assert_eq!((result.get("exit"), host.starts()), (Some("0"), 1), "{}", result.0);
    }
}

#[test]
fn without_the_directory_of_the_attempt_agent_and_watcher_end() {
    for shell in shells() {
        let host = running_attempt(shell);
        let (watcher, task) = (host.pid(1, "watch.1"), host.pid(1, "task"));
        std::fs::remove_dir_all(host.work()).unwrap();
        ends(&host, "the wrapper", task);
        ends(&host, "the watcher", watcher);
        assert!(!host.work().exists());
    }
}

#[test]
fn processes_of_a_lost_attempt_are_ended_before_the_next_one_starts() {
    for shell in shells() {
        let host = running_attempt(shell.clone());
        let (watcher, task) = (host.pid(1, "watch.1"), host.pid(1, "task"));
        // A stopped watcher cannot notice that its root is gone.
        kill_process(Pid::from_raw(watcher).unwrap(), Signal::STOP).unwrap();
        std::fs::rename(host.root(), host.home().join("deleted")).unwrap();
        host.exec(&install_loader(false), text().as_bytes());
        host.push();
        host.agent("echo start >>$HOME/starts");
        let request = host.ensure_request(2, &[], "stray 1\n");
        let reply = host.call(Verb::Ensure, &request);
        assert!(reply.contains(" watch=alive ") || reply.contains(" result=1 "), "{reply}");
        assert!(!is_alive(task) && !is_alive(watcher), "two agents at once");
        host.result(2);
        assert_eq!(host.starts(), 2);
        assert_eq!(entries(&host.work()).iter().filter(|name| *name == "1").count(), 0);
    }
}
