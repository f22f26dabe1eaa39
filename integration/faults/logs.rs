//! The mirror of a log, whatever happens to the host's file, whatever its bytes are, and however large it is.

use std::io::Read;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::row::Row;
use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, ID, PATIENCE, Site};
use crate::support::sshd::Setup;
use crate::support::wait;

/// Maximum resident memory of a program that mirrors a log: twice the 64 MiB of a poll, and its base size.
const MOST_MEMORY: u64 = 256 << 20;

/// Releases a step of the agent's plan that waits for `~/<name>`.
fn go(site: &Site, name: &str) {
    site.host.user.install(name, "", 0o644);
}

fn log_on_host(site: &Site) -> PathBuf {
    site.work().expect("the handoff on the host").join("1/log")
}

/// A part of the log, from the record in the git directory.
fn mirrored(site: &Site, name: &str) -> Option<Vec<u8>> {
    std::fs::read(site.laptop.record(ID).join(name)).ok()
}

#[track_caller]
fn wait_for_mirrored(site: &Site, name: &str, text: &str) -> Vec<u8> {
    wait::until(&format!("{text:?} in {name}"), PATIENCE, || {
        mirrored(site, name).filter(|bytes| contains(bytes, text.as_bytes()))
    })
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

#[test]
fn r34_log_replaced() {
    let row = Row::begin(34);
    if !Path::new("/proc/self/fd").exists() {
        return row.skip("no /proc to read a deleted file from");
    }
    let site = Site::new();
    site.plan(
        "turn 1\nsay Before any of it.\nrun until [ -e ~/go1 ]; do sleep 0.1; done\n\
         say After it was truncated.\nrun until [ -e ~/go2 ]; do sleep 0.1; done\n\
         say Into a file that lies elsewhere.\nrun until [ -e ~/go3 ]; do sleep 0.1; done\n\
         edit new.txt <<END\nnew\nEND\nfinish All of it is done.\n",
    );
    let running = site.run_checked("true", &[]).start();
    wait_for_mirrored(&site, "attempt-1.log", "Before any of it.");
    wait::until("the agent to wait", PATIENCE, || mirrored(&site, "attempt-1.log").filter(|log| contains(log, b"go1")));
    let log = log_on_host(&site);
    let before = std::fs::read(&log).unwrap();

    std::fs::File::options().write(true).open(&log).unwrap().set_len(0).unwrap();
    go(&site, "go1");
    wait_for_mirrored(&site, "attempt-1.2.log", "go2");
    let truncated = std::fs::read(&log).unwrap();
    // Another process reads the parts again and continues after the last one. In between, the log was truncated and has
    // grown past the mirrored size.
    running.kill();
    let rewritten = "longer than what was there\n".repeat(truncated.len() / 20);
    std::fs::write(&log, &rewritten).unwrap();
    let running = site.handoff(&["watch"]).start();
    wait::until("the bytes written in between", PATIENCE, || {
        mirrored(&site, "attempt-1.3.log").filter(|bytes| *bytes == rewritten.as_bytes())
    });

    let other = log.with_file_name("other");
    std::fs::write(&other, "somebody else's words\n").unwrap();
    chown(&other, Some(site.host.user.uid), None).unwrap();
    std::fs::rename(&other, &log).unwrap();
    wait_for_mirrored(&site, "attempt-1.4.log", "somebody else's words\n");
    go(&site, "go2");

    std::fs::remove_file(&log).unwrap();
    wait::until("the next part", PATIENCE, || mirrored(&site, "attempt-1.5.log"));
    go(&site, "go3");
    let ran = running.end().success();

    // The agent wrote into files that had been moved away. The mirror has those bytes in order.
    let last = std::fs::read(&log).unwrap();
    assert!(contains(&last, b"Into a file that lies elsewhere.") && contains(&last, b"All of it is done."));
    let parts: [(&str, &[u8]); 5] = [
        ("attempt-1.log", &before),
        ("attempt-1.2.log", &truncated),
        ("attempt-1.3.log", rewritten.as_bytes()),
        ("attempt-1.4.log", b"somebody else's words\n"),
        ("attempt-1.5.log", &last),
    ];
    for (name, bytes) in parts {
        for place in [site.laptop.record(ID), site.laptop.mirror(ID)] {
            let found = std::fs::read(place.join(name)).unwrap_or_default();
            let (found, wanted) = (String::from_utf8_lossy(&found), String::from_utf8_lossy(bytes));
            assert_eq!(found, wanted, "{place:?} {name}");
        }
    }
    let journal = std::fs::read_to_string(site.laptop.record(ID).join("journal.jsonl")).unwrap();
    assert_eq!(journal.matches("\"event\":\"log-replaced\"").count(), 4, "{journal}");
    // The last part has the end that decides the verdict. Every reader of the log reads all parts.
    let line = last
        .split(|byte| *byte == b'\n')
        .collect::<Vec<_>>()
        .iter()
        .rposition(|line| contains(line, b"All of it is done."))
        .unwrap()
        + 1;
    let pointer = format!("attempt-1.5.log:{line}");
    assert!(ran.stdout.contains(&pointer), "{pointer} is not in\n{}", ran.stdout);
    let page = std::fs::read_to_string(site.laptop.mirror(ID).join("handoff.md")).unwrap();
    assert!(page.contains(&pointer) && page.contains("attempt-1.4.log"), "{pointer} is not in\n{page}");
    let replayed = site.handoff(&["logs"]).run().success().stdout;
    for words in ["Before any of it.", "somebody else's words", "All of it is done."] {
        assert!(replayed.contains(words), "{words:?} is not in\n{replayed}");
    }
}

/// Pseudo-random bytes, the same each time (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A burst without a newline: arbitrary other bytes, or four-byte characters that are cut in the middle.
    fn burst(&mut self, length: usize) -> Vec<u8> {
        let fill = self.next() % 3;
        let byte = |noise: &mut Noise, at: usize| match fill {
            0 => "🦀".as_bytes()[(at + 1) % 4],
            1 => [0xFF, 0, b'\r', 0x1B][at % 4],
            _ => (noise.next() >> 24) as u8,
        };
        (0..length).map(|at| byte(self, at)).map(|byte| if byte == b'\n' { 0xFE } else { byte }).collect()
    }
}

/// Runs a script before the scripted agent's own work.
fn noise_first(site: &Site, script: &str) {
    let wrapper = format!(
        "#!/bin/sh\nexport SCRIPTED_AGENT_PAUSE=0 SCRIPTED_AGENT_PLAN=\"$HOME/plan\"\n\
         case \" $* \" in *' --print '*)\n{script}\n;; esac\nexec ~/.local/lib/scripted-agent \"$@\"\n"
    );
    site.host.user.install(".local/bin/agent", wrapper, 0o755);
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
}

#[test]
fn r36_binary_log() {
    let _row = Row::begin(36);
    let site = Site::new();
    let mut noise = Noise(0x9E37_79B9_7F4A_7C15);
    let mut expected = Vec::new();
    for burst in 0..40 {
        let length = 1 + (noise.next() as usize) % (1 << (burst % 8 * 2 + 7));
        let bytes = noise.burst(if burst == 20 { 1 << 20 } else { length });
        site.host.user.install(&format!("bursts/{burst:02}"), &bytes, 0o644);
        expected.extend(bytes);
    }
    expected.push(b'\n');
    noise_first(&site, "for burst in ~/bursts/*; do cat \"$burst\"; sleep 0.1; done; echo");

    let path = site.laptop.record(ID).join("attempt-1.log");
    // Each read of the mirror finds a prefix of what the agent writes.
    let mirror_reaches = |share: usize| {
        wait::until("more of the mirror", PATIENCE, || {
            let seen = std::fs::read(&path).unwrap_or_default();
            let known = seen.len().min(expected.len());
            assert!(seen[..known] == expected[..known], "{known} mirrored bytes are not the agent's");
            (seen.len() >= expected.len() / 4 * share).then_some(())
        });
    };
    let running = site.run_checked("true", &[]).start();
    mirror_reaches(1);
    running.kill();
    let running = site.handoff(&["watch"]).start();
    mirror_reaches(2);
    running.kill();
    let running = site.handoff(&["watch", "--raw"]).start();
    mirror_reaches(3);
    running.end().success();
    let log = std::fs::read(log_on_host(&site)).unwrap();
    assert!(log.starts_with(&expected), "the host's own log differs from the agent's output");
    for place in [path, site.laptop.mirror(ID).join("attempt-1.log")] {
        assert!(std::fs::read(&place).unwrap() == log, "{place:?} differs from the host's log");
    }
}

/// `handoff run` on a terminal that is small and slow.
struct Slow {
    child: Child,
}

impl Slow {
    fn start(site: &Site) -> Slow {
        let mut command = site.laptop.program(env!("CARGO_BIN_EXE_handoff"));
        command.args(["run", "--host", HOST, "--id", ID, "--check", "true", "write a lot"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut screen = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut page = vec![0; 64 << 10];
            while screen.read(&mut page).is_ok_and(|length| length > 0) {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Slow { child }
    }

    /// The peak of the resident memory.
    #[track_caller]
    fn memory_is_bounded(&self) {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the program has ended");
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak << 10 <= MOST_MEMORY, "{peak} KiB were resident");
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

fn same_bytes(one: &Path, other: &Path, most: u64) -> bool {
    let open = |path: &Path| std::io::BufReader::with_capacity(1 << 20, std::fs::File::open(path).unwrap()).take(most);
    let (mut one, mut other) = (open(one), open(other));
    let (mut here, mut there) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    loop {
        let length = one.read(&mut here).unwrap();
        if length == 0 {
            return other.read(&mut there).unwrap() == 0;
        }
        if other.read_exact(&mut there[..length]).is_err() || here[..length] != there[..length] {
            return false;
        }
    }
}

#[test]
fn r35_huge_log_slow_line() {
    let row = Row::begin(35);
    if !Path::new("/proc/self/status").exists() {
        return row.skip("no /proc to read a program's memory from");
    }
    const BURST: u64 = 128 << 20;
    let whole = std::env::var_os("HANDOFF_SWEEP").is_some();
    let hole: u64 = if whole { 5 << 30 } else { 1 << 30 };
    let site = Site::unknown(Setup::default());
    let line = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, line.address));
    // The agent writes lines of 128 KiB at full speed. The log ends with a hole that is one long line.
    noise_first(
        &site,
        &format!(
            "dd if=/dev/zero bs=131071 count=1 2>/dev/null | tr '\\000' x >~/long; echo >>~/long\n\
             i=0; while [ $i -lt 1024 ]; do cat ~/long; i=$((i + 1)); done\n\
             until [ -e ~/go ]; do sleep 0.05; done; truncate -s +{hole} /proc/self/fd/1; echo"
        ),
    );
    let program = Slow::start(&site);
    let path = site.laptop.record(ID).join("attempt-1.log");
    wait::until("the burst in the mirror", PATIENCE, || {
        program.memory_is_bounded();
        (length(&path) >= BURST).then_some(())
    });
    let log = log_on_host(&site);
    assert!(same_bytes(&path, &log, BURST), "the burst is not mirrored byte for byte");

    line.throttle(Direction::Down, if whole { 0 } else { 4 << 20 });
    go(&site, "go");
    // The task does not wait for its log to be fetched.
    site.wait_for_result(1);
    assert!(length(&log) > BURST + hole);
    assert!(whole || length(&path) < length(&log), "the task ended only after its log had been fetched");
    if whole {
        wait::until("5 GiB in the mirror", Duration::from_secs(1200), || {
            program.memory_is_bounded();
            (length(&path) == length(&log)).then_some(())
        });
        assert!(same_bytes(&path, &log, u64::MAX), "the log is not mirrored byte for byte");
        return;
    }
    wait::until("some of the hole in the mirror", PATIENCE, || {
        program.memory_is_bounded();
        (length(&path) >= BURST + (48 << 20)).then_some(())
    });
    assert!(same_bytes(&path, &log, length(&path)), "the mirror is no prefix of the log");
    let result = site.on_host(1, "result").unwrap();
    assert!(result.contains("class done"), "{result}");
}
