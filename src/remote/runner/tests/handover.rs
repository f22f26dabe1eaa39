//! The tree of a handoff at rest becomes that of the next handoff, if the laptop has all of its work.

use std::path::{Path, PathBuf};
use std::process::Child;

use super::attempt::kill;
use super::custody::{owner, place, read};
use super::host::{Facts, TestHost, grant, shells};
use super::release::{release_with, tree};
use super::*;

const NEXT: &str = "20260408-next";

/// The agent of most first handoffs: work, and a build that git ignores.
const BUILDS: &str =
    "cd ..; mkdir -p target; echo warm >target/made.o; echo work >work; sed -i s/two/changed/ 'edited file'";

/// A host whose first handoff has ended.
fn at_rest(shell: String, agent: &str) -> TestHost {
    let host = TestHost::shipped(shell, agent);
    host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
    host.result(1);
    watcher_is_gone(&host);
    host
}

/// A watcher writes the result before it exits.
fn watcher_is_gone(host: &TestHost) {
    let pid = host.pid(1, "watch.1");
    host.until("end of the watcher", || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        (stat.is_empty() || stat.contains(") Z ")).then_some(())
    });
}

/// What the laptop says about the host's handoff, as the file `resting` of another one.
fn resting(host: &TestHost) -> String {
    let refs = ["refs/capture/", "refs/handoff/"].map(|below| format!("{below}{}/", host.name));
    let list = [&["for-each-ref", "--format=%(objectname)"][..], &[&refs[0], &refs[1]]].concat();
    let ids = host.git(&host.cache(), &list);
    let held: String = ids.lines().map(|oid| format!("tree {oid}\ncommit {oid}\n")).collect();
    format!("handoff {}\n{held}", host.name)
}

/// Makes the host's handoff another one, and returns the name of the first.
fn rename(host: &mut TestHost, id: &str) -> String {
    let uid = host.name.rsplit('-').next().unwrap().to_owned();
    std::mem::replace(&mut host.name, format!("{id}-{uid}"))
}

fn dispatch(host: &TestHost, resting: &str) {
    host.ensure(1, &[("resting", resting), ("grant", &grant(&[("last", "1")]))]);
}

/// Runs the next handoff, whose agent prints where it works. Returns the name of the first one.
fn run_next(host: &mut TestHost, resting: &str) -> String {
    host.agent("pwd; cat ../target/made.o; cd ..; git status --porcelain=v2 --branch >$HOME/status");
    let first = rename(host, NEXT);
    host.ship_again();
    dispatch(host, resting);
    host.result(1);
    first
}

fn place_of(host: &TestHost) -> PathBuf {
    let log = host.log(1);
    PathBuf::from(log.lines().next().unwrap_or_else(|| panic!("{}", host.result(1).0)))
}

fn call(host: &TestHost, verb: Verb, lines: &str) -> String {
    host.call(verb, format!("name {}\n{lines}\n", host.name).as_bytes())
}

#[test]
fn the_next_handoff_takes_the_tree_with_its_ignored_files() {
    let agent = format!(
        "{BUILDS}; mkdir own; echo '*' >own/.gitignore; echo o >own/file; git init -q dep.o; echo d >dep.o/d; git commit -qam mine"
    );
    for shell in shells() {
        let mut host = at_rest(shell, &agent);
        let (log, capture) = (host.log(1), host.link(1, "capture").unwrap());
        let said = resting(&host);
        let inode =
            |name: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(tree(&host).join(name)).unwrap());
        let before = inode("script.sh");
        assert!(call(&host, Verb::Trees, "").contains(&format!("\ntree {}\n", tree(&host).display())));
        let first = run_next(&mut host, &said);
        let runner_log = read(host.work().join("runner.log"));
        assert_eq!(host.log(1), format!("{}\nwarm\n", tree(&host).join("sub").display()), "{runner_log}");
        assert_eq!((owner(&host, 1), place(&host, 2).exists()), (Some(host.name.clone()), false));
        assert_eq!(
            read(host.home().join("status")).trim_end(),
            host.git(&host.laptop(), &["status", "--porcelain=v2", "--branch"])
        );
        let inode =
            |name: &str| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(tree(&host).join(name)).unwrap());
        assert_eq!(inode("script.sh"), before, "an unchanged file is not written again");
        assert!(!tree(&host).join("work").exists());
        assert!(["own/file", "own/.gitignore", "dep.o/d"].iter().all(|name| tree(&host).join(name).exists()));

        // The first one has lost its tree, and what is left of it can be released.
        let next = std::mem::replace(&mut host.name, first);
        assert!(!call(&host, Verb::Trees, "").contains("tree"));
        let captured = call(&host, Verb::Capture, "attempt 1\n");
        assert!(captured.contains(&format!("\ncapture {capture}\n")), "{captured}");
        let reply = release_with(&host, &format!("ack 1 {capture} {}\n", log.len()), &said);
        assert!(reply.ends_with("end 0\n") && reply.contains("\nrefs ") && !reply.contains("tree "), "{reply}");
        assert!(!host.work().exists());
        host.name = next;
        assert_eq!(
            (owner(&host, 1), read(tree(&host).join("target/made.o"))),
            (Some(host.name.clone()), "warm\n".into())
        );
        let ack = format!("ack 1 {} {}\n", host.link(1, "capture").unwrap(), host.log(1).len());
        let reply = release_with(&host, &format!("dry yes\n{ack}"), &resting(&host));
        assert!(reply.contains(" target/made.o\n"), "a release asks for ignored files, too: {reply}");
    }
}

#[test]
fn a_tree_whose_first_watcher_was_replaced_is_taken() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        // The attempt had a second watcher, which is gone, too.
        std::os::unix::fs::symlink(host.link(1, "watch.1").unwrap(), host.at(1).join("watch.2")).unwrap();
        let said = resting(&host);
        run_next(&mut host, &said);
        assert_eq!(host.log(1), format!("{}\nwarm\n", tree(&host).join("sub").display()));
    }
}

#[test]
fn a_tree_whose_objects_the_cache_has_lost_is_not_worked_in() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        let said = resting(&host);
        host.agent("echo start >>$HOME/starts");
        rename(&mut host, NEXT);
        host.ship_again();
        let lost = host.git(&host.laptop(), &["rev-parse", "HEAD:script.sh"]);
        std::fs::remove_file(host.cache().join("objects").join(&lost[..2]).join(&lost[2..])).unwrap();
        dispatch(&host, &said);
        assert_eq!(host.result(1).get("reason"), Some("ship"));
        assert_eq!(host.starts(), 0);
    }
}

#[test]
fn a_tree_that_could_not_be_filled_stays_with_the_next_handoff_and_no_other_tree_is_tried() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        let said = resting(&host);
        host.shadow_git("*-1/*read-tree*--reset*-u*", "exit 1");
        run_next(&mut host, &said);
        assert!(place_of(&host).starts_with(place(&host, 2)), "{}", host.log(1));
        assert_eq!(owner(&host, 1), Some(host.name.clone()), "its files can be listed and discarded");
        assert!(read(place(&host, 1).join("kept")).starts_with("could not be filled"));
        assert_eq!(read(place(&host, 1).join("my repo/target/made.o")), "warm\n");
    }
}

/// Something that keeps a tree from being taken. It may change what the laptop says.
type Obstacle = (&'static str, &'static str, fn(&mut TestHost, &mut String));

const OBSTACLES: &[Obstacle] = &[
    ("the laptop does not name it", BUILDS, |_, resting| resting.clear()),
    ("the laptop lacks the capture", BUILDS, |host, resting| {
        let capture = host.link(1, "capture").unwrap();
        *resting = resting.lines().filter(|line| !line.ends_with(&capture)).map(|line| format!("{line}\n")).collect();
    }),
    ("a file has changed", "echo aaaa >../same; touch -d @1000000000 ../same; echo warm >../made.o", |host, _| {
        let file = tree(host).join("same");
        host.git(&tree(host), &["add", "same"]);
        host.git(&tree(host), &["update-index", "--assume-unchanged", "same"]);
        std::fs::write(&file, "bbbb\n").unwrap();
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        std::fs::File::options().write(true).open(&file).unwrap().set_modified(old).unwrap();
    }),
    ("a commit is new", BUILDS, |host, _| {
        host.git(&tree(host), &["commit", "-q", "--allow-empty", "-m", "late"]);
    }),
    ("a file is next to the checkout", BUILDS, |host, _| std::fs::write(place(host, 1).join("notes"), "n").unwrap()),
    ("the ship has an ignored file", BUILDS, |host, _| {
        std::fs::create_dir(host.laptop().join("target")).unwrap();
        std::fs::write(host.laptop().join("target/made.o"), "tracked\n").unwrap();
        host.git(&host.laptop(), &["add", "-f", "target/made.o"]);
    }),
    ("the ship has a file where ignored files are", BUILDS, |host, _| {
        std::fs::write(host.laptop().join("TARGET"), "a file\n").unwrap();
        host.git(&host.laptop(), &["add", "TARGET"]);
    }),
    ("the ship does not ignore a file", BUILDS, |host, _| {
        std::fs::write(host.laptop().join(".gitignore"), "").unwrap()
    }),
    ("the work was not captured", BUILDS, |host, _| std::fs::remove_file(host.at(1).join("capture")).unwrap()),
    ("the capture lacks something", "mkfifo ../pipe; echo w >w", |_, _| ()),
    ("a process is alive", BUILDS, |host, _| {
        let mark = format!("{}.1", host.name);
        let mut left = std::process::Command::new("sh");
        left.args(["-c", "sleep 50 >/dev/null 2>&1 &"]).env("HANDOFF_MARK", mark).env("HOME", host.home());
        assert!(left.status().unwrap().success());
    }),
    ("a later attempt was begun", BUILDS, |host, _| std::fs::create_dir(host.at(2)).unwrap()),
    ("the next attempt was ordered", BUILDS, |host, _| {
        call(host, Verb::SetNext, "attempt 1\nnext laptop:resume:5\n");
    }),
    ("it is being released", BUILDS, |host, _| {
        let claim = "1:1:000000000000:another0";
        std::os::unix::fs::symlink(claim, host.work().join("release.7")).unwrap();
    }),
    ("another process has a claim", BUILDS, |host, _| {
        let claim = "1:1:000000000000:another0";
        std::os::unix::fs::symlink(claim, host.work().join("lent.1")).unwrap();
    }),
];

#[test]
fn a_tree_is_not_taken_while_anything_is_against_it() {
    let shells = shells();
    for ((what, agent, obstruct), shell) in OBSTACLES.iter().zip(shells.iter().cycle()) {
        let mut host = at_rest(shell.clone(), agent);
        let mut said = resting(&host);
        obstruct(&mut host, &mut said);
        let before = listing(&tree(&host));
        let first = run_next(&mut host, &said);
        assert_eq!(place_of(&host), place(&host, 2).join("my repo/sub"), "{what}");
        assert_eq!(owner(&host, 1), Some(first), "{what}");
        assert!(!place(&host, 1).join("kept").exists(), "{what}");
        assert_eq!(listing(&tree(&host)), before, "{what}");
    }
}

#[test]
fn a_tree_in_which_a_process_works_is_not_taken() {
    if !Path::new("/proc/self/cwd").exists() {
        return;
    }
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        let said = resting(&host);
        let mut left = std::process::Command::new("sleep").arg("600").current_dir(tree(&host)).spawn().unwrap();
        run_next(&mut host, &said);
        kill(left.id() as i32);
        left.wait().unwrap();
        assert_eq!(place_of(&host), place(&host, 2).join("my repo/sub"));
        assert!(!place(&host, 1).join("kept").exists(), "another handoff may take it later");
    }
}

/// Names and contents of the files in a tree.
fn listing(tree: &Path) -> String {
    let script = "find . -type f ! -path './.git/*' -exec cksum {} + | sort; git rev-parse HEAD";
    let output = std::process::Command::new("sh").args(["-c", script]).current_dir(tree).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_tree_is_not_taken_while_an_agent_runs_or_a_watcher_waits() {
    for shell in shells() {
        for agent in ["echo up; until [ -e $HOME/go ]; do sleep 0.1; done", "echo up; exit 1"] {
            let mut host = TestHost::shipped(shell.clone(), agent);
            host.ensure(1, &[("grant", &grant(&[("delays", "30 30")]))]);
            host.until("output", || (!host.log(1).is_empty()).then_some(()));
            if agent.contains("exit") {
                host.result(1);
            }
            let said = resting(&host);
            let first = run_next(&mut host, &said);
            assert_eq!(place_of(&host), place(&host, 2).join("my repo/sub"), "{agent}");
            assert_eq!(owner(&host, 1), Some(first));
            std::fs::write(host.home().join("go"), "").unwrap();
        }
    }
}

/// Starts the same dispatch for several handoffs at once.
fn race(host: &mut TestHost, said: &str, ids: &[&str]) -> Vec<String> {
    host.agent("pwd; echo w >w");
    let mut requests = Vec::new();
    for id in ids {
        rename(host, id);
        host.push();
        let request = host.ensure_request(1, &[("resting", said), ("grant", &grant(&[("last", "1")]))], "");
        requests.push((host.name.clone(), request));
    }
    let children: Vec<Child> = requests.iter().map(|(_, request)| host.start(&loader(Verb::Ensure), request)).collect();
    for child in children {
        host.finish(child);
    }
    let mut places = Vec::new();
    for (name, _) in requests {
        host.name = name;
        host.result(1);
        places.push(place_of(host).strip_prefix(host.root().join("trees")).unwrap().display().to_string());
    }
    places
}

#[test]
fn of_two_handoffs_at_once_one_takes_the_tree_and_the_other_makes_one() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        let said = resting(&host);
        let mut places = race(&mut host, &said, &["20260408-a", "20260408-b"]);
        places.sort();
        assert_eq!(places, ["my repo-1/my repo/sub", "my repo-2/my repo/sub"]);
        assert!(tree(&host).join("target/made.o").exists());
    }
}

/// A host whose next handoff has compared the tree of the first and stops before it becomes the owner, until the file
/// `go` exists. Returns the name of the first.
fn about_to_take(shell: String) -> (TestHost, String) {
    let mut host = at_rest(shell, BUILDS);
    let said = resting(&host);
    let wait = "echo >$HOME/waits; until [ -e $HOME/go ]; do sleep 0.05; done";
    host.shadow("mv", &format!("case $* in */.owner*) {wait} ;; esac; PATH=${{PATH#*:}} exec mv \"$@\""));
    host.agent("pwd; cat ../target/made.o; echo \"$2\"; echo w >>w");
    let first = rename(&mut host, NEXT);
    host.push();
    dispatch(&host, &said);
    host.until("claim", || host.home().join("waits").exists().then_some(()));
    (host, first)
}

/// Continues the first handoff in the tree that it has.
fn resume(host: &TestHost) -> String {
    let cache = host.cache();
    host.git(&cache, &["update-ref", &format!("refs/handoff/{}/ship/2", host.name), &host.oids[0]]);
    let ship = host.ship().replace("adopt yes", "adopt no");
    let grant = grant(&[("first", "2"), ("last", "3"), ("start", "resume")]);
    let request = host.ensure_request(2, &[("ship", &ship), ("grant", &grant)], "");
    let request = String::from_utf8(request).unwrap().replace("\ngrant 1\n", "\ngrant 2\n");
    host.call(Verb::Ensure, request.as_bytes())
}

/// Ships the first handoff's work again, as a laptop does that knows that its tree is gone.
fn ship_work(host: &TestHost, attempt: u32) -> Facts {
    let cache = host.cache();
    let work = host.link(1, "capture").unwrap();
    host.git(&cache, &["update-ref", &format!("refs/handoff/{}/ship/3", host.name), &work]);
    let id = |of: &str| host.git(&cache, &["rev-parse", &format!("{work}{of}")]);
    let [commit, head, index, files] = &host.oids;
    let ship = host.ship().replace(commit, &work).replace(head, &id("^1")).replace(index, &id("^2^{tree}"));
    let ship = ship.replace(files, &id("^{tree}"));
    let number = attempt.to_string();
    let grant = grant(&[("first", &number), ("last", &number)]);
    let request = host.ensure_request(attempt, &[("ship", &ship), ("grant", &grant)], "");
    host.call(Verb::Ensure, String::from_utf8(request).unwrap().replace("\ngrant 1\n", "\ngrant 3\n").as_bytes());
    host.result(attempt)
}

#[test]
fn a_handoff_that_is_resumed_meanwhile_waits_and_then_gets_another_tree() {
    for shell in shells() {
        let (mut host, first) = about_to_take(shell);
        let next = std::mem::replace(&mut host.name, first);
        let reply = release_with(&host, "", "");
        assert!(reply.contains("error busy another handoff is about to take the checkout"), "{reply}");
        let reply = resume(&host);
        assert!(reply.contains("end 0"), "{reply}");
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(host.link(2, "intent").is_none() && !host.at(2).join("result").exists());
        std::fs::write(host.home().join("go"), "").unwrap();
        let result = host.result(2);
        assert_eq!((result.class(), result.get("reason")), ("lost", Some("gone")), "{}", result.0);
        assert_eq!((host.link(2, "intent"), host.at(3).exists()), (None, false), "the laptop decides");
        let result = ship_work(&host, 3);
        assert_eq!(result.class(), "unchecked", "{}", result.0);
        assert!(host.log(3).contains("/my repo-2/"), "{}", host.log(3));
        assert_eq!(read(place(&host, 2).join("my repo/work")), "work\n");
        assert_eq!((owner(&host, 1), owner(&host, 2)), (Some(next.clone()), Some(host.name.clone())));
        host.name = next;
        assert_eq!(host.result(1).class(), "unchecked");
        assert_eq!(place_of(&host), tree(&host).join("sub"));
        assert!(host.log(1).contains("\nwarm\n") && !tree(&host).join("work").exists(), "{}", host.log(1));
    }
}

#[test]
fn a_claim_of_a_dead_process_holds_nobody_up() {
    for shell in shells() {
        let (mut host, first) = about_to_take(shell);
        kill(host.pid(1, "watch.1"));
        let next = std::mem::replace(&mut host.name, first);
        assert_eq!(owner(&host, 1).as_ref(), Some(&host.name));
        resume(&host);
        assert_eq!(host.result(2).class(), "unchecked");
        assert!(host.log(2).contains("/my repo-1/") && host.log(2).contains("\nwarm\n"), "{}", host.log(2));
        assert_eq!(read(tree(&host).join("work")), "work\n");
        // The process that was killed may still have one command to finish.
        std::fs::write(host.home().join("go"), "").unwrap();
        std::fs::remove_file(host.home().join("shadow/mv")).unwrap();
        host.name = next;
        host.ensure(1, &[]);
        assert_eq!(host.result(1).class(), "unchecked");
    }
}

#[test]
fn a_handoff_that_died_after_it_took_the_tree_fills_it_later() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        let said = resting(&host);
        let wait = format!("cd '{}'; echo >waits; until [ -e go ]; do sleep 0.05; done; exit 1", host.home().display());
        host.shadow_git("*'read-tree --reset -u'*", &wait);
        host.agent("pwd; cat ../target/made.o");
        rename(&mut host, NEXT);
        host.push();
        dispatch(&host, &said);
        host.until("filling", || host.home().join("waits").exists().then_some(()));
        kill(host.pid(1, "watch.1"));
        assert_eq!(owner(&host, 1).as_ref(), Some(&host.name));
        std::fs::write(host.home().join("go"), "").unwrap();
        std::fs::remove_file(host.home().join("shadow/git")).unwrap();
        dispatch(&host, &said);
        assert_eq!(host.result(1).class(), "no-work", "{}", host.result(1).0);
        assert_eq!(host.log(1), format!("{}\nwarm\n", tree(&host).join("sub").display()));
    }
}

#[test]
fn an_ignored_file_that_the_ship_has_too_is_no_obstacle() {
    for shell in shells() {
        let mut host = at_rest(shell, BUILDS);
        std::fs::create_dir(host.laptop().join("target")).unwrap();
        std::fs::write(host.laptop().join("target/made.o"), "warm\n").unwrap();
        host.git(&host.laptop(), &["add", "-f", "target/made.o"]);
        let said = resting(&host);
        run_next(&mut host, &said);
        assert_eq!(place_of(&host), tree(&host).join("sub"), "{}", read(host.work().join("runner.log")));
    }
}
