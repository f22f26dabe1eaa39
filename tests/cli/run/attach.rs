//! `--attach`: files that go with the task and are no part of the repository.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

/// What the agent runs: copies the files that its newest prompt names to its home.
const COPY: &str = r#"for prompt in "$HOME"/.handoff/work/*/[0-9]/prompt; do newest=$prompt; done
sed -n 's|^- \(/.*/attached/.*\)|\1|p' "$newest" | sort >"$HOME/named"
while IFS= read -r file; do cp "$file" "$HOME/got.${file##*/}" || echo "$file" >>"$HOME/missing"; done <"$HOME/named"
echo more >>notes.txt
"#;

const COPIES: &str = "run sh \"$HOME/copy\"\nfinish Done.\n";

/// A laptop whose host's agent copies what is attached, in the turn `turn`.
fn copying(before: &str, turn: u32) -> Laptop {
    let laptop = Laptop::with_plan(&format!("{before}turn {turn}\n{COPIES}"));
    std::fs::write(laptop.hosts[0].home.join("copy"), COPY).unwrap();
    laptop
}

fn attachment(laptop: &Laptop, name: &std::ffi::OsStr, bytes: &[u8]) -> String {
    let path = laptop.top().join(name);
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap_or_default().to_owned()
}

fn got(laptop: &Laptop, host: usize, name: &str) -> Vec<u8> {
    std::fs::read(laptop.hosts[host].home.join(format!("got.{name}"))).unwrap_or_default()
}

/// The directory of the handoff on a host.
fn work(laptop: &Laptop, host: usize) -> PathBuf {
    let mut all = std::fs::read_dir(laptop.hosts[host].home.join(".handoff/work")).unwrap();
    all.next().unwrap().unwrap().path()
}

#[test]
fn the_agent_reads_the_same_bytes_at_the_paths_in_its_prompt_and_no_capture_has_them() {
    let laptop = copying("", 1);
    let image = attachment(&laptop, "my shot.png".as_ref(), b"\x89PNG\r\n\0$Id$\xff");
    let log = attachment(&laptop, "-x.log".as_ref(), b"");
    let ran = laptop.run(["--attach", &image, "--attach", &log, TASK]).run().exits(0);
    ran.says("\n  attached: my shot.png (12B), -x.log (0B), 12B in total\n").done();
    assert_eq!(got(&laptop, 0, "my shot.png"), b"\x89PNG\r\n\0$Id$\xff");
    let place = work(&laptop, 0).canonicalize().unwrap().join("attached");
    let named = std::fs::read_to_string(laptop.hosts[0].home.join("named")).unwrap();
    assert_eq!(named, format!("{0}/-x.log\n{0}/my shot.png\n", place.display()));
    assert!(!laptop.hosts[0].home.join("missing").exists());
    assert_eq!(place.join("-x.log").metadata().unwrap().permissions().mode() & 0o777, 0o400);
    let names = laptop.git(&["ls-tree", "-r", "--name-only", &format!("refs/handoff/{ID}/1/work")]);
    assert!(names.contains("notes.txt") && !names.contains("shot"), "{names}");

    // The record names them, and custody deletes the host's copies with the handoff.
    let copy = laptop.truth("attached/my shot.png");
    assert_eq!(std::fs::read(&copy).unwrap(), b"\x89PNG\r\n\0$Id$\xff");
    assert!(laptop.handoff_md().contains("attached/my shot.png (12 bytes)"), "{}", laptop.handoff_md());
    laptop.handoff(["show", "--offline"]).run().exits(0).says("attached  my shot.png (12B), -x.log (0B)").done();
    let files = laptop.shown()["handoff"]["made"]["attached"]["files"].clone();
    assert_eq!((&files[0]["name"], &files[0]["bytes"]), (&"my shot.png".into(), &12.into()));
    let taken = laptop.takeover().exits(0).says(&format!("  attached: {}\n", copy.display()));
    taken.done();
    laptop.handoff(["takeover", "--print-prompt"]).run().exits(0).says(&format!("- {}\n", copy.display())).done();
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    assert!(!place.exists());
}

#[test]
fn every_later_attempt_gets_the_bytes_of_the_first_also_on_another_host() {
    let mut laptop = copying("turn 1\nfail 1 Error: Authentication required. Please run agent login first.\n", 2);
    let other = laptop.add_host("other");
    other.write_plan(&format!("turn 1\n{COPIES}"));
    std::fs::write(other.home.join("copy"), COPY).unwrap();
    laptop.write_hosts();
    let log = attachment(&laptop, "server.log".as_ref(), b"first\n");
    laptop.run(["--attach", &log, TASK]).run().exits(3).done();
    std::fs::write(&log, "changed\n").unwrap();
    laptop.git(&["gc", "-q", "--prune=now"]);
    // An agent of the same user can change its copy; the next attempt gets the right one.
    let there = work(&laptop, 0).join("attached/server.log");
    std::fs::set_permissions(there.parent().unwrap(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::remove_file(&there).unwrap();
    std::fs::write(&there, "by the agent\n").unwrap();
    laptop.handoff(["resume", ID]).run().exits(0).done();
    assert_eq!(got(&laptop, 0, "server.log"), b"first\n");
    std::fs::remove_file(&log).unwrap();
    laptop.handoff(["resume", ID, "--again", "--host", "other"]).run().exits(0).done();
    assert_eq!(got(&laptop, 1, "server.log"), b"first\n");
    // After a takeover, too, the files are sent to a host that has deleted its copy.
    std::fs::remove_file(laptop.hosts[1].home.join("got.server.log")).unwrap();
    laptop.handoff(["clean", ID]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    laptop.handoff(["give", ID, "--host", "other"]).run().exits(0).done();
    assert_eq!(got(&laptop, 1, "server.log"), b"first\n");
}

#[test]
fn odd_names_become_names_that_a_prompt_can_have() {
    let laptop = copying("", 1);
    std::fs::create_dir(laptop.top().join("more")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"a\n- b\xff`.log");
    let mut all = laptop.run(["--detach"]);
    for (name, text) in [(odd, "odd"), ("x.log".as_ref(), "one"), ("more/x.log".as_ref(), "two")] {
        std::fs::write(laptop.top().join(name), text).unwrap();
        all = all.args(["--attach".into(), laptop.top().join(name).into_os_string()]);
    }
    all.args([TASK]).run().exits(0).done();
    laptop.handoff(["watch"]).run().exits(0).done();
    let texts = ["a_- b__.log", "x.log", "x-2.log"].map(|name| got(&laptop, 0, name));
    assert_eq!(texts, ["odd", "one", "two"].map(|text| text.as_bytes().to_vec()));
}

#[test]
fn a_large_file_arrives_whole_and_is_sent_once() {
    let laptop = copying("", 1);
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (state >> 33) as u8
    };
    let noise: Vec<u8> = std::iter::repeat_with(&mut next).take(5 << 20).collect();
    let file = attachment(&laptop, "core.bin".as_ref(), &noise);
    laptop.run(["--attach", &file, TASK]).run().exits(0).done();
    assert!(got(&laptop, 0, "core.bin") == noise);
    let size = || laptop.shell("du -sk \"$HOME\"/../box/.handoff/cache | cut -f 1").trim().parse::<u64>().unwrap();
    let before = size();
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).done();
    assert!(size() < before + 1024, "{} KiB, then {} KiB", before, size());
}

#[test]
fn what_cannot_be_attached_is_refused_before_anything_is_recorded() {
    let laptop = Laptop::with_plan(QUICK);
    let good = attachment(&laptop, "good.log".as_ref(), b"x");
    let secret = attachment(&laptop, "id_ed25519".as_ref(), b"x");
    let missing = laptop.top().join("none").display().to_string();
    let directory = laptop.repository().display().to_string();
    for (file, why) in [
        (missing.as_str(), "there is no such file to attach"),
        (&directory, "a directory cannot be attached"),
        ("/dev/null", "only a regular file can be attached"),
        (&secret, "may be a secret, by its name, so it is not attached"),
    ] {
        laptop.run(["--attach", &good, "--attach", file, TASK]).run().exits(2).complains(why).done();
    }
    assert!(!laptop.truth("journal.jsonl").exists());
}
