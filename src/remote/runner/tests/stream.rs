//! Output of `poll`: frames, complete logs, and latency.

use std::io::{BufRead, BufReader};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::host::{TestHost, shells};
use super::*;

fn poll(host: &TestHost, wait: u32, max: u64, inode: u64, offset: u64) -> Vec<u8> {
    let name = &host.name;
    let request = format!("wait {wait}\nmax {max}\nwant {name} 1 log {inode} {offset}\n\n");
    host.exec_raw(&loader(Verb::Poll), request.as_bytes())
}

/// The bytes of all data frames, the inode that they came from, and whether a result followed.
fn frames(mut reply: &[u8]) -> (Vec<u8>, u64, bool) {
    let (mut data, mut inode, mut ended) = (Vec::new(), 0, false);
    while !reply.is_empty() {
        let end = reply.iter().position(|b| *b == b'\n').unwrap();
        let line = String::from_utf8(reply[..end].to_vec()).unwrap();
        reply = &reply[end + 1..];
        let words: Vec<&str> = line.split(' ').collect();
        let length = match words[0] {
            "d" => words[6].parse().unwrap(),
            "r" => words[3].parse().unwrap(),
            _ => continue,
        };
        if words[0] == "d" {
            data.extend_from_slice(&reply[..length]);
            inode = words[4].parse().unwrap();
        }
        ended |= words[0] == "r";
        assert_eq!(reply[length], b'\n');
        reply = &reply[length + 1..];
    }
    (data, inode, ended)
}

#[test]
fn a_log_arrives_byte_for_byte_in_pieces_of_any_size() {
    for shell in shells() {
        let host =
            TestHost::shipped(shell, "printf '\\377\\0\\n@handoff x\\nd a 1'; head -c 70000 /dev/urandom; printf end");
        host.ensure(1, &[]);
        host.result(1);
        let (mut got, mut inode, mut rounds) = (Vec::new(), 0, 0);
        loop {
            let (data, from, ended) = frames(&poll(&host, 0, 30_011, inode, got.len() as u64));
            got.extend(data);
            inode = if from == 0 { inode } else { from };
            rounds += 1;
            if ended {
                break;
            }
        }
        assert_eq!((got, rounds), (std::fs::read(host.at(1).join("log")).unwrap(), 3));
    }
}

#[test]
fn a_file_that_was_cut_and_has_grown_again_is_read_from_its_start() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "head -c 3000 /dev/zero | tr '\\0' x; echo");
        host.ensure(1, &[]);
        host.result(1);
        let log = host.at(1).join("log");
        let (first, name) = (std::fs::read(&log).unwrap(), &host.name);
        let (_, inode, _) = frames(&poll(&host, 0, 10_000, 0, 0));
        let sum = crate::state::cksum::cksum(&first[2001 - 1024..2001]);
        let request = format!("wait 0\nmax 10000\nwant {name} 1 log {inode} 2001 {sum}\n\n");
        let rest = || frames(&host.exec_raw(&loader(Verb::Poll), request.as_bytes())).0;
        assert_eq!(rest(), first[2001..]);
        std::fs::write(&log, "y".repeat(5000)).unwrap();
        assert_eq!(rest(), "y".repeat(5000).as_bytes());
    }
}

#[test]
fn a_replaced_file_is_read_from_its_start() {
    let host = TestHost::shipped(shells().remove(0), "echo 12345");
    host.ensure(1, &[]);
    host.result(1);
    let name = &host.name;
    assert_eq!(frames(&poll(&host, 0, 100, 7, 3)).0, b"12345\n");
    assert!(
        String::from_utf8_lossy(
            &host.exec_raw(&loader(Verb::Poll), format!("wait 0\nmax 9\nwant {name} 9 log 0 0\n\n").as_bytes())
        )
        .contains(&format!("\ne {name} 9 unknown"))
    );
}

#[test]
fn output_of_a_deleted_log_is_restored_when_the_agent_ends() {
    for shell in shells() {
        let agent = "echo before; until [ -e \"$HOME/go\" ]; do sleep 0.05; done; echo after";
        let host = TestHost::shipped(shell, agent);
        host.ensure(1, &[]);
        let log = host.at(1).join("log");
        host.until("its first line", || (std::fs::read(&log).ok()? == b"before\n").then_some(()));
        std::fs::remove_file(&log).unwrap();
        std::fs::write(host.home().join("go"), "").unwrap();
        host.result(1);
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "before\nafter\n");
    }
}

#[test]
fn a_line_is_sent_within_a_tenth_of_a_second() {
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), "for i in 1 2 3 4 5 6 7; do date +%s.%N; sleep 0.2; done");
        host.ensure(1, &[]);
        let name = &host.name;
        let request = format!("wait 20000\nmax 100000\nwant {name} 1 log 0 0\nwant {name} 1 check.log 0 0\n\n");
        let mut child = host.start(&loader(Verb::Poll), request.as_bytes());
        let mut delays = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let Some(written) = line.unwrap().parse::<f64>().ok() else { continue };
            delays.push(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() - written);
        }
        child.wait().unwrap();
        delays.sort_by(f64::total_cmp);
        // The median is used because other tests share the cores.
        let limit = wait::stretched(Duration::from_millis(100)).as_secs_f64();
        assert!(delays.len() == 7 && delays[3] < limit, "{shell}: {delays:?}");
    }
}

#[test]
fn a_poll_leaves_nothing_behind_when_its_reader_goes() {
    let host = TestHost::shipped(shells().remove(0), "while :; do echo tick; sleep 0.1; done");
    host.ensure(1, &[]);
    let name = &host.name;
    let request = format!("wait 20000\nmax 100000\nwant {name} 1 log 0 0\n\n");
    let mut child = host.start(&loader(Verb::Poll), request.as_bytes());
    drop(child.stdout.take());
    let ended = || child.try_wait().unwrap();
    wait::until("the poll to end", Duration::from_secs(5), ended);
    let log = host.at(1).join("log");
    host.until("end of its tail", || {
        let output =
            std::process::Command::new("pgrep").args(["-f", &format!("tail.*{}", log.display())]).output().unwrap();
        output.stdout.is_empty().then_some(())
    });
}

/// A poll must notice what happens while it prepares to wait.
#[test]
fn a_change_between_the_look_and_the_wait_is_seen() {
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), "until [ -e \"$HOME/go\" ]; do sleep 0.05; done");
        host.ensure(1, &[]);
        host.until("the agent's start", || host.link(1, "task"));
        let bin = host.home().join("slow");
        std::fs::create_dir(&bin).unwrap();
        let (next, events) = (host.at(1).join("next"), host.work().join("events"));
        let late = format!(
            "#!/bin/sh\nln -s laptop:end:0 '{}' && echo 1 next >>'{}'\nPATH=${{PATH#*:}}\nexec mkfifo \"$@\"\n",
            next.display(),
            events.display()
        );
        std::fs::write(bin.join("mkfifo"), late).unwrap();
        std::fs::set_permissions(bin.join("mkfifo"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let line = format!("PATH='{}':$PATH; export PATH; {}", bin.display(), loader(Verb::Poll));
        let began = std::time::Instant::now();
        let request = format!("wait 20000\nmax 100000\nwant {} 1 log 0 0\n\n", host.name);
        let mut child = host.start(&line, request.as_bytes());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(" next=laptop:end:0 ")), "{shell}: never told");
        assert!(began.elapsed() < Duration::from_secs(15), "{shell}: told only at the end of the poll");
        std::fs::write(host.home().join("go"), "").unwrap();
        child.wait().unwrap();
    }
}
