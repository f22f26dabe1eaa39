//! Hosts: listed, added, checked, and unusable ones.

use std::os::unix::fs::PermissionsExt;

use crate::support::TASK;
use crate::support::laptop::Laptop;
use crate::support::screens::Screens;

/// The agent of the host, under both of its names.
fn write_agent(laptop: &Laptop, script: &str) {
    for agent in ["agent", "cursor-agent"] {
        let file = laptop.hosts[0].home.join(".local/bin").join(agent);
        std::fs::write(&file, script).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn known_hosts(laptop: &Laptop, text: &str) {
    std::fs::write(laptop.home().join(".ssh/known_hosts"), text).unwrap();
}

#[test]
fn that_are_listed_added_and_checked() {
    let mut laptop = Laptop::new();
    let mut screens = Screens::new();
    screens.see(&laptop, &["hosts", "list"]);
    screens.see(&laptop, &["hosts", "add", "big", "me@10.0.0.9:2222"]);
    screens.see(&laptop, &["hosts", "add", "big"]);
    screens.see(&laptop, &["hosts", "add", "-x"]);
    screens.see(&laptop, &["hosts", "add", "a b"]);
    screens.see(&laptop, &["hosts", "add", "odd", "me@10.0.0.9:no"]);
    screens.see(&laptop, &["hosts", "list"]);
    laptop.write_hosts();
    screens.see(&laptop, &["hosts", "check", "box"]);
    screens.see(&laptop, &["hosts", "check", "box", "--agent", "curser"]);
    screens.note("the agent is not logged in");
    write_agent(&laptop, "#!/bin/sh\n[ \"$1\" = --version ] && echo 2026.11.20-5c71b7ed\n");
    screens.see(&laptop, &["hosts", "check", "box"]);
    screens.note("another program has the agent's name");
    write_agent(&laptop, "#!/bin/sh\necho v1\n");
    screens.see(&laptop, &["hosts", "check", "box"]);
    laptop.hosts[0].vanish();
    screens.note("nothing listens on the port");
    screens.see(&laptop, &["hosts", "check", "box"]);
    screens.see(&laptop, &["show", "--host", "box"]);
    screens.see(&laptop, &["run", "--host", "box", TASK]);
    screens.see(&laptop, &["hosts", "check", "bxo"]);
    screens.see(&laptop, &["hosts", "check", "zzz.invalid"]);
    screens.match_file("hosts");
}

#[test]
fn that_cannot_be_trusted_or_do_not_let_us_in() {
    let laptop = Laptop::new();
    let mut screens = Screens::new();
    let check = ["hosts", "check", "box"];
    let own = laptop.hosts[0].known_hosts.clone();
    let (place, _) = own.split_once(' ').unwrap();

    known_hosts(&laptop, "");
    screens.note("a key that no known_hosts file has");
    screens.see(&laptop, &check);
    let config = std::fs::read_to_string(laptop.ssh_config()).unwrap();
    std::fs::write(laptop.ssh_config(), format!("StrictHostKeyChecking yes\n{config}")).unwrap();
    screens.note("the same with StrictHostKeyChecking yes");
    screens.see(&laptop, &check);
    std::fs::write(
        laptop.ssh_config(),
        format!("UserKnownHostsFile /dev/null\nGlobalKnownHostsFile /dev/null\n{config}"),
    )
    .unwrap();
    screens.note("the same with UserKnownHostsFile /dev/null");
    screens.see(&laptop, &check);
    std::fs::write(laptop.ssh_config(), &config).unwrap();

    let another = handoff::transport::ssh::server::key::generate(&laptop.home().join("another")).unwrap();
    known_hosts(&laptop, &format!("{place} {}\n", another.trim()));
    screens.note("another key than the known one");
    screens.see(&laptop, &check);
    screens.see(&laptop, &["run", "--host", "box", TASK]);
    known_hosts(&laptop, &format!("@revoked {own}\n"));
    screens.note("a revoked key");
    screens.see(&laptop, &check);

    laptop.write_hosts();
    let hosts = std::fs::read_to_string(laptop.hosts_file()).unwrap().replace("/.ssh/id_test", "/another");
    std::fs::write(laptop.hosts_file(), &hosts).unwrap();
    screens.note("the host does not know our key");
    screens.see(&laptop, &check);
    std::fs::write(laptop.hosts_file(), hosts.replace("/another", "/missing")).unwrap();
    screens.note("the key file is missing");
    screens.see(&laptop, &check);
    screens.match_file("hosts_that_refuse");
}
