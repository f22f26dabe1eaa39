//! Shared parts of the tests against real servers: a host, a connection to it, a laptop, an agent, and its model.

pub mod agent;
pub mod dropbear;
pub mod evidence;
pub mod laptop;
pub mod mock;
pub mod npm;
pub mod pip;
pub mod processes;
pub mod proxy;
pub mod site;
pub mod skip;
pub mod ssh_config;
pub mod sshd;
pub mod terminal;
pub mod transcript;
pub mod user;
pub mod wait;
