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
        ("before", "update-ref -m"),
        ("after", "update-ref -m"),
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
fn the_first_editor_that_is_there_is_opened_on_the_worktree_and_the_record() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let bin = laptop.path_of(&["git", "ssh", "sh"]);
    let opened = laptop.home().join("opened");
    let takeover = |more: &[&str]| {
        laptop.handoff(["takeover", ID]).args(more).env("PATH", &bin).env("DISPLAY", ":9").run().exits(0)
    };
    let ran = takeover(&["--editor", "cursor"]).says("cursor is not on PATH here");
    ran.says(&format!("open it:  cursor {}", laptop.worktree().display())).done();
    for editor in ["code", "cursor"] {
        let script =
            format!("#!/bin/sh\nfor arg; do echo \"$arg\"; done >{0}.new && mv {0}.new {0}\n", opened.display());
        std::fs::write(bin.join(editor), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(bin.join(editor), mode).unwrap();
        std::os::unix::fs::symlink("/bin/mv", bin.join("mv")).ok();
        takeover(&[]).says(&format!("opened in {editor}")).done();
        wait_for("the editor", || opened.exists());
        let record = laptop.worktree().join(".cursor/agent-handoffs").join(ID).join("handoff.md");
        let expected = format!("{}\n--goto\n{}\n", laptop.worktree().display(), record.display());
        assert_eq!(std::fs::read_to_string(&opened).unwrap(), expected);
        std::fs::remove_file(&opened).unwrap();
    }
    // Without a screen, handoff opens an editor only on request.
    laptop.handoff(["takeover", ID]).env("PATH", &bin).run().exits(0).says("open it:  cursor ").done();
}
