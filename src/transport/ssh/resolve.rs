//! Finds out what `ssh HOST` would do, with `ssh -G`: aliases, Include, Match, ProxyJump, keys and known_hosts files.
//!
//! `ssh -G` is used because existing parsers pick a different host than `ssh` when a Match block applies.

pub mod expand;
#[cfg(test)]
mod tests;
pub mod typed;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use expand::Tokens;

use crate::model::host::Host;
use crate::transport::{Options, TransportError};

/// Time limit of `ssh -G`, because a `Match exec` in the configuration may run anything.
const LIMIT: Duration = Duration::from_secs(10);

/// Maximum bytes of output. `ssh -G` prints about a hundred short lines; more is not its output.
const LARGEST: usize = 1 << 20;

/// The variable that names another configuration file than `~/.ssh/config`.
pub const CONFIG_VARIABLE: &str = "HANDOFF_SSH_CONFIG";

/// What to connect to, as the user or a jump list writes it: the arguments for `ssh`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Address or alias.
    pub address: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity: Option<PathBuf>,
    /// A list as for `ssh -J`.
    pub jump: Option<String>,
}

/// What carries the connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proxy {
    Direct,
    /// Through another SSH server.
    Jump(Box<Target>),
    /// Through the standard streams of a command.
    Command(String),
}

/// The SSH agent to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The agent in `SSH_AUTH_SOCK`.
    Environment,
    Socket(PathBuf),
    None,
}

/// `StrictHostKeyChecking`: what to do with a host key that no known_hosts file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownKeys {
    /// `yes`: refuse it without a question.
    Refuse,
    /// `ask`, the default.
    Ask,
    /// `accept-new`: add it to the user's known_hosts file.
    Add,
    /// `no` or `off`: add it. A changed key is accepted too, but such a server gets no password.
    AddAndChange,
}

/// Everything that `ssh` would use for a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    pub hostname: String,
    pub user: String,
    pub port: u16,
    /// The identity that the caller named, if any. It is then the first of `identities`.
    pub explicit: Option<PathBuf>,
    /// Key files in the order of the configuration, including defaults that may not exist.
    pub identities: Vec<PathBuf>,
    pub certificates: Vec<PathBuf>,
    pub identities_only: bool,
    pub agent: Agent,
    pub user_known_hosts: Vec<PathBuf>,
    pub global_known_hosts: Vec<PathBuf>,
    pub hash_known_hosts: bool,
    /// Looked up in known_hosts instead of the host name.
    pub host_key_alias: Option<String>,
    pub unknown_keys: UnknownKeys,
    /// Authentication methods; those that the user has disabled are not offered.
    pub publickey: bool,
    pub keyboard_interactive: bool,
    pub password: bool,
    pub gssapi: bool,
    pub proxy: Proxy,
    /// An option that only the system's `ssh` supports.
    pub beyond: Option<String>,
}

impl Target {
    /// The target of a host entry.
    pub fn of(host: &Host) -> Self {
        Target {
            address: host.address.clone(),
            user: host.user.clone(),
            port: host.port,
            identity: host.identity.clone(),
            jump: host.jump.clone(),
        }
    }

    /// The last host of a jump list, reached over the ones before it: `-J a,b` is b over a.
    pub fn of_jump(list: &str) -> Option<Self> {
        let (before, last) = match list.rsplit_once(',') {
            Some((before, last)) => (Some(before.to_owned()), last),
            None => (None, list),
        };
        let last = last.trim().strip_prefix("ssh://").unwrap_or(last.trim()).trim_end_matches('/');
        let (user, place) = match last.rsplit_once('@') {
            Some((user, place)) => (Some(user.to_owned()), place),
            None => (None, last),
        };
        let (address, port) = split_port(place)?;
        let target = Target { address, user, port, identity: None, jump: before };
        safe(&target.address).then_some(target)
    }

    /// The options and the name as arguments for `ssh`; the name comes after `--`.
    pub fn arguments(&self) -> Vec<std::ffi::OsString> {
        let mut arguments = Vec::new();
        let mut option = |flag: &str, value: &std::ffi::OsStr| {
            arguments.push(flag.into());
            arguments.push(value.to_owned());
        };
        if let Some(user) = &self.user {
            option("-l", user.as_ref());
        }
        if let Some(port) = self.port {
            option("-p", port.to_string().as_ref());
        }
        if let Some(identity) = &self.identity {
            option("-i", identity.as_ref());
        }
        if let Some(jump) = &self.jump {
            option("-J", jump.as_ref());
        }
        arguments.push("--".into());
        arguments.push(self.address.clone().into());
        arguments
    }

    /// Refuses names that `ssh` could take for an option or a command.
    pub fn check(&self) -> Result<(), TransportError> {
        if safe(&self.address) && self.user.as_deref().is_none_or(safe) {
            return Ok(());
        }
        let reason = format!("{:?} is not a valid host or user name", self.address);
        Err(TransportError::Config { host: self.address.clone(), reason })
    }
}

/// Whether a name is a single word and not an option.
fn safe(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('-') && !name.contains(|c: char| c.is_control() || c.is_whitespace())
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`, or a bare IPv6 address.
fn split_port(place: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = place.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address.to_owned(), Some(port.parse().ok()?))),
            None => rest.is_empty().then(|| (address.to_owned(), None)),
        };
    }
    match place.split_once(':') {
        Some((address, port)) if !port.contains(':') => Some((address.to_owned(), Some(port.parse().ok()?))),
        _ => Some((place.to_owned(), None)),
    }
}

/// The configuration file to pass to `ssh`, from the options or the environment.
pub fn config_file(options: &Options) -> Option<PathBuf> {
    let from_environment = || std::env::var_os(CONFIG_VARIABLE).filter(|v| !v.is_empty()).map(PathBuf::from);
    options.ssh_config.clone().or_else(from_environment)
}

/// Asks `ssh -G`. If there is no `ssh` on this machine, only the target itself is used.
pub async fn resolve(target: &Target, options: &Options) -> Result<Resolved, TransportError> {
    target.check()?;
    let failed = |reason: String| TransportError::Config { host: target.address.clone(), reason };
    let binary = options.ssh_binary.clone().unwrap_or_else(|| "ssh".into());
    let mut command = tokio::process::Command::new(&binary);
    command.arg("-G");
    if let Some(file) = config_file(options) {
        command.arg("-F").arg(file);
    }
    command.args(target.arguments()).stdin(Stdio::null()).kill_on_drop(true);
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Err(_) => return Err(failed(format!("`ssh -G` did not answer within {} s", LIMIT.as_secs()))),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(finish(alone(target), target, options)),
        Ok(Err(e)) => return Err(failed(format!("cannot run {}: {e}", binary.display()))),
        Ok(Ok(output)) => output,
    };
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(failed(format!("ssh does not accept its configuration: {}", said.trim())));
    }
    let text = String::from_utf8_lossy(&output.stdout[..output.stdout.len().min(LARGEST)]);
    Ok(finish(parse(&text, target).map_err(failed)?, target, options))
}

/// What the target itself says, for a machine without `ssh`.
fn alone(target: &Target) -> Resolved {
    let mut text =
        format!("hostname {}\nidentityfile ~/.ssh/id_ed25519\nidentityfile ~/.ssh/id_ecdsa\n", target.address);
    text += "identityfile ~/.ssh/id_rsa\nuserknownhostsfile ~/.ssh/known_hosts ~/.ssh/known_hosts2\n";
    text += "globalknownhostsfile /etc/ssh/ssh_known_hosts /etc/ssh/ssh_known_hosts2\n";
    if let Some(jump) = &target.jump {
        text += &format!("proxyjump {jump}\n");
    }
    // Only a malformed port or jump list cannot be parsed; the target is then used as it is.
    parse(&text, target).unwrap_or_else(|_| Resolved::plain(target))
}

/// Gives precedence to the caller's identity and to the known_hosts file of the options.
fn finish(mut resolved: Resolved, target: &Target, options: &Options) -> Resolved {
    if let Some(identity) = &target.identity {
        let identity = expand::home(&identity.to_string_lossy());
        resolved.identities.retain(|path| *path != identity);
        resolved.identities.insert(0, identity.clone());
        resolved.explicit = Some(identity);
    }
    if let Some(file) = &options.known_hosts {
        resolved.user_known_hosts = vec![file.clone()];
        resolved.global_known_hosts.clear();
        resolved.unknown_keys = UnknownKeys::Ask;
    }
    resolved
}

impl Resolved {
    fn plain(target: &Target) -> Self {
        Resolved {
            hostname: target.address.clone(),
            user: target.user.clone().unwrap_or_else(expand::local_user),
            port: target.port.unwrap_or(22),
            explicit: None,
            identities: Vec::new(),
            certificates: Vec::new(),
            identities_only: false,
            agent: Agent::Environment,
            user_known_hosts: Vec::new(),
            global_known_hosts: Vec::new(),
            hash_known_hosts: false,
            host_key_alias: None,
            unknown_keys: UnknownKeys::Ask,
            publickey: true,
            keyboard_interactive: true,
            password: true,
            gssapi: false,
            proxy: Proxy::Direct,
            beyond: None,
        }
    }
}

/// Parses the lines `key value` of `ssh -G`. Keys are in lower case; unknown ones are ignored.
///
/// # Errors
/// A fragment that names the malformed option.
pub fn parse(text: &str, target: &Target) -> Result<Resolved, String> {
    let mut resolved = Resolved::plain(target);
    let mut paths: Vec<(&str, &str)> = Vec::new();
    let mut proxy_command = None;
    for line in text.lines() {
        let (key, value) = line.split_once(' ').map_or((line, ""), |(key, value)| (key, value.trim()));
        let yes = matches!(value, "yes" | "true");
        match key {
            "hostname" if safe(value) => resolved.hostname = value.to_owned(),
            "hostname" => return Err(format!("its HostName {value:?} is not valid")),
            "user" if !value.is_empty() => resolved.user = value.to_owned(),
            "port" => resolved.port = value.parse().map_err(|_| format!("its port {value:?} is not valid"))?,
            "identityfile" | "certificatefile" | "userknownhostsfile" | "globalknownhostsfile" | "identityagent" => {
                paths.push((key, value));
            }
            "identitiesonly" => resolved.identities_only = yes,
            "hashknownhosts" => resolved.hash_known_hosts = yes,
            "hostkeyalias" if value != "none" => resolved.host_key_alias = Some(value.to_owned()),
            "stricthostkeychecking" => resolved.unknown_keys = unknown_keys(value),
            "pubkeyauthentication" => resolved.publickey = value != "no" && value != "false",
            "kbdinteractiveauthentication" => resolved.keyboard_interactive = yes,
            "passwordauthentication" => resolved.password = yes,
            "gssapiauthentication" => resolved.gssapi = yes,
            "preferredauthentications" => prefer(&mut resolved, value),
            "proxyjump" if value != "none" => {
                let hop = Target::of_jump(value).ok_or_else(|| format!("its ProxyJump {value:?} is not valid"))?;
                resolved.proxy = Proxy::Jump(Box::new(hop));
            }
            "proxycommand" if value != "none" => proxy_command = Some(value),
            _ => {}
        }
        if resolved.beyond.is_none() && is_beyond(key, value) {
            resolved.beyond = Some(format!("`{key}`"));
        }
    }
    expand_paths(&mut resolved, target, paths);
    if let (Some(command), Proxy::Direct) = (proxy_command, &resolved.proxy) {
        resolved.proxy = Proxy::Command(Tokens::of(&resolved, target).command(command)?);
    }
    Ok(resolved)
}

fn unknown_keys(value: &str) -> UnknownKeys {
    match value {
        "yes" | "true" => UnknownKeys::Refuse,
        "accept-new" => UnknownKeys::Add,
        "no" | "off" | "false" => UnknownKeys::AddAndChange,
        _ => UnknownKeys::Ask,
    }
}

/// Options that change the connection or make it safer, and that only `ssh` supports.
fn is_beyond(key: &str, value: &str) -> bool {
    match key {
        "pkcs11provider" | "knownhostscommand" | "revokedhostkeys" | "bindaddress" | "bindinterface" => value != "none",
        "proxyusefdpass" => value == "yes",
        _ => false,
    }
}

/// Applies `PreferredAuthentications` as far as it excludes methods.
fn prefer(resolved: &mut Resolved, list: &str) {
    let named = |method: &str| list.split(',').any(|m| m.trim() == method);
    resolved.publickey &= named("publickey");
    resolved.keyboard_interactive &= named("keyboard-interactive");
    resolved.password &= named("password");
    resolved.gssapi &= named("gssapi-with-mic");
    if !resolved.publickey && !resolved.keyboard_interactive && !resolved.password {
        resolved.beyond = Some(format!("`preferredauthentications {list}`"));
    }
}

/// Expands values with tokens, once host, port and user are known.
fn expand_paths(resolved: &mut Resolved, target: &Target, paths: Vec<(&str, &str)>) {
    let tokens = Tokens::of(resolved, target);
    let (mut identities, mut certificates, mut user, mut global) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut agent = Agent::Environment;
    for (key, value) in paths {
        match key {
            "identityfile" if value != "none" => identities.push(tokens.path(value)),
            "certificatefile" if value != "none" => certificates.push(tokens.path(value)),
            // `ssh -G` has expanded these; releases before 8.4 print them unexpanded.
            "userknownhostsfile" => user = files(value).iter().map(|file| tokens.filled(file)).collect(),
            // These have neither `~` nor tokens.
            "globalknownhostsfile" => global = files(value).into_iter().map(PathBuf::from).collect(),
            "identityagent" => agent = agent_of(value, &tokens),
            _ => {}
        }
    }
    (resolved.identities, resolved.certificates) = (identities, certificates);
    (resolved.user_known_hosts, resolved.global_known_hosts) = (user, global);
    resolved.agent = agent;
}

/// The paths of a list that `ssh -G` prints without quotes, separated by one space. A word that does not start like a
/// path continues the one before it, because a directory's name may contain a space. Words that are all existing files
/// are separate paths.
fn files(value: &str) -> Vec<String> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    for word in value.split(' ') {
        let begins = ["/", "~", "./", "../"].iter().any(|start| word.starts_with(start));
        match groups.last_mut() {
            Some(group) if !begins => group.push(word),
            _ => groups.push(vec![word]),
        }
    }
    let mut paths = Vec::new();
    for group in groups {
        let whole = group.join(" ");
        let is_file = |path: &str| Path::new(path).is_file();
        if group.len() > 1 && !is_file(&whole) && group.iter().all(|word| is_file(word)) {
            paths.extend(group.into_iter().map(str::to_owned));
        } else if whole != "none" && !whole.is_empty() {
            paths.push(whole);
        }
    }
    paths
}

fn agent_of(value: &str, tokens: &Tokens) -> Agent {
    match value {
        "none" => Agent::None,
        "SSH_AUTH_SOCK" | "" => Agent::Environment,
        _ => match value.strip_prefix('$').filter(|name| !name.starts_with('{')) {
            Some(name) => std::env::var_os(name).map_or(Agent::None, |path| Agent::Socket(path.into())),
            None => Agent::Socket(tokens.filled(value)),
        },
    }
}

/// `path` if it is a file that can be opened.
pub fn readable(path: &Path) -> bool {
    std::fs::File::open(path).is_ok_and(|file| file.metadata().is_ok_and(|data| data.is_file()))
}
