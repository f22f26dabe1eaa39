//! Hand a coding task to a machine of your own over SSH, and take the work back with its whole context.
//!
//! The layers, each using those below it and never a neighbour (`tests/layers.rs` holds that):
//! `cli` > `ui` > `supervise` > `remote`, `mirror` > `transport`, `git`, `config`, `state`, `agent` > `model`.

// First, for its macro.
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
