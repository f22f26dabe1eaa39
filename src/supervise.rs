//! The dispatcher: time, signals, the link loop and the attempt loop.
//!
//! `start`, `resume`, `stop`, `takeover`, `pull`, `clean` are what a person asks for; `driver` holds a handoff while one of
//! them acts, `launch` gets an attempt under way on a host, `follow` reads it to its end, `decide` says what then.

mod acknowledged;
pub mod attempt_loop;
pub mod backoff;
pub mod check;
pub mod clean;
pub mod connection;
mod custody;
pub mod decide;
pub mod dispatch;
pub mod driver;
pub mod error;
pub mod fencing;
mod ingest;
mod masking;
pub mod next_attempt;
pub mod progress;
pub mod pull;
pub mod reachability;
pub mod record_files;
pub mod recover;
pub mod resume;
pub mod retry;
mod root;
pub mod run;
pub mod services;
mod ship;
pub mod show;
pub mod sleep_detector;
pub mod spec;
pub mod stop;
pub mod takeover;
