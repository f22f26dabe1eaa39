//! The files that released versions left (`tests/golden/`), used by the present version.

mod make;

use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::laptop::Laptop;
use crate::support::wait_for;

const DONE: &str = "20260407-done";
const PARKED: &str = "20260407-parked";
const RUNNING: &str = "20260407-running";

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// A laptop and its host as each released version left them.
fn each() -> impl Iterator<Item = Laptop> {
    let folders = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut versions: Vec<PathBuf> = folders.filter(|path| path.is_dir()).collect();
    versions.sort();
    assert!(!versions.is_empty());
    versions.into_iter().map(|version| {
        println!("{}", version.display());
        let laptop = Laptop::with_plan("turn 2\nedit more.txt <<END\nafter\nEND\nfinish Went on.\n");
        std::fs::remove_dir_all(laptop.repository()).unwrap();
        unpack(&version.join("laptop.tar.gz"), laptop.top(), &laptop);
        unpack(&version.join("host.tar.gz"), &laptop.hosts[0].home, &laptop);
        name_the_logs(&laptop);
        laptop
    })
}

fn unpack(archive: &Path, into: &Path, laptop: &Laptop) {
    let status = Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(into).status().unwrap();
    assert!(status.success(), "{}", archive.display());
    let (host, top) = (laptop.hosts[0].home.display().to_string(), laptop.top().display().to_string());
    let unpacked = if into == laptop.top() { laptop.top().join("work") } else { into.to_owned() };
    for file in files(&unpacked).into_iter().chain(files(&laptop.home().join(".local"))) {
        if let Ok(text) = std::fs::read_to_string(&file)
            && (text.contains("@HOST@") || text.contains("@LAPTOP@"))
        {
            std::fs::write(&file, text.replace("@HOST@", &host).replace("@LAPTOP@", &top)).unwrap();
        }
    }
    for link in links(&unpacked) {
        let target = std::fs::read_link(&link).unwrap().to_string_lossy().into_owned();
        if target.contains("@NODE@") {
            std::fs::remove_file(&link).unwrap();
            symlink(target.replace("@NODE@", &node()), &link).unwrap();
        }
    }
}

/// This machine's name in a claim.
fn node() -> String {
    let functions = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/remote/runner/claim.sh");
    let output =
        Command::new("sh").args(["-c", ". \"$0\"; here; printf %s \"$node\""]).arg(functions).output().unwrap();
    let node = String::from_utf8(output.stdout).unwrap();
    assert_eq!(node.len(), 8, "{node:?}");
    node
}

/// A mirror identifies its host's log by inode.
fn name_the_logs(laptop: &Laptop) {
    for work in std::fs::read_dir(laptop.hosts[0].home.join(".handoff/work")).unwrap() {
        let work = work.unwrap().path();
        let name = work.file_name().unwrap().to_string_lossy().into_owned();
        let record = laptop.repository().join(".git/handoff").join(name.rsplit_once('-').unwrap().0);
        for (attempt, log, mirror) in
            [(1, "log", "log"), (2, "log", "log"), (1, "check.log", "check.log"), (2, "check.log", "check.log")]
        {
            let source = record.join(format!("attempt-{attempt}.{mirror}.src"));
            if source.exists() {
                let inode = std::fs::metadata(work.join(attempt.to_string()).join(log)).unwrap().ino();
                std::fs::write(source, format!("{inode}\n")).unwrap();
            }
        }
    }
}

/// Every regular file below.
fn files(top: &Path) -> Vec<PathBuf> {
    all(top).into_iter().filter(|path| path.symlink_metadata().unwrap().is_file()).collect()
}

/// Every symlink below.
fn links(top: &Path) -> Vec<PathBuf> {
    all(top).into_iter().filter(|path| path.is_symlink()).collect()
}

fn all(top: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![top.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path.clone());
            }
            found.push(path);
        }
    }
    found
}

fn status(laptop: &Laptop, id: &str) -> String {
    let shown = laptop.handoff(["show", id, "--offline", "--json"]).run().exits(0).json().remove(0);
    shown["status"].as_str().unwrap().to_owned()
}

fn work(laptop: &Laptop, id: &str) -> PathBuf {
    let all = std::fs::read_dir(laptop.hosts[0].home.join(".handoff/work")).unwrap().map(|entry| entry.unwrap().path());
    all.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(id)).unwrap()
}

#[test]
fn a_record_is_listed_and_shown_as_it_was_left() {
    for laptop in each() {
        for args in [&["list", "--json"][..], &["list", "--all", "--json"]] {
            let rows = laptop.handoff(args).run().exits(0).json();
            let mut rows: Vec<_> =
                rows.iter().map(|row| format!("{} {}", row["id"], row["status"]).replace('"', "")).collect();
            rows.sort();
            let expected = [format!("{DONE} done"), format!("{PARKED} parked"), format!("{RUNNING} running")];
            assert_eq!(rows, expected);
        }
        laptop.handoff(["show", DONE, "--offline"]).run().exits(0).says("throttled").says("the check passes").done();
        laptop.handoff(["show", PARKED, "--offline"]).run().exits(0).says("auth").done();
        laptop.handoff(["logs", DONE]).run().exits(0).says("All done.").done();
        laptop.handoff(["diff", DONE]).run().exits(0).says("+more").done();
        laptop.handoff(["watch", DONE]).run().exits(0).says("20260407-done: done").done();
    }
}

#[test]
fn a_run_of_an_older_version_that_is_gone_is_lost_and_continues() {
    for laptop in each() {
        let shown = laptop.handoff(["show", RUNNING, "--json"]).run().exits(0).json().remove(0);
        assert_eq!((&shown["host"]["watch"], &shown["host"]["task"]), (&"gone".into(), &"gone".into()), "{shown}");
        assert_eq!(shown["host"]["intent"], true);

        laptop.handoff(["watch", RUNNING]).run().exits(0).says("lost").says("Went on.").done();
        assert_eq!(status(&laptop, RUNNING), "done");
        let record = laptop.repository().join(".git/handoff").join(RUNNING);
        for attempt in ["1", "2"] {
            let mirror = std::fs::read(record.join(format!("attempt-{attempt}.log"))).unwrap();
            assert_eq!(mirror, std::fs::read(work(&laptop, RUNNING).join(attempt).join("log")).unwrap());
        }
        // The old session got its second turn. The plan has no first turn.
        laptop.handoff(["diff", RUNNING]).run().exits(0).says("+before").says("+after").done();
    }
}

#[test]
fn a_handoff_of_an_older_version_is_taken_over() {
    for laptop in each() {
        for (id, file, text) in
            [(DONE, "more.txt", "more\n"), (PARKED, "notes.txt", "half\n"), (RUNNING, "notes.txt", "before\n")]
        {
            let worktree = laptop.top().join(id);
            laptop.handoff(["takeover", id, "--editor", "none", "--worktree"]).args([&worktree]).run().exits(0).done();
            assert_eq!(std::fs::read_to_string(worktree.join(file)).unwrap(), text);
            assert_eq!(status(&laptop, id), "interactive");
        }
    }
}

#[test]
fn a_paused_handoff_of_an_older_version_resumes_its_session() {
    for laptop in each() {
        laptop.handoff(["resume", PARKED]).run().exits(0).says("Went on.").done();
        assert_eq!(status(&laptop, PARKED), "done");
        laptop.handoff(["diff", PARKED]).run().exits(0).says("+half").says("+after").done();
    }
}

#[test]
fn a_handoff_of_an_older_version_is_cleaned() {
    for laptop in each() {
        for id in [DONE, PARKED] {
            let work = work(&laptop, id);
            laptop.handoff(["clean", id]).run().exits(0).says("on box: released").done();
            assert!(!work.exists());
        }
        // The handoff still runs, so it must be stopped first.
        laptop.handoff(["stop", RUNNING]).run().exits(0).done();
        let work = work(&laptop, RUNNING);
        laptop.handoff(["clean", RUNNING]).run().exits(0).says("on box: released").done();
        assert!(!work.exists());
        let owned = || links(&laptop.hosts[0].home.join(".handoff/trees")).iter().any(|link| link.ends_with("owner"));
        wait_for("three free trees", || !owned());
    }
}

#[test]
fn a_record_with_an_event_of_a_later_version_is_read_and_not_written() {
    for laptop in each() {
        let journal = laptop.repository().join(".git/handoff").join(DONE).join("journal.jsonl");
        let later = "{\"v\":2,\"at\":\"2027-01-01T00:00:00Z\",\"event\":\"teleported\",\"to\":\"mars\"}\n";
        let text = std::fs::read_to_string(&journal).unwrap() + later;
        std::fs::write(&journal, &text).unwrap();
        laptop.handoff(["list"]).run().exits(0).says(DONE).done();
        laptop.handoff(["show", DONE, "--offline"]).run().exits(0).says("the check passes").done();
        laptop.handoff(["logs", DONE]).run().exits(0).says("All done.").done();
        for verb in ["resume", "takeover", "clean"] {
            let ran = laptop.handoff([verb, DONE]).run();
            assert_ne!(ran.code, Some(0), "{verb}: {}", ran.text());
            let said = ran.text() + &ran.stderr;
            assert!(said.contains("upgrade handoff"), "{verb}: {said}");
        }
        assert_eq!(std::fs::read_to_string(&journal).unwrap(), text, "nothing was written");
        assert!(work(&laptop, DONE).exists());
    }
}
