//! Agent CLIs: how to start them, how to read them, and how an attempt of theirs ended.

pub mod command;
pub mod dialect;
pub mod judge;
pub mod log_facts;
pub mod output;
pub mod profiles;
pub mod reset;
pub mod stream_rules;
pub mod study;
pub mod summary;
pub mod table;
pub mod text;
