//! Releasing a tree: the host deletes only what the laptop has.

use super::attempt::kill;
use super::host::{TestHost, grant, shells};
use super::*;

/// A host whose agent has ended, and the line that acknowledges the attempt.
pub fn ended(shell: &str, agent: &str) -> (TestHost, String) {
    let host = TestHost::shipped(shell.to_owned(), agent);
    host.ensure(1, &[("grant", &grant(&[("delays", "9 9")]))]);
    let capture = host.result(1).get("capture").unwrap().to_owned();
    let ack = format!("ack 1 {capture} {}\n", host.log(1).len());
    (host, ack)
}

/// Releases as a laptop that has all captures and ships.
pub fn release(host: &TestHost, lines: &str) -> String {
    let refs = host.git(&host.cache(), &["for-each-ref", "--format=%(objectname) %(refname)"]);
    let mut held = String::new();
    for (oid, name) in refs.lines().rev().filter_map(|line| line.split_once(' ')) {
        let is_tree = name.ends_with("/work") || name.contains("/ship/") || name.contains("/extra/");
        held += &if is_tree { format!("tree {oid}\ncommit {oid}\n") } else { format!("commit {oid}\n") };
    }
    release_with(host, lines, &held)
}

/// Releases as a laptop that has the given ids.
pub fn release_with(host: &TestHost, lines: &str, held: &str) -> String {
    let request = format!("name {}\n{lines}blob {}\n\n{held}", host.name, held.len());
    host.call(Verb::Release, request.as_bytes())
}

pub fn tree(host: &TestHost) -> std::path::PathBuf {
    host.root().join("trees/my repo-1/my repo")
}

#[test]
fn every_byte_is_acknowledged_before_the_tree_is_given_back() {
    for shell in shells() {
        let (host, good) = ended(&shell, "echo x >../warm.o; echo 12345; echo w >w; exit 1");
        let capture = good.split(' ').nth(2).unwrap().to_owned();
        for bad in ["", "ack 1 - 6\n", &format!("ack 1 {capture} 5\n")] {
            assert!(release(&host, &format!("cache *.o\n{bad}")).contains("error unacknowledged"), "{bad}");
        }
        assert!(host.git(&host.cache(), &["for-each-ref"]).contains(&capture));
        let good = format!("cache *.o\n{good}");
        let reply = release(&host, &good);
        assert!(reply.contains(&format!("\ntree {}\nrefs 2\n", tree(&host).display())), "{reply}");
        assert!(reply.ends_with("end 0\n"), "{reply}");
        assert!(!host.work().exists() && host.git(&host.cache(), &["for-each-ref"]).is_empty());
        let again = release(&host, &good);
        assert!(again.contains("\ngone\n") && again.ends_with("end 0\n"), "{again}");

        host.push();
        host.agent("cat ../warm.o; cd ..; git status --porcelain=v2 --branch >$HOME/status");
        // A number that was used is never started again in this root.
        host.ensure(2, &[("caches", "*.o\n"), ("grant", &grant(&[("first", "2"), ("last", "2")]))]);
        host.result(2);
        assert_eq!(host.log(2), "x\n");
        let status = std::fs::read_to_string(host.home().join("status")).unwrap();
        assert_eq!(status.trim_end(), host.git(&host.laptop(), &["status", "--porcelain=v2", "--branch"]));
        assert_eq!(std::fs::read_dir(host.root().join("trees")).unwrap().count(), 1);
    }
}

#[test]
fn shipped_ignored_files_prevent_a_release_only_if_they_changed() {
    for shell in shells() {
        for (agent, kept) in [("cat ../made.o; echo w >w", false), ("cat ../made.o; echo new >../made.o", true)] {
            let host = TestHost::shipped(shell.clone(), agent);
            let laptop = host.laptop();
            let blob = host.git(&laptop, &["hash-object", "-w", "made.o"]);
            std::fs::write(laptop.join(".git/entries"), format!("100644 blob {blob}\tmade.o\n")).unwrap();
            let made = std::process::Command::new("git")
                .arg("mktree")
                .current_dir(&laptop)
                .stdin(std::fs::File::open(laptop.join(".git/entries")).unwrap())
                .output()
                .unwrap();
            let extra = String::from_utf8(made.stdout).unwrap().trim().to_owned();
            let commit = host.git(&laptop, &["commit-tree", &extra, "-m", "extra"]);
            let cache = host.cache();
            let target = format!("{commit}:refs/handoff/{}/extra/1", host.name);
            host.git(&laptop, &["push", "-q", cache.to_str().unwrap(), &target]);
            let ship = format!("{}extra_tree {extra}\n", host.ship());
            host.ensure(1, &[("ship", &ship), ("grant", &grant(&[("last", "1")]))]);
            let result = host.result(1);
            let capture = result.get("capture").unwrap().to_owned();
            assert_eq!(host.log(1), "ignored\n", "{}", result.0);
            let captured = host.git(&cache, &["ls-tree", "-r", "--name-only", &capture]);
            assert!(!captured.contains("made.o"), "{captured}");
            let reply = release(&host, &format!("ack 1 {capture} {}\n", host.log(1).len()));
            assert_eq!(reply.contains("error kept 1 files are nowhere else"), kept, "{reply}");
            assert_eq!(reply.ends_with("end 0\n"), !kept, "{reply}");
        }
    }
}

#[test]
fn files_only_on_the_host_are_listed_and_kept_until_discarded() {
    for shell in shells() {
        let agent = "cd ..; mkdir -p target/deep; echo c >target/deep/cache.o; printf 12345 >-only.o; \
            printf 1 >\"$(printf 'a\\033[2J\\nd x kept 9 9 9.o')\"; touch -t 200001010000 old.o; ln -s / root.o; echo w >w";
        let (host, ack) = ended(&shell, agent);
        let reply = release(&host, &format!("cache target/\n{ack}"));
        assert!(reply.contains("error kept 4 files are nowhere else") && reply.ends_with("end 1\n"), "{reply}");
        assert!(reply.contains("\n5 -only.o\n") && reply.contains("\n0 old.o\n"), "{reply}");
        assert!(reply.contains("[2J?d x kept 9 9 9.o\n") && !reply.contains("cache.o"), "{reply}");
        assert!(host.work().join("1/log").exists() && tree(&host).join("-only.o").exists());
        assert!(host.root().join("trees/my repo-1/owner").is_symlink());
        assert!(!host.git(&host.cache(), &["for-each-ref"]).is_empty());

        let reply = release(&host, &format!("cache target/\ndiscard yes\ndry yes\n{ack}"));
        assert!(reply.contains(" kept 4 ") && reply.ends_with("end 0\n"), "{reply}");
        assert!(tree(&host).join("-only.o").exists() && host.work().exists(), "nothing was done");

        let reply = release(&host, &format!("cache target/\ndiscard yes\n{ack}"));
        assert!(reply.contains(" kept 4 ") && reply.ends_with("end 0\n"), "{reply}");
        assert!(!host.work().exists() && !tree(&host).join("-only.o").exists());
        assert!(!tree(&host).join("root.o").is_symlink() && std::path::Path::new("/bin").exists());
        assert!(tree(&host).join("target/deep/cache.o").exists(), "a cache is left for the next handoff");
        assert!(!host.root().join("trees/my repo-1/owner").is_symlink());
    }
}

#[test]
fn the_tools_of_busybox_are_enough() {
    let Some(shell) = shells().into_iter().find(|shell| shell == "busybox ash") else {
        return eprintln!("busybox is not installed");
    };
    let agent = "cd ..; printf 12345 >only.o; touch -t 200001010000 only.o; echo 'Rate limit: 429'; exit 1";
    let host = TestHost::shipped(shell, agent);
    host.only_busybox();
    host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
    let result = host.result(1);
    assert_eq!((result.class(), result.get("detail")), ("throttled", Some("Rate limit: 429")));
    let ack = format!("ack 1 {} 16\n", result.get("capture").unwrap());
    let reply = release(&host, &ack);
    assert!(reply.contains("error kept 1 files") && reply.contains("\n5 only.o\n"), "{reply}");
    assert!(release(&host, &format!("cache *.o\n{ack}")).ends_with("end 0\n"));
}

#[test]
fn changes_after_the_capture_are_kept() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo w >w");
        let place = tree(&host);
        std::fs::write(place.join("staged"), "by hand, later\n").unwrap();
        std::fs::write(place.join("new by hand"), "n\n").unwrap();
        std::fs::remove_file(place.join("sub/w")).unwrap();
        host.git(&place, &["init", "-q", "nest"]);
        host.git(&place.join("nest"), &["commit", "-q", "--allow-empty", "-m", "nested"]);
        let reply = release(&host, &format!("dry yes\n{ack}"));
        assert!(reply.contains("error kept ") && reply.contains("\n15 staged\n"), "{reply}");
        assert!(
            reply.contains("\n2 new by hand\n") && reply.contains(" nest/\n") && !reply.contains("sub/w"),
            "{reply}"
        );
    }
}

#[test]
fn a_full_disk_can_be_freed() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo x >../only.o; echo w >w");
        host.shadow("df", "echo Filesystem; echo /dev/full 100 100 0 100% /");
        host.shadow("mkdir", "case $* in */.release) exit 1 ;; esac; PATH=${PATH#*:} exec mkdir \"$@\"");
        assert!(release(&host, &ack).contains("error kept 1 files"));
        assert!(release(&host, &format!("discard yes\n{ack}")).ends_with("end 0\n"));
        assert!(!host.work().exists());
        assert!(!std::path::Path::new(&format!("/tmp/.handoff-release.{}", host.name)).exists());
    }
}

#[test]
fn work_that_was_not_captured_is_captured_first() {
    for shell in shells() {
        let (host, _) = ended(&shell, "echo precious >../precious; exit 1");
        // As if the disk had been full at the time.
        std::fs::remove_file(host.at(1).join("capture")).unwrap();
        let reply = release(&host, "discard yes\nack 1 - 0\n");
        assert!(reply.contains("error uncaptured attempt 1") && host.work().exists(), "{reply}");
        let capture = format!("name {}\nattempt 1\n\n", host.name);
        let captured = host.call(Verb::Capture, capture.as_bytes());
        let oid =
            captured.lines().find_map(|line| line.strip_prefix("capture ")).unwrap_or_else(|| panic!("{captured}"));
        assert_eq!(host.git(&host.cache(), &["show", &format!("{oid}:precious")]), "precious");
        assert!(release(&host, &format!("ack 1 {oid} 0\n")).ends_with("end 0\n"));
    }
}

#[test]
fn an_attempt_that_lost_its_watcher_can_be_captured_and_released() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo up; echo w >w; exec sleep 60");
        host.ensure(1, &[]);
        host.until("output", || (!host.log(1).is_empty()).then_some(()));
        assert!(release(&host, "ack 1 - 3\n").contains("error busy"));
        kill(host.pid(1, "watch.1"));
        assert!(release(&host, "ack 1 - 3\n").contains("error busy"));
        kill(host.pid(1, "task"));
        host.call(Verb::Cancel, format!("name {}\nattempt 1\nreason stop\ngrace 0\n\n", host.name).as_bytes());
        assert!(release(&host, "ack 1 - 3\n").contains("error unfinished"));
        let captured = host.call(Verb::Capture, format!("name {}\nattempt 1\n\n", host.name).as_bytes());
        let oid =
            captured.lines().find_map(|line| line.strip_prefix("capture ")).unwrap_or_else(|| panic!("{captured}"));
        assert!(release(&host, &format!("ack 1 {oid} 3\n")).ends_with("end 0\n"));
    }
}

#[test]
fn an_older_attempt_is_not_captured_in_the_tree_of_a_later_one() {
    let host = TestHost::shipped(shells().remove(0), "echo 'rate limit'; exit 1");
    host.ensure(1, &[("grant", &grant(&[("last", "2")]))]);
    host.result(2);
    std::fs::remove_file(host.at(1).join("capture")).unwrap();
    // A watcher writes the result before it exits.
    let captured = host.until("end of the watcher", || {
        let reply = host.call(Verb::Capture, format!("name {}\nattempt 1\n\n", host.name).as_bytes());
        (!reply.contains("error busy a watcher is running")).then_some(reply)
    });
    assert!(captured.contains("error capture attempt 2 has run"), "{captured}");
}

#[test]
fn a_reused_tree_is_read_once_and_only_the_index_of_that_reading_is_trusted() {
    for shell in shells() {
        let mut host = TestHost::shipped(shell, "touch -d @1000000000 ../sub/deep; echo w >w");
        std::fs::write(host.laptop().join(".gitattributes"), "deep filter=count\n").unwrap();
        host.ship_again();
        let hashed = host.home().join("hashed");
        let config = format!("[filter \"count\"]\n\tclean = \"echo >>'{}'; cat\"\n", hashed.display());
        host.ensure(1, &[("config", &config), ("grant", &grant(&[("last", "1")]))]);
        let ack = format!("ack 1 {} 0\n", host.result(1).get("capture").unwrap());
        assert!(release(&host, &ack).ends_with("end 0\n"));

        // An agent could write an index that says that a file is up to date.
        std::fs::write(host.laptop().join("edited file"), "new\n").unwrap();
        host.ship_again();
        let place = host.root().join("trees/my repo-1");
        std::fs::copy(host.laptop().join(".git/index"), place.join("index")).unwrap();
        let index = format!("--work-tree={}", tree(&host).display());
        let git_dir = format!("--git-dir={}", host.laptop().join(".git").display());
        let forge = format!(
            "GIT_INDEX_FILE='{0}/index' git '{git_dir}' '{index}' add -A; oid=$(git '{git_dir}' rev-parse {1}:'edited file'); \
             printf \"100644 $oid 0\\tedited file\\n\" | GIT_INDEX_FILE='{0}/index' git '{git_dir}' '{index}' update-index --index-info; \
             GIT_INDEX_FILE='{0}/index' git '{git_dir}' '{index}' update-index --assume-unchanged 'edited file'",
            place.display(),
            host.oids[0]
        );
        assert!(std::process::Command::new("sh").args(["-c", &forge]).status().unwrap().success());
        let _ = std::fs::remove_file(&hashed);
        host.agent(&format!("cp '{}' $HOME/before; cat '../edited file'", hashed.display()));
        host.ensure(2, &[("config", &config), ("grant", &grant(&[("first", "2"), ("last", "2")]))]);
        host.result(2);
        assert_eq!(host.log(2), "new\n");
        assert_eq!(std::fs::read_dir(host.root().join("trees")).unwrap().count(), 1, "the tree is used again");
        assert_eq!(std::fs::read_to_string(host.home().join("before")).unwrap(), "\n", "one file was hashed once");
    }
}

/// With other attributes or another configuration, git writes a file of the same content with other bytes.
#[test]
fn a_reused_tree_has_the_bytes_that_a_new_one_would_have() {
    let (crlf, lf) = ("[core]\n\tautocrlf = true\n", "[core]\n\tautocrlf = false\n");
    let (text, plain) = ("staged text eol=crlf\n", "staged -text\n");
    for (shell, (first, second)) in
        shells().into_iter().zip([((text, lf), (plain, lf)), ((text, crlf), (text, lf)), (("", crlf), ("", lf))])
    {
        let mut host = TestHost::shipped(shell, "cat ../staged");
        let mut logs = Vec::new();
        for (n, (attributes, config)) in (1..).zip([first, second]) {
            std::fs::write(host.laptop().join(".gitattributes"), attributes).unwrap();
            host.ship_again();
            let number = n.to_string();
            host.ensure(n, &[("config", config), ("grant", &grant(&[("first", &number), ("last", &number)]))]);
            let result = host.result(n);
            let capture = result.get("capture").unwrap_or_else(|| panic!("{}", result.0)).to_owned();
            logs.push(host.log(n));
            let ack = format!("ack {n} {capture} {}\n", host.log(n).len());
            assert!(release(&host, &ack).ends_with("end 0\n"));
        }
        let expected = if second.0.contains("eol=crlf") { "three\r\n" } else { "three\n" };
        assert_eq!(logs, ["three\r\n", expected]);
    }
}

#[test]
fn a_file_next_to_the_checkout_is_kept_whatever_its_name() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo mine >../../config; echo mine >../../index");
        let reply = release(&host, &ack);
        assert!(reply.contains("../config") && reply.contains("../index") && reply.contains("error kept"), "{reply}");
        let place = tree(&host).parent().unwrap().to_owned();
        assert!(place.join("config").exists() && place.join("index").exists());
    }
}
