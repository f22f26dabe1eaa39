//! Tests against real servers: OpenSSH's sshd, dropbear, real agent CLIs, a faulty network.
//!
//! `integration/run sshd` installs what they need and runs them. Without it: `cargo test --features integration --test
//! integration`. A test that cannot run on this machine is counted as skipped.

mod bad_input;
mod custody;
mod dropbear;
mod harness;
mod links;
mod login;
mod main_job;
mod mcp;
mod real_agents;
mod screen;
mod shells;
mod story;
#[allow(dead_code, reason = "shared with the benchmark; each uses its part")]
mod support;
mod survival;
mod transfer;
