//! Files of Git LFS on a host without git-lfs: captures have pointers, and no content is lost.

use super::custody::read;
use super::host::{TestHost, shells};
use super::release::{ended, release, release_with, tree};

/// Makes new files of Git LFS, and one whose content only a commit in the middle has.
const AGENT: &str = r"cd ..; printf '*.bin filter=lfs -text\n' >.gitattributes; printf content >a.bin; printf more >'b c.bin'; : >empty.bin
    printf 'line\n' >'d
e.bin'
    printf middle >m.bin; git add -A; git commit -qm middle; rm m.bin; exit 1";

/// The contents of these files.
const CONTENTS: [&str; 4] = ["content", "line\n", "middle", "more"];

#[test]
fn contents_are_captured_by_id_and_files_stay_until_the_laptop_has_them() {
    for shell in shells() {
        let (host, ack) = ended(&shell, AGENT);
        assert!(!host.at(1).join("uncaptured").exists(), "{}", read(host.at(1).join("uncaptured")));
        let below = format!("refs/capture/{}/1", host.name);
        let git = |args: &[&str]| host.git(&host.cache(), args);
        let pointer = git(&["show", &format!("{below}/work:a.bin")]);
        assert!(
            pointer.starts_with("version https://git-lfs.github.com/spec/v1\noid sha256:")
                && pointer.ends_with("\nsize 7")
        );
        assert_eq!(git(&["show", &format!("{below}/work:empty.bin")]), "");
        let listed = git(&["ls-tree", "--name-only", &format!("{below}/lfs")]);
        for content in CONTENTS {
            let id = sha256_of(content);
            assert!(listed.contains(&id), "{content} is not in {listed}");
            assert_eq!(git(&["cat-file", "blob", &format!("{below}/lfs:{id}")]), content.trim_end());
        }
        assert_eq!(listed.lines().count(), CONTENTS.len());

        let refs = git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
        let held: String = refs.lines().map(|line| format!("tree {0}\ncommit {0}\n", &line[..40])).collect();
        let reply = release_with(&host, &ack, &held);
        for lost in ["7 a.bin\n", "4 b c.bin\n", " d?e.bin\n", ".git/ ("] {
            assert!(reply.contains("error kept ") && reply.contains(lost), "{lost}: {reply}");
        }
        assert_eq!(read(tree(&host).join("a.bin")), "content");
        let contents = format!("content {}\n", git(&["rev-parse", &format!("{below}/lfs")]).trim());
        // A file that was changed after the capture has another content.
        std::fs::write(tree(&host).join("a.bin"), "CONTENT").unwrap();
        let reply = release_with(&host, &ack, &format!("{held}{contents}"));
        assert!(reply.contains("error kept 1 files") && reply.contains("7 a.bin\n"), "{reply}");
        std::fs::write(tree(&host).join("a.bin"), "content").unwrap();
        let reply = release_with(&host, &ack, &format!("{held}{contents}"));
        assert!(reply.ends_with("end 0\n"), "{reply}");
    }
}

#[test]
fn a_content_that_cannot_be_stored_is_named_and_kept() {
    let shell = shells().remove(0);
    let host = TestHost::shipped(shell, AGENT);
    host.shadow_git("*hash-object*--no-filters*", "exit 1");
    host.ensure(1, &[]);
    let result = host.result(1);
    let text = read(host.at(1).join("uncaptured"));
    assert!(text.contains(" a.bin\n"), "{text}");
    assert!(text.contains(".git/lfs/objects/"), "{text}");
    let ack = format!("ack 1 {} {}\n", result.get("capture").unwrap(), host.log(1).len());
    let reply = release(&host, &ack);
    assert!(reply.contains("error kept ") && reply.contains(" a.bin\n"), "{reply}");
}

fn sha256_of(text: &str) -> String {
    use sha2::Digest;
    sha2::Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
