//! The host deletes and overwrites only what the laptop has, by object id. A tree that cannot be used is set aside.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::host::{TestHost, grant, shells};
use super::release::{ended, release, release_with, tree};
use super::*;

pub fn place(host: &TestHost, k: u32) -> PathBuf {
    host.root().join(format!("trees/my repo-{k}"))
}

pub fn read(path: impl AsRef<Path>) -> String {
    std::fs::read_to_string(path.as_ref()).unwrap_or_else(|error| panic!("{:?}: {error}", path.as_ref()))
}

pub fn owner(host: &TestHost, k: u32) -> Option<String> {
    let link = std::fs::read_link(place(host, k).join("owner")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Lists the ids of the host's captures, as a laptop that has them would.
fn held(host: &TestHost) -> String {
    let refs = host.git(&host.cache(), &["for-each-ref", "--format=%(objectname)"]);
    refs.lines().map(|oid| format!("tree {oid}\ncommit {oid}\n")).collect()
}

/// Ships to the host again, as after a move to another host and back.
fn ship_again(host: &TestHost, attempt: u32, held: &str) {
    let (commit, cache) = (&host.oids[0], host.cache());
    host.git(&cache, &["update-ref", &format!("refs/handoff/{}/ship/2", host.name), commit]);
    let grant = grant(&[("first", &attempt.to_string()), ("last", &attempt.to_string())]);
    let request = host.ensure_request(attempt, &[("grant", &grant), ("held", held), ("caches", "warm.o\n")], "");
    let request = String::from_utf8(request).unwrap().replace("\ngrant 1\n", "\ngrant 2\n");
    host.call(Verb::Ensure, request.as_bytes());
}

#[test]
fn contents_are_compared_and_stat_data_is_not_trusted() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo aaaa >../same; touch -d @1000000000 ../same; echo w >w");
        let blind = "[core]\n\tautocrlf = false\n\ttrustctime = false\n\tcheckStat = minimal\n";
        host.ensure(1, &[("config", blind), ("grant", &grant(&[("last", "1")]))]);
        let ack = format!("ack 1 {} 0\n", host.result(1).get("capture").unwrap());
        assert!(release(&host, &format!("dry yes\n{ack}")).ends_with("end 0\n"));
        let file = tree(&host).join("same");
        std::fs::write(&file, "bbbb\n").unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let open = std::fs::File::options().write(true).open(&file).unwrap();
        open.set_times(std::fs::FileTimes::new().set_modified(old).set_accessed(old)).unwrap();
        std::fs::write(tree(&host).join("old.o"), "old").unwrap();
        host.shadow("find", "case $* in *-cnewer*) exit 0 ;; esac; PATH=${PATH#*:} exec find \"$@\"");
        let reply = release(&host, &ack);
        assert!(reply.contains("error kept 2 files") && reply.contains("\n5 same\n"), "{reply}");
        assert!(reply.contains("\n3 old.o\n") && host.work().exists(), "{reply}");
    }
}

#[test]
fn a_file_that_equals_any_capture_may_be_deleted() {
    let host = TestHost::shipped(shells().remove(0), "echo $$ >>../file; echo 'rate limit'; exit 1");
    host.ensure(1, &[("grant", &grant(&[("last", "2")]))]);
    let acks: Vec<String> =
        [1, 2].map(|n| format!("ack {n} {} {}\n", host.result(n).get("capture").unwrap(), host.log(n).len())).to_vec();
    let first = host.git(&host.cache(), &["show", &format!("{}:file", acks[0].split(' ').nth(2).unwrap())]);
    std::fs::write(tree(&host).join("file"), format!("{first}\n")).unwrap();
    std::fs::remove_file(tree(&host).join("staged")).unwrap();
    let dry = format!("dry yes\n{}", acks.concat());
    assert!(release(&host, &dry).ends_with("end 0\n"));
    // A laptop that lacks the first capture has one file less, and not the capture's ref.
    let last = acks[1].split(' ').nth(2).unwrap();
    let reply = release_with(&host, &dry, &format!("tree {last}\ncommit {last}\n"));
    assert!(reply.contains("error kept 2 files") && reply.contains(" file\n"), "{reply}");
    assert!(reply.contains(&format!("\n0 refs/capture/{}/1/work\n", host.name)), "{reply}");
}

#[test]
fn commits_that_were_made_after_the_capture_are_kept() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo w >w; exit 1");
        std::fs::write(tree(&host).join("late"), "late\n").unwrap();
        host.git(&tree(&host), &["add", "late"]);
        host.git(&tree(&host), &["commit", "-qm", "late"]);
        host.git(&tree(&host), &["reset", "-q", "--hard", "HEAD~"]);
        host.git(&tree(&host), &["checkout", "-q", ack.split(' ').nth(2).unwrap(), "--", "."]);
        std::fs::remove_file(tree(&host).join("deleted")).unwrap();
        let reply = release(&host, &ack);
        assert!(reply.contains("error kept 1 files") && reply.contains(" .git/ (1 commits)\n"), "{reply}");
        assert!(release(&host, &format!("discard yes\n{ack}")).ends_with("end 0\n"));
        assert!(!tree(&host).join(".git").exists() && !host.work().exists());
    }
}

#[test]
fn a_ship_takes_another_tree_if_the_laptop_lacks_something_and_both_are_released() {
    let agent = "cd ..; echo ignored >only.o; mkdir -p .cursor/agent-handoffs broken/.git; echo mine >.cursor/agent-handoffs/own\n\
                 git init -q nest; echo n >nest/n; echo n >broken/.git/n; echo c >warm.o; echo w >w";
    let files = ["only.o", ".cursor/agent-handoffs/own", "nest/n", "broken/.git/n"];
    let names = ["only.o", ".cursor/agent-handoffs/own", "nest/", "broken/"];
    for shell in shells() {
        let host = TestHost::shipped(shell, agent);
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let first = host.result(1).get("capture").unwrap().to_owned();
        host.agent("pwd; echo w2 >w");
        ship_again(&host, 2, &held(&host));
        let second = host.result(2).get("capture").unwrap_or_else(|| panic!("{}", host.result(2).0)).to_owned();
        assert_eq!(host.log(2).trim_end(), place(&host, 2).join("my repo/sub").to_str().unwrap());
        // The ignored file would not be in the way.
        assert!(read(place(&host, 1).join("kept")).contains("has 3 files that are nowhere else"));
        assert_eq!((owner(&host, 1), owner(&host, 2)), (Some(host.name.clone()), Some(host.name.clone())));

        let acks = format!("cache warm.o\nack 1 {first} {}\nack 2 {second} {}\n", host.log(1).len(), host.log(2).len());
        let reply = release(&host, &acks);
        assert!(reply.contains("error kept 4 files"), "{reply}");
        for (file, name) in files.iter().zip(names) {
            assert!(tree(&host).join(file).exists(), "{file}");
            assert!(reply.contains(&format!(" {}/{name}\n", tree(&host).display())), "{name}: {reply}");
        }
        let reply = release(&host, &format!("discard yes\n{acks}"));
        assert!(reply.ends_with("end 0\n"), "{reply}");
        for file in files {
            assert!(!tree(&host).join(file).exists(), "{file}");
        }
        assert!(tree(&host).join("warm.o").exists());
        assert_eq!((owner(&host, 1), owner(&host, 2), host.work().exists()), (None, None, false));
        assert!(!place(&host, 1).join("kept").exists());
    }
}

#[test]
fn a_ship_uses_the_tree_again_if_the_laptop_has_all_of_it() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "echo new >../new; echo c >../warm.o; chmod -R a-w ..");
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        host.result(1);
        host.agent("pwd; cat ../warm.o");
        ship_again(&host, 2, &held(&host));
        host.result(2);
        let place = format!("{}\n", tree(&host).join("sub").display());
        assert!(host.log(2).starts_with(&place) && host.log(2).ends_with("c\n"), "{}", host.log(2));
        assert!(!tree(&host).join("new").exists());
    }
}

#[test]
fn work_that_was_not_captured_stays_in_its_tree_and_can_still_be_captured() {
    let host = TestHost::shipped(shells().remove(0), "echo precious >precious; exit 1");
    host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
    host.result(1);
    let capture = host.link(1, "capture").unwrap();
    std::fs::remove_file(host.at(1).join("capture")).unwrap();
    host.git(&host.cache(), &["update-ref", "-d", &format!("refs/capture/{}/1/work", host.name)]);
    host.agent("echo other >other");
    ship_again(&host, 2, &held(&host));
    let second = host.result(2).get("capture").unwrap().to_owned();
    assert!(tree(&host).join("sub/precious").exists());
    assert!(!place(&host, 2).join("my repo/sub/precious").exists());
    let reply = host.call(Verb::Capture, format!("name {}\nattempt 1\n\n", host.name).as_bytes());
    let again = reply.lines().find_map(|line| line.strip_prefix("capture ")).unwrap_or_else(|| panic!("{reply}"));
    let tree_of = |commit: &str| host.git(&host.cache(), &["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(tree_of(again), tree_of(&capture));
    let reply = release(&host, &format!("ack 1 {again} 0\nack 2 {second} 0\n"));
    assert!(reply.ends_with("end 0\n"), "{reply}");
}

#[test]
fn a_released_tree_with_new_files_is_left_alone() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo w >w; exit 1");
        assert!(release(&host, &ack).ends_with("end 0\n"));
        assert!(!tree(&host).join(".git").exists() && owner(&host, 1).is_none());
        std::fs::write(tree(&host).join("staged"), "by hand, later\n").unwrap();
        host.push();
        host.agent("pwd");
        host.ensure(2, &[("grant", &grant(&[("first", "2"), ("last", "2")]))]);
        host.result(2);
        assert!(host.log(2).contains("/my repo-2/"), "{}", host.log(2));
        assert_eq!(read(tree(&host).join("staged")), "by hand, later\n");
        assert_eq!((owner(&host, 1).as_deref(), owner(&host, 2)), (Some("kept"), Some(host.name.clone())));
        assert!(read(place(&host, 1).join("kept")).contains("1 files that are nowhere else"));
        // The handoff that found it cannot release it.
        let reply = release(&host, &format!("ack 2 - {}\n", host.log(2).len()));
        assert!(!reply.contains("my repo-1"), "{reply}");
    }
}

#[test]
fn unreadable_directories_are_listed_and_can_be_discarded() {
    for shell in shells() {
        let agent = "cd ..; mkdir -p closed/in ro/deep; echo x >closed/in/x; echo y >ro/deep/y.o; echo z >ro/z\n\
                     chmod 000 closed; chmod 555 ro/deep ro; echo w >w";
        let mut host = TestHost::shipped(shell, agent);
        if !host.ordinary() {
            return eprintln!("root's power over permissions cannot be taken away here");
        }
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let ack = format!("ack 1 {} 0\n", host.result(1).get("capture").unwrap());
        let reply = release(&host, &ack);
        assert!(reply.contains("error kept 2 files") && reply.contains("\n2 ro/deep/y.o\n"), "{reply}");
        assert!(reply.contains("\n0 closed/\n") || reply.contains("\n2 closed/in/x\n"), "{reply}");
        assert!(release(&host, &format!("discard yes\n{ack}")).ends_with("end 0\n"));
        assert!(!tree(&host).join("closed/in/x").exists() && !tree(&host).join("ro/deep/y.o").exists());
        assert!(tree(&host).join("ro/z").exists());
        host.push();
        host.agent("pwd; ls ..");
        host.ensure(2, &[("grant", &grant(&[("first", "2"), ("last", "2")]))]);
        host.result(2);
        assert!(host.log(2).contains("/my repo-1/") && !host.log(2).contains("ro\n"), "{}", host.log(2));
    }
}

#[test]
fn a_path_too_long_for_the_system_is_listed_and_discarded() {
    for shell in shells() {
        let agent = "cd ..; d=$(printf %0200d 1); i=0; while [ $i -lt 25 ]; do mkdir $d && cd -P $d; i=$((i+1)); done\n\
                     echo deep >deep; cd \"$HOME\"; echo w >w";
        let host = TestHost::shipped(shell.clone(), agent);
        if shell.starts_with("busybox") {
            host.only_busybox();
        }
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let ack = format!("ack 1 {} {}\n", host.result(1).get("capture").unwrap(), host.log(1).len());
        let reply = release(&host, &ack);
        assert!(reply.contains("error kept ") && reply.contains(" 00000"), "{reply}");
        let top = tree(&host).join(format!("{:0200}", 1));
        assert!(top.exists());
        let reply = release(&host, &format!("discard yes\n{ack}"));
        assert!(reply.ends_with("end 0\n"), "{reply}");
        let deep = std::iter::repeat_n(format!("{:0200}", 1), 15).collect::<PathBuf>();
        assert!(!tree(&host).join(deep).exists() && !host.work().exists());
    }
}

#[test]
fn a_file_that_cannot_be_deleted_fails_the_release() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo x >../only.o; echo w >w; exit 1");
        host.shadow("rm", "case $* in *only.o*) exit 1 ;; esac; PATH=${PATH#*:} exec rm \"$@\"");
        let reply = release(&host, &format!("discard yes\n{ack}"));
        assert!(reply.contains("only.o could not be deleted") && reply.ends_with("end 1\n"), "{reply}");
        assert!(host.work().exists() && owner(&host, 1).is_some());
        std::fs::remove_file(host.home().join("shadow/rm")).unwrap();
        assert!(release(&host, &format!("discard yes\n{ack}")).ends_with("end 0\n"), "a second request finishes it");
        assert!(!host.work().exists() && owner(&host, 1).is_none());
    }
}

#[test]
fn a_tree_that_cannot_be_filled_is_set_aside() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo w >w; exit 1");
        assert!(release(&host, &ack).ends_with("end 0\n"));
        let real = "PATH=${PATH#*:} exec git \"$@\"";
        host.shadow("git", &format!("case $PWD/$* in */my\\ repo-1/*clean\\ -ffdq*) exit 1 ;; esac; {real}"));
        host.push();
        host.agent("pwd");
        host.ensure(2, &[("grant", &grant(&[("first", "2"), ("last", "2")]))]);
        host.result(2);
        assert!(host.log(2).contains("/my repo-2/"), "{}", host.log(2));
        assert_eq!(owner(&host, 1).as_deref(), Some("kept"));
        assert!(read(place(&host, 1).join("kept")).contains("could not be filled"));
    }
}

#[test]
fn a_host_without_its_root_does_not_answer_gone() {
    let (host, ack) = ended(&shells().remove(0), "echo w >w; exit 1");
    for name in ["work", "trees"] {
        std::fs::rename(host.root().join(name), host.home().join(name)).unwrap();
    }
    let reply = release_with(&host, &ack, "");
    assert!(reply.contains("error absent") && !reply.contains("\ngone\n"), "{reply}");
    assert_eq!(std::fs::read_dir(host.root()).unwrap().count(), 3, "cache, instance and lib, nothing was made");
    assert!(
        release_with(&host, &format!("discard yes\n{ack}"), "")
            .ends_with("\ngone\nrefs 0\n@handoff 00000000000000aa end 0\n")
    );
}

#[test]
fn a_tree_is_compared_even_if_its_handoff_was_deleted_by_hand() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo x >../only.o; echo w >w; exit 1");
        let held = held(&host);
        std::fs::remove_dir_all(host.work()).unwrap();
        let reply = release_with(&host, &ack, &held);
        assert!(reply.contains("error kept 1 files") && reply.contains("only.o\n"), "{reply}");
        let reply = release_with(&host, &format!("discard yes\n{ack}"), &held);
        assert!(reply.contains("\ngone\n") && reply.ends_with("end 0\n"), "{reply}");
        assert_eq!(owner(&host, 1), None);
    }
}

#[test]
fn a_checkout_that_its_agent_deleted_can_be_given_up() {
    for shell in shells() {
        let host = TestHost::shipped(shell.clone(), "rm -rf \"$(cd .. && pwd)\"; exit 1");
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        assert_eq!(host.result(1).get("capture"), None, "there was nothing to capture");
        let ack = format!("ack 1 - {}\n", host.log(1).len());
        let reply = release_with(&host, &ack, "");
        assert!(reply.contains("error uncaptured") && reply.contains("is not there any more"), "{reply}");
        let reply = release_with(&host, &format!("discard yes\n{ack}"), "");
        assert!(reply.ends_with("end 0\n") && !host.work().exists(), "{reply}");

        // One that was moved is not deleted.
        let host = TestHost::shipped(shell.clone(), "cd ..; mv \"$PWD\" \"$PWD.old\"; exit 1");
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        host.result(1);
        let ack = format!("discard yes\nack 1 - {}\n", host.log(1).len());
        let reply = release_with(&host, &ack, "");
        assert!(reply.contains("still there: ../my repo.old") && host.work().exists(), "{reply}");

        // A checkout that is there is captured first.
        let (host, ack) = ended(&shell, "echo w >w; exit 1");
        std::fs::remove_file(host.at(1).join("capture")).unwrap();
        let capture = ack.split(' ').nth(2).unwrap();
        let reply = release_with(&host, &format!("discard yes\n{}", ack.replace(capture, "-")), "");
        assert!(reply.contains("error uncaptured") && host.work().exists(), "{reply}");
    }
}

#[test]
fn modes_of_directories_do_not_keep_a_tree() {
    let mut host = TestHost::shipped(shells().remove(0), "mkdir -p ../a/b; echo f >../a/b/f; chmod 555 ../a/b ../a");
    if !host.ordinary() {
        return eprintln!("root's power over permissions cannot be taken away here");
    }
    host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
    let ack = format!("ack 1 {} 0\n", host.result(1).get("capture").unwrap());
    assert!(release(&host, &ack).ends_with("end 0\n"));
    let mode = std::fs::metadata(tree(&host).join("a/b")).unwrap().permissions().mode();
    assert_eq!(mode & 0o700, 0o700);
}

#[test]
fn trees_are_listed_with_their_owner_and_the_reason() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "echo w >w; exit 1");
        let list = || host.call(Verb::Trees, b"\n");
        let line = format!("\ntree {}\nowner {}\nsize ", tree(&host).display(), host.name);
        assert!(list().contains(&line), "{}", list());
        assert!(release(&host, &ack).ends_with("end 0\n"));
        std::fs::write(place(&host, 1).join("kept"), "has 1 files that are nowhere else\n").unwrap();
        assert!(list().contains(&format!("\ntree {}\nkept has 1 files", tree(&host).display())), "{}", list());
    }
}

#[test]
fn special_files_and_uncaptured_paths_are_listed_until_they_are_discarded() {
    for shell in shells() {
        let (host, ack) = ended(&shell, "mkfifo ../pipe; mkdir ../sub2; mkfifo ../sub2/pipe.o; echo w >w; exit 1");
        let reply = release(&host, &format!("cache *.o\n{ack}"));
        assert!(reply.contains("error kept 1 files") && reply.contains("\n0 pipe\n"), "{reply}");
        std::fs::remove_file(tree(&host).join("pipe")).unwrap();
        // The comparison cannot see content of git's own directory that the capture could not take.
        let lacks = "count 2 bytes 7\n7 other staged\n0 special gone\n";
        std::fs::write(host.at(1).join("uncaptured"), lacks).unwrap();
        let reply = release(&host, &format!("cache *.o\n{ack}"));
        assert!(reply.contains("error kept 2 files") && reply.contains("\n7 staged (other)\n"), "{reply}");
        assert!(release(&host, &format!("cache *.o\ndiscard yes\n{ack}")).ends_with("end 0\n"));
    }
}

/// The directory around a checkout is ours and the next handoff's, too: what an agent leaves there is named like its files.
#[test]
fn what_is_next_to_the_checkout_is_named_and_stays_until_it_is_discarded() {
    for shell in shells() {
        let agent = "cd ..; git worktree add -q --detach ../linked HEAD; echo w >../linked/w\n\
            git worktree add -q --detach ../orphan HEAD; echo o >../orphan/o; rm -rf .git/worktrees/orphan\n\
            mkdir ../apart; echo a >../apart/a; echo h >../.hidden";
        let (host, ack) = ended(&shell, agent);
        let text = std::fs::read_to_string(host.at(1).join("uncaptured")).unwrap();
        let named: Vec<&str> = text.lines().skip(1).filter_map(|line| line.rsplit(' ').next()).collect();
        assert_eq!(named, ["../.hidden", "../apart", "../orphan"], "{text}");
        let reply = release(&host, &ack);
        let listed = ["2 ../.hidden\n", "2 ../apart\n", " ../orphan\n"];
        assert!(listed.iter().all(|name| reply.contains(name)) && !reply.contains("linked"), "{reply}");
        assert!(reply.contains("error kept 3 files are nowhere else"), "{reply}");
        let reply = release(&host, &format!("discard yes\n{ack}"));
        assert!(reply.ends_with("end 0\n"), "{reply}");
        let place = tree(&host).parent().unwrap().to_owned();
        let left = |name: &str| place.join(name).exists();
        assert_eq!([".hidden", "apart", "orphan", "linked"].map(left), [false, false, false, true]);
        // To the next handoff the worktree would be an unknown file, so the next handoff gets another tree.
        assert!(reply.contains("\naside "), "{reply}");
        assert_eq!(owner(&host, 1).as_deref(), Some("kept"));
        assert!(read(place.join("kept")).contains("has a worktree of an earlier handoff next to it: linked"));

        let (host, ack) = ended(&shell, "cd ..; mv .git ../moved.git; echo 'gitdir: ../moved.git' >.git; echo w >w");
        assert!(!host.at(1).join("uncaptured").exists(), "the git directory is read where it is");
        assert!(release(&host, &ack).ends_with("end 0\n"));
    }
}
