//! The transferred bytes: everything that the laptop has goes to the host once, and only changes come back.

use std::io::Read;

use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::Setup;

/// Files of 1 MiB that no attempt touches.
const UNTOUCHED: u64 = 76;
const MIB: u64 = 1 << 20;
/// Maximum size of a request, the log and small changes.
const SMALL: u64 = MIB / 2;
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

/// Bytes that do not compress.
fn noise(length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    std::fs::File::open("/dev/urandom").unwrap().take(length).read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn what_comes_back_is_what_changed() {
    let site = Site::unknown(Setup::default());
    let proxy = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, proxy.address));
    let write = |name: &str, content: &[u8]| std::fs::write(site.laptop.repo.join(name), content).unwrap();
    std::fs::create_dir(site.laptop.repo.join("data")).unwrap();
    for file in 0..UNTOUCHED {
        write(&format!("data/{file}.bin"), &noise(MIB));
    }
    write(".gitattributes", b"*.weights filter=lfs diff=lfs merge=lfs -text\n");
    write("model.weights", POINTER.as_bytes());
    write(".gitignore", b"*.o\n");
    site.laptop.git(&["add", "-A"]);
    site.laptop.git(&["commit", "-qm", "with large files"]);
    // An ignored file of the laptop stays there. One of the agent stays on the host.
    write("built.o", &noise(2 * MIB));
    site.plan(
        "turn 1\nrun head -c 3000000 /dev/urandom >agent.o; cp model.weights pointer; ls *.o; sleep 1\n\
         edit new.txt <<END\nfirst\nEND\nratelimit\n\
         turn 2\nedit new.txt <<END\nsecond\nEND\nfinish Done.\n",
    );
    let ran = site.run_checked("true", &[]).run().success();
    let (up, down) = (proxy.bytes(Direction::Up), proxy.bytes(Direction::Down));
    assert!(up > UNTOUCHED * MIB && up < (UNTOUCHED + 1) * MIB + SMALL, "sent once, without ignored files: {up}");
    assert!(down < SMALL, "came back: {down}\n{}", ran.stdout);

    for (attempt, text) in [(1, "first"), (2, "second")] {
        let work = format!("refs/handoff/{ID}/{attempt}/work");
        let changed =
            site.laptop.git(&["diff", "--name-only", "HEAD", &work, "--", ".", ":!staged.txt", ":!notes.txt"]);
        assert_eq!(changed, "new.txt\npointer", "attempt {attempt}");
        assert_eq!(site.laptop.git(&["show", &format!("{work}:new.txt")]), text);
        // An LFS pointer is an ordinary file, on the laptop and on the host.
        assert_eq!(site.laptop.git(&["cat-file", "blob", &format!("{work}:pointer")]), POINTER.trim_end());
    }
    let on_host = site.on_host(1, "log").unwrap();
    assert!(on_host.contains("agent.o") && !on_host.contains("built.o"), "{on_host}");
    assert!(site.handoff(&["clean"]).run().fails().stdout.contains("agent.o"), "the only copy is on the host");
}
