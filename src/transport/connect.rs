//! Connects to a host by the kind of connection that its entry names.

use std::sync::Arc;

use super::openssh::OpenSsh;
use super::process::Local;
use super::ssh;
use super::{Connected, Counters, Options, Prompter, Transport, TransportError};
use crate::model::host::{Host, TransportKind};

/// Connects to `host` as its entry says. If our own SSH cannot honour the configuration, the system's `ssh` is used,
/// and a note says so.
///
/// Tries once. The caller decides whether to try again after an error.
pub async fn connect(host: &Host, options: &Options, prompter: Arc<dyn Prompter>) -> Result<Connected, TransportError> {
    let counters = Arc::new(Counters::default());
    let mut notes = Vec::new();
    let transport: Arc<dyn Transport> = match host.transport {
        TransportKind::Local => Arc::new(Local::new(&host.name, counters.clone())),
        TransportKind::Openssh => Arc::new(by_system(host, options, &mut notes, &counters).await?),
        TransportKind::Ssh => match ssh::connect::connect(host, options, prompter, counters.clone()).await {
            Ok((connection, said)) => {
                notes.extend(said);
                Arc::new(connection)
            }
            Err(ssh::connect::Failure::Failed(error)) => return Err(error),
            Err(ssh::connect::Failure::Beyond(what)) => {
                notes.push(format!("{}: using the system's ssh, because of {what}", host.name));
                Arc::new(by_system(host, options, &mut notes, &counters).await?)
            }
        },
    };
    Ok(Connected { transport, notes, counters })
}

/// Connects with the system's `ssh`. An SSH agent that does not answer is left out, because `ssh` would wait for it for
/// ever.
async fn by_system(
    host: &Host,
    options: &Options,
    notes: &mut Vec<String>,
    counters: &Arc<Counters>,
) -> Result<OpenSsh, TransportError> {
    let mut options = options.clone();
    if let Some(why) = ssh::auth::broken_agent(host, &options).await {
        notes.push(format!("{}: {why}; trying key files without it", host.name));
        options.no_agent = true;
    }
    OpenSsh::connect(host, &options, counters.clone()).await
}
