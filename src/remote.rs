//! What is done on a host.

pub mod script;
