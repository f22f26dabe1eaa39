//! `handoff hosts`

use crate::support::laptop::Laptop;

#[test]
fn list_prints_every_host() {
    let laptop = Laptop::new();
    laptop.handoff(["hosts", "list"]).run().exits(0).says("box").says("tester@127.0.0.1").done();
    let listed = laptop.handoff(["hosts", "list", "--json"]).run().exits(0).json();
    assert!(listed.iter().any(|host| host["name"] == "box" && host["port"] == laptop.hosts[0].port), "{listed:?}");
}

#[test]
fn add_keeps_the_rest_of_the_file() {
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
fn check_names_what_is_missing_on_the_host() {
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

#[test]
fn check_tests_the_login_with_the_environment_and_secrets_of_a_run() {
    let laptop = Laptop::new();
    // The agent is logged in only with both, like an agent that reads its account from variables.
    let agent = "#!/bin/sh\ncase $1 in\n--version) echo 2026.11.20-5c71b7ed ;;\n\
        models) [ \"$SECRET_KEY\" = \"s'3 cret\" ] && [ -n \"$SCRIPTED_AGENT_PAUSE\" ] ;;\nesac\n";
    for name in ["agent", "cursor-agent"] {
        std::fs::write(laptop.hosts[0].home.join(".local/bin").join(name), agent).unwrap();
    }
    let path = laptop.hosts[0].home.join(".local/bin/cursor-agent");
    let login = format!("-p {} -i ", laptop.hosts[0].port);
    let refused = laptop.handoff(["hosts", "check", "box"]).run().exits(1).says("is not logged in on box");
    // The printed command names the agent by its path, and the host as its entry does.
    refused.says("try: ssh -t ").says(&login).says(&format!("127.0.0.1 {} login", path.display())).done();
    let file = laptop.home().join(".config/handoff/hosts.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        format!("{text}\n[host.box.secrets]\nSECRET_KEY = {{ command = \"printf %s \\\"s'3 cret\\\"\" }}\n"),
    )
    .unwrap();
    laptop.handoff(["hosts", "check", "box"]).run().exits(0).says("ready").done();
}

#[test]
fn a_mistyped_host_gets_a_suggestion() {
    let laptop = Laptop::new();
    std::fs::write(laptop.ssh_config(), {
        std::fs::read_to_string(laptop.ssh_config()).unwrap() + "Host farmhouse\n  HostName 127.0.0.1\n"
    })
    .unwrap();
    laptop.handoff(["hosts", "check", "boxx"]).run().exits(6).complains("try: did you mean box?").done();
    laptop.handoff(["run", "--host", "farmhuose", "t"]).run().exits(6).complains("try: did you mean farmhouse?").done();
    laptop.handoff(["hosts", "check", "zzz-unheard-of"]).run().exits(6).complains("try: handoff hosts list").done();
    laptop.run(["the task"]).run().exits(0).done();
    let before = laptop.shown()["handoff"].clone();
    laptop.handoff(["resume", "--host", "bxo"]).run().exits(6).complains("try: did you mean box?").done();
    assert_eq!(laptop.shown()["handoff"], before, "nothing was recorded");
}

#[test]
fn disk_shows_what_each_host_stores_and_which_did_not_answer() {
    let mut laptop = Laptop::new();
    laptop.handoff(["hosts", "disk"]).run().exits(0).says("box").says("0 checkouts: 0").done();
    laptop.run(["the task"]).run().exits(0).done();
    laptop
        .handoff(["hosts", "disk", "box"])
        .run()
        .exits(0)
        .says("1 checkout: ")
        .says("(0 free")
        .says("1 cache: ")
        .done();
    let json = laptop.handoff(["hosts", "disk", "--json"]).run().exits(0).json().remove(0);
    assert!(json["contents"]["caches"][0]["kib"].as_u64().is_some_and(|kib| kib > 0), "{json}");
    laptop.hosts[0].vanish();
    laptop.handoff(["hosts", "disk"]).run().exits(5).says("unknown: ").done();
    laptop.handoff(["hosts", "disk", "bxo"]).run().exits(6).complains("did you mean box?").done();
    laptop.handoff(["hosts", "list"]).run().exits(0).says("box").done();
}
