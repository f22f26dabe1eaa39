//! A push as a file: bytes that arrived are not sent again, and git must read the whole pack before objects and
//! refs exist.

use std::io::{BufRead, BufReader, Read, Write};

use super::host::{TestHost, shells};
use super::*;

/// A pack of the laptop's snapshot and of a file that does not compress.
struct Sent {
    host: TestHost,
    commit: String,
    hash: String,
    bytes: Vec<u8>,
}

impl Sent {
    fn new(shell: String) -> Sent {
        let host = TestHost::shipped(shell, "true");
        let laptop = host.laptop();
        let noise: Vec<u8> = (0..40_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        std::fs::write(laptop.join("large"), noise).unwrap();
        host.git(&laptop, &["add", "large"]);
        host.git(&laptop, &["commit", "-qm", "large"]);
        let commit = host.git(&laptop, &["rev-parse", "HEAD"]);
        let mut sent = Sent { host, commit, hash: String::new(), bytes: Vec::new() };
        sent.pack(&format!("{}\n^{}\n", sent.commit, sent.host.oids[0]));
        sent
    }

    /// Packs the given revisions.
    fn pack(&mut self, ends: &str) {
        self.pack_with(ends, &[]);
    }

    fn pack_with(&mut self, ends: &str, args: &[&str]) {
        let laptop = self.host.laptop();
        let ends_file = self.host.home().join("ends");
        std::fs::write(&ends_file, ends).unwrap();
        let output = std::process::Command::new("git")
            .args(["pack-objects", "--revs", "--stdout", "-q"])
            .args(args)
            .current_dir(laptop)
            .stdin(std::fs::File::open(ends_file).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success());
        self.bytes = output.stdout;
        self.hash = self.bytes[self.bytes.len() - 20..].iter().map(|byte| format!("{byte:02x}")).collect();
    }

    fn request(&self, refs: &str) -> String {
        let (name, key, hash) = (&self.host.name, "a".repeat(40), &self.hash);
        let (length, blob) = (self.bytes.len(), refs.len());
        format!(
            "name {name}\nkey {key}\nformat sha1\npack {hash}\nlength {length}\npart refs {blob}\nblob {blob}\n\n{refs}"
        )
    }

    /// The request for a small pack, which is thin and in the request.
    fn whole_request(&self, refs: &str) -> Vec<u8> {
        let (name, key, hash) = (&self.host.name, "a".repeat(40), &self.hash);
        let (length, refs_length) = (self.bytes.len(), refs.len());
        let blob = length + refs_length;
        let head = format!(
            "name {name}\nkey {key}\nformat sha1\npack {hash}\nlength {length}\nwhole yes\nthin yes\n\
             part refs {refs_length}\npart pack {length}\nblob {blob}\n\n{refs}"
        );
        [head.as_bytes(), &self.bytes].concat()
    }

    fn send_whole(&self, refs: &str) -> String {
        self.host.call(Verb::ReceivePack, &self.whole_request(refs))
    }

    fn refs(&self) -> String {
        let Sent { commit, host, .. } = self;
        format!("{commit} refs/keep/{commit}\n{commit} refs/handoff/{}/ship/2\n", host.name)
    }

    /// Offers the pack. Returns how many bytes were there already, and the end of the answer after `send` was sent.
    fn offer(&self, refs: &str, send: impl FnOnce(usize) -> Vec<u8>) -> (usize, String) {
        let (mut child, mut stdin) = self.host.open(&loader(Verb::ReceivePack), self.request(refs).as_bytes());
        let mut answer = BufReader::new(child.stdout.take().unwrap());
        let (mut begin, mut have, mut rest) = (String::new(), String::new(), String::new());
        answer.read_line(&mut begin).unwrap();
        answer.read_line(&mut have).unwrap();
        let Some(have) = have.trim_end().strip_prefix("have ") else { return (0, have) };
        let have = have.parse().unwrap();
        let _ = stdin.write_all(&send(have));
        drop(stdin);
        answer.read_to_string(&mut rest).unwrap();
        child.wait().unwrap();
        (have, rest)
    }

    fn incoming(&self) -> std::path::PathBuf {
        self.host.cache().join("incoming").join(&self.host.name)
    }
}

#[test]
fn an_interrupted_pack_continues_where_it_was() {
    for shell in shells() {
        let sent = Sent::new(shell);
        if sent.host.shell().starts_with("busybox") {
            sent.host.only_busybox();
        }
        let refs = sent.refs();
        let (have, cut) = sent.offer(&refs, |_| sent.bytes[..100_000].to_vec());
        assert_eq!(have, 0);
        assert!(cut.contains(&format!("error truncated 100000 of {} bytes", sent.bytes.len())), "{cut}");
        // Only whole blocks count, because the end may be anything after a power cut.
        let (have, cut) = sent.offer(&refs, |have| sent.bytes[have..140_000].to_vec());
        assert_eq!(have, 65536, "{cut}");
        let (have, whole) = sent.offer(&refs, |have| sent.bytes[have..].to_vec());
        assert_eq!(have, 131_072, "{whole}");
        assert!(whole.ends_with("end 0\n"), "{whole}");
        let cache = sent.host.cache();
        sent.host.git(&cache, &["fsck", "--connectivity-only"]);
        for name in [format!("refs/keep/{}", sent.commit), format!("refs/handoff/{}/ship/2", sent.host.name)] {
            assert_eq!(sent.host.git(&cache, &["rev-parse", &name]), sent.commit);
        }
        assert!(!sent.incoming().exists());
        // When it is offered again, no byte is sent.
        let (have, again) = sent.offer(&refs, |_| Vec::new());
        assert_eq!((have, again.ends_with("end 0\n")), (sent.bytes.len(), true), "{again}");
        let tips = sent.host.call(
            Verb::ReceivePack,
            format!("name {}\nkey {}\nformat sha1\n\n", sent.host.name, "a".repeat(40)).as_bytes(),
        );
        assert!(tips.contains(&format!("\ntip {}\n", sent.commit)), "{tips}");
    }
}

#[test]
fn late_bytes_of_a_dead_connection_do_no_harm() {
    for shell in shells() {
        let sent = Sent::new(shell);
        let refs = sent.refs();
        sent.offer(&refs, |_| sent.bytes[..70_000].to_vec());
        let (mut late, mut stdin) = sent.host.open(&loader(Verb::ReceivePack), sent.request(&refs).as_bytes());
        let mut answer = BufReader::new(late.stdout.take().unwrap());
        let mut line = String::new();
        while !line.starts_with("have") {
            line.clear();
            answer.read_line(&mut line).unwrap();
        }
        let (_, whole) = sent.offer(&refs, |have| {
            let bytes = sent.bytes[have..].to_vec();
            stdin.write_all(&bytes[..50_000]).unwrap();
            drop(stdin);
            late.wait().unwrap();
            bytes
        });
        assert!(whole.ends_with("end 0\n"), "{whole}");
        sent.host.git(&sent.host.cache(), &["fsck", "--connectivity-only"]);
    }
}

#[test]
fn damaged_bytes_add_no_object_and_no_ref() {
    for shell in shells() {
        let sent = Sent::new(shell);
        let refs = sent.refs();
        let (_, refused) = sent.offer(&refs, |_| {
            let mut bytes = sent.bytes.clone();
            bytes[100_000] ^= 1;
            bytes
        });
        assert!(refused.contains("error damaged "), "{refused}");
        assert!(!sent.host.cache().join("refs/keep").join(&sent.commit).exists());
        let (have, whole) = sent.offer(&refs, |_| sent.bytes.clone());
        assert_eq!((have, whole.ends_with("end 0\n")), (0, true), "{whole}");
    }
}

#[test]
fn a_pack_that_builds_on_missing_objects_is_refused() {
    for shell in shells() {
        let mut sent = Sent::new(shell);
        let laptop = sent.host.laptop();
        std::fs::write(laptop.join("more"), "more\n").unwrap();
        sent.host.git(&laptop, &["add", "more"]);
        sent.host.git(&laptop, &["commit", "-qm", "more"]);
        let tip = sent.host.git(&laptop, &["rev-parse", "HEAD"]);
        sent.pack(&format!("{tip}\n^{}\n", sent.commit));
        let (_, refused) = sent.offer(&format!("{tip} refs/keep/{tip}\n"), |_| sent.bytes.clone());
        assert!(refused.contains("error lacking "), "{refused}");
        assert!(!sent.host.cache().join("refs/keep").join(&tip).exists());
        assert!(!sent.incoming().exists());
    }
}

#[test]
fn no_other_ref_can_be_made() {
    for shell in shells() {
        let sent = Sent::new(shell);
        for name in ["refs/heads/main", "refs/handoff/other/ship/1", "refs/keep/x", "refs/keep/a b"] {
            let (_, refused) = sent.offer(&format!("{} {name}\n", sent.commit), |have| sent.bytes[have..].to_vec());
            assert!(refused.contains("error request "), "{name}: {refused}");
        }
        assert!(!sent.host.cache().join("refs/heads/main").exists());
    }
}

/// A laptop's repository with files `1` to `count`, committed on top of what the host has, each of which is a delta of a
/// file that the host has.
fn changed(shell: String, count: u32) -> Sent {
    let mut sent = Sent::new(shell);
    let laptop = sent.host.laptop();
    let write = |end: &str| {
        for n in 1..=count {
            let lines: String = (0..200).map(|line: u32| format!("{}\n", (line + n).wrapping_pow(5))).collect();
            std::fs::write(laptop.join(format!("file-{n}")), lines + end).unwrap();
        }
        sent.host.git(&laptop, &["add", "-A"]);
        sent.host.git(&laptop, &["commit", "-qm", "files"]);
        sent.host.git(&laptop, &["rev-parse", "HEAD"])
    };
    let (held, tip) = (write(""), write("more\n"));
    let target = format!("{held}:refs/keep/{held}");
    sent.host.git(&laptop, &["push", "-q", sent.host.cache().to_str().unwrap(), &target]);
    sent.pack_with(&format!("{tip}\n^{held}\n"), &["--thin"]);
    sent.commit = tip;
    sent
}

fn loose_objects(host: &TestHost) -> usize {
    let counted = host.git(&host.cache(), &["count-objects"]);
    counted.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_thin_pack_is_taken_in_with_its_request() {
    for shell in shells() {
        for (count, is_few) in [(3, true), (120, false)] {
            let sent = changed(shell.clone(), count);
            if sent.host.shell().starts_with("busybox") {
                sent.host.only_busybox();
            }
            let (before, refs) = (loose_objects(&sent.host), sent.refs());
            let answer = sent.send_whole(&refs);
            assert!(answer.ends_with("end 0\n"), "{answer}");
            let cache = sent.host.cache();
            sent.host.git(&cache, &["fsck", "--connectivity-only"]);
            let made = loose_objects(&sent.host) - before;
            assert_eq!(made, if is_few { count as usize + 2 } else { 0 });
            assert!(!sent.incoming().exists());
            let again = sent.send_whole(&refs);
            assert!(again.contains(&format!("\nhave {}\n", sent.bytes.len())) && again.ends_with("end 0\n"), "{again}");
        }
    }
}

#[test]
fn a_thin_pack_without_its_base_objects_leaves_nothing() {
    for shell in shells() {
        for count in [3, 120] {
            let sent = changed(shell.clone(), count);
            let cache = sent.host.cache();
            let keep = sent.host.git(&cache, &["for-each-ref", "--format=%(refname)", "refs/keep/"]);
            sent.host.git(&cache, &["update-ref", "-d", &keep]);
            sent.host.git(&cache, &["gc", "-q", "--prune=now"]);
            let refused = sent.send_whole(&sent.refs());
            assert!(refused.contains("error lacking "), "{refused}");
            assert!(!sent.incoming().exists());
            assert_eq!(loose_objects(&sent.host), 0);
        }
    }
}

#[test]
fn a_request_that_was_cut_in_its_pack_adds_nothing() {
    let sent = changed(shells().remove(0), 3);
    let before = loose_objects(&sent.host);
    let request = sent.whole_request(&sent.refs());
    let refused = sent.host.call(Verb::ReceivePack, &request[..request.len() - sent.bytes.len() / 2]);
    assert!(refused.contains("error truncated "), "{refused}");
    assert_eq!(loose_objects(&sent.host), before);
    assert!(sent.send_whole(&sent.refs()).ends_with("end 0\n"));
}

/// A laptop that lost its connection sends a push again while the first call still runs.
#[test]
fn a_push_that_is_sent_twice_at_once_succeeds_twice() {
    for shell in shells() {
        for count in [3, 150] {
            let sent = changed(shell.clone(), count);
            sent.host.shadow_git("*' rev-list '*", "sleep 1");
            let request = sent.whole_request(&sent.refs());
            let both = [0, 1].map(|_| {
                let child = sent.host.start(&loader(Verb::ReceivePack), &request);
                std::thread::sleep(std::time::Duration::from_millis(400));
                child
            });
            for child in both {
                let reply = String::from_utf8_lossy(&sent.host.finish(child).stdout).into_owned();
                assert!(reply.ends_with("end 0\n"), "{reply}");
            }
        }
    }
}
