//! `handoff finish`: the end of a handoff, with a branch, a pull request, and nothing left behind.

use std::path::{Path, PathBuf};

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

/// A laptop with a handoff that is done.
fn done() -> Laptop {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop
}

/// A laptop with a handoff that was taken over, and the worktree.
fn taken() -> (Laptop, PathBuf) {
    let laptop = done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    (laptop, worktree)
}

fn commit_by_hand(laptop: &Laptop, worktree: &Path) {
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    laptop.git_in(worktree, &["add", "-A"]);
    laptop.git_in(worktree, &["commit", "-qm", "by hand"]);
}

/// The branches of the repository.
fn branches(laptop: &Laptop) -> String {
    laptop.git(&["branch", "--format=%(refname:short)"])
}

#[test]
fn the_last_work_becomes_one_commit_of_the_user_on_a_branch() {
    let laptop = done();
    let before = (laptop.index(), laptop.git(&["rev-parse", "HEAD"]));
    let finished = laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0);
    finished.says("branch fix-till is at").says("released").done();
    let said = laptop.git(&["log", "--format=%an %cn %p %s", "fix-till", "-1"]);
    assert_eq!(said, format!("Laptop Laptop {} {TASK}\n", laptop.git(&["rev-parse", "--short", "main"]).trim()));
    assert_eq!(laptop.git(&["show", "fix-till:notes.txt"]), "by the agent\n");
    assert_eq!(laptop.git(&["diff", "--name-only", "main", "fix-till"]), "notes.txt\n");
    assert_eq!((laptop.index(), laptop.git(&["rev-parse", "HEAD"])), before);
    laptop.status_is("finished");
    let page = laptop.handoff_md();
    assert!(page.contains("- Branch: fix-till, at ") && page.contains("after attempt 1 ended unchecked"), "{page}");
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");
}

#[test]
fn content_that_did_not_pass_its_filter_is_on_no_branch() {
    let laptop = Laptop::with_plan(
        "turn 1\nedit big.bin <<END\ncontent\nEND\nrun git add -A && git commit -qm raw\nfinish Done.\n",
    );
    let filter = laptop.top().join("filter");
    std::fs::write(&filter, "#!/bin/sh\nprintf '\\000GITCRYPT\\000'; cksum\n").unwrap();
    std::fs::set_permissions(&filter, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let set_filter = || laptop.git(&["config", "filter.git-crypt.clean", filter.to_str().unwrap()]);
    set_filter();
    laptop.write(".gitattributes", "*.bin filter=git-crypt\n");
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-qm", "attributes"]);
    laptop.run([TASK]).run().exits(0).done();
    let finish = || laptop.handoff(["finish", ID, "--branch", "fix-till"]).run();
    let refused = finish().exits(2).complains("did not pass their filter: big.bin");
    refused.complains(&format!("try: handoff takeover {ID}")).done();
    assert_eq!(branches(&laptop), "main\n");

    // Where the filter is not set up, git takes the agent's commit for complete.
    laptop.git(&["config", "--unset", "filter.git-crypt.clean"]);
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    finish().exits(2).complains("did not pass their filter: big.bin").complains("add --renormalize . && git").done();
    set_filter();
    laptop.git_in(&worktree, &["add", "--renormalize", "."]);
    laptop.git_in(&worktree, &["commit", "-qm", "stored as it should be"]);
    finish().exits(0).says("branch fix-till is at").done();
    assert!(laptop.git(&["show", "fix-till:big.bin"]).starts_with("\0GITCRYPT\0"));
}

#[test]
fn a_takeover_ends_with_its_commits_on_the_branch_and_without_a_worktree() {
    let (laptop, worktree) = taken();
    commit_by_hand(&laptop, &worktree);
    let head = laptop.git_in(&worktree, &["rev-parse", "HEAD"]);
    let page = worktree.join(".cursor/agent-handoffs").join(ID).join("handoff.md");
    let text = std::fs::read_to_string(&page).unwrap().replace("Outcome\n\n- Pending.", "Outcome\n\nGood enough.");
    std::fs::write(&page, text).unwrap();
    let finished = laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0);
    finished.says(&format!("removed the worktree {}", worktree.display())).done();
    assert_eq!(laptop.git(&["rev-parse", "fix-till"]), head);
    assert!(!worktree.exists() && laptop.git(&["worktree", "list"]).lines().count() == 1);
    let page = laptop.handoff_md();
    assert!(page.contains("By hand since the takeover: 1 file changed"), "{page}");
    assert!(page.contains(" by hand\n") && page.ends_with("\nGood enough.\n"), "{page}");
    assert!(std::fs::read_dir(laptop.hosts[0].home.join(".handoff/work")).unwrap().next().is_none());
}

#[test]
fn uncommitted_changes_are_committed_only_with_a_message() {
    let (laptop, worktree) = taken();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    let refused = laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(2);
    let at = worktree.display();
    refused.complains(&format!("try: git -C {at} add -A && git -C {at} commit")).done();
    laptop.status_is("interactive");
    let with_message = ["finish", ID, "--branch", "fix-till", "--message", "Fix the till\n\nBy both of us."];
    laptop.handoff(with_message).run().exits(0).says("removed the worktree").done();
    assert_eq!(
        laptop.git(&["log", "-1", "--format=%an: %B", "fix-till"]).trim(),
        "Laptop: Fix the till\n\nBy both of us."
    );
    assert_eq!(laptop.git(&["diff", "--name-only", "main", "fix-till"]), "mine.txt\nnotes.txt\n");
    assert_eq!(laptop.git(&["status", "--porcelain"]), "");
    assert_eq!(laptop.git(&["rev-parse", "fix-till"]), laptop.git(&["rev-parse", &format!("handoff/{ID}")]));
}

#[test]
fn an_unchanged_takeover_is_removed_and_a_changed_one_is_named() {
    let (laptop, worktree) = taken();
    laptop.handoff(["finish", ID]).run().exits(0).says("removed the worktree").done();
    assert!(!worktree.exists());
    // The branch is made later.
    laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0).says("branch fix-till is at").done();
    assert_eq!(laptop.git(&["show", "fix-till:notes.txt"]), "by the agent\n");

    let (laptop, worktree) = taken();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    let kept = laptop.handoff(["finish", ID]).run().exits(0);
    kept.says(&format!("kept the worktree {}", worktree.display())).says("changes that are not committed").done();
    assert_eq!(std::fs::read_to_string(worktree.join("mine.txt")).unwrap(), "mine\n");
    laptop.status_is("finished");
    commit_by_hand(&laptop, &worktree);
    laptop.handoff(["finish", ID]).run().exits(0).says("removed the worktree").done();
    assert!(!worktree.exists());
}

#[test]
fn ignored_files_keep_a_worktree_until_they_are_discarded_by_name() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.write(".gitignore", "*.env\n");
    laptop.write("my.env", "sent\n");
    laptop.run(["--include", "*.env", TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("other.env"), "only here\n").unwrap();
    let kept = laptop.handoff(["finish", ID]).run();
    kept.says("other.env").says(&format!("try: handoff finish {ID} --discard-worktree")).done();
    assert!(laptop.worktree().join("other.env").exists());
    laptop.handoff(["finish", ID, "--discard-worktree"]).run().says("deleting ").says("other.env").done();
    assert!(!laptop.worktree().exists());
}

#[test]
fn a_file_of_yours_next_to_the_record_keeps_the_worktree() {
    let (laptop, worktree) = taken();
    let notes = worktree.join(".cursor/agent-handoffs").join(ID).join("notes.md");
    std::fs::write(&notes, "mine\n").unwrap();
    laptop.handoff(["finish", ID]).run().exits(0).says("notes.md was not written by handoff").done();
    assert!(notes.exists());
    std::fs::remove_file(&notes).unwrap();
    let inside = worktree.display().to_string();
    laptop.handoff(["-C", &inside, "finish", ID]).run().exits(0).says("this command runs in it").done();
    laptop.handoff(["finish", ID]).run().exits(0).says("removed the worktree").done();
}

#[test]
fn the_worktrees_of_earlier_rounds_are_removed() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish First.\n\
                turn 2\nedit more.txt <<END\nmore\nEND\nfinish Second.\n";
    let laptop = Laptop::with_plan(plan);
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    std::fs::write(laptop.worktree().join("mine.txt"), "mine\n").unwrap();
    laptop.handoff(["give", ID]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let second = laptop.worktree().with_extension("2");
    commit_by_hand(&laptop, &second);
    laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(0).done();
    assert!(!laptop.worktree().exists() && !second.exists());
    assert_eq!(laptop.git(&["show", "fix-till:more.txt"]), "more\n");
}

#[test]
fn an_existing_branch_is_never_changed() {
    let laptop = done();
    laptop.git(&["branch", "fix/till"]);
    for name in ["main", "fix/till", "fix", "a..b", "@{-1}"] {
        laptop.handoff(["finish", ID, "--branch", name]).run().exits(2).complains("--branch NAME").done();
    }
    laptop.status_is("done");
    assert_eq!(branches(&laptop), "fix/till\nmain\n");
}

#[test]
fn a_running_handoff_is_refused_and_a_finished_one_is_not_continued() {
    let laptop = Laptop::with_plan(HANGS);
    let running = laptop.run([TASK]).spawn();
    wait_for("the agent's words", || running.stdout().contains("Now I wait."));
    let refused = laptop.handoff(["finish", ID]).run().exits(2).complains("is still running");
    refused.complains(&format!("try: handoff stop {ID}")).complains(&format!("try: handoff takeover {ID}")).done();
    laptop.handoff(["stop", ID]).run().exits(0).done();
    running.wait().done();
    laptop.handoff(["finish", ID]).run().exits(0).done();
    for command in [&["resume", ID][..], &["give", ID], &["takeover", ID, "--editor", "none"]] {
        laptop.handoff(command).run().exits(2).complains("is finished").done();
    }
    laptop.handoff(["watch", ID]).run().exits(0).done();
    laptop.handoff(["stop", ID]).run().exits(0).says("is not running (finished)").done();
    laptop.status_is("finished");
}

#[test]
fn an_unreachable_host_is_cleaned_later() {
    let laptop = done();
    laptop.hosts[0].out_of_reach(true);
    let finished = laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(5);
    finished.says("branch fix-till is at").says(&format!("try: handoff clean {ID}")).done();
    laptop.status_is("finished");
    laptop.hosts[0].out_of_reach(false);
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    laptop.handoff(["finish", ID]).run().exits(0).says("was already released").done();
}

#[test]
fn an_interrupted_finish_is_completed_by_the_same_command() {
    type Step = fn(&Laptop, &Path);
    let before_the_branch: Step = |laptop, _| drop(laptop.git(&["branch", "-D", "fix-till"]));
    let before_the_removal: Step = |_, _| ();
    let amid_the_removal: Step = |laptop, worktree| {
        let admin = std::fs::read_dir(laptop.repository().join(".git/worktrees")).unwrap().next().unwrap().unwrap();
        let name = format!("{}.removed", admin.file_name().to_str().unwrap());
        std::fs::rename(worktree, worktree.with_file_name(name)).unwrap();
    };
    for interrupted in [before_the_branch, before_the_removal, amid_the_removal] {
        let (laptop, worktree) = taken();
        commit_by_hand(&laptop, &worktree);
        // The intent is recorded, and nothing after the branch is done.
        laptop.git(&["worktree", "lock", worktree.to_str().unwrap()]);
        laptop.hosts[0].out_of_reach(true);
        let kept = laptop.handoff(["finish", ID, "--branch", "fix-till"]).run().exits(5);
        kept.says("it is locked").done();
        laptop.git(&["worktree", "unlock", worktree.to_str().unwrap()]);
        laptop.hosts[0].out_of_reach(false);
        interrupted(&laptop, &worktree);
        laptop.handoff(["finish", ID]).run().exits(0).says("branch fix-till is at").says("released").done();
        assert_eq!(laptop.git(&["show", "fix-till:mine.txt"]), "mine\n");
        assert_eq!(laptop.git(&["worktree", "list"]).lines().count(), 1);
        assert_eq!(std::fs::read_dir(laptop.top().join("work")).unwrap().count(), 1, "only the repository");
    }
}

#[test]
fn the_result_is_one_json_object() {
    let (laptop, worktree) = taken();
    commit_by_hand(&laptop, &worktree);
    let finished = laptop.handoff(["finish", ID, "--branch", "fix-till", "--json"]).run().exits(0);
    let report = &finished.json()[0];
    assert_eq!(finished.json().len(), 1);
    assert_eq!((report["status"].as_str(), report["branch"].as_str()), (Some("finished"), Some("fix-till")));
    assert_eq!(report["worktrees"][0]["removed"], true);
    assert_eq!(report["hosts"][0]["standing"], "released");
}

/// A tool of a forge that records its words in `<name>.words` and the text that it is given in `<name>.text`.
const GH: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$0.words"
case "$1 $2" in
"pr list") other='{"url":"https://github.com/me/till/pull/1","headRefOid":"1111111111111111111111111111111111111111"}'
    ours=$(git rev-parse fix-till 2>/dev/null)
    [ -e "$0.made" ] && other="$other,{\"url\":\"https://github.com/me/till/pull/7\",\"headRefOid\":\"$ours\"}"
    echo "[$other]" ;;
"pr create") cat >"$0.text"; [ -e "$0.fails" ] && { echo 'please log in' >&2; exit 4; }
    : >"$0.made"; echo https://github.com/me/till/pull/7 ;;
esac
"#;

const GLAB: &str = r#"#!/bin/sh
printf '%s\n' "$*" >>"$0.words"
case "$*" in
*--method=POST*) cat >"$0.text"; : >"$0.made"; echo '{"web_url":"https://gitlab.com/me/till/-/merge_requests/3"}' ;;
api*) echo '[{"web_url":"https://gitlab.com/me/till/-/merge_requests/1","sha":"1111111111111111111111111111111111111111"}]' ;;
esac
"#;

/// A bare repository as the remote `origin`, under the address of a forge, and a search path with its tool.
struct Forge {
    bare: PathBuf,
    bin: PathBuf,
}

impl Forge {
    fn new(laptop: &Laptop, address: &str, tool: Option<(&str, &str)>) -> Forge {
        let (bare, bin) = (laptop.top().join("bare.git"), laptop.top().join("forge"));
        std::fs::create_dir_all(&bin).unwrap();
        laptop.git(&["init", "-q", "--bare", bare.to_str().unwrap()]);
        laptop.git(&["remote", "add", "origin", address]);
        laptop.git(&["config", &format!("url.{}.insteadOf", bare.display()), address]);
        laptop.git(&["push", "-q", "origin", "main"]);
        if let Some((name, script)) = tool {
            std::fs::write(bin.join(name), script).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            std::fs::set_permissions(bin.join(name), mode).unwrap();
        }
        Forge { bare, bin }
    }

    fn finish(&self, laptop: &Laptop, words: &[&str]) -> crate::support::program::Ran {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap());
        laptop.handoff(["finish", ID]).args(words).env("PATH", path).run()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.bin.join(name)).unwrap_or_default()
    }

    fn has(&self, laptop: &Laptop, branch: &str) -> bool {
        !laptop.git(&["ls-remote", self.bare.to_str().unwrap(), &format!("refs/heads/{branch}")]).is_empty()
    }
}

#[test]
fn the_branch_is_pushed_and_a_pull_request_opened_once() {
    let (laptop, worktree) = taken();
    commit_by_hand(&laptop, &worktree);
    let forge = Forge::new(&laptop, "https://github.com/me/till.git", Some(("gh", GH)));
    laptop.git(&["config", "branch.main.remote", "origin"]);
    laptop.git(&["config", "branch.main.merge", "refs/heads/main"]);
    let words = ["--branch", "fix-till", "--pr"];
    forge.finish(&laptop, &words).exits(0).says("pull request: https://github.com/me/till/pull/7").done();
    assert!(forge.has(&laptop, "fix-till"));
    let said = forge.read("gh.words");
    assert!(said.contains(&format!("pr create --head=fix-till --title={TASK} --body-file=- --base=main\n")), "{said}");
    assert!(!said.contains("All done."), "the agent's words are no arguments: {said}");
    let text = forge.read("gh.text");
    assert!(text.starts_with(TASK) && text.contains("All done.") && text.contains(" by hand\n"), "{text}");
    assert!(laptop.handoff_md().contains("- Pull request: https://github.com/me/till/pull/7"));
    forge.finish(&laptop, &words).exits(0).says("pull request: https://github.com/me/till/pull/7").done();
    assert_eq!(forge.read("gh.words").matches("pr create").count(), 1);
    assert_eq!(laptop.git(&["config", "--get-regexp", "^branch"]).lines().count(), 2, "no configuration is changed");
}

#[test]
fn a_merge_request_goes_to_gitlab_as_json() {
    let laptop = done();
    let forge = Forge::new(&laptop, "git@gitlab.com:me/till.git", Some(("glab", GLAB)));
    laptop.git(&["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
    let finished = forge.finish(&laptop, &["--branch", "fix-till", "--pr", "--message", "Fix it", "--json"]).exits(0);
    let address = "https://gitlab.com/me/till/-/merge_requests/3";
    assert_eq!(finished.json()[0]["pull_request"]["address"], address);
    let sent: serde_json::Value = serde_json::from_str(&forge.read("glab.text")).unwrap();
    assert_eq!((&sent["source_branch"], &sent["target_branch"]), (&"fix-till".into(), &"main".into()));
    assert_eq!(sent["title"], "Fix it");
    assert!(sent["description"].as_str().unwrap().contains("All done."), "{sent}");
}

#[test]
fn without_a_tool_the_branch_is_pushed_and_the_commands_are_printed() {
    let laptop = done();
    let forge = Forge::new(&laptop, "https://github.com/me/till.git", None);
    let pushed = forge.finish(&laptop, &["--branch", "fix-till", "--pr"]).exits(0);
    pushed.says("pushed to origin").says("gh pr create --head fix-till --title ").says("--body-file ").done();
    assert!(forge.has(&laptop, "fix-till"));
    assert!(std::fs::read_to_string(laptop.truth("pull-request.md")).unwrap().contains("All done."));
}

#[test]
fn a_failed_push_or_tool_is_tried_again_by_the_same_command() {
    let laptop = done();
    let forge = Forge::new(&laptop, "https://github.com/me/till.git", Some(("gh", GH)));
    let hook = forge.bare.join("hooks/pre-receive");
    std::fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let words = ["--branch", "fix-till", "--pr", "-m", "Round up"];
    let failed = forge.finish(&laptop, &words).exits(1).says("not pushed to origin");
    failed.says(&format!("try: handoff finish {ID}")).says("released").done();
    std::fs::remove_file(&hook).unwrap();
    std::fs::write(forge.bin.join("gh.fails"), "").unwrap();
    let failed = forge.finish(&laptop, &[]).exits(1).says("gh failed (exit status: 4): please log in");
    failed.says("gh pr create --head fix-till").done();
    assert!(forge.has(&laptop, "fix-till"));
    std::fs::remove_file(forge.bin.join("gh.fails")).unwrap();
    forge.finish(&laptop, &[]).exits(0).says("pull request: https://github.com/me/till/pull/7").done();
    // Killed before the address was recorded: the open pull request is found.
    let journal = std::fs::read_to_string(laptop.truth("journal.jsonl")).unwrap();
    let before: String =
        journal.lines().take_while(|line| !line.contains("pull/7")).map(|line| format!("{line}\n")).collect();
    std::fs::write(laptop.truth("journal.jsonl"), before).unwrap();
    forge.finish(&laptop, &[]).exits(0).says("pull request: https://github.com/me/till/pull/7").done();
    let said = forge.read("gh.words");
    assert_eq!(said.matches("pr create --head=fix-till --title=Round up ").count(), 2, "{said}");
}

#[test]
fn a_pull_request_needs_a_branch_a_remote_and_a_free_name_there() {
    let laptop = done();
    laptop.handoff(["finish", ID, "--pr"]).run().exits(2).complains("needs a branch").done();
    laptop.handoff(["finish", ID, "--branch", "fix-till", "--pr"]).run().exits(2).complains("no remote").done();
    laptop.status_is("done");
    let forge = Forge::new(&laptop, "https://github.com/me/till.git", Some(("gh", GH)));
    laptop.git(&["push", "-q", "origin", "main:refs/heads/fix-till"]);
    let refused = forge.finish(&laptop, &["--branch", "fix-till", "--pr"]).exits(1);
    refused.says("origin has a branch fix-till already").done();
    assert_eq!(
        laptop.git(&["ls-remote", "origin", "fix-till"]).split('\t').next(),
        laptop.git(&["rev-parse", "main"]).lines().next()
    );
    forge.finish(&laptop, &["--branch", "other", "--pr"]).exits(0).says("pull request: ").done();
    assert!(forge.has(&laptop, "other"));
}

#[test]
fn the_push_runs_in_another_worktree_if_the_first_one_is_gone() {
    let laptop = Laptop::with_plan(QUICK);
    let linked = laptop.top().join("work/linked");
    laptop.git(&["worktree", "add", "-q", "-b", "topic", linked.to_str().unwrap()]);
    laptop.run([TASK]).directory(&linked).run().exits(0).done();
    laptop.git(&["worktree", "remove", "--force", linked.to_str().unwrap()]);
    let forge = Forge::new(&laptop, "https://github.com/me/till.git", Some(("gh", GH)));
    forge.finish(&laptop, &["--branch", "fix-till", "--pr"]).exits(0).says("pull request: ").says("released").done();
}

#[test]
fn a_name_that_no_branch_can_get_is_refused_before_what_is_not_committed() {
    let (laptop, worktree) = taken();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    for (name, why) in [("main", "main exists"), ("feat/x y", "is not a name that git accepts")] {
        let refused = laptop.handoff(["finish", ID, "--branch", name]).run().exits(2).complains(why);
        assert!(!refused.text().contains("--message"), "{}", refused.text());
    }
}

#[test]
fn the_hints_of_a_worktree_that_is_kept_remove_it() {
    let (laptop, worktree) = taken();
    std::fs::write(worktree.join("mine.txt"), "mine\n").unwrap();
    let kept = laptop.handoff(["finish", ID]).run().exits(0).says("it has changes that are not committed");
    let place = worktree.display();
    kept.says(&format!("try: git -C {place} add -A && git -C {place} commit\n    then: handoff finish {ID}\n")).done();
    assert!(worktree.exists());
    laptop.git_in(&worktree, &["add", "-A"]);
    laptop.git_in(&worktree, &["commit", "-qm", "by hand"]);
    laptop.handoff(["finish", ID]).run().exits(0).says("removed the worktree").done();
    assert_eq!(laptop.git(&["show", &format!("handoff/{ID}:mine.txt")]), "mine\n");
    // What the user committed is not left out of the branch.
    let refused = laptop.handoff(["finish", ID, "--branch", "fix"]).run().exits(2);
    refused.complains(&format!("git branch fix handoff/{ID}")).done();
    assert_eq!(branches(&laptop), format!("handoff/{ID}\nmain\n"));
}

#[test]
fn a_branch_is_not_made_amid_a_rebase() {
    let (laptop, worktree) = taken();
    commit_by_hand(&laptop, &worktree);
    laptop.git_in(&worktree, &["-c", "sequence.editor=sed -i s/pick/edit/", "rebase", "-q", "-i", "HEAD~"]);
    laptop
        .handoff(["finish", ID, "--branch", "fix-till"])
        .run()
        .exits(2)
        .complains("a rebase is not finished in ")
        .complains(&format!("try: git -C {0} rebase --continue, or git -C {0} rebase --abort", worktree.display()))
        .done();
    laptop.status_is("interactive");
    assert!(!branches(&laptop).contains("fix-till"));
}
