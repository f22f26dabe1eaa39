//! A known_hosts file: a revoked key is revoked whatever else the file contains, and a key without a line is not known.
#![no_main]

use handoff::transport::ssh::known_hosts::entry::{Entry, Marker, glob};
use handoff::transport::ssh::known_hosts::{KeyStatus, KnownHosts, Name};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

fuzz_target!(|data: &[u8]| {
    let key = Entry::parse(format!("x {KEY}").as_bytes(), "here").unwrap().key;
    let names =
        [Name::new("a.example", 22, None), Name::new("a.example", 2222, None), Name::new("10.0.0.1", 22, Some("box"))];
    let mut known = KnownHosts::default();
    known.add("file", data);
    let lists = data.split(|byte| *byte == b'\n').filter_map(|line| Entry::parse(line, "file"));
    let plain = lists.filter(|entry| entry.marker == Marker::None && entry.key == key).count();
    for name in &names {
        let verdict = known.check(name, &key);
        assert!(verdict != KeyStatus::Known || plain > 0, "{verdict:?}");
        assert_eq!(known.algorithms(name).len(), KnownHosts::default().algorithms(name).len());
        known.has_authority(name);
    }
    let mut revoked = KnownHosts::default();
    revoked.add("file", &[data, format!("\n@revoked * {KEY}\n").as_bytes()].concat());
    for name in &names {
        assert!(matches!(revoked.check(name, &key), KeyStatus::Revoked(_)));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(glob("*", text) && glob(&format!("{}*", text.replace(['*', '?'], "?")), text));
    }
});
