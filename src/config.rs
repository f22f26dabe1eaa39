//! What the user decides: hosts, secrets by name, templates, and where those files lie.
//!
//! Everything here is read from the user's own configuration, never from the repository being worked on.

pub mod diagnostic;
pub mod edit;
pub mod hosts;
pub mod markdown;
pub mod mask;
pub mod paths;
pub mod secrets;
pub mod settings;
pub mod templates;
