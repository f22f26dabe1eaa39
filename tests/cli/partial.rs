//! Partial clones: what a ship lacks is fetched with few requests, the history ends near HEAD on the host, and the clone
//! keeps its refs, its configuration and its files.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK};

/// The agent notes what it sees, and commits.
const COMMITS: &str = "turn 1\nrun git log --format=%s >\"$HOME/log\"; git rev-parse HEAD^{tree} >\"$HOME/trees\"; \
                       git write-tree >>\"$HOME/trees\"; git status --porcelain -uall >\"$HOME/status\"; \
                       git fsck --no-dangling >\"$HOME/fsck\" 2>&1; git for-each-ref --format='%(refname)' >\"$HOME/refs\"\n\
                       edit notes.txt <<END\nby the agent\nEND\n\
                       run git add notes.txt && git commit -qm 'By the agent'\nedit left.txt <<END\nleft\nEND\nfinish First.\n\
                       turn 2\nrun git log --format=%s >\"$HOME/log\"; git fsck --no-dangling >\"$HOME/fsck\" 2>&1; \
                       git show HEAD:deep/4 >\"$HOME/four\"\n\
                       run git commit -q --allow-empty -m 'Again by the agent'\nfinish Second.\n\
                       turn 3\nrun git commit -q --allow-empty -m 'Third by the agent'\nfinish Third.\n";

/// Makes the repository a clone with a filter, of five commits with a file each. A script stands before the remote's
/// side and counts its requests.
fn partial(laptop: &Laptop, clone: &[&str]) {
    std::fs::create_dir_all(laptop.repository().join("deep")).unwrap();
    for n in 2..=5 {
        laptop.write("count.txt", format!("{n}\n"));
        laptop.write(&format!("deep/{n}"), format!("file {n}\n"));
        laptop.git(&["add", "."]);
        laptop.git(&["commit", "-q", "-m", &format!("Commit {n}")]);
    }
    laptop.git(&["tag", "old", "HEAD~3"]);
    laptop.git(&["clone", "-q", "--bare", ".", "../origin.git"]);
    let origin = laptop.top().join("work/origin.git");
    for key in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        laptop.git_in(&origin, &["config", key, "true"]);
    }
    std::fs::remove_dir_all(laptop.repository()).unwrap();
    let url = format!("file://{}", origin.display());
    let top = laptop.repository().display().to_string();
    let args = [&["clone", "-q"], clone, &[&url, &top]].concat();
    laptop.git_in(laptop.top(), &args);
    let script = laptop.top().join("upload-pack");
    let text = format!("#!/bin/sh\necho request >>'{}'\nexec git-upload-pack \"$@\"\n", calls(laptop).display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    laptop.git(&["config", "remote.origin.uploadpack", script.to_str().unwrap()]);
}

fn calls(laptop: &Laptop) -> PathBuf {
    laptop.top().join("requests")
}

/// Number of requests to the remote since the last question.
fn requests(laptop: &Laptop) -> usize {
    let count = std::fs::read_to_string(calls(laptop)).unwrap_or_default().lines().count();
    _ = std::fs::remove_file(calls(laptop));
    count
}

fn vanish(laptop: &Laptop) {
    laptop.git(&["config", "remote.origin.url", "file:///nonexistent/till.git"]);
}

fn return_remote(laptop: &Laptop) {
    let url = format!("file://{}", laptop.top().join("work/origin.git").display());
    laptop.git(&["config", "remote.origin.url", &url]);
}

/// What is on the host at a place in its home.
fn read(laptop: &Laptop, name: &str) -> String {
    std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap()
}

/// Every file of the repository with its bytes, except objects and what a handoff may write (promise 8).
fn contents(laptop: &Laptop) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut found, mut open) = (BTreeMap::new(), vec![laptop.repository()]);
    let ours = [".git/objects", ".git/handoff", ".git/refs/handoff", ".git/info/exclude", ".cursor"];
    while let Some(directory) = open.pop() {
        for path in std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            let inside = path.strip_prefix(laptop.repository()).unwrap();
            if ours.iter().any(|ours| inside == Path::new(ours)) {
                continue;
            } else if path.is_dir() && !path.is_symlink() {
                open.push(path);
            } else {
                found.insert(inside.to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

#[track_caller]
fn assert_unchanged(laptop: &Laptop, before: &BTreeMap<PathBuf, Vec<u8>>) {
    let now = contents(laptop);
    let paths = before.keys().chain(now.keys());
    let changed: Vec<_> = paths.filter(|path| before.get(*path) != now.get(*path)).collect();
    assert!(changed.is_empty(), "{changed:?}");
}

/// The host has HEAD and the index by tree id, nothing else, and a repository without a fault.
#[track_caller]
fn assert_arrived(laptop: &Laptop, log: &str) {
    let tree = laptop.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(read(laptop, "trees"), format!("{tree}{tree}"));
    assert_eq!((read(laptop, "log").as_str(), read(laptop, "fsck").as_str()), (log, ""));
    assert_eq!(read(laptop, "status"), "");
}

#[test]
fn a_clone_without_blobs_goes_out_and_comes_back_without_a_request() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none"]);
    let before = contents(&laptop);
    let dry = laptop.handoff(["ship", "--dry-run"]).run().exits(0);
    dry.says("\n  history: 1 commit, without 1 ref, because the rest is only on origin\n").done();
    let ran = laptop.run([TASK]).run().exits(0).says("history: 1 commit, without 1 ref, because the rest");
    ran.says("shipped to box and verified (files, index and HEAD match)").done();
    assert_arrived(&laptop, "Commit 5\n");
    assert!(read(&laptop, "refs").contains("refs/remotes/origin/main\n") && !read(&laptop, "refs").contains("old"));
    laptop.handoff(["diff", ID]).run().exits(0).says("by the agent").says("left").done();
    laptop.handoff(["takeover", ID, "--editor", "none", "--here"]).run().exits(0).done();
    laptop.handoff(["undo", ID]).run().exits(0).done();
    assert_unchanged(&laptop, &before);

    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("deep/3")).unwrap(), "file 3\n");
    let log = laptop.git_in(&laptop.worktree(), &["log", "--format=%s", "-3"]);
    assert_eq!(log, "By the agent\nCommit 5\nCommit 4\n", "the clone has its whole history");
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    laptop.git_in(&laptop.worktree(), &["add", "mine.txt"]);
    laptop.git_in(&laptop.worktree(), &["commit", "-qm", "Mine"]);
    laptop.handoff(["give", ID, "--message", "go on"]).run().exits(0).done();
    assert_eq!((read(&laptop, "log").as_str(), read(&laptop, "fsck").as_str()), ("Mine\nBy the agent\nCommit 5\n", ""));
    laptop.handoff(["resume", ID, "--message", "once more"]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.top().join("work").join(format!("till-handoff-{ID}.2"));
    laptop.git_in(&worktree, &["add", "-A"]);
    laptop.git_in(&worktree, &["commit", "-q", "-m", "Mine, too"]);
    laptop.handoff(["finish", ID, "--branch", "fix"]).run().exits(0).done();
    assert_eq!(laptop.git(&["log", "-1", "--format=%s", "fix~1"]), "Third by the agent\n");
    assert_eq!(requests(&laptop), 0, "everything was here");
}

#[test]
fn a_clone_without_trees_gets_what_head_needs_with_two_requests() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=tree:0", "--no-checkout"]);
    laptop.git(&["update-ref", "refs/heads/main", "HEAD~1"]);
    let before = contents(&laptop);
    let refused = laptop.handoff(["ship", "--dry-run"]).run().exits(2);
    refused.complains("this partial clone lacks directories of HEAD; a dry run fetches nothing").done();
    assert_eq!(requests(&laptop), 0);
    let ran = laptop.run([TASK]).run().exits(0).says("from origin, which this partial clone lacks");
    ran.says("history: 1 commit, without 2 refs, because the rest is only on origin").done();
    assert_eq!(requests(&laptop), 2, "directories, then files");
    assert_eq!((read(&laptop, "log").as_str(), read(&laptop, "fsck").as_str()), ("Commit 4\n", ""));
    let tree = laptop.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(read(&laptop, "trees").lines().next(), Some(tree.trim()));
    assert_unchanged(&laptop, &before);
    laptop.takeover().exits(0).done();
    assert_eq!(requests(&laptop), 0);
}

#[test]
fn a_sparse_clone_gets_the_other_files_as_objects_only() {
    for format in ["sha1", "sha256"] {
        let mut laptop = Laptop::new();
        laptop.plan(COMMITS);
        std::fs::remove_dir_all(laptop.repository().join(".git")).unwrap();
        laptop.git(&["init", "-q", "--object-format", format]);
        laptop.git(&["add", "."]);
        laptop.git(&["commit", "-qm", "Commit 1"]);
        partial(&laptop, &["--filter=blob:none", "--sparse"]);
        laptop.git(&["checkout", "-q", "-b", "feature"]);
        laptop.write("count.txt", "not committed\n");
        laptop.git(&["commit", "-qam", "Mine"]);
        let before = contents(&laptop);
        let objects = laptop.git(&["count-objects", "-v"]);
        let planned = laptop.handoff(["ship", "--dry-run", "--json"]).run().exits(0).json().remove(0);
        assert_eq!(
            (&planned["history"]["fetched"], &planned["history"]["commits"]),
            (&4.into(), &2.into()),
            "{format}"
        );
        laptop.handoff(["ship", "--dry-run"]).run().exits(0).says("; 4 objects fetched from there first\n").done();
        assert_eq!((requests(&laptop), laptop.git(&["count-objects", "-v"])), (0, objects), "nothing is fetched");
        assert_unchanged(&laptop, &before);

        let ran = laptop.run([TASK]).run().exits(0);
        ran.says("note: fetching 4 objects from origin, which this partial clone lacks")
            .says("; 4 objects fetched")
            .done();
        assert_eq!(requests(&laptop), 1);
        assert_arrived(&laptop, "Mine\nCommit 5\n");
        assert_unchanged(&laptop, &before);
        assert!(!laptop.repository().join("deep").exists());
        laptop.takeover().exits(0).done();
        assert_eq!(std::fs::read_to_string(laptop.worktree().join("deep/3")).unwrap(), "file 3\n");
        assert_eq!(requests(&laptop), 0);
    }
}

#[test]
fn without_its_remote_a_complete_head_is_sent_and_an_incomplete_one_is_refused_with_the_command_that_helps() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none"]);
    vanish(&laptop);
    laptop.run([TASK]).run().exits(0).says("history: 1 commit, without 1 ref").done();
    assert_arrived(&laptop, "Commit 5\n");
    assert_eq!(requests(&laptop), 0);

    return_remote(&laptop);
    laptop.git(&["sparse-checkout", "set", "--no-cone", "/count.txt"]);
    laptop.git(&["fetch", "-q"]);
    laptop.git(&["reset", "-q", "--soft", "HEAD~2"]);
    vanish(&laptop);
    let before = contents(&laptop);
    let works = || laptop.hosts[0].home.join(".handoff/work").read_dir().unwrap().count();
    let (count, records) = (works(), laptop.handoff(["list", "--json"]).run().exits(0).text());
    let again = || laptop.handoff(["run", "--host", "box", "--again", "--id", "again", TASK]).run();
    let refused = again().exits(2).complains("this partial clone lacks 1 object that it needs now, and origin did not");
    let refused = refused.complains("does not appear to be a git repository");
    refused.complains("try: git fetch --refetch --no-filter origin").done();
    assert_eq!(
        (works(), laptop.handoff(["list", "--json"]).run().exits(0).text()),
        (count, records),
        "nothing was sent"
    );
    assert_unchanged(&laptop, &before);
    return_remote(&laptop);
    laptop.git(&["fetch", "-q", "--refetch", "--no-filter", "origin"]);
    again().exits(0).done();
    let tree = laptop.git(&["rev-parse", "HEAD^{tree}"]);
    assert_eq!(read(&laptop, "trees").lines().next(), Some(tree.trim()));
    assert_eq!(read(&laptop, "log").lines().count(), 3, "the whole history");
}

#[test]
fn a_remote_that_refuses_the_objects_is_named_with_its_words() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none", "--sparse"]);
    laptop.git_in(&laptop.top().join("work/origin.git"), &["config", "uploadpack.allowAnySHA1InWant", "false"]);
    laptop.git(&["config", "protocol.version", "0"]);
    let before = contents(&laptop);
    let refused = laptop.run([TASK]).run().exits(2).complains("lacks 4 objects that it needs now");
    refused.complains("unadvertised object").complains("try: git fetch --refetch --no-filter origin").done();
    assert_unchanged(&laptop, &before);
    assert!(!laptop.hosts[0].home.join(".handoff/work").exists(), "nothing was sent");
    laptop.git(&["config", "--unset", "protocol.version"]);
    laptop.run([TASK]).run().exits(0).done();
    assert_arrived(&laptop, "Commit 5\n");
}

#[test]
fn the_next_ship_builds_on_the_end_of_the_last_one() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none"]);
    laptop.git(&["reset", "-q", "--hard", "HEAD~2"]);
    laptop.run([TASK]).run().exits(0).done();
    assert_arrived(&laptop, "Commit 3\n");
    laptop.git(&["merge", "-q", "--ff-only", "origin/main"]);
    requests(&laptop);
    let again = |id: &str| laptop.handoff(["run", "--host", "box", "--again", "--id", id, TASK]).run();
    again("again")
        .exits(0)
        .says("history: 3 commits, without 1 ref")
        .says("; 1 object fetched from there first")
        .done();
    assert_arrived(&laptop, "Commit 5\nCommit 4\nCommit 3\n");
    assert_eq!(requests(&laptop), 1);
    assert_eq!(laptop.hosts[0].home.join(".handoff/cache").read_dir().unwrap().count(), 1);
}

#[test]
fn what_the_user_merged_before_a_give_is_fetched_at_once() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none"]);
    laptop.git(&["reset", "-q", "--hard", "HEAD~3"]);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    laptop.git_in(&laptop.worktree(), &["merge", "-q", "--no-edit", "origin/main"]);
    requests(&laptop);
    let gave = laptop.handoff(["give", ID]).run().exits(0);
    gave.says("note: fetching 2 objects from origin, which this partial clone lacks").done();
    assert_eq!(requests(&laptop), 1);
    assert_eq!((read(&laptop, "four").as_str(), read(&laptop, "fsck").as_str()), ("file 4\n", ""));
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("deep/5")).unwrap(), "file 5\n");
}

#[test]
fn a_merge_in_progress_is_finished_on_the_host() {
    let merges = "turn 1\nrun git fsck --no-dangling >\"$HOME/fsck\" 2>&1; echo both >count.txt; git add count.txt; \
                  git commit -qm 'Merged by the agent'; git log --format=%s >\"$HOME/log\"\nfinish Merged.\n";
    let laptop = Laptop::with_plan(merges);
    partial(&laptop, &["--filter=blob:none"]);
    laptop.git(&["checkout", "-q", "-b", "side", "HEAD~2"]);
    laptop.write("count.txt", "side\n");
    laptop.git(&["commit", "-qam", "Side"]);
    laptop.shell("! git merge -q --no-edit origin/main >/dev/null 2>&1");
    requests(&laptop);
    laptop.run([TASK]).run().exits(0).says("a merge in progress").says("history: ").done();
    assert_eq!(read(&laptop, "fsck"), "");
    assert_eq!(
        read(&laptop, "log").lines().collect::<std::collections::BTreeSet<_>>().len(),
        4,
        "{}",
        read(&laptop, "log")
    );
    laptop.takeover().exits(0).done();
    let parents = laptop.git_in(&laptop.worktree(), &["log", "-1", "--format=%s of %p"]);
    assert!(parents.starts_with("Merged by the agent of ") && parents.split(' ').count() == 7, "{parents}");
}

#[test]
fn a_file_whose_staged_content_is_only_on_the_remote_is_fetched_for_a_merge() {
    let laptop = Laptop::with_plan("turn 1\nrun sed -i s/one/ONE/ long && git add long\nfinish Done.\n");
    laptop.write("long", "one\ntwo\nthree\nfour\nfive\n");
    laptop.git(&["add", "."]);
    laptop.git(&["commit", "-qm", "Long"]);
    partial(&laptop, &["--filter=blob:none"]);
    laptop.run([TASK]).run().exits(0).done();
    laptop.git_in(laptop.top(), &["clone", "-q", "work/origin.git", "other"]);
    let other = laptop.top().join("other");
    std::fs::write(other.join("long"), "one\ntwo\nthree\nfour\nFIVE\n").unwrap();
    laptop.git_in(&other, &["commit", "-qam", "Moved on"]);
    laptop.git_in(&other, &["push", "-q", "origin", "main"]);
    laptop.git(&["fetch", "-q"]);
    laptop.git(&["read-tree", "origin/main"]);
    requests(&laptop);
    laptop.handoff(["takeover", ID, "--editor", "none", "--here"]).run().exits(0).done();
    assert_eq!(requests(&laptop), 1);
    assert_eq!(laptop.git(&["show", ":long"]), "ONE\ntwo\nthree\nfour\nFIVE\n");
    assert_eq!(std::fs::read_to_string(laptop.repository().join("long")).unwrap(), "ONE\ntwo\nthree\nfour\nfive\n");
}

#[test]
fn what_the_agent_fetched_itself_comes_back_whole_although_the_clone_knows_the_commits() {
    let merges = "turn 1\nrun git fetch -q origin && git merge -q --no-edit origin/main\nfinish Merged.\n";
    let laptop = Laptop::with_plan(merges);
    partial(&laptop, &["--filter=blob:none"]);
    laptop.git_in(laptop.top(), &["clone", "-q", "work/origin.git", "other"]);
    let other = laptop.top().join("other");
    std::fs::write(other.join("later.txt"), "later\n").unwrap();
    laptop.git_in(&other, &["add", "."]);
    laptop.git_in(&other, &["commit", "-qm", "Later"]);
    laptop.git_in(&other, &["push", "-q", "origin", "main"]);
    laptop.git(&["fetch", "-q"]);
    requests(&laptop);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("later.txt")).unwrap(), "later\n");
    assert_eq!(laptop.git_in(&laptop.worktree(), &["log", "-1", "--format=%s"]), "Later\n");
    assert_eq!(requests(&laptop), 0, "the host has it");
}

#[test]
fn a_clone_that_is_shallow_and_partial_keeps_both_ends() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none", "--depth=3"]);
    let before = contents(&laptop);
    laptop.run([TASK]).run().exits(0).says("history: 1 commit, because the rest is only on origin").done();
    assert_arrived(&laptop, "Commit 5\n");
    laptop.takeover().exits(0).done();
    laptop.handoff(["give", ID]).run().exits(0).done();
    assert_eq!(read(&laptop, "fsck"), "");
    assert_eq!(before[Path::new(".git/shallow")], std::fs::read(laptop.repository().join(".git/shallow")).unwrap());
}

#[test]
fn a_directory_that_is_adopted_in_a_partial_clone_is_complete() {
    let laptop = Laptop::with_plan(COMMITS);
    partial(&laptop, &["--filter=blob:none", "--sparse"]);
    let directory = laptop.repository().join(".cursor/agent-handoffs").join(ID);
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("handoff.md"), include_str!("../fixtures/hand-made/whole.md")).unwrap();
    let log = include_bytes!("../fixtures/agents/cursor-ok.stdout");
    std::fs::write(directory.join("attempt-1.log"), log).unwrap();
    let adopted = laptop.handoff(["adopt"]).args([&directory]).run().exits(0);
    adopted.says("note: fetching 4 objects from origin, which this partial clone lacks").done();
    laptop.handoff(["resume", ID, "--host", "box"]).run().exits(0).done();
    assert_eq!((read(&laptop, "log").as_str(), read(&laptop, "fsck").as_str()), ("Commit 5\n", ""));
    assert_eq!(requests(&laptop), 1);
}
