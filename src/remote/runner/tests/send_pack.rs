//! A capture as a pack: the laptop may request any piece of it, any number of times.

use super::host::{TestHost, shells};
use super::*;

/// Runs an attempt whose agent writes a file that does not compress.
fn captured(shell: String) -> TestHost {
    let busybox = shell.starts_with("busybox");
    let host = TestHost::shipped(shell, "cd ..; head -c 300000 /dev/urandom >large");
    if busybox {
        host.only_busybox();
    }
    host.ensure(1, &[]);
    host
}

/// Asks as a laptop that has the ship.
fn ask(host: &TestHost, more: &str) -> Vec<u8> {
    ask_with(host, &format!("{}\n", host.oids[0]), more)
}

fn ask_with(host: &TestHost, held: &str, more: &str) -> Vec<u8> {
    let (name, key, length) = (&host.name, "a".repeat(40), held.len());
    let request =
        format!("name {name}\nkey {key}\nformat sha1\nattempt 1\npart held {length}\nblob {length}\n{more}\n{held}");
    host.exec_raw(&loader(Verb::SendPack), request.as_bytes())
}

/// Name and length of the pack, the offset of the piece, and the piece.
fn piece(host: &TestHost, more: &str) -> (String, usize, usize, Vec<u8>) {
    read_piece(ask(host, more))
}

fn read_piece(answer: Vec<u8>) -> (String, usize, usize, Vec<u8>) {
    let ends: Vec<usize> = (0..answer.len()).filter(|at| answer[*at] == b'\n').take(20).collect();
    let is_pack = |end: &usize| answer[end + 1..].starts_with(b"pack ");
    let first = ends.iter().position(is_pack).unwrap_or_else(|| panic!("{}", String::from_utf8_lossy(&answer)));
    let ends = &ends[first..];
    let line = |from: usize, to: usize| String::from_utf8_lossy(&answer[from..to]).into_owned();
    let (pack, frame) = (line(ends[0] + 1, ends[1]), line(ends[1] + 1, ends[2]));
    let [_, hash, length] = &pack.split(' ').collect::<Vec<_>>()[..] else { panic!("{pack}") };
    let [_, _, _, _, from, bytes] = &frame.split(' ').collect::<Vec<_>>()[..] else { panic!("{frame}") };
    let start = ends[2] + 1;
    let bytes = answer[start..start + bytes.parse::<usize>().unwrap()].to_vec();
    assert!(answer[start + bytes.len()..].starts_with(b"\n@handoff "), "no more than was announced");
    ((*hash).to_owned(), length.parse().unwrap(), from.parse().unwrap(), bytes)
}

/// The commit of the capture.
fn work(host: &TestHost) -> String {
    host.result(1).get("capture").unwrap().to_owned()
}

/// Adds a pack to the laptop's repository, which must have everything that the pack builds on.
fn index(host: &TestHost, bytes: &[u8]) {
    let file = host.home().join("came.pack");
    std::fs::write(&file, bytes).unwrap();
    let output = std::process::Command::new("git")
        .args(["index-pack", "--strict", "--stdin", "--fix-thin"])
        .current_dir(host.laptop())
        .stdin(std::fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_capture_is_sent_in_pieces_and_complete() {
    for shell in shells() {
        let host = captured(shell);
        host.result(1);
        let (hash, length, from, mut all) = piece(&host, "max 100000\n");
        assert_eq!((from, all.len()), (0, 100_000));
        while all.len() < length {
            let (same, _, from, bytes) = piece(&host, &format!("pack {hash}\nhave {}\nmax 100000\n", all.len()));
            assert_eq!((same.as_str(), from), (hash.as_str(), all.len()));
            all.extend(bytes);
        }
        index(&host, &all);
        let came = host.git(&host.laptop(), &["rev-list", "--objects", &work(&host)]);
        assert!(came.ends_with(" large") || came.contains(" large\n"), "{came}");
        // The piece of another pack starts at 0.
        let (_, _, from, _) = piece(&host, &format!("pack {}\nhave 5\nmax 10\n", "0".repeat(40)));
        assert_eq!(from, 0);
        let (_, _, from, rest) = piece(&host, &format!("pack {hash}\nhave {length}\n"));
        assert_eq!((from, rest.len()), (length, 0));
        let outgoing = host.cache().join("outgoing").join(&host.name);
        assert!(outgoing.join("1.pack").exists());
        assert!(ask(&host, "discard yes\n").ends_with(b"end 0\n"));
        assert!(!outgoing.exists());
    }
}

#[test]
fn every_ref_of_the_capture_is_named() {
    let agent = "git commit -qm mine --allow-empty; git tag theirs; git checkout -qb side; echo w >w";
    let host = TestHost::shipped(shells().remove(0), agent);
    host.ensure(1, &[]);
    let expected = work(&host);
    let answer = String::from_utf8_lossy(&ask(&host, "")).into_owned();
    let below = format!("refs/capture/{}/1", host.name);
    assert!(answer.contains(&format!("\nref {expected} {below}/work\n")), "{answer}");
    for name in ["heads/main", "heads/side", "tags/theirs"] {
        assert!(answer.contains(&format!(" {below}/{name}\n")), "{name}: {answer}");
    }
}

#[test]
fn unchanged_shipped_files_are_not_sent() {
    let mut host = TestHost::shipped(shells().remove(0), "echo w >w");
    let noise: Vec<u8> = (0..400_000_u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
    std::fs::write(host.laptop().join("untracked and large"), noise).unwrap();
    host.ship_again();
    host.ensure(1, &[]);
    work(&host);
    let (_, length, ..) = piece(&host, "");
    assert!(length < 100_000, "{length}");
    // A laptop that has lost the ship gets everything, and ids that are not here are ignored.
    let (_, length, ..) = read_piece(ask_with(&host, &format!("{}\n", "1".repeat(40)), ""));
    assert!(length > 1_500_000, "{length}");
}

#[test]
fn without_room_for_a_file_the_pack_is_sent_in_the_same_pieces() {
    for shell in shells() {
        let host = captured(shell);
        host.result(1);
        std::fs::write(host.cache().join("outgoing"), "").unwrap();
        let (hash, length, _, mut all) = piece(&host, "max 200000\n");
        let (same, _, from, rest) = piece(&host, &format!("pack {hash}\nhave {}\n", all.len()));
        assert_eq!((same, from), (hash, all.len()));
        all.extend(rest);
        assert_eq!(all.len(), length);
        index(&host, &all);
    }
}

#[test]
fn a_list_that_was_cut_is_refused() {
    let host = captured(shells().remove(0));
    host.result(1);
    let head = format!("name {}\nkey {}\nformat sha1\nattempt 1\n", host.name, "a".repeat(40));
    let answer = host.exec(&loader(Verb::SendPack), format!("{head}blob 82\n\n{}\n", host.oids[0]).as_bytes());
    assert!(answer.contains("error truncated 41 of 82 bytes"), "{answer}");
}

/// The laptop refuses the refs that lack something, so damage below one ref does not hold back the work.
#[test]
fn damage_below_another_ref_does_not_hold_back_the_work() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "cd ..; echo w >w");
        host.ensure(1, &[]);
        let work = work(&host);
        let lost = "printf '100644 blob 0123456789012345678901234567890123456789\\tlost\\n' | git mktree --missing";
        let made = std::process::Command::new("sh").args(["-c", lost]).current_dir(host.cache()).output().unwrap();
        let tree = String::from_utf8(made.stdout).unwrap();
        let commit = host.git(&host.cache(), &["commit-tree", "-m", "side", tree.trim()]);
        host.git(&host.cache(), &["update-ref", &format!("refs/capture/{}/1/heads/side", host.name), &commit]);
        let answer = ask(&host, "max 100000\n");
        assert!(String::from_utf8_lossy(&answer).contains(&format!("\nref {work} ")));
        let (_, length, from, bytes) = read_piece(answer);
        assert_eq!((from, bytes.len()), (0, length));
        index(&host, &bytes);
        host.git(&host.laptop(), &["rev-list", "--objects", "--quiet", &work]);
    }
}
