//! The user's configuration: hosts, names of secrets, templates, and the paths of those files.
//!
//! It is read from the user's own files, never from the repository that the work is about.

pub mod diagnostic;
pub mod edit;
pub mod hosts;
pub mod markdown;
pub mod mask;
pub mod paths;
pub mod recorded;
pub mod secrets;
pub mod settings;
pub mod templates;
