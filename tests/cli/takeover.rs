//! `handoff takeover`: the agent's work in a worktree, with the record in it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait, wait_for};

#[test]
fn the_worktree_is_as_the_agent_left_it_and_there_is_one() {
    let plan = "turn 1\nedit staged.txt <<END\nstaged\nEND\nrun git add staged.txt\nedit staged.txt <<END\nlater\nEND\n\
                edit new.txt <<END\nnew\nEND\nrun git status --porcelain=v2 >\"$HOME/status\"\nfinish Done.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.write("mine.txt", "mine\n");
    laptop.run([TASK]).run().exits(0).done();
    let (index, status) = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]));

    let worktree = laptop.worktree();
    let ran = laptop.takeover().exits(0).says("is yours").says(&worktree.display().to_string());
    ran.says("Headed Takeover Prompt").says("cursor ").done();
    let left = std::fs::read_to_string(laptop.hosts[0].home.join("status")).unwrap();
    assert_eq!(laptop.git_in(&worktree, &["status", "--porcelain=v2"]), left);
    assert!(left.contains("1 AM ") && left.contains("? new.txt") && left.contains("? mine.txt"), "{left}");
    assert_eq!(std::fs::read_to_string(worktree.join("staged.txt")).unwrap(), "later\n");

    laptop.status_is("interactive");
    let record = worktree.join(".cursor/agent-handoffs").join(ID);
    let page = std::fs::read_to_string(record.join("handoff.md")).unwrap();
    assert!(page.contains("- Status: interactive\n"), "{page}");
    assert_eq!(std::fs::read(record.join("attempt-1.log")).unwrap(), laptop.hosts[0].log(1));
    assert_eq!((laptop.index(), laptop.git(&["status", "--porcelain=v2"])), (index, status), "the user's own tree");

    std::fs::write(worktree.join("new.txt"), "by the user\n").unwrap();
    laptop.takeover().exits(0).says(&worktree.display().to_string()).done();
    assert_eq!(std::fs::read_to_string(worktree.join("new.txt")).unwrap(), "by the user\n", "nothing was redone");
}

#[test]
fn what_runs_is_stopped_first_and_starts_no_more() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    laptop.takeover().exits(0).says("is yours").done();
    laptop.hosts[0].wait_until_empty(|_| false);
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
    laptop.status_is("interactive");
    assert_eq!(laptop.shown()["handoff"]["confirmed"], true);
    laptop.handoff(["resume", ID]).run().exits(2).done();
}

#[test]
fn takeover_works_while_another_process_follows() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    laptop.takeover().exits(0).says("is yours").done();
    running.wait().exits(0).done();
    laptop.hosts[0].wait_until_empty(|_| false);
}

#[test]
fn a_place_that_is_taken_is_refused_and_kept() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    std::fs::create_dir(laptop.worktree()).unwrap();
    laptop.takeover().exits(2).complains("already exists").done();
    let other = laptop.top().join("other place");
    let ran = laptop.handoff(["takeover", ID, "--editor", "none", "--worktree"]).args([&other]).run();
    ran.exits(0).says("'").done();
    assert!(other.join("notes.txt").exists());
}

/// A wrapper of `git` that kills its caller, `before` or `after` the first call that has `words`.
fn deadly_git(laptop: &Laptop, when: &str, words: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|directory| directory.join("git")).find(|file| file.exists()).unwrap();
    let bin = laptop.home().join("deadly");
    std::fs::create_dir_all(&bin).unwrap();
    let (git, file) = (git.display(), bin.join("git"));
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *\" {words} \"*)\n[ {when} = before ] || {git} \"$@\"\nkill -9 $PPID\nexit 9;; \
         esac\nexec {git} \"$@\"\n"
    );
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::env::join_paths([bin].into_iter().chain(std::env::split_paths(&path))).unwrap().into()
}

#[test]
fn one_that_was_killed_is_made_again_or_finished() {
    for (when, words) in [
        ("before", "worktree add"),
        ("after", "worktree add"),
        ("before", "read-tree --reset -u"),
        ("after", "read-tree --reset -u"),
        ("before", "update-ref --create-reflog"),
        ("after", "update-ref --create-reflog"),
        ("before", "worktree repair"),
        ("after", "worktree repair"),
    ] {
        let laptop = Laptop::with_plan(QUICK);
        laptop.run([TASK]).run().exits(0).done();
        let takeover = laptop.handoff(["takeover", ID, "--editor", "none"]);
        let killed = takeover.env("PATH", deadly_git(&laptop, when, words)).run();
        assert_eq!(killed.code, None, "{when} {words}: {}\n{}", killed.text(), killed.stderr);
        let whole = words == "worktree repair";
        assert_eq!(laptop.worktree().exists(), whole, "{when} {words}: all of it, or nothing");
        if whole {
            std::fs::write(laptop.worktree().join("mine.txt"), "by the user\n").unwrap();
        }

        laptop.takeover().exits(0).says("is yours").says(&laptop.worktree().display().to_string()).done();
        let read = |name: &str| std::fs::read_to_string(laptop.worktree().join(name)).unwrap();
        assert_eq!(read("notes.txt"), "by the agent\n", "{when} {words}");
        let changed = if whole { "?? mine.txt\n?? notes.txt\n" } else { "?? notes.txt\n" };
        assert_eq!(laptop.git_in(&laptop.worktree(), &["status", "--porcelain"]), changed);
        let branch = laptop.git_in(&laptop.worktree(), &["branch", "--show-current"]);
        assert_eq!(branch, format!("handoff/{ID}\n"), "{when} {words}");
        let beside = std::fs::read_dir(laptop.top().join("work")).unwrap().count();
        assert_eq!((beside, laptop.git(&["worktree", "list"]).lines().count()), (2, 2), "{when} {words}");
        assert!(laptop.worktree().join(".cursor/agent-handoffs").join(ID).join("handoff.md").exists());
        laptop.git(&["fsck", "--no-dangling"]);
    }
}

#[test]
fn a_worktree_that_git_still_expects_is_no_place() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::remove_dir_all(laptop.worktree()).unwrap();
    laptop.takeover().exits(2).complains("git worktree prune").done();
    laptop.git(&["worktree", "prune"]);
    laptop.takeover().exits(0).says("is yours").done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
}

#[test]
fn a_damaged_worktree_of_the_users_own_does_not_stop_a_takeover() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let own = laptop.top().join("own");
    laptop.git(&["worktree", "add", "-q", own.to_str().unwrap()]);
    std::fs::remove_dir_all(&own).unwrap();
    laptop.git(&["init", "-q", own.to_str().unwrap()]);
    laptop.takeover().exits(0).says("worktree: ").done();
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap(), "by the agent\n");
    assert!(own.join(".git").is_dir(), "what the user has there stays");
    laptop.handoff(["show", ID]).run().exits(0).says(&format!("worktree  {}", laptop.worktree().display())).done();
}

#[test]
fn takeover_works_without_the_host() {
    let mut laptop = Laptop::with_plan(HANGS);
    laptop.write("mine.txt", "mine\n");
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.hosts[0].vanish();
    let ran = laptop.takeover().exits(0).says("could not reach");
    assert!(ran.took < wait::stretched(Duration::from_secs(15)), "{:?}", ran.took);
    assert_eq!(
        std::fs::read_to_string(laptop.worktree().join("mine.txt")).unwrap(),
        "mine\n",
        "what was sent is there"
    );
    assert_eq!(laptop.shown()["handoff"]["confirmed"], false);
}

#[test]
fn the_branch_of_the_worktree_has_the_users_name() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.git(&["branch", "mine"]);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    let named = |name: &str| laptop.handoff(["takeover", ID, "--editor", "none", "--branch", name]).run();
    named("mine").exits(2).complains("the branch mine exists already, at ").complains("--branch NAME").done();
    assert!(laptop.hosts[0].running().join(" ").contains("sleep 99731"), "the agent was not stopped for it");
    named("fix/total").exits(0).says("is yours").done();
    assert_eq!(laptop.git_in(&laptop.worktree(), &["branch", "--show-current"]), "fix/total\n");
    named("fix/total").exits(0).says("is yours").done();
    named("other").exits(2).complains("is on fix/total").complains("switch -c other").done();
}

#[test]
fn an_unchanged_takeover_is_returned_and_resumed_in_its_checkout() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                turn 2\nrun cat notes.txt >\"$HOME/found\"\nedit more.txt <<END\nmore\nEND\nfinish Second.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["takeover", ID, "--return"]).run().exits(2).complains("was not taken over").done();
    laptop.takeover().exits(0).done();
    let refused =
        laptop.handoff(["resume", ID, "--again"]).run().exits(2).complains(&format!("try: handoff give {ID}"));
    refused.complains(&format!("try: handoff takeover {ID} --return")).done();
    let returned = laptop.handoff(["takeover", ID, "--return"]).run().exits(0);
    returned
        .says("is on box again: done")
        .says(&format!("removed the worktree {}", laptop.worktree().display()))
        .done();
    assert!(!laptop.worktree().exists());
    assert_eq!(laptop.git(&["branch", "--list", "handoff/*"]), "");
    laptop.status_is("done");
    laptop.handoff(["resume", ID, "--again"]).run().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap(), "by the agent\n");
    assert_eq!(laptop.hosts[0].home.join(".handoff/trees").read_dir().unwrap().count(), 1);
    laptop.takeover().exits(0).done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("more.txt")).unwrap(), "more\n");
    assert_eq!(laptop.git_in(&laptop.worktree(), &["branch", "--show-current"]), format!("handoff/{ID}\n"));
}

#[test]
fn a_takeover_with_anything_of_the_users_is_not_returned() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.write(".gitignore", "*.o\n");
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    let refused = |why: &str| {
        let refused = laptop.handoff(["takeover", ID, "--return"]).run().exits(2).complains(why);
        let is_changed = why.contains("changed") || why.contains("commit");
        let help = if is_changed { format!("try: handoff give {ID}") } else { format!("takeover {ID} --return") };
        refused.complains(&help).done();
        laptop.status_is("interactive");
    };
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    refused("its work has changed");
    laptop.git_in(&worktree, &["add", "-A"]);
    laptop.git_in(&worktree, &["commit", "-qm", "by hand"]);
    refused("its work has changed");
    laptop.git_in(&worktree, &["reset", "-q", "HEAD~"]);
    std::fs::remove_file(worktree.join("mine.txt")).unwrap();
    std::fs::write(worktree.join("mine.o"), "mine\n").unwrap();
    refused("only its worktree has mine.o");
    std::fs::remove_file(worktree.join("mine.o")).unwrap();
    // Killed before the owner changed: the worktree is gone.
    laptop.git(&["worktree", "remove", "--force", worktree.to_str().unwrap()]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).says("is on box again: done").done();
}

#[test]
fn a_handoff_that_was_stopped_by_its_takeover_is_stopped_after_the_return() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    laptop.takeover().exits(0).done();
    running.wait().done();
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).says("is on box again: stopped").done();
    laptop.handoff(["resume", ID]).run().exits(0).done();
    laptop.status_is("done");
}

#[test]
fn a_branch_that_is_checked_out_elsewhere_stays_after_a_return() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let branch = format!("handoff/{ID}");
    laptop.git(&["worktree", "remove", "--force", laptop.worktree().to_str().unwrap()]);
    laptop.git(&["switch", "-q", &branch]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).done();
    assert_eq!(laptop.git(&["rev-parse", "--abbrev-ref", "HEAD"]), format!("{branch}\n"));
}

/// A takeover on the branch `fix`, with a commit of the user's in the worktree, which the user then removed.
fn removed_with_a_commit(with_git: bool) -> Laptop {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nrun git add -A; git commit -qm 'By the agent'\nfinish First.\n\
                turn 2\nrun cat mine.txt >\"$HOME/found\"\nedit more.txt <<END\nmore\nEND\nfinish Second.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["takeover", ID, "--editor", "none", "--branch", "fix"]).run().exits(0).done();
    let worktree = laptop.worktree();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    laptop.git_in(&worktree, &["add", "mine.txt"]);
    laptop.git_in(&worktree, &["commit", "-qm", "by hand"]);
    match with_git {
        true => drop(laptop.git(&["worktree", "remove", "--force", worktree.to_str().unwrap()])),
        false => std::fs::remove_dir_all(&worktree).unwrap(),
    }
    laptop
}

#[test]
fn commits_on_the_branch_of_a_removed_worktree_are_given_with_the_command_of_the_hint() {
    for with_git in [true, false] {
        let laptop = removed_with_a_commit(with_git);
        let refused = laptop.handoff(["takeover", ID, "--return"]).run().exits(2);
        let hint = refused.stderr.lines().find_map(|line| line.trim().strip_prefix("try: git worktree prune")).unwrap();
        let command = format!("git worktree prune{}", hint.split("  (").next().unwrap());
        refused.complains("the branch fix has commits of yours, and its worktree is gone").done();
        laptop.status_is("interactive");
        laptop.shell(&format!("{command} 2>&1"));
        laptop.handoff(["give", ID]).run().exits(0).done();
        assert_eq!(std::fs::read_to_string(laptop.hosts[0].home.join("found")).unwrap(), "mine\n");
    }
}

#[test]
fn a_branch_that_was_renamed_or_deleted_does_not_stop_a_return() {
    let laptop = removed_with_a_commit(true);
    laptop.git(&["branch", "-m", "fix", "later"]);
    let returned = laptop.handoff(["takeover", ID, "--return"]).run().exits(0);
    returned.says("the branch later, which was fix, has commits that the agent does not get").done();
    assert_eq!(laptop.git(&["show", "later:mine.txt"]), "mine\n");
    let laptop = removed_with_a_commit(false);
    laptop.git(&["worktree", "prune"]);
    laptop.git(&["branch", "-D", "fix"]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).says("is on box again").done();
}

#[test]
fn commits_on_a_branch_that_its_worktree_left_are_not_returned() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["takeover", ID, "--editor", "none", "--branch", "fix"]).run().exits(0).done();
    let moved = laptop.top().join("work/moved here");
    laptop.git(&["worktree", "move", laptop.worktree().to_str().unwrap(), moved.to_str().unwrap()]);
    laptop.git_in(&moved, &["commit", "-q", "--allow-empty", "-m", "by hand"]);
    laptop.git_in(&moved, &["switch", "-q", "--detach", "HEAD~"]);
    let refused = laptop.handoff(["takeover", ID, "--return"]).run().exits(2);
    refused.complains(&format!("try: git -C '{}' switch fix", moved.display())).done();
    laptop.git(&["branch", "-f", "fix", "fix~"]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).says("removed the worktree ").done();
    assert!(!moved.exists());
}

#[test]
fn a_branch_that_the_user_made_stays_after_a_return() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["takeover", ID, "--editor", "none", "--branch", "mine"]).run().exits(0).done();
    let branch = format!("handoff/{ID}");
    laptop.git(&["branch", &branch, "mine"]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).done();
    assert_eq!(laptop.git(&["branch", "--format=%(refname:short)"]), format!("{branch}\nmain\nmine\n"));
}

#[test]
fn it_does_not_wait_for_a_watch_that_waits_for_the_host() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    let watching = laptop.handoff(["watch", ID]).spawn();
    wait_for("the agent's output", || watching.stdout().contains("notes.txt"));
    laptop.hosts[0].out_of_reach(true);
    wait_for("the watch to lose the host", || watching.stdout().contains("lost contact"));
    laptop.takeover().exits(0).done();
    assert!(laptop.worktree().exists());
    // The other command has nothing more to do.
    watching.wait().exits(0).done();
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["show", ID]).run().exits(0).done();
}
