//! Shallow clones: the host gets the same end of the history, and the clone keeps its own.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK};

/// The agent notes what it sees of the history, and commits.
const COMMITS: &str = "turn 1\nrun git log --format=%s >\"$HOME/log\"; sort .git/shallow >\"$HOME/shallow\"; \
                       git fsck --no-dangling >\"$HOME/fsck\" 2>&1\n\
                       edit notes.txt <<END\nby the agent\nEND\n\
                       run git add notes.txt && git commit -qm 'By the agent'\nfinish First.\n\
                       turn 2\nrun git log --format=%s >\"$HOME/log\"; git fsck --no-dangling >\"$HOME/fsck\" 2>&1\n\
                       run git commit -q --allow-empty -m 'Again by the agent'\nfinish Second.\n";

/// Makes the repository a clone of the last two of five commits, and of a tag with an end of its own.
fn shallow(laptop: &Laptop) {
    for n in 2..=5 {
        laptop.write("count.txt", format!("{n}\n"));
        laptop.git(&["add", "count.txt"]);
        laptop.git(&["commit", "-q", "-m", &format!("Commit {n}")]);
    }
    laptop.git(&["tag", "old", "HEAD~3"]);
    laptop.git(&["clone", "-q", "--bare", ".", "../origin.git"]);
    std::fs::remove_dir_all(laptop.repository()).unwrap();
    let url = format!("file://{}", laptop.top().join("work/origin.git").display());
    laptop.git_in(laptop.top(), &["clone", "-q", "--depth=2", &url, laptop.repository().to_str().unwrap()]);
    laptop.git(&["fetch", "-q", "--depth=1", "origin", "tag", "old"]);
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_shallow_clone_arrives_with_its_end_and_commits_on_top_come_back() {
    let laptop = Laptop::with_plan(COMMITS);
    shallow(&laptop);
    laptop.write("edited.txt", "not committed\n");
    let file = laptop.repository().join(".git/shallow");
    let end = || std::fs::read_to_string(&file).unwrap();
    let (before, log) = (end(), laptop.git(&["log", "--format=%s"]));
    assert_eq!((before.lines().count(), log.as_str()), (2, "Commit 5\nCommit 4\n"));
    let read = |name: &str| std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap();

    laptop.run([TASK]).run().exits(0).done();
    assert_eq!((sorted(&read("shallow")), read("log")), (sorted(&before), log));
    assert_eq!(read("fsck"), "");
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    assert_eq!(laptop.git_in(&worktree, &["log", "--format=%s"]), "By the agent\nCommit 5\nCommit 4\n");
    assert_eq!(end(), before, "the clone keeps its end");

    // The clone is deepened while the work is here. The handoff keeps its cache.
    laptop.git(&["fetch", "-q", "--deepen=1", "origin", "main"]);
    let deeper = end();
    assert_ne!(deeper, before);
    laptop.handoff(["give", ID]).run().exits(0).done();
    assert!(read("log").starts_with("By the agent\nCommit 5\nCommit 4\n"), "{}", read("log"));
    assert_eq!(read("fsck"), "");
    laptop.takeover().exits(0).done();
    assert_eq!(laptop.git(&["log", "-1", "--format=%s", &format!("handoff/{ID}.2")]), "Again by the agent\n");

    let again = |id: &str| laptop.handoff(["run", "--host", "box", "--again", "--id", id, TASK]).run();
    // The next handoff has the deeper history, and a clone with all of it has all.
    again("deeper").exits(0).done();
    assert_eq!((sorted(&read("shallow")), read("log").lines().count()), (sorted(&deeper), 3));
    laptop.git(&["fetch", "-q", "--unshallow"]);
    again("whole").exits(0).done();
    assert_eq!((read("shallow").as_str(), read("log").lines().count()), ("", 5));
    assert_eq!(read("fsck"), "");
    // What was made before comes back into the whole clone.
    laptop.handoff(["pull", "deeper"]).run().exits(0).done();
}

#[test]
fn a_handoff_of_a_shallow_clone_continues_after_the_clone_got_its_whole_history() {
    let laptop = Laptop::with_plan(COMMITS);
    shallow(&laptop);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let origin = laptop.top().join("work/origin.git");
    laptop.git_in(&origin, &["tag", "older", "main~4"]);
    // The host has none of the commits that the tag reaches, although its tips reach them here.
    laptop.git(&["fetch", "-q", "--unshallow", "--tags", "origin"]);
    laptop.handoff(["give", ID]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    assert_eq!(laptop.git(&["log", "-1", "--format=%s", &format!("handoff/{ID}.2")]), "Again by the agent\n");
}

#[test]
fn a_clone_that_becomes_shallow_does_not_cut_the_history_on_the_host() {
    let laptop = Laptop::with_plan(COMMITS);
    laptop.git(&["clone", "-q", "--bare", ".", "../origin.git"]);
    let origin = laptop.top().join("work/origin.git");
    let url = format!("file://{}", origin.display());
    laptop.git(&["remote", "add", "origin", &url]);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    laptop.git(&["fetch", "-q", "--depth=1", "origin", "main"]);
    assert_eq!(laptop.git(&["rev-parse", "--is-shallow-repository"]), "true\n");
    laptop.handoff(["give", ID]).run().exits(0).done();
    let caches = laptop.hosts[0].home.join(".handoff/cache").read_dir().unwrap();
    let cut: Vec<_> = caches.map(|cache| cache.unwrap().path().join("shallow")).filter(|file| file.exists()).collect();
    assert!(cut.is_empty(), "{cut:?}");
}
