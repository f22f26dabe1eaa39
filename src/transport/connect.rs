//! The way to a host, as its entry says.

use std::sync::Arc;

use super::openssh::OpenSsh;
use super::process::Local;
use super::ssh;
use super::{Connected, Counters, Options, Prompter, Transport, TransportError};
use crate::model::host::{Host, TransportKind};

/// Connects to `host` the way its entry says. What our own SSH cannot honour goes through the system's `ssh`, and a
/// note says so.
///
/// Tries once. The caller decides whether an error is worth another try.
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
                notes.push(format!("{}: the system's ssh is used, because of {what}", host.name));
                Arc::new(by_system(host, options, &mut notes, &counters).await?)
            }
        },
    };
    Ok(Connected { transport, notes, counters })
}

/// By the system's `ssh`, which waits for ever for an agent that does not answer: it is not asked then.
async fn by_system(
    host: &Host,
    options: &Options,
    notes: &mut Vec<String>,
    counters: &Arc<Counters>,
) -> Result<OpenSsh, TransportError> {
    let mut options = options.clone();
    if let Some(why) = ssh::auth::broken_agent(host, &options).await {
        notes.push(format!("{}: {why}; key files are tried without it", host.name));
        options.no_agent = true;
    }
    OpenSsh::connect(host, &options, counters.clone()).await
}
