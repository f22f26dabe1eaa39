//! `handoff clean`: a host deletes only what the laptop has.

use std::path::PathBuf;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// A plan that leaves two ignored files: one in a declared cache, and one without any other copy.
const LEAVES: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run mkdir -p target; echo warm >target/made; printf 12345 >only.o; printf x >\"$(printf 'a\\033[2J.o')\"\n\
    finish All done.\n";

fn work_dirs(laptop: &Laptop) -> usize {
    std::fs::read_dir(laptop.hosts[0].home.join(".handoff/work")).unwrap().count()
}

fn tree(laptop: &Laptop) -> PathBuf {
    laptop.hosts[0].home.join(".handoff/trees/till-1/till")
}

fn is_owned(laptop: &Laptop) -> bool {
    laptop.hosts[0].home.join(".handoff/trees/till-1/owner").is_symlink()
}

/// Refs of this handoff in the cache of the first host.
fn cache_refs(laptop: &Laptop) -> String {
    let caches = std::fs::read_dir(laptop.hosts[0].home.join(".handoff/cache")).unwrap();
    let cache = caches.map(|entry| entry.unwrap().path()).find(|path| path.extension().is_some_and(|e| e == "git"));
    laptop.git_in(&cache.unwrap(), &["for-each-ref", "--format=%(refname)", "refs/handoff", "refs/capture"])
}

#[test]
fn clean_releases_the_host_and_every_local_command_still_works() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let log = laptop.hosts[0].log(1);
    let commit = laptop.git(&["rev-parse", &format!("refs/handoff/{ID}/1/work")]);

    let dry = laptop.handoff(["clean", ID, "--dry-run"]).run().exits(0).says("would be released");
    dry.says("attempt 1: work ").done();
    assert!(is_owned(&laptop) && work_dirs(&laptop) == 1 && cache_refs(&laptop).contains(ID));
    assert_eq!(laptop.shown()["handoff"]["released"], serde_json::json!({}));
    let given_up = laptop.repository().join(".git/handoff").join(ID).join("inbox");
    std::fs::create_dir(&given_up).unwrap();

    let held = format!("work {} saved as refs/handoff/{ID}/1/work, log saved ({} bytes)", &commit[..10], log.len());
    let ran = laptop.handoff(["clean", ID]).run().exits(0).says("on box: released").says(&held);
    ran.says("till-1/till is free for the next handoff").says("2 refs in the cache").done();
    assert!(!is_owned(&laptop) && tree(&laptop).exists());
    assert!(!given_up.exists(), "the file of a transfer that was given up stays");
    assert_eq!((work_dirs(&laptop), cache_refs(&laptop).as_str()), (0, ""));
    assert_eq!(laptop.shown()["handoff"]["released"]["box"]["confirmed"], true);
    laptop.handoff(["show", ID, "--offline"]).run().exits(0).says("deleted its copy").done();
    laptop.handoff(["list"]).run().exits(0).says("released").done();
    laptop.handoff(["clean", ID]).run().exits(0).says("was already released").done();
    laptop.handoff(["clean", "--all"]).run().exits(0).says("nothing to clean").done();

    laptop.hosts[0].vanish();
    laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    laptop.handoff(["logs", ID]).run().exits(0).says("All done.").done();
    laptop.handoff(["pull", ID]).run().exits(0).says("nothing new").done();
    laptop.takeover().exits(0).says("is yours").done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
}

#[test]
fn a_resume_after_clean_sends_the_work_again() {
    let plan = "turn 1\nrun echo line >>grown.txt\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write("mine.txt", "mine\n");
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["clean"]).run().exits(0).says("released").done();
    std::fs::remove_dir_all(tree(&laptop)).unwrap();
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).done();
    let read = |name: &str| std::fs::read_to_string(tree(&laptop).join(name)).unwrap();
    assert_eq!((read("mine.txt"), read("grown.txt")), ("mine\n".into(), "line\nline\n".into()));
    assert_eq!(laptop.shown()["handoff"]["attempts"].as_object().unwrap().len(), 2);
    laptop.handoff(["clean", ID]).run().exits(0).says("attempt 2: work ").done();
}

#[test]
fn files_that_exist_only_on_the_host_stay_until_they_are_discarded() {
    let laptop = Laptop::with_plan(LEAVES);
    laptop.write(".gitignore", "target/\n*.o\n");
    laptop.run([TASK]).run().exits(0).done();
    for args in [&["clean", ID][..], &["clean", ID, "--dry-run"], &["clean", "--all"]] {
        let kept = laptop.handoff(args).run().exits(1).says("2 files (6 bytes)").says("only.o").says("a␛[2J.o");
        assert!(!kept.text().contains("target") && !kept.stdout.contains(&0x1b), "{}", kept.text());
        kept.says(&format!("handoff clean {ID} --discard-ignored")).done();
        assert!(is_owned(&laptop) && work_dirs(&laptop) == 1 && tree(&laptop).join("only.o").exists());
    }
    laptop.handoff(["clean", "--all", "--discard-ignored"]).run().exits(2).done();
    let gone = laptop
        .handoff(["clean", ID, "--discard-ignored"])
        .run()
        .exits(0)
        .says("deleted: 2 files (6 bytes) that existed only there");
    gone.says("only.o").says("released").done();
    assert!(!is_owned(&laptop) && !tree(&laptop).join("only.o").exists());
    assert!(tree(&laptop).join("target/made").exists(), "a declared cache stays for the next handoff");
}

#[test]
fn the_next_handoff_reuses_the_released_checkout() {
    let plan = "turn 1\nrun mkdir -p target; cat target/made >\"$HOME/found\" 2>&1; pwd >>\"$HOME/places\"; \
                echo warm >target/made\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write(".gitignore", "target/\n");
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    laptop.handoff(["run", "--host", "box", "--id", "20260408-another", "Another task."]).run().exits(0).done();
    let home = &laptop.hosts[0].home;
    assert_eq!(std::fs::read_to_string(home.join("found")).unwrap(), "warm\n");
    let places = std::fs::read_to_string(home.join("places")).unwrap();
    let places: Vec<&str> = places.lines().collect();
    assert_eq!(places, [places[0]; 2], "at the same path");
    assert_eq!(std::fs::read_dir(home.join(".handoff/trees")).unwrap().count(), 1);
}

#[test]
fn a_finished_handoff_leaves_its_checkout_to_the_next_one() {
    let plan = "turn 1\nrun mkdir -p target; cat target/made >>\"$HOME/found\" 2>/dev/null; pwd >>\"$HOME/places\"; \
                echo warm >target/made; echo line >>grown.txt\nfinish All done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write(".gitignore", "target/\n");
    laptop.run([TASK]).run().exits(0).done();
    let another = "20260408-another";
    laptop.handoff(["run", "--host", "box", "--id", another, "Another task."]).run().exits(0).done();
    let home = laptop.hosts[0].home.clone();
    let read = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
    assert_eq!(read("found"), "warm\n");
    let first = home.join(".handoff/trees/till-1/till");
    assert_eq!(read("places"), format!("{0}\n{0}\n", first.display()));
    assert_eq!(std::fs::read_to_string(first.join("grown.txt")).unwrap(), "line\n", "without the first one's work");
    laptop.handoff(["show", ID]).run().exits(0).done();

    // The first one gets its work back, in the checkout that the other one leaves.
    let resumed = laptop.handoff(["resume", ID, "--again"]).run().exits(0);
    resumed.says("the checkout on box is not this handoff's any more").done();
    assert_eq!(std::fs::read_to_string(first.join("grown.txt")).unwrap(), "line\nline\n");
    assert_eq!(read("found"), "warm\nwarm\n");
    assert_eq!(laptop.verdicts().len(), 2, "no attempt failed for it");
    let owner = std::fs::read_link(first.with_file_name("owner")).unwrap();
    assert!(owner.to_string_lossy().starts_with(ID), "{owner:?}");
    laptop.handoff(["diff", another]).run().exits(0).says("+line").done();
}

#[test]
fn clean_of_a_handoff_without_a_checkout_deletes_what_is_its_own() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["run", "--host", "box", "--id", "20260408-another", "Another task."]).run().exits(0).done();
    let cleaned = laptop.handoff(["clean", ID]).run().exits(0).says("on box: released");
    assert!(!cleaned.text().contains("checkout"), "{}", cleaned.text());
    cleaned.done();
    assert!(is_owned(&laptop) && work_dirs(&laptop) == 1 && !cache_refs(&laptop).contains(ID));
    laptop.handoff(["diff", "20260408-another"]).run().exits(0).says("+by the agent").done();
}

#[test]
fn clean_fetches_missing_work_before_it_deletes_anything() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let log = laptop.hosts[0].log(1);
    let work = format!("refs/handoff/{ID}/1/work");
    let commit = laptop.git(&["rev-parse", &work]);
    laptop.git(&["update-ref", "-d", &work]);
    laptop.git(&["gc", "--quiet", "--prune=now"]);
    std::fs::File::options().write(true).open(laptop.truth("attempt-1.log")).unwrap().set_len(7).unwrap();
    laptop.handoff(["clean", ID]).run().exits(0).says(&format!("log saved ({} bytes)", log.len())).done();
    assert_eq!(laptop.git(&["rev-parse", &work]), commit);
    assert_eq!(std::fs::read(laptop.truth("attempt-1.log")).unwrap(), log);
    assert_eq!(laptop.git(&["show", &format!("{work}:notes.txt")]), "by the agent\n");
}

#[test]
fn a_log_that_is_longer_here_than_on_the_host_is_fetched_into_a_new_part() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let log = laptop.hosts[0].log(1);
    let mut file = std::fs::File::options().append(true).open(laptop.truth("attempt-1.log")).unwrap();
    std::io::Write::write_all(&mut file, b"not the host's\n").unwrap();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    assert_eq!(std::fs::read(laptop.truth("attempt-1.2.log")).unwrap(), log, "held whole before it went");
    let journal = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    assert!(journal.contains(r#""event":"log-replaced","attempt":1,"part":2"#), "{journal}");
    assert_eq!(work_dirs(&laptop), 0);
}

#[test]
fn clean_does_not_change_the_age_of_a_handoff() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let changed = || laptop.shown()["handoff"]["changed"].clone();
    let before = changed();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    assert_eq!(changed(), before);
}

#[test]
fn a_running_dry_run_does_not_block_clean() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let dry: Vec<_> = (0..3).map(|_| laptop.handoff(["clean", ID, "--dry-run"]).spawn()).collect();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    for dry in dry {
        dry.wait().exits(0).done();
    }
}

#[test]
fn clean_refuses_a_running_handoff() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(1).says(&format!("handoff stop {ID}")).done();
    laptop.handoff(["clean", "--all"]).run().exits(0).says("nothing to clean").done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.handoff(["stop", ID]).run().exits(0).done();
    laptop.handoff(["clean", "--host", "box"]).run().exits(0).says("released").done();
    assert_eq!(work_dirs(&laptop), 0);
}

#[test]
fn clean_of_an_unreachable_host_deletes_nothing() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.hosts[0].vanish();
    let journal = std::fs::read(laptop.truth("journal.jsonl")).unwrap();
    let ran = laptop.handoff(["clean", ID]).run().exits(5).says("cannot be reached").says("nothing was deleted");
    ran.says(&format!("try: handoff clean {ID}")).done();
    assert_eq!(std::fs::read(laptop.truth("journal.jsonl")).unwrap(), journal);
    assert!(is_owned(&laptop) && work_dirs(&laptop) == 1);
    laptop.git(&["rev-parse", &format!("refs/handoff/{ID}/1/work")]);
}

#[test]
fn clean_succeeds_if_the_files_were_already_deleted_by_hand() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    std::fs::remove_dir_all(laptop.hosts[0].home.join(".handoff/work")).unwrap();
    laptop.handoff(["clean", ID]).run().exits(0).says("nothing was left there").done();
    assert_eq!(laptop.shown()["handoff"]["released"]["box"]["confirmed"], true);
}

#[test]
fn clean_captures_uncaptured_work_before_it_deletes_anything() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
                run mv \"$HOME\"/.handoff/cache/*.git/objects \"$HOME/objects\"\nfinish All done.\n";
    for verb in ["pull", "clean"] {
        let laptop = Laptop::with_plan(plan);
        let ran = laptop.run([TASK]).run();
        assert!(ran.text().contains("could not capture the work of attempt 1"), "{}\n{}", ran.text(), ran.stderr);
        laptop.handoff(["clean", ID]).run().exits(1).says("kept").done();
        assert!(is_owned(&laptop) && tree(&laptop).join("notes.txt").exists());
        let cache = std::fs::read_dir(laptop.hosts[0].home.join(".handoff/cache")).unwrap().next().unwrap().unwrap();
        std::fs::rename(laptop.hosts[0].home.join("objects"), cache.path().join("objects")).unwrap();
        laptop.handoff([verb, ID]).run().exits(0).says(&format!("refs/handoff/{ID}/1/work")).done();
        assert_eq!(laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:notes.txt")]), "by the agent\n");
        laptop.handoff(["diff", ID]).run().exits(0).says("+by the agent").done();
    }
}

#[test]
fn clean_asks_every_host_of_a_handoff() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.handoff(["stop", ID]).run().exits(0).done();
    laptop.add_host("other").write_plan("turn 1\nedit more.txt <<END\nmore\nEND\nfinish More.\n");
    laptop.write_hosts();
    laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).done();
    let one = laptop.handoff(["clean", ID, "--host", "other", "--json"]).run().exits(0).json();
    assert_eq!((one.len(), &one[0]["host"], &one[0]["standing"]), (1, &"other".into(), &"released".into()));
    assert_eq!(one[0]["held"][0]["attempt"], 2);
    assert!(!laptop.handoff(["list"]).run().exits(0).text().contains("released"), "not everywhere yet");
    laptop.handoff(["clean", "--all"]).run().exits(0).says("on box: released").done();
    laptop.handoff(["list"]).run().exits(0).says("released").done();
}

#[test]
fn each_attempt_keeps_its_command_and_session_after_clean_and_resume() {
    let plan = "turn 1\nedit a <<END\na\nEND\nfinish Done.\nturn 2\nedit b <<END\nb\nEND\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    let session = |n: &str| laptop.shown()["handoff"]["attempts"][n]["session"].as_str().unwrap().to_owned();
    let first = session("1");
    let cleaned = laptop.handoff(["clean", ID]).run().exits(0);
    cleaned.complains(&format!("the agent's session {first}; a later")).done();
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).says("a new session starts").done();
    let second = session("2");
    assert_ne!(first, second);
    assert_eq!(session("1"), first);
    let page = std::fs::read_to_string(laptop.record("handoff.md")).unwrap();
    for (n, session) in [(1, &first), (2, &second)] {
        let log = format!("attempt-{n}.log 2>&1");
        let command = page.lines().find(|line| line.ends_with(&log)).unwrap();
        assert!(command.contains(&format!("--resume {session} ")), "{command}");
    }
    assert!(page.contains(&format!("- Session ID: {second}\n")), "{page}");
}

#[test]
fn a_handoff_whose_agent_deleted_its_checkout_can_be_ended() {
    let laptop = Laptop::with_plan("turn 1\nrun rm -rf \"$PWD\"\nfinish Done.\n");
    laptop.run(["--attempts", "1", TASK]).run().done();
    let refused = laptop.handoff(["clean", ID]).run().exits(1);
    refused.says(&format!("`handoff clean {ID} --discard-ignored` gives it up")).done();
    laptop.handoff(["clean", ID, "--discard-ignored"]).run().exits(0).done();
    assert_eq!(work_dirs(&laptop), 0);
}
