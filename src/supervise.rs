//! The engine: time, signals, the link loop and the attempt loop.
//!
//! One file a verb (`run`, `resume`, `stop`, `takeover`, `pull`, `clean`, `show`, `check`) has what the user asks for.
//! `driver` holds a handoff while a verb acts on it, `dispatch` starts an attempt on a host, `attempt_loop` follows it
//! to its end, and `decide` says what comes next.

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
