//! SSH in this program, on russh. No type of russh leaves this folder.

pub mod auth;
pub mod channel;
pub mod connect;
pub mod known_hosts;
mod nonblocking_writes;
pub mod resolve;
pub mod server;
