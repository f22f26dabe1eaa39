//! What is done on a host: one file a verb, the bridge that joins git to a channel, and the runner they speak to.
//!
//! Formats: `docs/host.md`.

pub mod bridge;
pub mod cancel;
pub mod capture;
pub mod client;
pub mod ensure;
pub mod error;
pub mod frames;
pub mod instance;
pub mod mend;
pub mod pack;
pub mod poll;
pub mod probe;
pub mod put;
pub mod release;
pub mod request;
pub mod script;
pub mod trees;
pub mod unpack;
