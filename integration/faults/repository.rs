//! The repository during the ship: a push that is cut, and changes that users make at the same time.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::row::Row;
use crate::starts::{by_proxy, starts};
use crate::support::agent::{self, folders};
use crate::support::laptop::Call;
use crate::support::processes;
use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, PATIENCE, Site};
use crate::support::sshd::Setup;
use crate::support::wait;

/// Adds a file that a pack cannot compress.
pub fn add_incompressible(repo: &Path, name: &str, length: u64) {
    let random = std::io::Read::take(std::fs::File::open("/dev/urandom").unwrap(), length);
    std::io::copy(&mut { random }, &mut std::fs::File::create(repo.join(name)).unwrap()).unwrap();
}

/// The only cache of the host.
fn cache(site: &Site) -> Option<PathBuf> {
    folders(&site.host.user.home.join(".handoff/cache")).into_iter().find(|path| path.join("config").exists())
}

/// Runs git on the host's own files, as their user.
fn host_git(site: &Site, args: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-c").arg("safe.directory=*").arg("--git-dir").arg(cache(site)?).args(args);
    let out = command.output().unwrap();
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// `handoff run` with another id, for a task that only ships.
fn run_as(site: &Site, id: &str) -> Call {
    site.laptop.handoff(&["run", "--host", HOST, "--id", id, "--check", "true", id])
}

/// The directories of packs that are on their way in.
fn incoming(site: &Site) -> Vec<PathBuf> {
    cache(site).map(|cache| folders(&cache.join("incoming"))).unwrap_or_default()
}

/// Whether a part of a pack has arrived.
fn has_part(directory: &Path) -> bool {
    let files = std::fs::read_dir(directory.join("objects/pack")).into_iter().flatten().flatten();
    files.into_iter().any(|file| file.metadata().is_ok_and(|metadata| metadata.len() > 0))
}

fn ships(site: &Site) -> String {
    host_git(site, &["for-each-ref", "--format=%(refname)", "refs/handoff/"]).unwrap_or_default()
}

/// Processes of the host's user that have this word among their arguments.
fn of_host(site: &Site, word: &str) -> Vec<i32> {
    processes::with_argument(site.host.user.uid, word)
}

#[test]
fn r41_push_cut() {
    let _row = Row::begin(41);
    let site = Site::unknown(Setup::default());
    let line = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, line.address));
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    add_incompressible(&site.laptop.repo, "large.bin", 6 << 20);

    // The connection is cut in the middle of the pack.
    line.cut_after(Direction::Up, 3 << 20);
    let running = site.run_checked("true", &[]).start();
    wait::until("the cut", PATIENCE, || (!line.cut_is_due(Direction::Up)).then_some(()));
    assert_eq!(ships(&site), "", "a part of a pack moved a ref");
    running.end().success();
    assert!(line.connections() >= 2);
    site.logs_are_mirrored();

    // The runner on the host is killed in the middle of the pack.
    add_incompressible(&site.laptop.repo, "larger.bin", 6 << 20);
    line.throttle(Direction::Up, 4 << 20);
    let running = run_as(&site, "killed").start();
    let receivers = wait::until("a pack on its way in", PATIENCE, || {
        let found = of_host(&site, "receive-pack");
        (!found.is_empty() && incoming(&site).iter().any(|directory| has_part(directory))).then_some(found)
    });
    let before = ships(&site);
    receivers.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
    assert_eq!(ships(&site), before, "a part of a pack moved a ref");
    line.throttle(Direction::Up, 0);
    running.end().success();
    assert_eq!(incoming(&site), [] as [PathBuf; 0], "a part of a pack is left");

    // A part whose handoff never comes back is removed once it is too old to be in use.
    let gone = cache(&site).unwrap().join("incoming/gone");
    std::fs::create_dir(&gone).unwrap();
    assert!(Command::new("touch").args(["-t", "200001010000"]).arg(&gone).status().unwrap().success());
    run_as(&site, "later").run().success();
    assert_eq!(incoming(&site), [] as [PathBuf; 0], "it stays for ever");

    // A push that fails permanently leaves no waiting process, and can be repeated.
    let objects = cache(&site).unwrap().join("objects");
    let mode = |mode| {
        for directory in [&objects, &objects.join("pack")] {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(mode)).unwrap();
        }
    };
    std::fs::write(site.laptop.repo.join("more.txt"), "more\n").unwrap();
    mode(0o555);
    let failed = run_as(&site, "refused").run().fails();
    wait::until("the watcher to leave", Duration::from_secs(10), || of_host(&site, "watch").is_empty().then_some(()));
    assert!(failed.stderr.contains("handoff watch refused"), "{}", failed.stderr);
    mode(0o755);
    site.laptop.handoff(&["watch", "refused"]).run().success();
}

#[test]
fn r55_large_push_cut() {
    const LENGTH: u64 = 48 << 20;
    let _row = Row::begin(55);
    let (site, line) = by_proxy(Setup::default());
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    add_incompressible(&site.laptop.repo, "large.bin", LENGTH);
    let outbox = site.laptop.repo.join(".git/handoff/fix/outbox");

    line.throttle(Direction::Up, 24 << 20);
    line.cut_after(Direction::Up, 14 << 20);
    let running = site.run_checked("true", &[]).start();
    wait::until("the cut", PATIENCE, || (!line.cut_is_due(Direction::Up)).then_some(()));
    wait::until("more of the pack", PATIENCE, || (line.bytes(Direction::Up) > 26 << 20).then_some(()));
    assert_eq!(ships(&site), "", "a part of a pack moved a ref");
    running.kill();
    assert!(outbox.exists(), "the outbox is kept");

    line.cut_after(Direction::Up, 8 << 20);
    site.laptop.handoff(&["watch"]).run().success();
    assert!(!line.cut_is_due(Direction::Up));
    let sent = line.bytes(Direction::Up);
    assert!(sent > LENGTH && sent < LENGTH + (12 << 20), "{sent} bytes were sent of {LENGTH}");
    assert_eq!(starts(&site.host.user).len(), 1);
    assert!(!outbox.exists());
    let incoming = cache(&site).unwrap().join("incoming");
    assert_eq!(folders(&incoming), [] as [PathBuf; 0]);
    site.logs_are_mirrored();
}

#[test]
fn r56_large_fetch_cut() {
    const LENGTH: u64 = 48 << 20;
    let _row = Row::begin(56);
    let (site, line) = by_proxy(Setup::default());
    site.plan("turn 1\nsay Making it.\nrun head -c 50331648 /dev/urandom >large.bin\nfinish Done.\n");
    line.throttle(Direction::Down, 24 << 20);
    let running = site.run_checked("true", &[]).start();
    let before =
        wait::until("the pack on its way", PATIENCE, || Some(line.bytes(Direction::Down)).filter(|n| *n > 4 << 20));
    line.cut_after(Direction::Down, (14 << 20) - before);
    wait::until("the cut", PATIENCE, || (!line.cut_is_due(Direction::Down)).then_some(()));
    wait::until("more of the pack", PATIENCE, || (line.bytes(Direction::Down) > 26 << 20).then_some(()));
    running.kill();
    site.laptop.handoff(&["watch"]).run().success();
    let came = line.bytes(Direction::Down);
    assert!(came > LENGTH && came < LENGTH + (8 << 20), "{came} bytes came for {LENGTH}");
    site.laptop.git(&["rev-list", "--objects", "--quiet", "refs/handoff/fix/1/work"]);
    let size = site.laptop.git(&["cat-file", "-s", "refs/handoff/fix/1/work:large.bin"]);
    assert_eq!(size.trim(), LENGTH.to_string());
    assert!(!site.laptop.repo.join(".git/handoff/fix/inbox").exists());
    assert_eq!(folders(&cache(&site).unwrap().join("outgoing")), [] as [PathBuf; 0]);
}

/// The largest pack of the cache.
fn pack(site: &Site) -> PathBuf {
    let packs =
        std::fs::read_dir(cache(site).unwrap().join("objects/pack")).unwrap().flatten().map(|entry| entry.path());
    let packs = packs.filter(|path| path.extension().is_some_and(|end| end == "pack"));
    packs.max_by_key(|path| std::fs::metadata(path).unwrap().len()).expect("a pack in the cache")
}

#[test]
fn r42_cache_broken() {
    let _row = Row::begin(42);
    let site = Site::new();
    site.plan(
        "turn 1\nsay Working.\nrun until [ -e ~/go ]; do sleep 0.1; done\n\
         edit new.txt <<END\nmade on the host\nEND\nfinish Done.\n",
    );
    // Enough objects for a pack.
    for n in 0..120 {
        std::fs::write(site.laptop.repo.join(format!("file-{n}.txt")), format!("{n}\n").repeat(40)).unwrap();
    }
    site.laptop.git(&["add", "-A"]);
    site.laptop.git(&["commit", "-qm", "Many files"]);
    site.laptop.git(&["tag", "v2"]);
    // Only the host has the work of this handoff.
    let running = site.run_checked("true", &[]).start();
    site.wait_for_log(1, "Working.");
    running.kill();
    site.host.user.install("go", "", 0o644);
    site.wait_for_result(1);

    let says = "is damaged; everything is sent again";
    let sent_again = |what: &str, more: &[&str]| {
        let mut call = run_as(&site, what);
        for arg in more {
            call = call.arg(arg);
        }
        let told = call.run().success().stdout;
        assert!(told.contains(says), "{what}: {says:?} is not in\n{told}");
        told
    };
    // A pack is truncated. Git's own push finds that objects are missing.
    let bytes = std::fs::read(pack(&site)).unwrap();
    std::fs::write(pack(&site), &bytes[..bytes.len() / 2]).unwrap();
    let told = sent_again("truncated", &[]);
    assert!(told.contains("attempt 1: done"), "{told}");
    // The first agent's work is intact, and is fetched.
    site.handoff(&["watch"]).run().success();
    assert_eq!(site.laptop.git(&["show", "refs/handoff/fix/1/work:new.txt"]), "made on the host");

    // The content of a file is damaged. The push does not check it; the verification of the ship does.
    let (start, length) = blob_in_pack(&site, "v1:README.md");
    let mut damaged = std::fs::read(pack(&site)).unwrap();
    damaged[start + 2..start + length].fill(0x55);
    std::fs::write(pack(&site), &damaged).unwrap();
    // A checkout that exists has the file, so only a new one is made from the damaged object.
    std::fs::remove_dir_all(site.host.user.home.join(".handoff/trees")).unwrap();
    let told = sent_again("damaged", &["--backoff", "1s"]);
    assert!(told.contains("attempt 1: network") && told.contains("attempt 2: done"), "{told}");
    assert_eq!(site.laptop.git(&["show", "refs/handoff/damaged/2/work:new.txt"]), "made on the host");

    // A loose object is empty, as after a crash of the host.
    std::fs::write(site.laptop.repo.join("loose.txt"), "in one loose object\n").unwrap();
    run_as(&site, "loose").run().success();
    let oid = site.laptop.git(&["rev-parse", "refs/handoff/loose/base:loose.txt"]);
    let object = cache(&site).unwrap().join("objects").join(&oid[..2]).join(&oid[2..]);
    std::fs::set_permissions(&object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&object, "").unwrap();
    sent_again("emptied", &["--backoff", "1s"]);

    // Everything that laptops sent is pruned.
    for name in host_git(&site, &["for-each-ref", "--format=%(refname)", "refs/keep", "refs/handoff"]).unwrap().lines()
    {
        host_git(&site, &["update-ref", "-d", name]).unwrap();
    }
    host_git(&site, &["gc", "-q", "--prune=now"]).unwrap();
    run_as(&site, "pruned").run().success();
    let prompts = agent::prompts(&site.host.user);
    assert_eq!(prompts.iter().map(|(_, turns)| turns.len()).sum::<usize>(), 6, "an agent was started on a broken ship");
}

/// Offset and length of a blob of the laptop in the host's pack.
fn blob_in_pack(site: &Site, name: &str) -> (usize, usize) {
    let oid = site.laptop.git(&["rev-parse", name]);
    let index = pack(site).with_extension("idx");
    let listed = host_git(site, &["verify-pack", "-v", index.to_str().unwrap()]).unwrap();
    // git-verify-pack(1): `<object> <type> <size> <size in the pack> <offset>`.
    let line = listed.lines().find(|line| line.starts_with(&oid)).expect("the blob is in the pack");
    let words: Vec<_> = line.split_whitespace().collect();
    (words[4].parse().unwrap(), words[3].parse().unwrap())
}

/// Not a row of the matrix: handoffs of one repository that begin at once push the same refs to a host that has none of
/// them.
#[test]
fn many_handoffs_begin_at_once() {
    let site = Site::new();
    site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    let start = |n: u32| {
        let (id, task) = (format!("at-once-{n}"), format!("task {n}"));
        site.laptop.handoff(&["run", "--host", HOST, "--id", &id, "--detach", &task]).start()
    };
    let running: Vec<_> = (0..6).map(start).collect();
    for run in running {
        run.end().success();
    }
}
