//! Sends a coding task to the user's own machine over SSH and brings the work back.
//!
//! Each layer uses only the layers below it and never one next to it (`tests/layers.rs` checks that):
//! `cli` > `ui` > `supervise` > `remote`, `mirror` > `transport`, `git`, `config`, `state`, `agent` > `model`.

// The first module, because the others use its macro.
#[cfg(test)]
#[macro_use]
#[path = "../integration/support"]
mod support {
    #[macro_use]
    pub mod skip;
}

pub mod agent;
pub mod cli;
pub mod config;
pub mod git;
pub mod mirror;
pub mod model;
pub mod remote;
pub mod state;
pub mod supervise;
pub mod transport;
pub mod ui;
