//! The engine: time, signals, the link loop and the attempt loop.
//!
//! One file a verb (`run`, `resume`, `stop`, `takeover`, `undo`, `pull`, `clean`, `show`, `check`) has what the user asks for.
//! `driver` holds a handoff while a verb acts on it, `dispatch` starts an attempt on a host, `attempt_loop` follows it
//! to its end, and `decide` says what comes next.

pub mod adopt;
pub mod artifacts;
pub mod attempt;
pub mod attempt_loop;
mod capture;
pub mod check;
mod checkout;
pub mod clean;
pub mod companions;
pub mod connection;
mod contact;
pub mod custody;
pub mod dispatch;
pub mod driver;
pub mod error;
pub mod finish;
pub mod forget;
pub mod give;
mod ledger;
mod logs;
mod masking;
pub mod progress;
pub mod pull;
pub mod record;
pub mod resume;
pub mod run;
pub mod services;
pub mod show;
pub mod stop;
pub mod summaries;
pub mod summarize;
pub mod takeover;
pub mod undo;
pub mod watch_all;
pub mod worktrees;
