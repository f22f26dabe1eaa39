//! The text of a laptop's ssh_config for a host.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One `Host` block. ssh reads nothing outside it: no agent, no default key, no system-wide known_hosts.
#[derive(Clone, Debug)]
pub struct Route {
    pub alias: String,
    pub address: SocketAddr,
    pub user: String,
    pub identity: PathBuf,
    pub known_hosts: PathBuf,
    /// Further lines, such as `ProxyJump gate`. They override the ones above.
    pub extra: Vec<String>,
}

impl Route {
    /// The block for an ssh_config file.
    pub fn block(&self) -> String {
        let Route { alias, address, user, identity, known_hosts, extra } = self;
        let mut lines = vec![format!("Host {alias}")];
        // ssh uses the first value of a keyword.
        lines.extend(extra.iter().cloned());
        lines.extend([
            format!("HostName {}", address.ip()),
            format!("Port {}", address.port()),
            format!("User {user}"),
            format!("IdentityFile \"{}\"", identity.display()),
            format!("UserKnownHostsFile \"{}\"", known_hosts.display()),
            "GlobalKnownHostsFile /dev/null".into(),
            "IdentitiesOnly yes".into(),
            "IdentityAgent none".into(),
            "StrictHostKeyChecking ask".into(),
        ]);
        lines.join("\n    ") + "\n"
    }

    /// The same host at another address, which is a proxy.
    pub fn by_way_of(mut self, address: SocketAddr) -> Route {
        self.address = address;
        self
    }

    pub fn named(mut self, alias: &str) -> Route {
        self.alias = alias.to_owned();
        self
    }

    pub fn with(mut self, line: &str) -> Route {
        self.extra.push(line.to_owned());
        self
    }
}

/// The known_hosts line for a server at `address` whose public key file is `public_key`.
pub fn known_host(address: SocketAddr, public_key: &Path) -> String {
    let key = std::fs::read_to_string(public_key).unwrap();
    let words: Vec<_> = key.split_whitespace().take(2).collect();
    format!("[{}]:{} {}\n", address.ip(), address.port(), words.join(" "))
}
