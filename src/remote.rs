//! Requests to a host: one file for each verb, and the runner that answers.
//!
//! `docs/host.md` describes the formats.

pub mod artifacts;
pub mod cancel;
pub mod capture;
pub mod client;
pub mod ensure;
pub mod error;
pub mod frames;
pub mod instance;
pub mod poll;
pub mod probe;
pub mod receive_pack;
pub mod refusal;
pub mod release;
pub mod repair_cache;
pub mod request;
pub mod runner;
pub mod send_pack;
pub mod set_epoch;
pub mod set_next;
pub mod trees;
