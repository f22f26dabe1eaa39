//! `instance`: which root directory a host has, so that a wiped or restored one is not taken for the one that we know.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::root::{Instance, Known};

impl Remote {
    /// The instance of the host's root, which is made where nothing is known of it.
    pub async fn instance(&self) -> Result<Instance, RemoteError> {
        let make = !matches!(self.known(), Known::Instance(_));
        let request = || if make { Request::new() } else { Request::new().line("dry", "yes") };
        let lines = self.call(Verb::Instance, request).await?;
        instance_of(&lines).ok_or_else(|| self.garbled(Verb::Instance, "no instance"))
    }
}

/// The instance among a verb's lines.
pub(super) fn instance_of(lines: &[String]) -> Option<Instance> {
    lines.iter().find_map(|line| Instance::parse(line.strip_prefix("instance ")?))
}
