//! Runs that are refused, if possible before anything is sent.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK};

#[test]
fn the_same_task_is_not_started_twice_unless_asked() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let again = |more: &[&str]| laptop.handoff(["run", "--host", "box", "--detach"]).args(more).args([TASK]).run();
    again(&[]).exits(2).complains(ID).complains("--again").done();
    again(&["--again"]).exits(0).done();
    let list = laptop.handoff(["list", "--json"]).run().exits(0);
    assert_eq!(list.json().len(), 2);
}

#[test]
fn an_id_that_is_taken() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.run(["another task"]).run().exits(2).complains("already exists").done();
}

#[test]
fn a_host_that_is_gone() {
    let mut laptop = Laptop::new();
    laptop.hosts[0].vanish();
    laptop.run([TASK]).run().exits(5).complains("box").complains("try:").done();
}

#[test]
fn a_host_whose_key_has_changed() {
    let mut laptop = Laptop::new();
    let line = laptop.hosts[0].known_hosts.clone();
    let (place, _) = line.split_once(' ').unwrap();
    let another = laptop.add_host("other").known_hosts.clone();
    let (_, key) = another.split_once(' ').unwrap();
    std::fs::write(laptop.home().join(".ssh/known_hosts"), format!("{place} {key}\n")).unwrap();
    laptop.run([TASK]).run().exits(8).complains("nothing was sent").done();
    assert!(!laptop.hosts[0].home.join(".handoff").exists());
}

#[test]
fn a_host_whose_key_is_not_known() {
    let laptop = Laptop::new();
    std::fs::write(laptop.home().join(".ssh/known_hosts"), "").unwrap();
    laptop.run([TASK]).run().exits(8).complains("fingerprint").done();
    assert!(!laptop.hosts[0].home.join(".handoff").exists());
}

#[test]
fn a_command_line_that_is_wrong() {
    let laptop = Laptop::new();
    let refused = |args: &[&str], why: &str| laptop.handoff(args).run().exits(2).complains(why).done();
    refused(&["run", "--host", "box"], "TASK");
    refused(&["run", "--host", "box", " \n"], "the task is empty");
    refused(&["run", "--host", "box", "--attempts", "0", TASK], "--attempts");
    refused(&["run", "--host", "box", "--backoff", "soon", TASK], "--backoff");
    refused(&["run", "--host", "box", "--id", "../up", TASK], "--id");
    refused(&["run", "--host=-oProxyCommand=x", TASK], "-oProxyCommand");
    refused(&["run", "--host", "box", "--agent", "nobody", TASK], "handoff agents");
    refused(&["run", "--host", "box", "--task-file", "no such file"], "no such file");
    refused(&["run", "--host", "box", "--json", "--raw", TASK], "--raw");
    refused(&["frobnicate"], "frobnicate");
    let long = "x".repeat((1 << 20) + 1);
    laptop.run(["--task-file", "-"]).stdin(long).run().exits(2).complains("1024 KiB").done();
    assert!(!laptop.repository().join(".git/handoff").exists(), "nothing was begun");
}

#[test]
fn a_hosts_file_that_is_wrong() {
    let laptop = Laptop::new();
    std::fs::write(laptop.home().join(".config/handoff/hosts.toml"), "[host.box]\naddres = \"x\"\n").unwrap();
    laptop.run([TASK]).run().exits(2).complains("address").done();
}

#[test]
fn outside_a_repository() {
    let laptop = Laptop::new();
    let home = laptop.home();
    let ran = laptop.run([TASK]).directory(&home).run();
    ran.exits(2).complains("repository").done();
}
