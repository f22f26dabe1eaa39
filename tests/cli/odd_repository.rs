//! Repositories with other files at the record's path, with filters, and with paths that cannot be written.

use std::os::unix::fs::symlink;

use crate::support::laptop::Laptop;
use crate::support::{HANGS, ID, QUICK, TASK, wait_for};

#[test]
fn a_record_that_the_worktree_cannot_hold_is_in_the_git_directory_and_that_is_said() {
    for kind in ["link", "file", "link by the agent"] {
        let by_agent = "turn 1\nrun rm -rf .cursor && mkdir rules && ln -s rules .cursor\nfinish Done.\n";
        let laptop = Laptop::with_plan(if kind == "link by the agent" { by_agent } else { QUICK });
        match kind {
            "link" => {
                std::fs::create_dir(laptop.repository().join(".agents")).unwrap();
                symlink(".agents", laptop.repository().join(".cursor")).unwrap();
            }
            "file" => laptop.write(".cursor", "rules\n"),
            _ => {}
        }
        laptop.git(&["add", "-A"]);
        laptop.git(&["commit", "-q", "--allow-empty", "-m", kind]);
        let why = if kind == "file" { "(.cursor is not a directory)" } else { "(.cursor is a symbolic link)" };
        let document = laptop.truth("handoff.md");
        let place = document.display().to_string();
        let (ran, shown) =
            (laptop.run([TASK]).run().exits(0), laptop.handoff(["show", ID, "--offline"]).run().exits(0));
        if kind == "link by the agent" {
            ran.says(&format!(".cursor/agent-handoffs/{ID}/handoff.md")).done();
            shown.says(&format!(".cursor/agent-handoffs/{ID}/handoff.md")).done();
        } else {
            ran.says(&place).says(why).done();
            shown.says(&place).says(why).done();
        }
        laptop.takeover().exits(0).says(&place).says(why).done();
        let page = std::fs::read_to_string(&document).unwrap();
        assert!(page.contains("\n- Status: interactive\n"), "{page}");
        let worktree = laptop.worktree();
        assert!(!worktree.join(".agents/agent-handoffs").exists() && !worktree.join("rules/agent-handoffs").exists());
        assert!(!laptop.repository().join(".agents/agent-handoffs").exists());
        assert!(worktree.join(".cursor").symlink_metadata().is_ok_and(|meta| !meta.is_dir()));
    }
}

#[test]
fn a_takeover_to_a_place_that_cannot_be_written_names_the_option_and_stops_nothing() {
    let laptop = Laptop::with_plan(HANGS);
    laptop.run(["--detach", TASK]).run().exits(0).done();
    wait_for("the work", || laptop.hosts[0].running().join(" ").contains("sleep 99731"));
    let file = laptop.top().join("file");
    std::fs::write(&file, "").unwrap();
    for place in [file.join("below"), file.clone(), "/proc/handoff".into()] {
        let place = place.display().to_string();
        let refused = laptop.handoff(["takeover", "--editor", "none", "--worktree", &place, ID]).run();
        refused.exits(2).complains("--worktree DIR").done();
    }
    assert!(laptop.hosts[0].running().join(" ").contains("sleep 99731"), "the agent works on");
    laptop.status_is("running");
    laptop.takeover().exits(0).says("is yours").done();
}

#[test]
fn content_behind_a_filter_is_listed_and_a_takeover_has_it_as_git_stores_it() {
    let laptop = Laptop::with_plan(QUICK);
    let filter = laptop.top().join("filter");
    let text = "#!/bin/sh\n[ -f \"$(git rev-parse --git-dir)/key\" ] || { echo 'no key' >&2; exit 1; }\nexec tr a-zA-Z n-za-mN-ZA-M\n";
    std::fs::write(&filter, text).unwrap();
    std::fs::set_permissions(&filter, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    laptop.write(".git/key", "");
    for (key, value) in
        [("clean", filter.to_str().unwrap()), ("smudge", filter.to_str().unwrap()), ("required", "true")]
    {
        laptop.git(&["config", &format!("filter.toy.{key}"), value]);
    }
    laptop.write(".gitattributes", "secret filter=toy\n");
    laptop.write("secret", "password\n");
    std::fs::create_dir_all(laptop.repository().join(".git/annex/objects")).unwrap();
    laptop.write(".git/annex/objects/k", "data\n");
    symlink(".git/annex/objects/k", laptop.repository().join("big.bin")).unwrap();
    laptop.git(&["add", "-A"]);
    laptop.git(&["commit", "-q", "-m", "secrets"]);
    let ran = laptop.run([TASK]).run().exits(0);
    ran.says("secret (sent as git stores it").says("big.bin (content is in the git directory)").done();
    laptop.takeover().exits(0).says("secret is in the worktree as git stores it (toy: no key)").done();
    assert_eq!(std::fs::read_to_string(laptop.worktree().join("secret")).unwrap(), "cnffjbeq\n");
}
