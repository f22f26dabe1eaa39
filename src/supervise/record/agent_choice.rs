//! Another agent for the next attempts of a handoff.

use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::record::Record;

/// The agent that the user wants from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentChoice {
    /// Name of its profile.
    pub agent: String,
    /// The model; without one, the agent's own choice.
    pub model: Option<String>,
}

impl Record {
    /// The choice, if it changes the agent or its model.
    ///
    /// # Errors
    /// The agent is unknown.
    pub(in crate::supervise) fn other_agent<'a>(
        &self,
        choice: Option<&'a AgentChoice>,
    ) -> Result<Option<&'a AgentChoice>, Error> {
        let Some(choice) = choice else { return Ok(None) };
        self.services.profile(&choice.agent)?;
        let AgentChoice { agent, model } = choice;
        let is_other_model = model.is_some() && model.as_deref() != self.handoff().model_of(AttemptNo::MAX);
        Ok(Some(choice).filter(|_| agent != self.handoff().agent() || is_other_model))
    }

    /// The agent of the attempts from now on. Its session begins with the resume prompt.
    pub(in crate::supervise) fn choose_agent(&mut self, choice: &AgentChoice) -> Result<(), Error> {
        let AgentChoice { agent, model } = choice.clone();
        let profile = self.services.profile(&agent)?.clone();
        let first = self.handoff().next_grant_first();
        self.tell(&Progress::Note { text: format!("{agent} continues in a new session, from the resume prompt") });
        self.ledger.require(Kind::AgentChosen { first, agent, model })?;
        self.logs.learn_profile(first, profile.clone());
        self.profile = profile;
        Ok(())
    }
}
