//! The requests of a dispatch, as the host receives them.

use std::path::PathBuf;
use std::process::Command;

use handoff::remote::runner;

use crate::support::TASK;
use crate::support::laptop::Laptop;
use crate::support::noise;

const COUNTS: &str =
    "turn 1\nrun echo start >>\"$HOME/starts\"\nedit notes.txt <<END\nby the agent\nEND\nfinish Done.\n";

/// A laptop whose host has the repository and notes each verb that it gets. `body` is run for each, before the runner.
fn noting(body: &str) -> Laptop {
    let laptop = Laptop::with_plan(COUNTS);
    laptop.git(&["tag", "v1"]);
    laptop.handoff(["run", "--host", "box", "--id", "first", "the first task"]).run().exits(0).done();
    std::fs::remove_file(home(&laptop).join("starts")).unwrap();
    laptop.write("README.md", "changed\n");
    let lib = home(&laptop).join(".handoff/lib");
    let file = lib.join(format!("runner-{}.sh", runner::sha256()));
    std::fs::rename(&file, lib.join("runner")).unwrap();
    let note = format!("echo \"$1\" >>\"$HOME/verbs\"\n{body}\nexec \"$4\" \"$3/lib/runner\" \"$@\"\n");
    std::fs::write(file, note).unwrap();
    laptop
}

fn home(laptop: &Laptop) -> PathBuf {
    laptop.hosts[0].home.clone()
}

fn lines(laptop: &Laptop, file: &str) -> Vec<String> {
    std::fs::read_to_string(home(laptop).join(file)).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// The verbs of a run until its first poll.
fn verbs_of_run(laptop: &Laptop) -> Vec<String> {
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!((lines(laptop, "starts").len(), laptop.verdicts()), (1, vec!["unchecked".to_owned()]));
    lines(laptop, "verbs").into_iter().take_while(|verb| verb != "poll").collect()
}

#[test]
fn one_request_has_the_objects_and_starts_the_attempt() {
    let laptop = noting("");
    laptop.write("noise", noise(1_000_000));
    assert_eq!(verbs_of_run(&laptop), ["instance", "ensure"]);
}

#[test]
fn a_pack_of_more_than_one_mib_is_sent_before_the_attempt_exists() {
    let laptop = noting("[ \"$1\" != receive-pack ] || ls \"$3/work\" >>\"$HOME/work\"");
    laptop.write("noise", noise((1 << 20) + 1));
    assert_eq!(verbs_of_run(&laptop), ["instance", "receive-pack", "receive-pack", "ensure"]);
    let first = |line: &String| line.starts_with("first-");
    assert!(lines(&laptop, "work").iter().all(first), "{:?}", lines(&laptop, "work"));
}

#[test]
fn a_dispatch_whose_answer_was_lost_is_sent_again_and_starts_once() {
    let laptop = noting(
        "if [ \"$1\" = ensure ] && mkdir \"$HOME/once\" 2>/dev/null; then\n\
         \"$4\" \"$3/lib/runner\" \"$@\" >\"$HOME/lost\"\nexit 1\nfi",
    );
    assert_eq!(verbs_of_run(&laptop), ["instance", "ensure", "ensure"]);
    assert!(lines(&laptop, "lost").last().unwrap().ends_with(" end 0"), "{:?}", lines(&laptop, "lost"));
}

#[test]
fn a_host_without_the_base_gets_one_more_request_and_nothing_of_the_attempt_before() {
    let laptop = noting("[ \"$1\" != ensure ] || ls -d \"$3\"/work/2026*/1 >>\"$HOME/attempts\" 2>/dev/null");
    // The host loses everything that laptops sent.
    let caches = std::fs::read_dir(home(&laptop).join(".handoff/cache")).unwrap();
    let cache = caches.map(|entry| entry.unwrap().path()).next().unwrap();
    let lose = "git for-each-ref --format='delete %(refname)' | git update-ref --stdin && git gc -q --prune=now";
    assert!(Command::new("sh").args(["-c", lose]).current_dir(&cache).status().unwrap().success());
    assert_eq!(verbs_of_run(&laptop), ["instance", "ensure", "ensure"]);
    assert_eq!(lines(&laptop, "attempts"), [""; 0]);
}
