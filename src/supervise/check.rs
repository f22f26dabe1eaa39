//! `hosts check`: whether an agent can run on a host, checked before anything is sent.

use crate::config::secrets;
use crate::model::profile::Profile;
use crate::remote::probe::{AgentQuery, Facts};
use crate::supervise::attempt::login::login_line;
use crate::supervise::connection::HostConnection;
use crate::supervise::dispatch::spec;
use crate::supervise::error::Error;
use crate::transport::Options;

/// Least free space, in KiB, for an attempt to be worth starting.
const LITTLE_DISK: u64 = 512 << 10;
/// Exit status of a login check that timed out.
const NO_ANSWER: i32 = 124;
/// Largest clock difference, in seconds, that is not reported.
const CLOCK_SKEW: i64 = 60;

/// A problem of a host, and what fixes it.
#[derive(Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Gap {
    pub what: String,
    pub help: String,
}

/// Checks a host and one agent on it.
pub async fn check_host(
    mut connection: HostConnection,
    options: &Options,
    agent: &str,
    profile: &Profile,
) -> Result<(Facts, Vec<Gap>), Error> {
    let query = AgentQuery {
        binary: profile.binary.clone(),
        version: profile.version_pattern.clone(),
        login: profile.login_check.clone(),
        env: spec::env(profile, &connection.host),
        unset: spec::unset(profile),
        secrets: secrets::resolve_all(&connection.host.secrets).await?.into_iter().collect(),
    };
    let remote = connection.patiently().await?;
    let facts = remote.probe(Some(&query), &connection.host.path).await?;
    let login = login_line(profile, &connection.host, options, facts.agent.as_ref().map(|(path, _)| path.as_str()));
    let gaps = gaps(&facts, &connection.host.name, agent, (profile, login), jiff::Timestamp::now().as_second());
    Ok((facts, gaps))
}

fn gaps(facts: &Facts, host: &str, agent: &str, (profile, login): (&Profile, Option<String>), now: i64) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut gap = |what: String, help: String| gaps.push(Gap { what, help });
    if facts.git.is_empty() || facts.git == "-" {
        gap(format!("{host} has no git"), "install git there with its package manager".into());
    }
    if facts.detach == "none" {
        let help = "install setsid (util-linux), perl, bash or python3 there".into();
        gap(format!("{host} has no program that can start a new session"), help);
    }
    match &facts.agent {
        None => {
            let help = match &profile.install {
                Some(install) => format!("on {host}: {install}"),
                None => "put it on the host's PATH, or add `path` in hosts.toml".into(),
            };
            gap(format!("{agent} was not found on {host} (looked for {})", profile.binary.join(", ")), help);
        }
        Some(_) if facts.login == Some(NO_ANSWER) => {
            let help = login.unwrap_or_else(|| format!("find out on {host} why {agent} is slow"));
            gap(format!("{agent} on {host} did not answer within 20 s whether it is logged in"), help);
        }
        Some(_) if facts.login.is_some_and(|status| status != 0) => {
            let help = login.unwrap_or_else(|| format!("log {agent} in on {host}"));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::profiles;
    use crate::model::testing::match_file;

    #[test]
    fn every_gap_says_what_helps() {
        let profile = &profiles::built_in().unwrap()["cursor"];
        let bare = Profile { install: None, ..profile.clone() };
        let good = || Facts {
            root: "/home/dev/.handoff".into(),
            git: "2.47.3".into(),
            detach: "setsid".into(),
            agent: Some(("/usr/bin/agent".into(), "1".into())),
            ..Facts::default()
        };
        let login = || Some("ssh -t buildbox agent login".to_owned());
        let cases = [
            (profile, login(), good()),
            (profile, login(), Facts { git: "-".into(), detach: "none".into(), agent: None, ..good() }),
            (&bare, login(), Facts { agent: None, ..good() }),
            (profile, login(), Facts { login: Some(NO_ANSWER), ..good() }),
            (profile, None, Facts { login: Some(NO_ANSWER), ..good() }),
            (profile, login(), Facts { login: Some(1), ..good() }),
            (profile, None, Facts { login: Some(1), ..good() }),
            (profile, login(), Facts { disk: Some(7 << 10), inodes: Some(0), time: Some(75), ..good() }),
        ];
        let line = |gap: &Gap| format!("MISSING {}\n  try: {}\n", gap.what, gap.help);
        let text: Vec<String> = cases
            .into_iter()
            .map(|(profile, login, facts)| gaps(&facts, "buildbox", "cursor", (profile, login), 0))
            .map(|gaps| gaps.iter().map(line).collect())
            .collect();
        assert_eq!(text[0], "", "nothing is missing");
        match_file("gaps", &text[1..].join("\n"));
    }
}
