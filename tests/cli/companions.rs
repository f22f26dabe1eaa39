//! Submodules and other repositories that go with a handoff: out, back, and out again.

use std::path::{Path, PathBuf};

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK};

/// The agent notes what it finds in the submodule, commits there, and leaves changes.
const WORKS: &str = "turn 1\n\
    run cd lib && git log --format=%s >\"$HOME/log\" && git --no-optional-locks status --porcelain >\"$HOME/status\"; cat inner/deep >\"$HOME/deep\"\n\
    run git --no-optional-locks status --porcelain >\"$HOME/outer\"\n\
    run cd lib && echo agent >made && git add made && git commit -qm 'By the agent' && echo dirty >>file && echo x >inner/new\n\
    finish Done.\n\
    turn 2\nrun cat lib/file >\"$HOME/second\"\nrun echo again >>lib/file\nfinish Again.\n";

/// A laptop whose repository has a submodule in a submodule, with a commit that no remote has and with changes.
fn with_submodules(plan: &str) -> Laptop {
    let laptop = Laptop::with_plan(plan);
    let source = |name: &str| laptop.top().join(name);
    for name in ["inner", "lib"] {
        let place = source(name);
        std::fs::create_dir(&place).unwrap();
        laptop.git_in(&place, &["init", "-q", "-b", "main"]);
        std::fs::write(place.join(if name == "lib" { "file" } else { "deep" }), format!("{name}\n")).unwrap();
        laptop.git_in(&place, &["add", "-A"]);
        laptop.git_in(&place, &["commit", "-qm", "start"]);
    }
    let add = |directory: &Path, name: &str| {
        let (allow, from) = ("protocol.file.allow=always", source(name).display().to_string());
        laptop.git_in(directory, &["-c", allow, "submodule", "--quiet", "add", &from, name]);
        laptop.git_in(directory, &["commit", "-qm", &format!("with {name}")]);
    };
    add(&source("lib"), "inner");
    add(&laptop.repository(), "lib");
    let allow = "protocol.file.allow=always";
    laptop.git(&["-c", allow, "submodule", "--quiet", "update", "--init", "--recursive"]);
    let lib = laptop.repository().join("lib");
    std::fs::write(lib.join("file"), "local\n").unwrap();
    laptop.git_in(&lib, &["commit", "-qam", "only here"]);
    std::fs::write(lib.join("file"), "changed\n").unwrap();
    std::fs::write(lib.join("untracked"), "1\n").unwrap();
    laptop
}

fn on_host(laptop: &Laptop, name: &str) -> String {
    std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap()
}

fn lib(laptop: &Laptop) -> PathBuf {
    laptop.repository().join("lib")
}

/// What an attempt left in a repository, by the names in its commit.
fn captured(laptop: &Laptop, directory: &Path, n: u32, path: &str) -> String {
    laptop.git_in(directory, &["show", &format!("{}{path}", work(laptop, directory, n))])
}

/// The work of an attempt in a repository, with a colon for a path after it. In a companion the name has the uid, too.
fn work(laptop: &Laptop, directory: &Path, n: u32) -> String {
    let listed = laptop.git_in(directory, &["for-each-ref", "--format=%(refname)", "refs/handoff/"]);
    let is_it = |name: &&str| name.starts_with(&format!("refs/handoff/{ID}")) && name.ends_with(&format!("/{n}/work"));
    format!("{}:", listed.lines().find(is_it).unwrap_or_else(|| panic!("{listed}")))
}

#[test]
fn a_submodule_goes_out_with_its_commits_and_changes_and_its_work_comes_back() {
    let laptop = with_submodules(WORKS);
    let status = || laptop.git(&["--no-optional-locks", "status", "--porcelain"]);
    let before = status();
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(on_host(&laptop, "log"), "only here\nwith inner\nstart\n");
    assert_eq!(on_host(&laptop, "status"), " M file\n?? untracked\n");
    assert_eq!(on_host(&laptop, "deep"), "inner\n");
    assert_eq!(on_host(&laptop, "outer"), before, "the agent sees the submodule as the user does");

    assert_eq!(captured(&laptop, &lib(&laptop), 1, "file"), "changed\ndirty\n");
    assert_eq!(captured(&laptop, &lib(&laptop), 1, "made"), "agent\n");
    assert_eq!(captured(&laptop, &lib(&laptop).join("inner"), 1, "new"), "x\n");
    let linked = laptop.git(&["rev-parse", &format!("refs/handoff/{ID}/1/work:lib")]);
    let name = work(&laptop, &lib(&laptop), 1);
    let head = laptop.git_in(&lib(&laptop), &["rev-parse", &format!("{}^1", name.trim_end_matches(':'))]);
    assert_eq!(linked, head, "the outer work has the commit that the agent made in the submodule");
    assert_eq!(status(), before);
    laptop.handoff(["show", ID]).run().exits(0).done();
    assert_eq!(laptop.shown()["handoff"]["attempts"]["1"]["uncaptured"], serde_json::Value::Null);

    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
    let left = laptop.hosts[0].home.join(".handoff");
    let refs = laptop.shell(&format!(
        "for c in '{}'/cache/*.git; do git -C $c for-each-ref refs/handoff refs/capture; done",
        left.display()
    ));
    assert_eq!(refs, "", "the caches keep no ref of the handoff");
}

#[test]
fn a_takeover_has_the_work_in_the_submodule_and_gives_it_back() {
    let laptop = with_submodules(WORKS);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["diff", ID]).run().exits(0).says("+++ b/lib/made").says("+++ b/lib/inner/new").done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    let (taken, inner) = (worktree.join("lib"), worktree.join("lib/inner"));
    assert_eq!(laptop.git_in(&taken, &["status", "--porcelain", "--ignore-submodules"]), " M file\n?? untracked\n");
    assert_eq!(laptop.git_in(&taken, &["log", "-1", "--format=%s"]), "By the agent\n");
    assert_eq!(std::fs::read_to_string(inner.join("new")).unwrap(), "x\n");
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).done();
    assert!(!worktree.exists());
    for directory in [lib(&laptop), laptop.repository()] {
        assert_eq!(laptop.git_in(&directory, &["for-each-ref", "refs/heads/handoff"]), "");
        assert_eq!(laptop.git_in(&directory, &["worktree", "list"]).lines().count(), 1);
    }

    laptop.takeover().exits(0).done();
    std::fs::write(taken.join("file"), "mine\n").unwrap();
    laptop.git_in(&taken, &["commit", "-qam", "By me"]);
    laptop.handoff(["takeover", ID, "--return"]).run().exits(2).complains("changed").done();
    let inner = taken.join("inner");
    laptop.git_in(&lib(&laptop).join("inner"), &["worktree", "remove", "--force", inner.to_str().unwrap()]);
    laptop.handoff(["give", ID]).run().exits(0).says("lib/inner is not sent: it is not in").done();
    assert_eq!(on_host(&laptop, "second"), "mine\n");
    let prompt = laptop.shell(&format!("cat '{}'/.handoff/work/*/2/prompt", laptop.hosts[0].home.display()));
    assert!(prompt.contains("In the repository lib:") && prompt.contains("+mine"), "{prompt}");
    assert_eq!(captured(&laptop, &lib(&laptop), 2, "file"), "mine\nagain\n");
    laptop.handoff(["diff", ID, "--attempt", "2"]).run().exits(0).says("+again").done();
}

#[test]
fn a_finish_makes_the_branch_in_the_submodule_too_and_removes_every_worktree() {
    let laptop = with_submodules(WORKS);
    laptop.run([TASK]).run().exits(0).done();
    laptop.handoff(["finish", ID, "--branch", "done"]).run().exits(2).complains("lib has changes").done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    let taken = worktree.join("lib");
    laptop.handoff(["finish", ID, "--branch", "done", "-m", "All"]).run().exits(2).complains("lib").done();
    laptop.git_in(&taken.join("inner"), &["add", "-A"]);
    laptop.git_in(&taken.join("inner"), &["commit", "-qm", "inner"]);
    laptop.git_in(&taken, &["add", "-A"]);
    laptop.git_in(&taken, &["commit", "-qm", "lib"]);
    let (head, inner) =
        (laptop.git_in(&taken, &["rev-parse", "HEAD"]), laptop.git_in(&taken.join("inner"), &["rev-parse", "HEAD"]));
    let finished = laptop.handoff(["finish", ID, "--branch", "done", "-m", "All"]).run().exits(0);
    finished.says("branch done is at").done();
    assert_eq!(laptop.git(&["rev-parse", "done:lib"]), head);
    assert_eq!(laptop.git_in(&lib(&laptop), &["rev-parse", &format!("{}:inner", head.trim())]), inner);
    // Each commit is in a branch of its repository, so no gc deletes it.
    for (directory, commit) in [(lib(&laptop), head), (lib(&laptop).join("inner"), inner)] {
        assert_ne!(laptop.git_in(&directory, &["for-each-ref", "--contains", commit.trim(), "refs/heads"]), "");
        assert_eq!(laptop.git_in(&directory, &["worktree", "list"]).lines().count(), 1);
    }
    assert!(!worktree.exists());
}

#[test]
fn a_merge_into_a_checkout_is_refused_where_a_submodule_changed() {
    let laptop = with_submodules(WORKS);
    laptop.run([TASK]).run().exits(0).done();
    let status = || laptop.git(&["--no-optional-locks", "status", "--porcelain"]);
    let before = status();
    laptop
        .handoff(["takeover", ID, "--here"])
        .run()
        .exits(2)
        .complains("lib, which cannot be merged")
        .complains(&format!("handoff takeover {ID}"))
        .done();
    assert_eq!(status(), before);
    laptop.status_is("done");
}

#[test]
fn what_the_agent_does_to_a_submodule_counts_as_work_and_nothing_of_it_is_lost() {
    let plan = "turn 1\nrun echo dirty >>lib/file; echo cache >lib/.gitignore; cd lib; echo b >cache; mkfifo pipe\nfinish Done.\n";
    let laptop = with_submodules(plan);
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(laptop.verdicts(), ["unchecked"]);
    let first = laptop.shown()["handoff"]["attempts"]["1"]["uncaptured"]["first"].to_string();
    assert!(first.contains("lib/pipe"), "{first}");
    laptop.handoff(["clean", ID]).run().exits(1).says("lib/cache").done();
    let there = laptop.shell(&format!("cat '{}'/.handoff/trees/*/*/lib/cache", laptop.hosts[0].home.display()));
    assert_eq!(there, "b\n");
    laptop.handoff(["clean", ID, "--discard-ignored"]).run().exits(0).says("released").done();
    let left = laptop.shell(&format!("ls '{}'/.handoff/trees/*/*", laptop.hosts[0].home.display()));
    assert!(!left.contains("lib"), "{left}");
}

#[test]
fn a_link_in_the_place_of_a_submodule_is_not_followed() {
    let plan = "turn 1\nrun mkdir \"$HOME/secret\"; echo mine >\"$HOME/secret/file\"; rm -rf lib; ln -s \"$HOME/secret\" lib\nfinish Done.\n";
    let laptop = with_submodules(plan);
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(captured(&laptop, &laptop.repository(), 1, "lib"), format!("{}/secret", laptop.hosts[0].home.display()));
    let refs = laptop.git_in(&lib(&laptop), &["for-each-ref", "--format=%(refname)", "refs/handoff/*/1/**"]);
    assert_eq!(refs, "", "nothing behind the link is captured");
    laptop.handoff(["clean", ID, "--discard-ignored"]).run().done();
    assert_eq!(on_host(&laptop, "secret/file"), "mine\n");
}

#[test]
fn an_agent_that_changes_nothing_in_a_submodule_did_no_work() {
    let laptop = with_submodules("turn 1\nrun true\nfinish Nothing to do.\n");
    laptop.run(["--attempts", "1", TASK]).run().done();
    assert_eq!(laptop.verdicts(), ["no-work"]);
}

#[test]
fn repositories_that_are_named_go_along_to_the_places_where_the_build_expects_them() {
    let plan = "turn 1\nrun cat ../tools/file vendor/x/deep >\"$HOME/found\"; echo more >>../tools/file; echo more >>vendor/x/deep; echo x >new.txt\nfinish Done.\n";
    let laptop = with_submodules(plan);
    let clone = |from: &str, to: PathBuf| {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        laptop.git(&["clone", "-q", &laptop.top().join(from).display().to_string(), &to.display().to_string()]);
        to
    };
    let tools = clone("lib", laptop.repository().with_file_name("tools"));
    let vendor = clone("inner", laptop.repository().join("vendor/x"));
    laptop.handoff(["ship", "--dry-run"]).run().exits(0).says("vendor/x/ (nested repository)").done();
    laptop
        .handoff(["ship", "--dry-run", "--with", "vendor/x"])
        .run()
        .exits(2)
        .complains("vendor/x is not directly next to")
        .complains("--include-repo DIRECTORY")
        .done();
    let both = ["--with", "../tools", "--include-repo", "vendor/x"];
    laptop.handoff([&["ship", "--dry-run"][..], &both].concat()).run().exits(0).says("../tools at").done();
    laptop.handoff([&["run", "--host", "box", "--id", ID][..], &both, &[TASK]].concat()).run().exits(0).done();
    assert_eq!(on_host(&laptop, "found"), "lib\ninner\n");
    assert_eq!(captured(&laptop, &tools, 1, "file"), "lib\nmore\n");
    assert_eq!(captured(&laptop, &vendor, 1, "deep"), "inner\nmore\n");
    laptop.takeover().exits(0).says("../tools is in").done();
    let worktree = laptop.worktree();
    assert_eq!(std::fs::read_to_string(worktree.join("vendor/x/deep")).unwrap(), "inner\nmore\n");
    let beside = tools.with_file_name(format!("tools-handoff-{ID}"));
    assert_eq!(std::fs::read_to_string(beside.join("file")).unwrap(), "lib\nmore\n");
    laptop.handoff(["takeover", ID, "--return"]).run().exits(0).done();
    assert!(!beside.exists() && !worktree.exists());
    laptop.handoff(["finish", ID, "--branch", "done"]).run().exits(0).says("branch done is at").says("released").done();
    assert_eq!(laptop.git(&["show", "done:new.txt"]), "x\n");
}

#[test]
fn files_of_git_lfs_in_a_submodule_have_their_content_in_both_directions() {
    let plan = "turn 1\nrun cat lib/big.bin >\"$HOME/found\"; echo more >>lib/big.bin\nfinish Done.\n";
    let laptop = with_submodules(plan);
    let lib = lib(&laptop);
    let sum = |text: &str| laptop.shell(&format!("printf '{text}' | sha256sum | cut -c 1-64")).trim().to_owned();
    let pointer =
        |oid: &str, size: usize| format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n");
    let oid = sum("content\\n");
    std::fs::write(lib.join(".gitattributes"), "*.bin filter=lfs\n").unwrap();
    std::fs::write(lib.join("big.bin"), pointer(&oid, 8)).unwrap();
    laptop.git_in(&lib, &["add", "-A"]);
    laptop.git_in(&lib, &["commit", "-qm", "big"]);
    let store = laptop.repository().join(".git/modules/lib/lfs/objects");
    let place = |oid: &str| store.join(&oid[..2]).join(&oid[2..4]).join(oid);
    std::fs::create_dir_all(place(&oid).parent().unwrap()).unwrap();
    std::fs::write(place(&oid), "content\n").unwrap();
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(on_host(&laptop, "found"), "content\n");
    let changed = sum("content\\nmore\\n");
    assert_eq!(captured(&laptop, &lib, 1, "big.bin"), pointer(&changed, 13));
    assert_eq!(std::fs::read_to_string(place(&changed)).unwrap(), "content\nmore\n");
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}

#[test]
fn a_submodule_that_becomes_an_ordinary_directory_is_part_of_the_outer_work() {
    let plan = "turn 1\nrun git rm -q --cached lib; rm -rf lib/.git lib/inner; git add lib; git commit -qm vendored; echo more >>lib/file\nfinish Done.\n";
    let laptop = with_submodules(plan);
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(captured(&laptop, &laptop.repository(), 1, "lib/file"), "changed\nmore\n");
    assert_eq!(laptop.shown()["handoff"]["attempts"]["1"]["uncaptured"], serde_json::Value::Null);
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    assert_eq!(std::fs::read_to_string(worktree.join("lib/file")).unwrap(), "changed\nmore\n");
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}

#[test]
fn a_submodule_that_the_agent_deleted_does_not_come_back() {
    let laptop = with_submodules("turn 1\nrun git rm -qf lib && git commit -qm 'Without lib'\nfinish Done.\n");
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    assert!(!laptop.worktree().join("lib").exists());
}

#[test]
fn a_repository_that_nobody_compared_keeps_the_worktree_of_a_takeover() {
    let laptop = with_submodules("turn 1\nrun true\nedit new.txt <<END\nx\nEND\nfinish Done.\n");
    laptop.run([TASK]).run().exits(0).done();
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    let source = laptop.top().join("inner").display().to_string();
    laptop.git_in(&worktree, &["clone", "-q", &source, "dep"]);
    laptop.git_in(&worktree, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", &source, "dep"]);
    laptop.git_in(&worktree, &["add", "-A"]);
    laptop.git_in(&worktree, &["commit", "-qm", "with dep"]);
    std::fs::write(worktree.join("dep/only-here"), "1\n").unwrap();
    laptop.git_in(&worktree.join("dep"), &["add", "-A"]);
    laptop.git_in(&worktree.join("dep"), &["commit", "-qm", "only here"]);
    laptop.handoff(["finish", ID]).run().says("dep").done();
    assert!(worktree.join("dep/only-here").exists());
}

#[test]
fn an_ignored_repository_of_an_earlier_agent_is_not_overwritten() {
    let first = "turn 1\nrun git clone -q . vendor/x && cd vendor/x && git config user.name a && git config user.email a@b && echo mine >only && git add only && git commit -qm 'nowhere else'\nfinish Done.\n";
    let mut laptop = Laptop::with_plan(first);
    laptop.write(".gitignore", "vendor/\n");
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-qm", "ignores"]);
    laptop.run([TASK]).run().done();
    laptop.plan("turn 1\nrun cat vendor/x/only >\"$HOME/found\" 2>&1; true\nfinish Done.\n");
    let vendor = laptop.repository().join("vendor/x");
    std::fs::create_dir_all(vendor.parent().unwrap()).unwrap();
    laptop.git(&["clone", "-q", ".", &vendor.display().to_string()]);
    laptop.handoff(["run", "--host", "box", "--id", "second", "--include-repo", "vendor/x", "again"]).run().done();
    let kept = laptop.shell(&format!("cat '{}'/.handoff/trees/*/*/vendor/x/only", laptop.hosts[0].home.display()));
    assert_eq!(kept, "mine\n");
}

#[test]
fn work_in_a_submodule_that_is_not_checked_out_waits_on_the_host_for_a_pull() {
    let laptop = with_submodules(WORKS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    laptop.git(&["submodule", "--quiet", "deinit", "-f", "lib"]);
    laptop.handoff(["watch", ID]).run().exits(0).says("keeps the work of attempt 1 in lib").done();
    laptop.handoff(["clean", ID]).run().exits(1).says("kept").done();
    let taken = laptop.takeover().exits(0).says("lib is not in the worktree");
    taken.says("lib is older here: the work of attempt 1 in it is only on box").done();
    laptop.git(&["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"]);
    laptop.handoff(["pull", ID]).run().exits(0).done();
    assert_eq!(captured(&laptop, &lib(&laptop), 1, "made"), "agent\n");
    laptop.handoff(["clean", ID]).run().exits(0).says("released").done();
}
