//! Agent CLIs: how to start them, how to read their output, and how their attempts ended.

pub mod classify;
pub mod command;
pub mod dialect;
pub mod host_rules;
pub mod log_analysis;
pub mod log_facts;
pub mod output;
pub mod profiles;
pub mod recognise;
pub mod reset;
pub mod sanitize;
pub mod stream_rules;
pub mod summary;
