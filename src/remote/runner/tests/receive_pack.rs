//! A push as a file: bytes that arrived are not sent again, and git must read the whole pack before objects and
//! refs exist.

use std::io::{BufRead, BufReader, Read, Write};

use super::host::{TestHost, grant, shells};
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
        let host = TestHost::shipped(shell, "echo start >>$HOME/starts");
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

    /// The request `ensure` for attempt 1, with the pack, which is thin.
    fn ensure_request(&self, refs: &str) -> Vec<u8> {
        let (host, length) = (&self.host, self.bytes.len());
        let request = String::from_utf8(host.ensure_request(1, &[("grant", &grant(&[("last", "1")]))], "")).unwrap();
        let (head, blob) = request.split_once("\n\n").unwrap();
        let (head, _) = head.rsplit_once("\nblob ").unwrap();
        let (refs_length, size) = (refs.len(), blob.len() + refs.len() + length);
        let head = format!(
            "{head}\npack {}\nlength {length}\nthin yes\npart refs {refs_length}\npart pack {length}\nblob {size}\n\n\
             {blob}{refs}",
            self.hash
        );
        [head.as_bytes(), &self.bytes].concat()
    }

    /// Offers everything that the pack has, and checks how that ends.
    #[track_caller]
    fn assert_ends(&self, refs: &str, end: &str) {
        let (_, answer) = self.offer(refs, |_| self.bytes.clone());
        assert!(answer.ends_with(end), "{}: {answer}", self.host.shell());
    }

    fn ensure(&self, refs: &str) -> String {
        self.host.call(Verb::Ensure, &self.ensure_request(refs))
    }

    /// Checks that nothing of the attempt exists, not even its spec: the next request may announce another ship.
    #[track_caller]
    fn assert_refused(&self, answer: &str, class: &str) {
        assert!(answer.contains(&format!("\nerror {class} ")) && answer.ends_with("end 1\n"), "{answer}");
        assert!(!self.host.at(1).exists() && !self.incoming().exists(), "{answer}");
        assert!(!self.host.work().join("spec/1").exists(), "{answer}");
        let names = std::fs::read_dir(self.host.root()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with(".request.")));
        assert!(!std::fs::read_to_string(self.host.root().join("instance")).unwrap().contains(&self.host.name));
    }

    /// The refs of attempt 1.
    fn own_refs(&self) -> String {
        format!("{0} refs/keep/{0}\n{0} refs/handoff/{1}/ship/1\n", self.commit, self.host.name)
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

/// A snapshot with files `1` to `count`, each of which is a delta of a file that the host has.
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
    sent.host.oids = sent.host.snapshot();
    sent.commit = sent.host.oids[0].clone();
    sent.pack_with(&format!("{}\n{tip}\n^{held}\n", sent.commit), &["--thin"]);
    sent
}

fn loose_objects(host: &TestHost) -> usize {
    let counted = host.git(&host.cache(), &["count-objects"]);
    counted.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_thin_pack_is_taken_in_with_ensure_and_its_attempt_starts_once() {
    for shell in shells() {
        for (count, is_few) in [(3, true), (120, false)] {
            let sent = changed(shell.clone(), count);
            if sent.host.shell().starts_with("busybox") {
                sent.host.only_busybox();
            }
            let (before, refs) = (loose_objects(&sent.host), sent.own_refs());
            let answer = sent.ensure(&refs);
            assert!(answer.contains("\ns ") && answer.ends_with("end 0\n"), "{answer}");
            let made = loose_objects(&sent.host) - before;
            assert!(if is_few { made >= count as usize + 2 } else { made < count as usize }, "{made}");
            assert!(!sent.incoming().exists());
            // Its answer is lost, and it is sent again.
            let again = sent.ensure(&refs);
            assert!(again.contains("\ns ") && again.ends_with("end 0\n"), "{again}");
            let result = sent.host.result(1);
            let after = sent.ensure(&refs);
            assert!(after.contains(" result=1 "), "{after}");
            sent.host.git(&sent.host.cache(), &["fsck", "--connectivity-only"]);
            assert_eq!((sent.host.starts(), sent.host.link(1, "watch.2")), (1, None), "{}", result.0);
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
            let tips = sent.host.git(&cache, &["for-each-ref", "--format=tip %(objectname)"]);
            let refused = sent.ensure(&sent.own_refs());
            sent.assert_refused(&refused, "lacking");
            assert!(tips.starts_with("tip ") && refused.contains(&format!("\n{tips}\nerror ")), "{tips}: {refused}");
            assert_eq!(loose_objects(&sent.host), 0);
        }
    }
}

#[test]
fn damaged_bytes_with_ensure_leave_nothing() {
    for shell in shells() {
        for (count, at) in [(3, 40), (120, 40), (3, 0)] {
            let mut sent = changed(shell.clone(), count);
            let before = loose_objects(&sent.host);
            let whole = sent.bytes.clone();
            let at = if at == 0 { whole.len() - 1 } else { at };
            sent.bytes[at] ^= 1;
            sent.assert_refused(&sent.ensure(&sent.own_refs()), "damaged");
            assert_eq!(loose_objects(&sent.host), before);
            sent.bytes = whole;
            let answer = sent.ensure(&sent.own_refs());
            assert!(answer.ends_with("end 0\n"), "{answer}");
        }
    }
}

#[test]
fn a_request_that_was_cut_in_its_pack_adds_nothing() {
    let sent = changed(shells().remove(0), 3);
    let before = loose_objects(&sent.host);
    let request = sent.ensure_request(&sent.own_refs());
    let refused = sent.host.call(Verb::Ensure, &request[..request.len() - sent.bytes.len() / 2]);
    assert!(refused.contains("error truncated "), "{refused}");
    assert_eq!((loose_objects(&sent.host), sent.host.at(1).exists()), (before, false));
    assert!(sent.ensure(&sent.own_refs()).ends_with("end 0\n"));
}

/// A laptop that lost its connection sends `ensure` again while the first call still runs.
#[test]
fn an_ensure_that_is_sent_twice_at_once_succeeds_twice_and_starts_one_agent() {
    for shell in shells() {
        for count in [3, 150] {
            let sent = changed(shell.clone(), count);
            sent.host.shadow_git("*' rev-list '*", "sleep 1");
            let request = sent.ensure_request(&sent.own_refs());
            let both = [0, 1].map(|_| {
                let child = sent.host.start(&loader(Verb::Ensure), &request);
                std::thread::sleep(std::time::Duration::from_millis(400));
                child
            });
            for child in both {
                let reply = String::from_utf8_lossy(&sent.host.finish(child).stdout).into_owned();
                assert!(reply.contains("\ns ") && reply.ends_with("end 0\n"), "{reply}");
            }
            let result = sent.host.result(1);
            assert_eq!((sent.host.starts(), sent.host.link(1, "watch.2")), (1, None), "{}", result.0);
        }
    }
}

#[test]
fn ensure_finds_the_objects_that_came_before_it() {
    for shell in shells() {
        let mut sent = changed(shell, 3);
        sent.pack(&format!("{}\n", sent.commit));
        let refused = sent.host.ensure(1, &[]);
        sent.assert_refused(&refused, "lacking");
        let (_, answer) = sent.offer(&sent.own_refs(), |have| sent.bytes[have..].to_vec());
        assert!(answer.ends_with("end 0\n"), "{answer}");
        sent.host.ensure(1, &[]);
        sent.host.result(1);
        assert_eq!(sent.host.starts(), 1);
    }
}

#[test]
fn the_history_of_a_shallow_clone_is_complete_up_to_its_end() {
    for shell in shells() {
        let mut sent = Sent::new(shell);
        let laptop = sent.host.laptop();
        std::fs::remove_dir_all(sent.host.cache()).unwrap();
        sent.host.git(&laptop, &["checkout", "-q", "--orphan", "other"]);
        for message in ["not here", "the end", "the tip"] {
            sent.host.git(&laptop, &["commit", "-q", "--allow-empty", "-m", message]);
        }
        let end = sent.host.git(&laptop, &["rev-parse", "HEAD~1"]);
        std::fs::write(laptop.join(".git/shallow"), format!("{end}\n")).unwrap();
        sent.commit = sent.host.git(&laptop, &["rev-parse", "HEAD"]);
        sent.pack(&format!("{}\n", sent.commit));
        let shallow = sent.host.cache().join("shallow");
        sent.assert_ends(
            &sent.refs(),
            "error lacking base objects of the push are missing\n@handoff 00000000000000aa end 1\n",
        );
        assert!(!shallow.exists());
        sent.assert_ends(&format!("{end} shallow now\n{}", sent.refs()), "error request bad name of a ref\n");
        // The same end is noted once.
        for n in 2..4 {
            let refs = sent.refs().replace("ship/2", &format!("ship/{n}"));
            sent.assert_ends(&format!("{end} shallow\n{refs}"), "end 0\n");
            assert_eq!(std::fs::read_to_string(&shallow).unwrap(), format!("{end}\n"));
        }
        assert_eq!(sent.host.git(&sent.host.cache(), &["rev-list", "--count", &sent.commit]), "2");
    }
}

/// An end hides the history below it from everything that reads the cache.
#[test]
fn the_history_of_a_cache_that_has_it_is_not_cut() {
    for shell in shells() {
        let mut sent = Sent::new(shell);
        let laptop = sent.host.laptop();
        let shallow = sent.host.cache().join("shallow");
        sent.assert_ends(&sent.refs(), "end 0\n");
        for message in ["below", "the end", "the tip"] {
            sent.host.git(&laptop, &["commit", "-q", "--allow-empty", "-m", message]);
        }
        // Another clone of the repository has been made shallow.
        let end = sent.host.git(&laptop, &["rev-parse", "HEAD~1"]);
        std::fs::write(laptop.join(".git/shallow"), format!("{end}\n")).unwrap();
        sent.commit = sent.host.git(&laptop, &["rev-parse", "HEAD"]);
        sent.pack(&format!("{}\n", sent.commit));
        let refs = sent.refs().replace("ship/2", "ship/3");
        let (_, answer) = sent.offer(&format!("{end} shallow\n{refs}"), |_| sent.bytes.clone());
        assert!(answer.contains("\nerror lacking ") && answer.contains("git fetch --unshallow"), "{answer}");
        assert!(!shallow.exists(), "{}", sent.host.shell());
        // With the history, the end that the push names is no end.
        std::fs::remove_file(laptop.join(".git/shallow")).unwrap();
        sent.pack(&format!("{}\n", sent.commit));
        sent.assert_ends(&format!("{end} shallow\n{refs}"), "end 0\n");
        assert!(!shallow.exists(), "{}", sent.host.shell());
    }
}
