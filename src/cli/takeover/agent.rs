//! Finds the CLI of an agent on this machine, to continue the work in it.

use std::path::PathBuf;

use super::editor::{self, Foreground};
use crate::cli::error::Error;
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::supervise::services::Services;

/// An installed CLI.
#[derive(Debug)]
pub(super) struct Agent {
    binary: PathBuf,
    /// Its arguments for a person, with `{prompt}`.
    arguments: Vec<String>,
}

impl Agent {
    pub(super) fn with_prompt(self, prompt: &str) -> Foreground {
        let fill = |word: String| word.replace("{prompt}", prompt);
        Foreground::Agent { binary: self.binary, arguments: self.arguments.into_iter().map(fill).collect() }
    }
}

/// The agent with this name; an empty name is the handoff's agent.
///
/// # Errors
/// It cannot be started here. This is found before the handoff changes its owner.
pub(super) fn find(services: &Services, id: &HandoffId, name: &str) -> Result<Agent, Error> {
    let journal = services.store.open(id)?;
    let name = if name.is_empty() { journal.handoff().agent_of(AttemptNo::MAX) } else { name };
    let profile = services.profile(name)?;
    if profile.interactive.is_empty() {
        let why = format!("the agent {name} has no key `interactive`, which says how to start it for a person");
        return Err(Error::usage(why).hint(format!("handoff takeover {id}")));
    }
    let Some(binary) = profile.binary.iter().find_map(|name| editor::installed(name)) else {
        let error = Error::usage(format!("{} is not on PATH here", profile.binary.join(" or ")));
        return Err(profile.install.iter().fold(error, Error::hint));
    };
    if !editor::is_on_terminal() {
        return Err(Error::usage("--agent needs a terminal").hint(format!("handoff takeover {id} --print-prompt")));
    }
    Ok(Agent { binary, arguments: profile.interactive.clone() })
}
