//! The dispatcher: time, signals, the link loop and the attempt loop.
//!
//! `start`, `resume`, `stop`, `takeover`, `pull`, `clean` are what a person asks for; `driver` holds a handoff while one of
//! them acts, `launch` gets an attempt under way on a host, `follow` reads it to its end, `decide` says what then.

mod acknowledged;
pub mod backoff;
pub mod between;
pub mod check_host;
pub mod clean;
pub mod decide;
pub mod driver;
pub mod engine;
pub mod error;
pub mod fence;
pub mod follow;
mod hold;
pub mod launch;
pub mod link;
pub mod look;
mod masking;
pub mod progress;
pub mod pull;
pub mod reach;
pub mod record;
pub mod resume;
pub mod retry;
mod root;
mod ship;
pub mod spec;
pub mod start;
pub mod stop;
mod take_in;
pub mod takeover;
pub mod unfinished;
pub mod wake;
