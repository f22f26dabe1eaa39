//! The command that logs an agent in on a host.

use crate::model::host::Host;
use crate::model::profile::Profile;
use crate::remote::client::Remote;
use crate::remote::probe::AgentQuery;
use crate::supervise::record::Record;
use crate::transport::Options;
use crate::transport::ssh::resolve::typed::typed_command;

/// The command that logs an agent in, as the user types it here. It has the agent's full path, because the shell of
/// `ssh HOST COMMAND` searches fewer directories than a login shell.
pub(in crate::supervise) fn login_line(
    profile: &Profile,
    host: &Host,
    options: &Options,
    path: Option<&str>,
) -> Option<String> {
    let login = profile.login.as_deref()?;
    let (binary, arguments) = login.split_once(' ').unwrap_or((login, ""));
    let path =
        path.filter(|path| path.starts_with('/') && !path.contains(|c: char| c.is_whitespace() || c.is_control()));
    // `ssh` passes the words to a second shell, which splits them again.
    let line = format!("{} {arguments}", shlex::try_quote(path.unwrap_or(binary)).ok()?);
    Some(typed_command(host, options, line.trim_end()))
}

/// The line that logs the handoff's agent in on a host, without a path if the host does not report one.
pub(in crate::supervise) async fn login_line_on(record: &Record, host: &Host, remote: &Remote) -> Option<String> {
    let (binary, version) = (record.profile.binary.clone(), record.profile.version_pattern.clone());
    let query = AgentQuery { binary, version, ..AgentQuery::default() };
    let facts = remote.probe(Some(&query), &host.path).await.ok();
    let path = facts.and_then(|facts| facts.agent).map(|(path, _)| path);
    login_line(&record.profile, host, &record.services.connect, path.as_deref())
}
