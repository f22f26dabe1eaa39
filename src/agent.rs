//! Agent CLIs: how to start them, how to read them, and how an attempt of theirs ended.

pub mod classify;
pub mod command;
pub mod dialect;
pub mod host_rules;
pub mod log_analysis;
pub mod log_facts;
pub mod output;
pub mod profiles;
pub mod reset;
pub mod sanitize;
pub mod stream_rules;
pub mod summary;
