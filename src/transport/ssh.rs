//! Our own SSH client, based on russh. No type of russh is used outside this directory.

pub mod auth;
pub mod channel;
pub mod connect;
pub mod known_hosts;
mod nonblocking_writes;
pub mod resolve;
pub mod server;
