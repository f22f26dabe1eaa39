//! One attempt: a step of it, its start and its end, and what follows.

pub mod decide;
mod epoch;
mod ingest;
pub(in crate::supervise) mod login;
pub mod next_attempt;
pub mod recover;
mod relaunch;
pub mod step;
