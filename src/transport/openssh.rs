//! The system's `ssh` behind the same trait, for configurations that our own SSH cannot honour, and for users who
//! prefer it.

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

/// Exit status of `ssh` itself when it failed. A command may exit with it too; the two cannot be distinguished.
const FAILED: u32 = 255;

/// Runs commands over a master connection of `ssh`: the user's own if it is open, otherwise one of ours.
pub struct OpenSsh {
    place: Place,
    master: Master,
    session_limit: Arc<SessionLimit>,
    counters: Arc<Counters>,
}

impl OpenSsh {
    /// Finds or starts the master connection. May prompt on the terminal if `options.interactive`.
    pub async fn connect(host: &Host, options: &Options, counters: Arc<Counters>) -> Result<Self, TransportError> {
        let master = Master::connect(host, options, &counters).await?;
        Ok(OpenSsh { place: Place::of(host), master, session_limit: Arc::new(SessionLimit::new()), counters })
    }
}

#[async_trait::async_trait]
impl Transport for OpenSsh {
    /// Starts an `ssh` process, which passes its streams to the master. It ends with the [`Exec`]; the command does
    /// not.
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
