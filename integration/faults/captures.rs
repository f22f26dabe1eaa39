//! Everything that an agent leaves in its checkout and its git directory is fetched, or is named and stays on the host.

use rustix::process::Signal;

use crate::row::Row;
use crate::support::agent;
use crate::support::processes;
use crate::support::site::{HOST, ID, PATIENCE, Site};
use crate::support::wait;

/// A host whose agent runs a script in its checkout, and a run that was followed to its end.
fn after(script: &str) -> (Site, crate::support::laptop::Ran) {
    let site = Site::new();
    site.host.user.install("work.sh", script, 0o644);
    site.plan("turn 1\nrun sh ~/work.sh\nfinish Done.\n");
    let ran = site.laptop.handoff(&["run", "--host", HOST, "--id", ID, "--attempts", "1", "leave odd things"]).run();
    (site, ran.success())
}

/// The content of every file that a ref of the first attempt reaches on the laptop, one after the other.
fn everything(site: &Site) -> String {
    let mut shell = site.laptop.program("sh");
    let refs = format!("git rev-list --objects --no-object-names --glob=refs/handoff/{ID}/1 | git cat-file --batch");
    let out = shell.args(["-c", &refs]).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

#[track_caller]
fn is_here(site: &Site, lines: &[&str]) {
    let all = everything(site);
    for line in lines {
        assert!(all.lines().any(|it| it == *line), "{line:?} is not here");
    }
}

#[test]
fn r65_paths_not_captured() {
    let _row = Row::begin(65);
    let (site, ran) = after(
        "echo 'the work' >work.txt; mkdir locked; echo p >locked/d; chmod 000 locked; echo s >secret; chmod 000 secret\n\
         mkfifo pipe; git init -q nested; echo n >nested/n; mkdir .GIT; echo g >.GIT/g\n\
         echo '*.u working-tree-encoding=UTF-16' >.gitattributes; printf a >x.u\n",
    );
    is_here(&site, &["the work"]);
    let shown = site.handoff(&["show", "--offline"]).run().success().stdout;
    let page = std::fs::read_to_string(site.laptop.mirror(ID).join("handoff.md")).unwrap();
    let json = site.handoff(&["show", "--offline", "--json"]).run().success().json();
    let lacks = &json["handoff"]["attempts"]["1"]["uncaptured"];
    assert_eq!(lacks["count"], 6, "{lacks}");
    for path in ["locked", "secret", "pipe", "nested", ".GIT/g", "x.u"] {
        let named = format!("not captured, still on {HOST}: {path} (");
        for text in [&ran.stdout, &shown] {
            assert!(text.contains(&named), "{named}\n{text}");
        }
        assert!(page.contains(&format!("{path} (")), "{path}\n{page}");
        assert!(lacks["first"].as_array().unwrap().iter().any(|it| it["path"] == path), "{lacks}");
    }
}

#[test]
fn r66_unfinished_operations() {
    let _row = Row::begin(66);
    let (site, _) = after(
        "echo base >c; git add c; git commit -qm c; git checkout -qb topic; echo topic >c; git commit -qam t\n\
         git checkout -q -; echo other >c; git commit -qam m; git checkout -q topic\n\
         echo 'only in the autostash' >kept; git add kept; git rebase --autostash -; echo resolving >c\n\
         git stash list >/dev/null; git update-ref -d refs/heads/topic\n",
    );
    is_here(&site, &["only in the autostash", "topic", "other", "resolving"]);
}

#[test]
fn r67_worktrees_and_other_refs() {
    let _row = Row::begin(67);
    let (site, _) = after(
        "git worktree add -q --detach ../beside; (cd ../beside; echo 'committed beside' >b; git add b; git commit -qm b\n\
         echo 'staged beside' >s; git add s; echo 'loose beside' >s)\n\
         git worktree add -q -b inner in/side; echo 'loose inside' >in/side/l; git notes add -m 'a note'\n\
         echo 'dropped twice' >d; git stash -qu; git stash drop -q; echo 'stashed once' >d; git stash -qu\n",
    );
    is_here(&site, &["committed beside", "staged beside", "loose beside", "loose inside", "a note", "stashed once"]);
    let shown = site.handoff(&["show", "--offline"]).run().success().stdout;
    assert!(!shown.contains("not captured"), "{shown}");
}

#[test]
fn r68_special_files_in_git() {
    let _row = Row::begin(68);
    let (site, ran) = after(
        "echo 'the work' >work.txt; echo c >c; git add c; git commit -qm c; cd .git; rm HEAD index config\n\
         mkfifo HEAD index config refs/heads/pipe; rm -f packed-refs; mkfifo packed-refs; truncate -s 1T refs/heads/huge\n\
         ln -s loop loop; seq 200000 | sed 's/^/0 0 a <a> 0 +0000\\t/' >>logs/HEAD; cd ..; mkfifo .gitignore .gitattributes\n",
    );
    is_here(&site, &["the work"]);
    assert!(ran.stdout.contains(".git/HEAD (0 bytes; a pipe, socket or device)"), "{}", ran.stdout);
}

#[test]
fn r69_git_directory_moved() {
    let _row = Row::begin(69);
    let commit = "echo 'in a commit' >c; git add c; git commit -qm c; git rm -q c; echo 'the work' >w\n";
    for moved in ["mv .git ../apart; echo 'gitdir: ../apart' >.git", "mv .git hidden", "rm -rf .git"] {
        let (site, _) = after(&format!("{commit}{moved}\n"));
        is_here(&site, &["the work"]);
        if !moved.starts_with("rm") {
            is_here(&site, &["in a commit"]);
        }
    }
}

#[test]
fn r70_thousands_of_refs() {
    let _row = Row::begin(70);
    let (site, _) = after(
        "echo 'the work' >w; h=$(git rev-parse HEAD); last=$(git commit-tree -m last HEAD^{tree} -p HEAD)\n\
         { for i in $(seq 5000); do echo \"$h refs/heads/b$i\"; done; echo \"$last refs/heads/zz\"; } >>.git/packed-refs\n",
    );
    is_here(&site, &["the work"]);
    let below = format!("refs/handoff/{ID}/1/");
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname)", &below]);
    assert!(refs.lines().count() < 600, "{}", refs.lines().count());
    let names = site.laptop.git(&["show", &format!("{below}refs:refs")]);
    let last = names.lines().find_map(|line| line.strip_suffix(" refs/heads/zz")).expect("the last ref is listed");
    assert_eq!(site.laptop.git(&["log", "-1", "--format=%s", last]), "last");
}

#[test]
fn r71_killed_in_the_capture() {
    let _row = Row::begin(71);
    let site = Site::new();
    site.plan(
        "turn 1\nsay Working.\nrun until [ -e ~/go ]; do sleep 0.1; done\nedit w.txt <<END\nthe work\nEND\nfinish Done.\n",
    );
    let running = site.run_checked("true", &[]).start();
    running.line("the agent's words", |line| line.contains("Working."));
    running.kill();
    processes::signal(site.pid_on_host(1, "watch.1"), Signal::KILL);
    site.host.user.install("go", "", 0o644);
    wait::until("the exit status", PATIENCE, || site.on_host(1, "exit").filter(|status| status.trim() == "0"));

    // A watcher that is killed during a capture leaves these files behind.
    let work = site.work().unwrap();
    let name = work.file_name().unwrap().to_string_lossy().into_owned();
    let cache = agent::folders(&site.host.user.home.join(".handoff/cache")).remove(0);
    for lock in [work.join("capture.git/index.lock"), cache.join(format!("refs/capture/{name}/1/work.lock"))] {
        site.host.user.install(lock.strip_prefix(&site.host.user.home).unwrap().to_str().unwrap(), "", 0o644);
    }
    site.handoff(&["watch"]).run().success();
    is_here(&site, &["the work"]);
    assert_eq!(site.verdicts()[0].0, "done", "{:?}", site.verdicts());
}
