//! `handoff pull --artifacts`: ignored build results, with size and hash.

use std::os::unix::fs::PermissionsExt;

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK, wait_for};

/// An agent that builds what its ignore rules leave out.
const BUILDS: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\n\
    run printf 'target/\\n' >.gitignore; mkdir -p target/release; printf 'one' >target/release/a.deb\n\
    run printf tool >target/tool; chmod 755 target/tool; ln -s ../notes.txt target/link.deb\nfinish All done.\n";

const SHA256_OF_ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";

fn built() -> Laptop {
    let laptop = Laptop::with_plan(BUILDS);
    laptop.run([TASK]).run().exits(0).done();
    laptop
}

/// The checkout on the first host.
fn checkout(laptop: &Laptop) -> std::path::PathBuf {
    laptop.hosts[0].home.join(".handoff/trees/till-1/till")
}

#[test]
fn build_results_come_with_size_and_hash_and_nothing_else_changes() {
    let laptop = built();
    let (index, status) = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]));
    let ran = laptop.handoff(["pull", ID, "--artifacts", "target/release/*.deb", "--artifacts", "./target/tool"]).run();
    let ran = ran.exits(0).says("2 artifacts of attempt 1 on box, 7B, in ");
    ran.says(&format!("target/release/a.deb         3B  sha256 {SHA256_OF_ONE}")).says("target/tool ").done();
    let (deb, tool) = (laptop.truth("artifacts/1/target/release/a.deb"), laptop.truth("artifacts/1/target/tool"));
    assert_eq!((std::fs::read(&deb).unwrap(), std::fs::read(&tool).unwrap()), (b"one".to_vec(), b"tool".to_vec()));
    assert_eq!(tool.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    assert_eq!((laptop.index(), laptop.git(&["status", "--porcelain=v2"])), (index, status));

    // A file that was changed here is replaced, also through a link.
    std::fs::remove_file(&deb).unwrap();
    std::os::unix::fs::symlink(laptop.repository().join("README.md"), &deb).unwrap();
    let pulled = laptop.handoff(["pull", ID, "--json", "--artifacts", "target/"]).run().exits(0).json().remove(0);
    let files = pulled["artifacts"]["files"].as_array().unwrap();
    let news: Vec<_> =
        files.iter().map(|file| (file["path"].as_str().unwrap(), file["new"].as_bool().unwrap())).collect();
    assert_eq!(news, [("target/release/a.deb", true), ("target/tool", false)], "no link came");
    assert_eq!(files[0]["sha256"], SHA256_OF_ONE);
    assert!(deb.symlink_metadata().unwrap().is_file());
    assert!(std::fs::read_to_string(laptop.repository().join("README.md")).unwrap().contains("till"));
    assert!(!laptop.truth("inbox.artifacts").read_dir().is_ok_and(|mut left| left.next().is_some()));
}

#[test]
fn what_is_not_there_and_what_is_too_large_is_said_and_not_sent() {
    let laptop = built();
    let ran = laptop.handoff(["pull", ID, "--artifacts", "*.rpm"]).run().exits(1);
    ran.says("no file in the checkout of attempt 1 on box matches").done();
    let ran = laptop.handoff(["pull", ID, "--artifacts", "*.deb", "--max-size", "2B"]).run().exits(1);
    let ran = ran.complains("too large: 1 with 3B in all, and the limit is 2B; nothing was sent");
    ran.complains(&format!("try: handoff pull {ID} --artifacts '*.deb' --max-size 1GiB")).done();
    assert!(!laptop.truth("artifacts/1/target").exists());
    assert!(laptop.git(&["for-each-ref", "refs/handoff/"]).lines().all(|line| !line.contains("artifacts")));
    laptop.handoff(["pull", ID, "--artifacts", "../x"]).run().exits(2).complains("below the top").done();
    laptop.handoff(["pull", ID, "--max-size", "1MiB"]).run().exits(2).done();
}

#[test]
fn while_the_agent_runs_they_are_a_snapshot() {
    let plan = "turn 1\nrun printf 'out/\\n' >.gitignore; mkdir out; printf half >out/a.bin; touch $HOME/built\n\
        run while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\nrun printf whole >out/a.bin\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    let running = laptop.run([TASK]).spawn();
    wait_for("the file", || laptop.hosts[0].home.join("built").exists());
    let ran = laptop.handoff(["pull", ID, "--artifacts", "out/*"]).run().exits(0);
    let ran = ran.says("is already following").says("this is a snapshot");
    ran.says("1 artifact of attempt 1 on box, 4B").done();
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    running.wait().exits(0).done();
    let ran = laptop.handoff(["pull", ID, "--artifacts", "out/*"]).run().exits(0);
    assert!(!ran.text().contains("snapshot"), "{ran:?}");
    assert_eq!(std::fs::read(laptop.truth("artifacts/1/out/a.bin")).unwrap(), b"whole");
}

#[test]
fn a_transfer_that_was_cut_continues_and_takes_in_only_what_is_whole() {
    let laptop = built();
    let target = checkout(&laptop).join("target");
    let noise: Vec<u8> = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    std::fs::write(target.join("big.bin"), &noise).unwrap();
    laptop.handoff(["pull", ID, "--artifacts", "*.bin"]).run().exits(0).says("1 artifact ").done();
    assert_eq!(std::fs::read(laptop.truth("artifacts/1/target/big.bin")).unwrap(), noise);
    // What a killed transfer left is used where it fits, and is replaced where it does not.
    std::fs::write(target.join("big.bin"), [&noise[..], b"more"].concat()).unwrap();
    let inbox = laptop.truth("inbox.artifacts");
    std::fs::create_dir_all(&inbox).unwrap();
    std::fs::write(inbox.join(format!("1-{}.pack", "1".repeat(40))), "half a pack").unwrap();
    laptop.handoff(["pull", ID, "--artifacts", "*.bin"]).run().exits(0).done();
    assert_eq!(std::fs::read(laptop.truth("artifacts/1/target/big.bin")).unwrap().len(), noise.len() + 4);
}

#[test]
fn they_come_after_a_takeover_and_no_longer_keep_the_checkout() {
    // `target/` is a declared cache, which keeps no checkout.
    let plan =
        "turn 1\nrun printf 'dist/\\n' >.gitignore; mkdir dist; echo a >dist/a.deb; echo t >dist/tool\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(laptop.takeover().code, Some(0));
    laptop.handoff(["clean", ID]).run().exits(1).says("dist/a.deb").says("dist/tool").done();
    laptop.handoff(["pull", ID, "--artifacts", "*.deb"]).run().exits(0).says("a.deb").done();
    let kept = laptop.handoff(["clean", ID]).run().exits(1);
    assert!(kept.text().contains("dist/tool") && !kept.text().contains("a.deb"), "{kept:?}");
    laptop.handoff(["pull", ID, "--artifacts", "tool"]).run().exits(0).done();
    // The newest pull of an attempt is the one that counts.
    laptop.handoff(["clean", ID]).run().exits(1).says("a.deb").done();
    laptop.handoff(["pull", ID, "--artifacts", "dist/"]).run().exits(0).done();
    std::fs::write(checkout(&laptop).join("dist/tool"), "a later build").unwrap();
    let kept = laptop.handoff(["clean", ID]).run().exits(1);
    assert!(kept.text().contains("dist/tool") && !kept.text().contains("a.deb"), "{kept:?}");
    laptop.handoff(["pull", ID, "--artifacts", "dist/"]).run().exits(0).done();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    laptop.handoff(["pull", ID, "--artifacts", "*.deb"]).run().exits(2).complains("was released").done();
    assert!(laptop.truth("artifacts/1/dist/a.deb").exists());
    // They are named before the record is removed with them.
    laptop.handoff(["finish", ID]).run().exits(0).done();
    let refused = laptop.handoff(["forget", ID]).run().exits(2);
    refused.complains(&format!("refs/handoff/{ID}/artifacts/1")).done();
    laptop.handoff(["forget", ID, "--discard"]).run().exits(0).done();
    assert!(!laptop.truth("").exists());
}

#[test]
fn a_handoff_that_another_one_displaced_has_no_files_left() {
    let laptop = built();
    std::fs::rename(checkout(&laptop), laptop.home().join("moved")).unwrap();
    let ran = laptop.handoff(["pull", ID, "--artifacts", "*.deb"]).run().exits(2);
    ran.complains("has no files on box any more (the checkout of attempt 1 is gone").done();
}

#[test]
fn a_run_brings_the_artifacts_that_it_was_asked_for_when_it_is_at_rest() {
    let plan = "turn 1\nrun printf 'dist/\\n' >.gitignore; mkdir dist; echo early >dist/a.deb\nratelimit\n\
        turn 2\nrun echo late >dist/a.deb\nfinish Done.\n";
    let mut laptop = Laptop::with_plan(plan);
    laptop.hosts[0].keys = "artifacts = [\"/dist/*.rpm\"]\n".to_owned();
    laptop.write_hosts();
    laptop.run(["--artifacts", "../x", TASK]).run().exits(2).complains("below the top").done();
    let ran = laptop.run(["--artifacts", "*.deb", TASK]).run().exits(0);
    let text = ran.text();
    assert_eq!(text.matches("artifact").count(), 2, "once, after the second attempt: {text}");
    assert!(text.contains("fetched 1 artifact of attempt 2 (5B) into "), "{text}");
    assert_eq!(std::fs::read(laptop.truth("artifacts/2/dist/a.deb")).unwrap(), b"late\n");
    let shown = laptop.shown();
    assert_eq!(shown["handoff"]["attempts"]["2"]["artifacts"], serde_json::json!({ "files": 1, "bytes": 5 }));
    let journal = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    assert!(journal.contains(r#""artifacts":["/dist/*.rpm","*.deb"]"#), "{journal}");
    // What was fetched once is not asked for again.
    let again = laptop.handoff(["watch", ID]).run().exits(0);
    assert!(!again.text().contains("artifact"), "{again:?}");
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}

#[test]
fn a_run_whose_process_was_killed_gets_its_artifacts_from_the_next_one() {
    let plan = "turn 1\nrun printf 'dist/\\n' >.gitignore; mkdir dist; echo x >dist/a.deb\n\
        run while ! [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    let running = laptop.run(["--artifacts", "*.deb", TASK]).spawn();
    wait_for("the start", || running.stdout().contains("attempt 1 runs"));
    assert_eq!(running.kill().code, None);
    std::fs::write(laptop.hosts[0].home.join("go"), "").unwrap();
    laptop.handoff(["watch", ID]).run().exits(0).says("fetched 1 artifact of attempt 1 (2B)").done();

    // Nothing matches: that is said once.
    let laptop = Laptop::with_plan(crate::support::QUICK);
    let ran = laptop.run(["--artifacts", "*.deb", TASK]).run().exits(0);
    ran.says("no artifact of attempt 1: no file on box matches").done();
    assert!(!laptop.handoff(["watch", ID]).run().exits(0).text().contains("artifact"));
}
