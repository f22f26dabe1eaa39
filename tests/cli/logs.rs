//! `handoff logs`: the mirror, from the disk and while it grows.

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

#[test]
fn prints_any_attempt_with_the_host_gone() {
    let mut laptop = Laptop::new();
    laptop.run(["--check", "sh test.sh", TASK]).run().exits(0).done();
    let logs = [laptop.hosts[0].log(1), laptop.hosts[0].log(2)];
    laptop.hosts[0].vanish();
    laptop.handoff(["logs"]).run().exits(0).says("Both bugs in total.sh are fixed").done();
    laptop.handoff(["logs", ID, "--attempt", "1"]).run().exits(0).says("Two tests fail.").done();
    for (n, log) in ["1", "2"].into_iter().zip(logs) {
        let raw = laptop.handoff(["logs", ID, "--attempt", n, "--raw"]).run().exits(0);
        assert_eq!(raw.stdout, log);
    }
    let json = laptop.handoff(["logs", ID, "--json"]).run().exits(0);
    assert!(json.json().len() > 3);
    laptop.handoff(["logs", ID, "--attempt", "7"]).run().exits(2).complains("no attempt 7").done();
    laptop.handoff(["logs", ID, "-f"]).run().exits(0).says("Both bugs").done();
}

#[test]
fn follows_a_run_of_another_process_to_its_end() {
    let plan =
        format!("turn 1\nrun while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\n{}", QUICK.replace("turn 1\n", ""));
    let laptop = Laptop::with_plan(&plan);
    let running = laptop.run([TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    let reader = laptop.handoff(["logs", ID, "-f", "--raw"]).spawn();
    let second = laptop.handoff(["watch", ID]).spawn();
    wait_for("the first bytes", || !reader.stdout().is_empty());
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    running.wait().exits(0).done();
    assert_eq!(reader.wait().exits(0).stdout, laptop.hosts[0].log(1));
    second.wait().exits(0).says("All done.").complains("showing its log").done();
}

#[test]
fn logs_of_a_detached_run_without_output_suggests_watch() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    std::fs::write(laptop.truth("attempt-1.log"), "").unwrap();
    laptop.handoff(["logs", ID]).run().exits(0).complains(&format!("`handoff watch {ID}` fetches it")).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.handoff(["stop", ID]).run().exits(0).done();
    let ran = laptop.handoff(["logs", ID]).run().exits(0).says("Now I wait.");
    assert_eq!(ran.stderr, "", "an attempt that has ended needs no advice");
}

#[test]
fn ctrl_c_of_logs_follow_has_its_own_exit_code() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    let reader = laptop.handoff(["logs", ID, "-f"]).spawn();
    wait_for("the agent's words", || reader.stdout().contains("Now I wait."));
    reader.interrupt().exits(130).done();
    running.interrupt().exits(130).done();
}

#[test]
fn a_log_without_the_value_of_a_secret_is_announced_as_not_shown() {
    let laptop = Laptop::with_plan(QUICK);
    let hosts = laptop.home().join(".config/handoff/hosts.toml");
    let table = std::fs::read_to_string(&hosts).unwrap();
    std::fs::write(&hosts, format!("{table}\n[host.box.secrets]\nS = \"LAPTOP_SECRET\"\n")).unwrap();
    laptop.run(["--detach", TASK]).env("LAPTOP_SECRET", "ZQXJ55abc").run().exits(0).done();
    laptop.handoff(["watch", ID]).run().exits(0).says("LAPTOP_SECRET is not set").done();
    let ran = laptop.handoff(["logs", ID]).run().exits(0).complains("the secret S has no value here");
    assert!(!ran.complains("handoff logs --raw").text().contains("All done."));
    let ran = laptop.handoff(["logs", ID]).env("LAPTOP_SECRET", "ZQXJ55abc").run().exits(0).says("All done.");
    assert!(!ran.stderr.contains("no value here"), "{}", ran.stderr);
}
