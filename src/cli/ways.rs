//! How hosts are reached in this run, for the commands in hints. An error has only the name of a host.

use std::sync::OnceLock;

use crate::config::diagnostic::nearest as near;
use crate::config::hosts::Hosts;
use crate::config::paths::Paths;
use crate::model::host::Host;
use crate::transport::Options;
use crate::transport::ssh::resolve::config_file;
use crate::transport::ssh::resolve::typed::typed;
use crate::ui::ask::Terminal;

static HOSTS: OnceLock<Hosts> = OnceLock::new();

/// How handoff connects to hosts.
pub fn connect() -> Options {
    let last_keys = Paths::from_env().ok().map(|paths| paths.state.join("keys"));
    Options { interactive: Terminal::is_there(), last_keys, ..Options::default() }
}

/// Remembers the hosts file that is used.
pub fn know(hosts: &Hosts) {
    let _ = HOSTS.set(hosts.clone());
}

/// The `ssh` command line that reaches a host, with options in front.
pub fn ssh(flags: &[&str], host: &str) -> String {
    let known = HOSTS.get().and_then(|hosts| hosts.resolve(host).ok());
    typed(&known.unwrap_or_else(|| Host::bare(host)), &connect(), flags)
}

/// The known name that is nearest to an unknown host: of the hosts file, or an alias of the ssh configuration.
pub fn nearest(name: &str) -> Option<String> {
    let mut known = aliases();
    if let Some(hosts) = HOSTS.get() {
        known.extend(hosts.hosts.iter().map(|host| host.name.clone()));
    }
    known.retain(|known| known != name);
    near(name, known.iter().map(String::as_str)).map(str::to_owned)
}

/// The plain names of the `Host` lines of the ssh configuration. They are only suggestions; `ssh` decides what they
/// mean.
fn aliases() -> Vec<String> {
    let file = config_file(&connect()).or_else(|| Some(std::env::home_dir()?.join(".ssh/config")));
    let text = file.and_then(|file| std::fs::read_to_string(file).ok()).unwrap_or_default();
    let hosts = text.lines().filter_map(|line| {
        let (key, names) = line.trim().split_once([' ', '\t', '='])?;
        key.eq_ignore_ascii_case("host").then_some(names)
    });
    let plain = |name: &&str| !name.contains(['*', '?', '!', '"']);
    hosts.flat_map(str::split_whitespace).filter(plain).map(str::to_owned).collect()
}
