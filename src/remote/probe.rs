//! `probe`: what a host is and has, before anything is sent to it.

use secrecy::SecretString;

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;

/// An agent to search for.
#[derive(Clone, Debug, Default)]
pub struct AgentQuery {
    /// Names of the binary, the preferred one first; only `[A-Za-z0-9._+-]`.
    pub binary: Vec<String>,
    /// ERE that the output of `--version` must match.
    pub version: Option<String>,
    /// Arguments with which the binary reports whether it is logged in.
    pub login: Vec<String>,
    /// The files `env` and `unset` of a spec, so that the login is checked in the environment of an attempt.
    pub env: String,
    pub unset: String,
    pub secrets: Vec<(String, SecretString)>,
}

/// What a host reports about itself.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, schemars::JsonSchema)]
pub struct Facts {
    pub system: String,
    pub home: String,
    pub root: String,
    pub git: String,
    pub cores: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Free KiB at the root.
    pub disk: Option<u64>,
    pub inodes: Option<u64>,
    /// The tool that starts a task in its own session.
    pub detach: String,
    /// The host's clock in Unix seconds.
    pub time: Option<i64>,
    /// Path and version line of the requested agent.
    pub agent: Option<(String, String)>,
    /// Exit status of its login check.
    pub login: Option<i32>,
}

impl Remote {
    /// Asks what the host is and has. `agent` is searched in `path` first; `None` searches for no agent.
    pub async fn probe(&self, agent: Option<&AgentQuery>, path: &[String]) -> Result<Facts, RemoteError> {
        let request = || {
            let mut request = Request::new();
            for dir in path {
                request = request.line("path", dir);
            }
            if let Some(query) = agent {
                for name in &query.binary {
                    request = request.line("agent", name);
                    if let Some(version) = &query.version {
                        request = request.line("version", format!("{name} {version}"));
                    }
                    if !query.login.is_empty() {
                        request = request.line("login", format!("{name} {}", query.login.join(" ")));
                    }
                }
                for (name, value) in &query.secrets {
                    request = request.secret(name, value);
                }
                request = request.part("spec/env", query.env.clone()).part("spec/unset", query.unset.clone());
            }
            request
        };
        Ok(read(&self.call(Verb::Probe, request).await?))
    }
}

fn read(lines: &[String]) -> Facts {
    let mut facts = Facts::default();
    for line in lines {
        let Some((key, value)) = line.split_once(' ') else { continue };
        let text = || value.chars().filter(|c| !c.is_control()).take(300).collect::<String>();
        match key {
            "host" => facts.system = text(),
            "home" => facts.home = text(),
            "root" => facts.root = text(),
            "git" => facts.git = text(),
            "cores" => facts.cores = value.parse().ok(),
            "memory" => facts.memory = value.parse().ok(),
            "disk" => facts.disk = value.parse().ok(),
            "inodes" => facts.inodes = value.parse().ok(),
            "detach" => facts.detach = text(),
            "time" => facts.time = value.parse().ok(),
            "agent" if facts.agent.is_none() => facts.agent = read_agent(&text()),
            "login" if facts.login.is_none() => facts.login = value.rsplit(' ').next().and_then(|s| s.parse().ok()),
            _ => {}
        }
    }
    facts
}

/// `<name> <path|-> <version line>`
fn read_agent(value: &str) -> Option<(String, String)> {
    let mut words = value.splitn(3, ' ');
    let (_, path) = (words.next()?, words.next()?);
    (path != "-").then(|| (path.to_owned(), words.next().unwrap_or("").to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_agent_found_counts() {
        let lines = ["git 2.39.5", "cores 8", "agent cursor-agent - ", "agent agent /h/.local/bin/agent 2026.10.01-e3"];
        let facts = read(&lines.map(str::to_owned));
        assert_eq!(facts.agent, Some(("/h/.local/bin/agent".into(), "2026.10.01-e3".into())));
        assert_eq!((facts.cores, facts.memory), (Some(8), None));
    }
}
