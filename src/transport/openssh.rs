//! The system's `ssh` behind the same trait: for what our own SSH cannot honour, and for who prefers it.

mod error;
mod master;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use tokio::process::Command;

use super::process::{Abandoned, Ending, exit_of, pump, spawn};
use super::session_limit::SessionLimit;
use super::{Counters, Exec, Exit, Options, Output, Transport, TransportError};
use crate::model::host::Host;
use error::Place;
use master::Master;

/// What `ssh` exits with when it, and not the command, failed; a command may use it too, and cannot be told apart.
const FAILED: u32 = 255;

/// Commands over a master connection of `ssh`: the user's own where one is up, else one of ours.
pub struct OpenSsh {
    place: Place,
    master: Master,
    session_limit: Arc<SessionLimit>,
    counters: Arc<Counters>,
}

impl OpenSsh {
    /// Finds or starts the master connection. May ask on the terminal when `options.interactive`.
    pub async fn connect(host: &Host, options: &Options, counters: Arc<Counters>) -> Result<Self, TransportError> {
        let master = Master::connect(host, options, &counters).await?;
        Ok(OpenSsh { place: Place::of(host), master, session_limit: Arc::new(SessionLimit::new()), counters })
    }
}

#[async_trait::async_trait]
impl Transport for OpenSsh {
    /// One `ssh` process, which hands its streams to the master. It dies with the [`Exec`]; the command does not.
    async fn exec(&self, command: &str) -> Result<Exec, TransportError> {
        let permit = self.session_limit.permit().await;
        let permit = permit.ok_or_else(|| self.place.unreachable("the connection is closed"))?;
        let mut ssh: Command = self.master.session();
        ssh.arg(command).process_group(0);
        let child = spawn(&mut ssh).map_err(|e| self.place.config(format!("cannot run ssh: {e}")))?;
        self.counters.channel();
        self.counters.exec();
        let (place, sessions) = (self.place.clone(), self.session_limit.clone());
        let ending: Ending = Box::new(move |status, said| match status.map(exit_of) {
            Ok(Exit::Code(code)) if code != FAILED => Output::Exit(Exit::Code(code)),
            Ok(_) => {
                let error = place.read(said);
                if matches!(error, TransportError::Busy { .. }) {
                    drop(sessions.refused(permit));
                }
                Output::Severed(error)
            }
            Err(e) => Output::Severed(place.unreachable(&e.to_string())),
        });
        Ok(pump(child, ending, Abandoned::Killed))
    }

    fn at_once(&self) -> usize {
        self.session_limit.at_once()
    }
}
