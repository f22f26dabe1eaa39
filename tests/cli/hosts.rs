//! `handoff hosts`

use crate::support::laptop::Laptop;

#[test]
fn lists_them() {
    let laptop = Laptop::new();
    laptop.handoff(["hosts", "list"]).run().exits(0).says("box").says("tester@127.0.0.1").done();
    let listed = laptop.handoff(["hosts", "list", "--json"]).run().exits(0).json();
    assert!(listed.iter().any(|host| host["name"] == "box" && host["port"] == laptop.hosts[0].port), "{listed:?}");
}

#[test]
fn adds_one_and_keeps_what_is_written_there() {
    let laptop = Laptop::new();
    let file = laptop.home().join(".config/handoff/hosts.toml");
    std::fs::write(&file, "# mine\n[host.box] # the first\nport = 1\n").unwrap();
    laptop.handoff(["hosts", "add", "big", "me@10.0.0.9:2222"]).run().exits(0).says("handoff hosts check big").done();
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("# mine\n[host.box] # the first\nport = 1\n"), "{text}");
    laptop.handoff(["hosts", "list"]).run().exits(0).says("me@10.0.0.9:2222").done();
    laptop.handoff(["hosts", "add", "big"]).run().exits(2).complains("big").done();
    laptop.handoff(["hosts", "add", "-x"]).run().exits(2).done();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), text);
}

#[test]
fn says_whether_a_task_would_run_there() {
    let mut laptop = Laptop::new();
    laptop
        .handoff(["hosts", "check", "box"])
        .run()
        .exits(0)
        .says("git")
        .says("2026.11.20-5c71b7ed")
        .says("ready")
        .done();
    let json = laptop.handoff(["hosts", "check", "box", "--json"]).run().exits(0).json().remove(0);
    assert_eq!(json["gaps"], serde_json::json!([]));
    for agent in ["agent", "cursor-agent"] {
        std::fs::write(laptop.hosts[0].home.join(".local/bin").join(agent), "#!/bin/sh\necho v1\n").unwrap();
    }
    laptop.handoff(["hosts", "check", "box"]).run().exits(1).says("MISSING").says("cursor.com/install").done();
    laptop.hosts[0].vanish();
    laptop.handoff(["hosts", "check", "box"]).run().exits(5).complains("box").done();
}
