//! Build results become a commit of their own, which is sent as a capture is.

use super::host::{TestHost, shells};
use super::release::{ended, release_with, tree};
use super::*;

/// An agent that ignores what it builds.
const BUILD: &str = "cd ..; printf 'target/\\nnode/\\n*.log\\n' >.gitignore; mkdir -p target/release node/dep .cursor/agent-handoffs/x\n\
    printf 'deb\\r\\n' >target/release/x.deb; printf 'tool' >target/tool; chmod 755 target/tool\n\
    printf q >'target/a \"b'; printf n >node/dep/n.deb; ln -s /etc/passwd target/link.deb; mkfifo target/pipe.deb\n\
    mkdir target/dir.deb; echo in >target/dir.deb/in; echo '*.deb text eol=lf' >target/.gitattributes\n\
    git init -q target/nest; rm target/nest/.git/HEAD; mkfifo target/nest/.git/HEAD; echo n >target/nest/n.deb\n\
    echo r >.cursor/agent-handoffs/x/attempt-1.log; echo l >target/l.log; mkdir target/.GIT; echo g >target/.GIT/g.deb";

fn ask(host: &TestHost, globs: &str, max: &str) -> String {
    let request =
        format!("name {}\nattempt 1\nmax {max}\npart globs {len}\nblob {len}\n\n{globs}", host.name, len = globs.len());
    host.call(Verb::Artifacts, request.as_bytes())
}

/// The stored files, as `<mode> <path>`.
fn stored(host: &TestHost, reply: &str) -> Vec<String> {
    let commit = reply.lines().find_map(|line| line.strip_prefix("artifacts ")).unwrap_or_else(|| panic!("{reply}"));
    let name = format!("refs/handoff/{}/artifacts/1", host.name);
    assert_eq!(host.git(&host.cache(), &["rev-parse", &name]), commit);
    let listed = host.git(&host.cache(), &["ls-tree", "-r", commit]);
    listed.lines().map(|line| format!("{} {}", &line[..6], line.split_once('\t').unwrap().1)).collect()
}

#[test]
fn regular_files_that_match_are_stored_byte_for_byte() {
    for shell in shells() {
        let (host, _) = ended(&shell, BUILD);
        let reply = ask(&host, "*.deb\n", "1000");
        assert!(reply.contains("\nended 1\nfiles 3\nbytes 9\n") && reply.ends_with("end 0\n"), "{reply}");
        let files = ["100644 node/dep/n.deb", "100644 target/dir.deb/in", "100644 target/release/x.deb"];
        assert_eq!(stored(&host, &reply), files, "no link, pipe or nested repository");
        let bytes = host.git(
            &host.cache(),
            &["cat-file", "-s", &format!("refs/handoff/{}/artifacts/1:target/release/x.deb", host.name)],
        );
        assert_eq!(bytes, "5", "no filter changed them");

        let reply = ask(&host, "/target/*\n!.git*\n!/target/*/\n", "1000");
        assert_eq!(stored(&host, &reply), ["100644 \"target/a \\\"b\"", "100644 target/l.log", "100755 target/tool"]);
        let log = ask(&host, "*.log\n", "1000");
        assert_eq!(stored(&host, &log), ["100644 target/l.log"], "the record is no artifact");
        assert_eq!(ask(&host, "*.log\n", "1000"), log, "the same files are the same commit");
    }
}

#[test]
fn nothing_is_stored_above_the_limit_or_without_a_match() {
    for shell in shells() {
        let (host, _) = ended(&shell, BUILD);
        let reply = ask(&host, "*.deb\n", "8");
        assert!(reply.contains("\nfiles 3\nbytes 9\n") && !reply.contains("\nartifacts "), "{reply}");
        let reply = ask(&host, "*.rpm\n", "8");
        assert!(reply.contains("\nfiles 0\nbytes 0\n") && !reply.contains("\nartifacts "), "{reply}");
        let refs = host.git(&host.cache(), &["for-each-ref"]);
        assert!(!refs.contains("/artifacts/"), "{refs}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_the_others_are_stored() {
    for shell in shells() {
        let mut host = TestHost::shipped(
            shell,
            "cd ..; mkdir out shut; for f in a b c; do echo $f >out/$f.o; done; chmod 0 out/b.o shut",
        );
        if !host.ordinary() {
            return;
        }
        host.ensure(1, &[]);
        host.result(1);
        let reply = ask(&host, "*.o\n", "1000");
        assert!(reply.contains("\nunread shut/\nunread out/b.o\n"), "{reply}");
        assert_eq!(stored(&host, &reply), ["100644 out/a.o", "100644 out/c.o"]);
        std::process::Command::new("chmod").args(["700"]).arg(tree(&host).join("shut")).status().unwrap();
    }
}

#[test]
fn it_works_while_the_agent_runs_and_says_so() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "cd ..; echo x >x.o; while ! [ -e $HOME/go ]; do sleep 0.1; done");
        host.ensure(1, &[]);
        host.until("the file", || tree(&host).join("x.o").exists().then_some(()));
        let reply = ask(&host, "*.o\n", "1000");
        assert!(reply.contains("\nended 0\n"), "{reply}");
        assert_eq!(stored(&host, &reply), ["100644 x.o"]);
        std::fs::write(host.home().join("go"), "").unwrap();
        host.result(1);
    }
}

#[test]
fn without_the_checkout_it_is_refused() {
    let (host, _) = ended(&shells()[0], BUILD);
    std::fs::rename(tree(&host), host.home().join("moved")).unwrap();
    assert!(ask(&host, "*.deb\n", "1000").contains("\nerror no-tree the checkout of attempt 1 is gone"));
    std::fs::remove_dir_all(host.work()).unwrap();
    assert!(ask(&host, "*.deb\n", "1000").contains("\nerror unknown "));
}

#[test]
fn artifacts_that_the_laptop_has_do_not_keep_the_checkout() {
    for shell in shells() {
        let (host, ack) =
            ended(&shell, "cd ..; echo x.o >.gitignore; echo x >x.o; echo 'y.o' >>.gitignore; echo y >y.o");
        let work = ack.split(' ').nth(2).unwrap();
        let reply = ask(&host, "x.o\n", "1000");
        let commit = reply.lines().find_map(|line| line.strip_prefix("artifacts ")).unwrap();
        let with = format!("tree {work}\ntree {commit}\ncommit {work}\ncommit {commit}\ncommit {}\n", host.oids[0]);
        let reply = release_with(&host, &format!("dry yes\n{ack}"), &with);
        assert!(reply.contains("\n2 y.o\n") && !reply.contains(" x.o\n"), "{reply}");
        // A later build is another file.
        std::fs::write(tree(&host).join("x.o"), "other").unwrap();
        let reply = release_with(&host, &format!("dry yes\n{ack}"), &with);
        assert!(reply.contains("\n5 x.o\n"), "{reply}");
        let reply = release_with(&host, &format!("discard yes\n{ack}"), &with);
        assert!(reply.ends_with("end 0\n"), "{reply}");
        assert!(!host.git(&host.cache(), &["for-each-ref"]).contains("artifacts"));
    }
}

#[test]
fn artifacts_are_sent_without_the_capture() {
    for shell in shells() {
        let (host, _) = ended(&shell, BUILD);
        let reply = ask(&host, "*.deb\n", "1000");
        let commit = reply.lines().find_map(|line| line.strip_prefix("artifacts ")).unwrap();
        let request = format!("name {}\nkey {}\nformat sha1\nattempt 1\nartifacts yes\n\n", host.name, "a".repeat(40));
        let answer = host.exec_raw(&loader(Verb::SendPack), request.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        let refs: Vec<&str> = answer.lines().filter(|line| line.starts_with("ref ")).collect();
        assert_eq!(refs, [format!("ref {commit} refs/handoff/{}/artifacts/1", host.name)]);
        assert!(host.cache().join("outgoing").join(&host.name).join("artifacts/1.pack").exists());
    }
}
