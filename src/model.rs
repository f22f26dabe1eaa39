//! Data types and rules without I/O: what a handoff is, and the only way to change its state.

pub mod adopted;
pub mod agent_event;
pub mod attached;
pub mod attempt;
pub mod attempts;
pub mod checkouts;
pub mod companion;
pub mod event;
pub mod handoff;
pub mod host;
pub mod id;
pub mod judgement;
pub mod not_applied;
pub mod ownership;
pub mod phase;
pub mod policy;
pub mod profile;
pub mod refusal;
pub mod release;
pub mod root;
pub mod snapshot;
pub mod status;
#[cfg(test)]
pub(crate) mod testing;
pub mod uncaptured;
pub mod verdict;
pub(crate) mod words;
