//! `handoff ship --dry-run`: what a run would send, without a host and without a trace.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::support::laptop::Laptop;
use crate::support::{QUICK, TASK};

/// Every path below a directory, with the time and the bytes of a file.
type Contents = BTreeMap<PathBuf, Option<(Option<SystemTime>, Vec<u8>)>>;

/// The contents of a directory. Git renews the time of an object that it meets again, so the times of objects are left
/// out.
fn contents(top: &Path) -> Contents {
    let (mut found, mut open) = (BTreeMap::new(), vec![top.to_owned()]);
    while let Some(directory) = open.pop() {
        for path in std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                open.push(path.clone());
                found.insert(path, None);
            } else {
                let is_object = path.as_os_str().as_bytes().windows(13).any(|part| part == b".git/objects/");
                let time = meta.modified().unwrap();
                found.insert(path.clone(), Some(((!is_object).then_some(time), std::fs::read(&path).unwrap())));
            }
        }
    }
    found
}

/// A laptop whose only host cannot be reached, with changes of every kind.
fn changed() -> Laptop {
    let laptop = Laptop::with_plan(QUICK);
    laptop.write(".gitignore", "*.env\ntarget/\n");
    laptop.git(&["add", "."]);
    laptop.git(&["commit", "-qm", "ignore"]);
    laptop.write("total.sh", "staged\n");
    laptop.git(&["add", "."]);
    laptop.write("total.sh", "and more\n");
    laptop.write("README.md", "unstaged\n");
    laptop.write("new.txt", "untracked\n");
    laptop.write("a.env", "KEY=1\n");
    std::fs::create_dir(laptop.repository().join("target")).unwrap();
    laptop.write("target/out", "built\n");
    std::fs::create_dir(laptop.repository().join("empty")).unwrap();
    let unreachable = "[host.box]\naddress = \"127.0.0.1\"\nport = 1\n";
    std::fs::write(laptop.hosts_file(), unreachable).unwrap();
    laptop
}

#[test]
fn a_dry_run_prints_what_a_run_would_send_and_changes_nothing() {
    let laptop = changed();
    let before = contents(&laptop.repository());
    let shown = laptop.handoff(["ship", "--dry-run", "--include", "*.env"]).run().exits(0);
    let expected = "would be sent: main at [head], with 1 staged, 2 unstaged, 1 untracked and 1 ignored file\n  \
                    ignored, and sent: a.env (6B)\n\
                    left behind:\n  empty/ (empty directory)\n\
                    excluded: target/ (ignored), .cursor/agent-handoffs/ (the record)\n";
    let head = laptop.git(&["rev-parse", "HEAD"]);
    assert_eq!(shown.text(), expected.replace("[head]", &head[..10]));
    let json = laptop.handoff(["ship", "--dry-run", "--json"]).run().exits(0).json().remove(0);
    assert_eq!(json["head"], head.trim());
    assert_eq!(json["changes"], serde_json::json!({ "staged": 1, "unstaged": 2, "untracked": 1 }));
    assert_eq!(json["left_behind"].as_array().unwrap().len(), 3);
    assert!(contents(&laptop.repository()) == before, "nothing is stored");
}

#[test]
fn a_dry_run_after_a_run_leaves_its_record_as_it_is() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    laptop.write("new.txt", "untracked\n");
    let before = contents(&laptop.repository());
    laptop.handoff(["ship", "--dry-run"]).run().exits(0).says("with 1 untracked file\n").done();
    assert!(contents(&laptop.repository()) == before, "nothing is stored");
}

#[test]
fn what_a_dry_run_counts_is_what_a_run_sends() {
    let laptop = changed();
    let planned = laptop.handoff(["ship", "--dry-run", "--json"]).run().exits(0).json().remove(0);
    laptop.write_hosts();
    let events = laptop.run(["--json", TASK]).run().exits(0).json();
    let sent = events.iter().find(|event| event["progress"] == "snapshot").unwrap();
    for field in ["head", "branch", "index_tree", "files_tree", "changes", "left_behind"] {
        assert_eq!(planned[field], sent["snapshot"][field], "{field}");
    }
}

#[test]
fn patterns_that_depend_on_the_host_need_its_name() {
    let laptop = changed();
    laptop.append_hosts("[host.other]\ninclude = [\"*.env\"]\n");
    let refused = laptop.handoff(["ship", "--dry-run"]).run().exits(2);
    refused.complains("handoff ship --dry-run --host other").done();
    laptop.handoff(["ship", "--dry-run", "--host", "other"]).run().exits(0).says("a.env (6B)").done();
    laptop.handoff(["ship", "--dry-run", "--host", "box"]).run().exits(0).says("a.env, target/ (ignored)").done();
}

#[test]
fn a_pattern_that_matches_nothing_is_named_before_anything_is_sent() {
    let laptop = changed();
    laptop.append_hosts("include = [\"nowhere.toml\"]\n");
    let shown = laptop.handoff(["ship", "--dry-run", "--include", "a.enw", "--include", "*.sh"]).run().exits(0);
    let shown = shown.says("warning: --include a.enw matches nothing that is sent; did you mean a.env?");
    shown.says("note: `include` of hosts.toml: nowhere.toml matches nothing here").done();
    let json = laptop.handoff(["ship", "--dry-run", "--json", "--include", "a.enw"]).run().exits(0).json().remove(0);
    assert_eq!(json["unmatched"], serde_json::json!(["nowhere.toml", "a.enw"]));
    laptop.write_hosts();
    let ran = laptop.run(["--include", "a.enw", TASK]).run().exits(0);
    let text = ran.text();
    let warning = text.find("warning: --include a.enw matches nothing that is sent; did you mean a.env?");
    assert!(warning.is_some_and(|at| text.find("attempt 1 runs").is_some_and(|start| at < start)), "{text}");
    let laptop = changed();
    laptop.write_hosts();
    laptop.append_hosts("[defaults]\ninclude = [\"nowhere.toml\"]\n");
    let ran = laptop.run([TASK]).run().exits(0);
    assert!(!ran.text().contains("nowhere.toml"), "a pattern of hosts.toml is for many repositories: {ran:?}");
}

#[test]
fn without_the_option_it_names_the_command_that_sends() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.handoff(["ship"]).run().exits(2).complains("handoff ship --dry-run").complains("handoff run").done();
}
