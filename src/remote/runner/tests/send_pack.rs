//! A large capture as a file: the laptop may request any piece of it, any number of times.

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

fn ask(host: &TestHost, more: &str) -> Vec<u8> {
    let request = format!("name {}\nkey {}\nformat sha1\nattempt 1\n{more}\n", host.name, "a".repeat(40));
    host.exec_raw(&loader(Verb::SendPack), request.as_bytes())
}

/// Name and length of the pack, the offset of the piece, and the piece.
fn piece(host: &TestHost, more: &str) -> (String, usize, usize, Vec<u8>) {
    let answer = ask(host, more);
    let ends: Vec<usize> = (0..answer.len()).filter(|at| answer[*at] == b'\n').take(3).collect();
    let line = |from: usize, to: usize| String::from_utf8_lossy(&answer[from..to]).into_owned();
    let (pack, frame) = (line(ends[0] + 1, ends[1]), line(ends[1] + 1, ends[2]));
    let [_, hash, length] = &pack.split(' ').collect::<Vec<_>>()[..] else { panic!("{pack}") };
    let [_, _, _, _, from, bytes] = &frame.split(' ').collect::<Vec<_>>()[..] else { panic!("{frame}") };
    let start = ends[2] + 1;
    let bytes = answer[start..start + bytes.parse::<usize>().unwrap()].to_vec();
    assert!(answer[start + bytes.len()..].starts_with(b"\n@handoff "), "no more than was announced");
    ((*hash).to_owned(), length.parse().unwrap(), from.parse().unwrap(), bytes)
}

#[test]
fn a_capture_is_sent_in_pieces_and_complete() {
    for shell in shells() {
        let host = captured(shell);
        let result = host.result(1);
        let weight: usize = result.get("weight").unwrap().parse().unwrap();
        assert!(weight > 300_000, "{weight}");
        let (hash, length, from, mut all) = piece(&host, "max 100000\n");
        assert_eq!((from, all.len()), (0, 100_000));
        while all.len() < length {
            let (same, _, from, bytes) = piece(&host, &format!("pack {hash}\nhave {}\nmax 100000\n", all.len()));
            assert_eq!((same.as_str(), from), (hash.as_str(), all.len()));
            all.extend(bytes);
        }
        let file = host.laptop().join(".git/came.pack");
        std::fs::write(&file, &all).unwrap();
        let name = host.git(&host.laptop(), &["index-pack", "--strict", file.to_str().unwrap()]);
        assert_eq!(name, hash, "the laptop has all that it builds on");
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
