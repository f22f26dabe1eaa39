//! `handoff watch`: following a handoff again, after leaving and after a crash.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait, wait_for};

#[test]
fn the_host_goes_on_alone_when_the_program_is_killed() {
    let laptop = Laptop::new();
    let running = laptop.run(["--check", "sh test.sh", TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    assert_eq!(running.kill().code, None);

    let host = &laptop.hosts[0];
    wait_for("the end of attempt 2", || host.work().join("2/result").exists());
    assert_eq!(host.prompts().len(), 2, "one session, two turns, without a watching laptop");

    let ran = laptop.handoff(["watch", ID]).run().exits(0).says("throttled").says("the check passes");
    assert!(ran.text().contains("attempt 1") && ran.text().contains("attempt 2"));
    assert_eq!(laptop.verdicts(), ["throttled", "done"]);
    for n in [1, 2] {
        assert_eq!(std::fs::read(laptop.record(&format!("attempt-{n}.log"))).unwrap(), host.log(n));
    }
    laptop.status_is("done");
    host.wait_until_empty(|_| false);
}

#[test]
fn a_cut_connection_is_not_the_end() {
    let plan = "turn 1\nedit a <<END\na\nEND\nrun while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    let running = laptop.run([TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    laptop.hosts[0].cut();
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    running.wait().exits(0).done();
    assert!(laptop.hosts[0].connections() > 1, "it came back by itself");
    assert_eq!(laptop.verdicts(), ["unchecked"], "one attempt, which did not notice");
    assert_eq!(std::fs::read(laptop.record("attempt-1.log")).unwrap(), laptop.hosts[0].log(1));
}

#[test]
fn a_lost_attempt_has_its_own_exit_code() {
    let laptop = Laptop::with_plan("turn 1\nedit a <<END\nby the agent\nEND\nsay Now I wait.\nhang\n");
    laptop.run(["--detach", "--attempts", "1", TASK]).run().exits(0).done();
    wait_for("the work", || String::from_utf8_lossy(&laptop.hosts[0].log(1)).contains("Now I wait."));
    // As in a power cut, no process is left to record how the attempt ended.
    crate::support::processes::end(&laptop.hosts[0].home);
    let ran = laptop.handoff(["watch", ID]).run().exits(4).says("lost");
    assert!(ran.took < wait::stretched(std::time::Duration::from_secs(15)), "nothing was waited for: {:?}", ran.took);
    assert_eq!(laptop.verdicts(), ["lost"]);
    laptop.status_is("failed");
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    laptop.handoff(["watch", ID]).run().exits(4).done();
}

#[test]
fn watch_of_an_ended_handoff_prints_how_it_ended() {
    let laptop = Laptop::with_plan(crate::support::QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["watch", ID]).run().exits(0).says("unchecked").done();
    laptop.handoff(["watch", ID, "--require-check"]).run().exits(1).done();
}

#[test]
fn a_pause_by_the_host_alone_is_explained_by_watch() {
    let laptop = Laptop::new();
    for name in ["agent", "cursor-agent"] {
        std::fs::remove_file(laptop.hosts[0].home.join(".local/bin").join(name)).unwrap();
    }
    let _ = laptop.run(["--detach", TASK]).run();
    wait_for("the host's own decision", || laptop.hosts[0].work().join("1/next").is_symlink());
    laptop.handoff(["watch", ID]).run().exits(3).complains("cursor.com/install").done();
    laptop.status_is("parked");
}
