//! `instance`: identifies a host's root directory, so that a wiped or restored one is noticed.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::root::{Instance, Known};

impl Remote {
    /// The instance of the host's root. A new root gets one.
    pub async fn instance(&self) -> Result<Instance, RemoteError> {
        let make = !matches!(self.known(), Known::Instance(_));
        let request = || if make { Request::new() } else { Request::new().line("dry", "yes") };
        let lines = self.call(Verb::Instance, request).await?;
        instance_of(&lines).ok_or_else(|| self.garbled(Verb::Instance, "no instance"))
    }
}

/// Finds the instance in a verb's lines.
pub(super) fn instance_of(lines: &[String]) -> Option<Instance> {
    lines.iter().find_map(|line| Instance::parse(line.strip_prefix("instance ")?))
}
