//! What the engine learns of a host whenever it talks to one: whether it can be reached, which root directory it has,
//! and whether it still has the tree of the handoff.

pub(in crate::supervise) mod reachability;
pub(in crate::supervise) mod root;
pub(in crate::supervise) mod tree;

/// Seconds between TERM and KILL.
pub(in crate::supervise) const KILL_GRACE: u64 = 5;
