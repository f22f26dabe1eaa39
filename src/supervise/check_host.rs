//! `hosts check`: will it run there? Answered before it costs anything.

use super::error::Error;
use super::link::Link;
use crate::model::profile::Profile;
use crate::remote::probe::{AgentQuery, Facts};

/// Least free space in KiB under which an attempt is not worth starting.
const LITTLE_DISK: u64 = 512 << 10;
/// Largest difference of the clocks, in seconds, that nobody needs to know of.
const CLOCK_SKEW: i64 = 60;

/// What is wrong with a host, and what helps.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Gap {
    pub what: String,
    pub help: String,
}

/// Asks a host about itself and about one agent.
pub async fn check_host(mut link: Link, agent: &str, profile: &Profile) -> Result<(Facts, Vec<Gap>), Error> {
    let query = AgentQuery {
        binary: profile.binary.clone(),
        version: profile.version_pattern.clone(),
        login: profile.login_check.clone(),
    };
    let (name, path) = (link.host.name.clone(), link.host.path.clone());
    let remote = link.patiently().await?;
    let facts = remote.probe(Some(&query), &path).await?;
    let gaps = gaps(&facts, &name, agent, profile, jiff::Timestamp::now().as_second());
    Ok((facts, gaps))
}

fn gaps(facts: &Facts, host: &str, agent: &str, profile: &Profile, now: i64) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut gap = |what: String, help: String| gaps.push(Gap { what, help });
    if facts.git.is_empty() || facts.git == "-" {
        gap(format!("{host} has no git"), "install git there with its package manager".into());
    }
    if facts.detach == "none" {
        let help = "install util-linux (setsid), perl, bash or python3 there".into();
        gap(format!("{host} has nothing that starts a session of its own"), help);
    }
    match &facts.agent {
        None => {
            let help = profile
                .install
                .clone()
                .unwrap_or_else(|| "put it on the host's PATH, or add `path` in hosts.toml".into());
            gap(format!("{agent} was not found on {host} (looked for {})", profile.binary.join(", ")), help);
        }
        Some(_) if facts.login.is_some_and(|status| status != 0) => {
            let help = match &profile.login {
                Some(login) => format!("ssh -t {host} {login}"),
                None => format!("log {agent} in on {host}"),
            };
            gap(format!("{agent} is not logged in on {host}"), help);
        }
        Some(_) => {}
    }
    if facts.disk.is_some_and(|free| free < LITTLE_DISK) {
        let free = facts.disk.unwrap_or(0) >> 10;
        gap(format!("{host} has {free} MiB left at {}", facts.root), "free some space there".into());
    }
    if facts.inodes == Some(0) {
        gap(format!("{host} has no inodes left at {}", facts.root), "remove some files there".into());
    }
    if let Some(skew) = facts.time.map(|time| time - now).filter(|skew| skew.abs() > CLOCK_SKEW) {
        gap(format!("the clock of {host} is {skew} s off"), "set it; ages and reset times depend on it".into());
    }
    gaps
}
