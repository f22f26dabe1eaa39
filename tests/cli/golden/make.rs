//! Makes the fixture of the present version; `tests/golden/make` runs it.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DONE, PARKED, RUNNING, files, links};
use crate::support::laptop::Laptop;
use crate::support::{processes, wait_for};

#[test]
#[ignore = "writes the files that the other tests read: run tests/golden/make"]
fn the_fixture_of_this_version() {
    let Some(place) = std::env::var_os("HANDOFF_GOLDEN").map(PathBuf::from) else { return };
    let mut laptop = Laptop::new();
    let run = |laptop: &Laptop, id: &str, more: &[&str]| {
        laptop.handoff(["run", "--host", "box", "--id", id, "--backoff", "1s"]).args(more).run()
    };
    laptop.plan("turn 1\nedit notes.txt <<END\nfirst\nEND\nratelimit\nturn 2\nedit more.txt <<END\nmore\nEND\nfinish All done.\n");
    run(&laptop, DONE, &["--check", "test -f more.txt", "make more.txt"]).exits(0).done();
    laptop.plan("turn 1\nedit notes.txt <<END\nhalf\nEND\nfail 1 Error: Authentication required\n");
    run(&laptop, PARKED, &["log in"]).exits(3).done();
    laptop.plan("turn 1\nedit notes.txt <<END\nbefore\nEND\nsay Now I wait.\nhang\n");
    run(&laptop, RUNNING, &["--detach", "wait for ever"]).exits(0).done();
    wait_for("the agent's words", || {
        let works = links(&laptop.hosts[0].home.join(".handoff/work"));
        let task = works.iter().find(|link| link.ends_with("1/task") && link.to_string_lossy().contains(RUNNING));
        let log = task.map(|task| std::fs::read_to_string(task.with_file_name("log")).unwrap_or_default());
        log.is_some_and(|log| log.contains("Now I wait."))
    });

    let host = &laptop.hosts[0].home;
    let (top, home) = (laptop.top().display().to_string(), host.display().to_string());
    let copy = laptop.top().join("golden");
    for (name, from, what) in [
        ("laptop", laptop.top(), &["work/till", "home/.local/state"][..]),
        ("host", host.as_path(), &[".handoff", ".scripted-agent"][..]),
    ] {
        let copy = copy.join(name);
        std::fs::create_dir_all(&copy).unwrap();
        let pack = format!("tar -C \"$0\" -cf - {} | tar -C \"$1\" -xf -", what.join(" "));
        sh(&pack, &[from, &copy]);
        let _ = std::fs::remove_dir_all(copy.join("work/till/.git/hooks"));
        forget_the_machine(&copy, &[(&home, "@HOST@"), (&top, "@LAPTOP@")]);
        let sorted =
            "tar -C \"$0\" --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf - . | gzip -9n >\"$1\"";
        sh(sorted, &[&copy, &place.join(format!("{name}.tar.gz"))]);
    }
    std::fs::write(place.join("runner.sh"), handoff::remote::runner::text()).unwrap();
    processes::end(host);
}

fn sh(script: &str, paths: &[&Path]) {
    let status = Command::new("sh").args(["-c", script]).args(paths).status().unwrap();
    assert!(status.success(), "{script}");
}

/// Replaces paths, boot id and node by placeholders.
fn forget_the_machine(top: &Path, paths: &[(&str, &str)]) {
    for file in files(top) {
        let bytes = std::fs::read(&file).unwrap();
        let holds = |path: &str| bytes.windows(path.len()).any(|window| window == path.as_bytes());
        if paths.iter().any(|(path, _)| holds(path)) {
            let text = String::from_utf8(bytes).unwrap_or_else(|_| panic!("{}: a path in no text", file.display()));
            let text = paths.iter().fold(text, |text, (path, mark)| text.replace(path, mark));
            std::fs::write(&file, text).unwrap();
        }
    }
    for link in links(top) {
        let target = std::fs::read_link(&link).unwrap().to_string_lossy().into_owned();
        let parts: Vec<&str> = target.split(':').collect();
        let name = link.file_name().unwrap().to_string_lossy().into_owned();
        let marked = match parts[..] {
            [pid, start, _, _] if name == "intent" || name.starts_with("watch.") => {
                format!("{pid}:{start}:000000000000:@NODE@")
            }
            _ => {
                assert!(paths.iter().all(|(path, _)| !target.contains(path)), "{name} -> {target}");
                continue;
            }
        };
        std::fs::remove_file(&link).unwrap();
        symlink(marked, &link).unwrap();
    }
}
