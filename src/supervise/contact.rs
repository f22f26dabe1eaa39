//! What the engine learns of a host whenever it talks to one: whether it can be reached, and which root directory it has.

mod reachability;
mod root;

/// Seconds between TERM and KILL.
pub(in crate::supervise) const KILL_GRACE: u64 = 5;
