//! One attempt: a step of it, its start and its end, and what follows.

pub mod decide;
pub(in crate::supervise) mod ingest;
pub mod next_attempt;
mod reachability;
pub mod recover;
mod root;
pub mod step;
