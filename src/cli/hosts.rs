//! `handoff hosts`

pub mod disk;

use clap::Subcommand;
use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use super::ways;
use crate::agent::profiles;
use crate::config::edit;
use crate::config::settings::human_bytes;
use crate::model::host::{Host, TransportKind};
use crate::model::profile::DEFAULT_AGENT;
use crate::remote::probe::Facts;
use crate::supervise::check::{Gap, check_host};
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::{Progress, Reporter};
use crate::ui::screen;
use crate::ui::text::neutral;

/// List, add and check the machines that handoff can use
#[derive(Debug, clap::Args)]
pub struct Hosts {
    #[command(subcommand)]
    command: Action,
}

/// What to do with hosts.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the hosts of hosts.toml
    List {
        /// Print one JSON object per host
        #[arg(long)]
        json: bool,
    },
    /// Add a host to hosts.toml; comments in the file are kept
    Add {
        /// Name of the host in handoff commands
        name: String,
        /// Address or SSH alias, as `[user@]host[:port]` (default: the name)
        address: Option<String>,
    },
    /// Check that a host has all that a task needs: git, the agent CLI, its login, disk space
    Check {
        /// Name of the host, or an SSH alias
        name: String,
        /// The agent CLI to look for (default: the agent of the host)
        #[arg(long)]
        agent: Option<String>,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show how much disk space the checkouts and caches take on each host
    Disk {
        /// Only these hosts (default: all of hosts.toml)
        names: Vec<String>,
        /// Print one JSON object per host
        #[arg(long)]
        json: bool,
    },
}

impl Hosts {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        match self.command {
            Action::List { json } => list(global, json),
            Action::Add { name, address } => add(global, &name, address.as_deref()),
            Action::Check { name, agent, json } => check(global, &name, agent.as_deref(), json).await,
            Action::Disk { names, json } => disk::show(global, &names, json).await,
        }
    }
}

/// A host of hosts.toml.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ListedHost<'a> {
    name: &'a str,
    address: &'a str,
    user: Option<&'a str>,
    port: Option<u16>,
    transport: TransportKind,
    labels: &'a [String],
    /// Maximum handoffs at once.
    slots: Option<u32>,
    cores: Option<u32>,
    /// Memory in bytes.
    memory: Option<u64>,
    agent: Option<&'a str>,
}

impl<'a> ListedHost<'a> {
    fn of(host: &'a Host) -> Self {
        ListedHost {
            name: &host.name,
            address: &host.address,
            user: host.user.as_deref(),
            port: host.port,
            transport: host.transport,
            labels: &host.labels,
            slots: host.slots,
            cores: host.cores,
            memory: host.memory,
            agent: host.agent.as_deref(),
        }
    }
}

/// Whether a host is ready for a task.
#[derive(Serialize, schemars::JsonSchema)]
pub struct CheckedHost<'a> {
    host: &'a str,
    facts: &'a Facts,
    /// What is missing; nothing if the host is ready.
    gaps: &'a [Gap],
}

fn list(global: &Global, json: bool) -> Result<u8, Error> {
    let hosts = context::hosts(global)?;
    for host in &hosts.hosts {
        if json {
            outln!("{}", screen::json(&ListedHost::of(host)));
        } else {
            outln!("{}", row(host));
        }
    }
    if hosts.hosts.is_empty() && !json {
        outln!("no hosts yet: add one with `handoff hosts add NAME [USER@]ADDRESS`, or use a name that `ssh` knows");
    }
    Ok(exit::OK)
}

fn row(host: &Host) -> String {
    let user = host.user.as_ref().map_or(String::new(), |user| format!("{user}@"));
    let port = host.port.map_or(String::new(), |port| format!(":{port}"));
    let mut parts = vec![format!("{:<16} {user}{}{port}", host.name, host.address)];
    if host.transport == TransportKind::Local {
        parts = vec![format!("{:<16} this machine", host.name)];
    }
    parts.extend(host.cores.map(|cores| format!("{cores} cores")));
    parts.extend(host.memory.map(human_bytes));
    parts.extend(host.agent.clone());
    if !host.labels.is_empty() {
        parts.push(host.labels.join(","));
    }
    parts.join("  ")
}

fn add(global: &Global, name: &str, address: Option<&str>) -> Result<u8, Error> {
    let paths = context::paths()?;
    let file = paths.hosts_file(global.hosts.as_deref(), None).path;
    let mut host = Host::bare(name);
    if let Some(address) = address {
        let (user, rest) = address.rsplit_once('@').map_or((None, address), |(user, rest)| (Some(user), rest));
        let port = rest.rsplit_once(':').filter(|(host, _)| !host.contains(':'));
        host.user = user.map(str::to_owned);
        host.port = port.map(|(_, port)| port_of(port)).transpose()?;
        host.address = port.map_or(rest, |(host, _)| host).to_owned();
    }
    edit::add_host(&file, &host, &paths.home).map_err(|error| match error {
        edit::EditError::AlreadyThere { .. } => Error::usage(error).hint(format!("edit {}", file.display())),
        error => Error::usage(error),
    })?;
    outln!("{name} is in {}", file.display());
    outln!("next: handoff hosts check {name}");
    Ok(exit::OK)
}

fn port_of(text: &str) -> Result<u16, Error> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| {
        Error::usage(format!("{text:?} is not a port")).hint("handoff hosts add NAME [USER@]ADDRESS[:PORT]")
    })
}

/// Reports on stderr how the host is reached.
struct Notes;

impl Reporter for Notes {
    fn tell(&self, progress: &Progress) {
        if let Progress::Note { text } = progress {
            errln!("note: {text}");
        }
    }
}

async fn check(global: &Global, name: &str, agent: Option<&str>, json: bool) -> Result<u8, Error> {
    let host = context::hosts(global)?.resolve(name).map_err(SuperviseError::from)?;
    let agent = agent.or(host.agent.as_deref()).unwrap_or(DEFAULT_AGENT).to_owned();
    let profiles = context::agents()?;
    let profile = profiles::find(&profiles, &agent).map_err(SuperviseError::from)?;
    let options = ways::connect();
    let connection = HostConnection::new(host, options.clone(), context::prompter(), std::sync::Arc::new(Notes));
    let (facts, gaps) = check_host(connection, &options, &agent, profile).await?;
    if json {
        outln!("{}", screen::json(&CheckedHost { host: name, facts: &facts, gaps: &gaps }));
    } else {
        let cores = facts.cores.map_or(String::new(), |cores| format!(", {cores} cores"));
        let memory = facts.memory.map_or(String::new(), |bytes| format!(", {}", human_bytes(bytes)));
        outln!("{name}: {}{cores}{memory}, git {}", neutral(&facts.system), neutral(&facts.git));
        if let Some((path, version)) = &facts.agent {
            outln!("  {agent}: {} ({})", neutral(path), neutral(version));
        }
        for gap in &gaps {
            outln!("  MISSING {}\n    try: {}", neutral(&gap.what), neutral(&gap.help));
        }
        if gaps.is_empty() {
            outln!("  ready");
        }
    }
    Ok(if gaps.is_empty() { exit::OK } else { exit::FAILED })
}
